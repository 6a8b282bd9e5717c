import { once } from 'node:events'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { tinyModel } from '../support/gguf-writer.ts'
import { runMain } from '../support/run-main.ts'
import { childrenOf, startServer, waitUntil } from '../support/server-process.ts'

const demoModel = fileURLToPath(new URL('../../models/demo/drawbridge-demo-q8_0.gguf', import.meta.url))
const pirateAdapter = fileURLToPath(new URL('../../models/demo/adapters/pirate.gguf', import.meta.url))

let directory = ''
beforeAll(() => { directory = mkdtempSync(path.join(tmpdir(), 'drawbridge-cli-')) })
afterAll(() => { rmSync(directory, { recursive: true }) })

function fileOf (name: string, content: Buffer | string): string {
  const file = path.join(directory, name)
  writeFileSync(file, content)
  chmodSync(file, 0o600)
  return file
}

describe('commands that only print', () => {
  it('--help, help and -h teach', async () => {
    const help = await runMain(['--help'])
    expect(help).toMatchObject({ code: 0, stderr: '' })
    expect(help.stdout).toContain('Examples')
    expect(help.stdout).toContain('--context-size auto|N')
    expect(await runMain(['-h'])).toEqual(help)
    expect(await runMain(['help'])).toEqual(help)
  })

  it('build-native --help tells what it does, and what it does not know is refused', async () => {
    const help = await runMain(['build-native', '--help'])
    expect(help).toMatchObject({ code: 0, stderr: '' })
    expect(help.stdout).toContain('--gpu KIND')
    expect(await runMain(['build-native', '--gpu', 'abacus'])).toEqual({
      code: 1, stdout: '', stderr: 'drawbridge: --gpu is "abacus", but must be off, cuda, vulkan or metal (drawbridge build-native --help explains)\n'
    })
    expect(await runMain(['build-native'], { PATH: '/nonexistent' })).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('llama.cpp cannot be built here. git is not installed') })
  })

  it('--version is the version of the package', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
    expect(await runMain(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' })
  })

  it('--print-config shows the result with secrets hidden', async () => {
    const file = fileOf('drawbridge.yaml', 'port: 9001\nslots: 2\napiKeys: [from-the-file]\n')
    const { code, stdout, stderr } = await runMain(['serve', '--config', file, '--slots', '3', '--print-config'],
      { DRAWBRIDGE_API_KEY: 'from-the-environment', DRAWBRIDGE_SLOT: '5' })
    expect(code).toBe(0)
    expect(stdout).toContain(`port: 9001  # port in ${file}\n`)
    expect(stdout).toContain('slots: 3  # --slots\n')
    expect(stdout).toContain('# apiKeys: 1 hidden, from DRAWBRIDGE_API_KEY\n')
    expect(stdout).not.toContain('from-the-file')
    expect(stdout).not.toContain('from-the-environment')
    expect(stderr).toBe('drawbridge: warning: The environment variable DRAWBRIDGE_SLOT means nothing to this server; did you mean DRAWBRIDGE_SLOTS?\n')
  })
})

describe('wrong uses end with one clear sentence and exit code 1', () => {
  const cases: readonly (readonly [what: string, argv: () => readonly string[], sentence: () => string])[] = [
    ['an unknown command', () => ['sevre'], () => 'There is no command "sevre"; did you mean serve? (drawbridge --help explains)'],
    ['a model without its flag', () => ['chat.gguf'], () => 'There is no command "chat.gguf"; a model is given with --model chat.gguf (drawbridge --help explains)'],
    ['an unknown flag', () => ['--slot', '4'], () => 'There is no option --slot; did you mean --slots? (drawbridge --help lists them)'],
    ['a bad value', () => ['--port', '99999'], () => '--port is "99999", but must be a whole number from 0 to 65535'],
    ['an open address', () => ['--host', '0.0.0.0'], () => '--host is "0.0.0.0", where others can reach the server, and there is no API key; make one with drawbridge keys create, set --api-key-file FILE, or --insecure-no-auth if everybody there may use it'],
    ['a missing file', () => ['--model', '/nowhere/m.gguf'], () => 'The model file /nowhere/m.gguf cannot be read: it does not exist'],
    ['a file that is not GGUF', () => ['--model', fileOf('text.gguf', 'hello')], () => `The model file ${directory}/text.gguf is not a GGUF file: it does not begin with "GGUF"`],
    ['a truncated file', () => ['--model', fileOf('cut.gguf', readFileSync(demoModel).subarray(0, 1_000_000))],
      () => `The model file ${directory}/cut.gguf is truncated at 977 KiB: its tensors need 1.9 MiB, 994880 bytes more; copy or download it again`],
    ['an adapter', () => ['--model', pirateAdapter], () => `The model file ${pirateAdapter} is a LoRA adapter for Drawbridge Demo, not a model; give the model it belongs to`],
    ['a context beyond the training', () => ['--context-size', '4096'], () => `--context-size is 4096, but the model file ${demoModel} was trained for at most 2048 tokens`],
    ['a draft model of another vocabulary', () => ['--draft-model', fileOf('stranger.gguf', tinyModel())],
      () => `The draft model ${directory}/stranger.gguf cannot be used for the model ${demoModel}: its vocabulary has 3 tokens, the model's has 1792; take one of the same family (--draft-model)`],
    ['two models of one name', () => ['--model', 'demo', '--model', 'fake', '--alias', 'x', '--alias', 'x'], () => 'Two models are called "x" (demo and fake); give one of them another name with --alias']
  ]
  it.each(cases)('%s', async (_what, argv, sentence) => {
    expect(await runMain([...argv(), '--log-level', 'warn'])).toEqual({ code: 1, stdout: '', stderr: `drawbridge: ${sentence()}\n` })
  })

  it('a model that is named elsewhere than on the command line', async () => {
    const file = fileOf('models.yaml', 'models: [/nowhere/m.gguf]\n')
    const sentence = 'drawbridge: The model file /nowhere/m.gguf cannot be read: it does not exist'
    expect((await runMain([], { DRAWBRIDGE_MODEL: '/nowhere/m.gguf' })).stderr).toBe(`${sentence} (DRAWBRIDGE_MODEL)\n`)
    expect((await runMain(['--config', file])).stderr).toBe(`${sentence} (models in ${file})\n`)
    expect((await runMain([], { DRAWBRIDGE_MODEL: fileOf('text.gguf', 'hello') })).stderr).toContain('(DRAWBRIDGE_MODEL)')
  })

  it('more memory than the machine has', async () => {
    const file = fileOf('huge.gguf', tinyModel({ 'llama.block_count': 1000, 'llama.attention.key_length': 1_000_000 }))
    const { code, stdout, stderr } = await runMain(['--model', file, '--slots', '8', '--context-size', '4096', '--log-level', 'warn'])
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(/^drawbridge: The model file .*huge\.gguf needs about \d+(\.\d)? TiB \(weights .*caches .* TiB for 8 slots of 4096 tokens, work .*\), but this (machine|container) has .* of memory available; lower --slots or --context-size\n$/)
  })

  it('a file whose header is right and which llama.cpp cannot load', async () => {
    const file = fileOf('hollow.gguf', tinyModel())
    const { code, stderr } = await runMain(['--model', file, '--port', '0', '--log-level', 'silent'])
    expect(code).toBe(1)
    expect(stderr).toMatch(new RegExp(`^drawbridge: The model hollow \\(${file}\\) could not be loaded: .+\n$`))

    const unknown = fileOf('future.gguf', tinyModel({}, 'transformer9'))
    expect(await runMain(['--model', unknown, '--port', '0', '--log-level', 'silent'])).toEqual({
      code: 1,
      stdout: '',
      stderr: `drawbridge: The model future (${unknown}) could not be loaded: error loading model: unknown model architecture: 'transformer9'\n`
    })
  })

  it('a port that is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as { port: number }
    try {
      expect(await runMain(['--model', 'fake', '--port', String(port), '--log-level', 'warn'])).toEqual({
        code: 1,
        stdout: '',
        stderr: `drawbridge: --port is ${port}, but another program listens there already; choose another port, or 0 for a free one\n`
      })
    } finally {
      other.close()
    }
  })
})

describe('the server process', () => {
  it('logs JSON lines only when its output is no terminal, and names the models', async () => {
    await using server = await startServer(['--model', 'demo', '--model', 'fake', '--alias', 'main'])
    const { data } = await (await fetch(`${server.baseURL}/models`)).json() as { data: { id: string, root: string, max_model_len: number }[] }
    expect(data.map(({ id, root, max_model_len: length }) => [id, root, length])).toEqual([['main', 'demo', 2048], ['fake', 'fake', 4096]])
    expect(await server.stop()).toBe(0)
    const lines = server.output().trim().split('\n').map((line) => JSON.parse(line) as { msg: string })
    expect(lines.map(({ msg }) => msg)).toEqual(expect.arrayContaining(['loading model', 'model ready', 'ready', 'draining', 'stopped']))
  })

  it.each(['SIGTERM', 'SIGINT'] as const)('ends in time at %s, whatever half-sent requests wait for', async (signal) => {
    await using server = await startServer(['--model', 'fake', '--drain-timeout', '500ms'])
    const socket = connect(Number(new URL(server.origin).port), '127.0.0.1')
    socket.write('POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"model"')
    const closed = once(socket.resume(), 'close')
    // The server has read the first half by the time it has answered somebody else.
    await fetch(`${server.origin}/health`)
    expect(await server.stop(signal)).toBe(0)
    await closed
    await waitUntil(() => server.output().includes('"msg":"stopped"'), 'the last line of the log')
  })

  it.skipIf(!existsSync('/dev/full'))('answers although nothing can be written to its log', async () => {
    await using server = await startServer(['--model', 'fake'], {}, '/dev/full')
    for (let request = 0; request < 3; request++) expect((await fetch(`${server.baseURL}/models`)).status).toBe(200)
    expect(await server.stop()).toBe(0)
    expect(server.output()).toBe('')
  })

  it('has no native module in it; its engine process has', async () => {
    await using server = await startServer(['--model', 'demo'])
    const [engine] = await childrenOf(server.pid)
    if (process.platform !== 'linux' || engine === undefined) return
    expect(readFileSync(`/proc/${server.pid}/maps`, 'utf8')).not.toMatch(/\.node$/m)
    expect(readFileSync(`/proc/${engine}/maps`, 'utf8')).toMatch(/\.node$/m)
  })
})
