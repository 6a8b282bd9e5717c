import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { AdapterOrigin } from '../../../../src/adapters/adapter-status.ts'
import { createFetchAdapter, type FetchAdapterOptions } from '../../../../src/adapters/sources/fetch-adapter.ts'
import { neverAborted } from '../../../support/generation.ts'

let root = ''
let directory = ''
let folder = ''
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'drawbridge-fetch-'))
  directory = path.join(root, 'adapters')
  folder = path.join(root, 'private')
  for (const name of [directory, folder, path.join(root, 'adapters-of-others')]) mkdirSync(name)
  writeFileSync(path.join(root, 'secret.gguf'), 'secret')
  writeFileSync(path.join(root, 'adapters-of-others', 'x.gguf'), 'secret')
  writeFileSync(path.join(directory, 'pirate.gguf'), 'pirate')
})
afterEach(() => rmSync(root, { recursive: true }))

const fetchIt = async (reference: string, origin: AdapterOrigin = 'api', options: Partial<FetchAdapterOptions> = {}, signal = neverAborted) =>
  await createFetchAdapter({
    directory, allowed: [], maxSizeBytes: 100, huggingFaceEndpoint: new URL('https://huggingface.co'), huggingFaceToken: undefined, ...options
  })({ reference, origin }, { folder, signal })

describe('a path', () => {
  it.each(['pirate.gguf', './pirate.gguf', 'sub/../pirate.gguf'])('in the folder is copied: %s', async (reference) => {
    const copy = await fetchIt(reference)
    expect(path.dirname(copy)).toBe(folder)
    writeFileSync(path.join(directory, 'pirate.gguf'), 'changed meanwhile')
    expect(readFileSync(copy, 'utf8')).toBe('pirate')
  })

  it.each([
    ['absolute', () => path.join(root, 'secret.gguf')],
    ['with dots', () => '../secret.gguf'],
    ['with dots inside', () => 'sub/../../secret.gguf'],
    ['that is not there, to find out whether it is', () => '../nothing'],
    ['of a folder whose name begins alike', () => '../adapters-of-others/x.gguf'],
    ['of the folder itself', () => '.'],
    ['of the system', () => '/etc/passwd']
  ])('outside is refused: %s', async (_what, reference) => {
    await expect(fetchIt(reference())).rejects.toMatchObject({ code: 'permission_denied', status: 403, message: expect.stringContaining('--adapter-dir') })
  })

  it('is refused when a link leads out, and not when it leads to another file inside', async () => {
    symlinkSync(path.join(root, 'secret.gguf'), path.join(directory, 'out.gguf'))
    symlinkSync(root, path.join(directory, 'folder'))
    symlinkSync('pirate.gguf', path.join(directory, 'in.gguf'))
    await expect(fetchIt('out.gguf')).rejects.toMatchObject({ code: 'permission_denied' })
    await expect(fetchIt('folder/secret.gguf')).rejects.toMatchObject({ code: 'permission_denied' })
    expect(readFileSync(await fetchIt('in.gguf'), 'utf8')).toBe('pirate')
  })

  it('of a PEFT folder stays, unless a file in it is a link out', async () => {
    const peft = path.join(directory, 'peft')
    mkdirSync(peft)
    writeFileSync(path.join(peft, 'adapter_config.json'), '{}')
    await expect(fetchIt('peft')).rejects.toMatchObject({ code: 'adapter_not_found' })
    writeFileSync(path.join(peft, 'adapter_model.safetensors'), '')
    expect(await fetchIt('peft')).toBe(peft)
    rmSync(path.join(peft, 'adapter_model.safetensors'))
    symlinkSync(path.join(root, 'secret.gguf'), path.join(peft, 'adapter_model.safetensors'))
    await expect(fetchIt('peft')).rejects.toMatchObject({ code: 'permission_denied' })
  })

  it('that leads nowhere, or to something too large, is refused', async () => {
    await expect(fetchIt('nothing.gguf')).rejects.toMatchObject({ code: 'adapter_not_found', message: `No adapter found for ${path.join(directory, 'nothing.gguf')}` })
    writeFileSync(path.join(directory, 'large.gguf'), 'x'.repeat(101))
    await expect(fetchIt('large.gguf')).rejects.toMatchObject({ code: 'invalid_adapter', message: expect.stringContaining('the limit is 100 bytes') })
  })

  it('needs the folder, unless it is the operator\'s own', async () => {
    await expect(fetchIt('pirate.gguf', 'api', { directory: null })).rejects.toMatchObject({ code: 'permission_denied' })
    expect(readFileSync(await fetchIt(path.join(root, 'secret.gguf'), 'option', { directory: null }), 'utf8')).toBe('secret')
  })
})

describe('an address', () => {
  let requests: IncomingMessage[] = []
  let answer: (request: IncomingMessage, response: ServerResponse) => void = () => {}
  let origin = ''
  const server = createServer((request, response) => {
    requests.push(request)
    answer(request, response)
  })
  beforeEach(async () => {
    requests = []
    if (!server.listening) await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
    server.unref()
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })

  it('is fetched where it is allowed', async () => {
    answer = (_request, response) => response.end('adapter')
    expect(readFileSync(await fetchIt(`${origin}/a/x.gguf`, 'api', { allowed: [`${origin}/a/`] }), 'utf8')).toBe('adapter')
  })

  it.each([
    ['nothing is', () => `${origin}/a/x.gguf`, () => []],
    ['another folder is', () => `${origin}/b/x.gguf`, () => [`${origin}/a/`]],
    ['a folder that begins alike is', () => `${origin}/ab/x.gguf`, () => [`${origin}/a`]],
    ['dots lead out', () => `${origin}/a/%2e%2e/b/x.gguf`, () => [`${origin}/a/`]],
    ['the host goes on', () => `${origin}.example.com/a/x`, () => [origin]],
    ['a password could carry it', () => `${origin.replace('//', '//u:p@')}/a/x`, () => [origin]],
    ['a repository of others', () => 'hf:other/adapter', () => ['hf:owner/']]
  ])('is refused where %s', async (_what, reference, allowed) => {
    await expect(fetchIt(reference(), 'api', { allowed: allowed() })).rejects.toMatchObject({ code: 'permission_denied', status: 403 })
    expect(requests).toEqual([])
  })

  it('is limited in size, whatever the server says of it', async () => {
    answer = (_request, response) => response.end('x'.repeat(101))
    await expect(fetchIt(`${origin}/x`, 'option')).rejects.toMatchObject({ code: 'invalid_adapter', message: expect.stringContaining('101') })
    answer = (_request, response) => {
      response.write('x'.repeat(60))
      response.end('x'.repeat(60))
    }
    await expect(fetchIt(`${origin}/x`, 'option')).rejects.toMatchObject({ code: 'invalid_adapter', message: expect.stringContaining('the limit is 100') })
  })

  it('follows redirects, but not for ever, not to other schemes, and not into the network', async () => {
    const inside = createServer((_request, response) => response.end('secret'))
    await new Promise<void>((resolve) => { inside.listen(0, '127.0.0.1', resolve) })
    const { port } = inside.address() as AddressInfo
    const redirectTo = (location: string): void => { answer = (request, response) => request.url === '/there' ? response.end('there') : response.writeHead(302, { location }).end() }
    const refusal = async (): Promise<string> => await fetchIt(`${origin}/x`, 'api', { allowed: [origin] }).then(() => 'none', (error: Error) => error.message)
    try {
      redirectTo('/x')
      expect(await refusal()).toContain('redirects more than 5 times')
      redirectTo('file:///etc/passwd')
      expect(await refusal()).toContain('must begin with https://')
      redirectTo(`http://127.0.0.1:${port}/`)
      expect(await refusal()).toContain('is at 127.0.0.1, which is not on the public internet')
      redirectTo(`http://localhost:${port}/`)
      expect(await refusal()).toContain('which is not on the public internet')
      redirectTo('http://192.168.0.1/')
      expect(await refusal()).toContain('must begin with https://')
      redirectTo('/there')
      expect(readFileSync(await fetchIt(`${origin}/x`, 'api', { allowed: [origin] }), 'utf8')).toBe('there')
    } finally {
      inside.close()
    }
  })

  it('says what the server answered', async () => {
    answer = (_request, response) => response.writeHead(404).end()
    await expect(fetchIt(`${origin}/x?signature=secret`, 'option')).rejects.toMatchObject({ code: 'adapter_not_found', message: `${origin}/x was answered with the status 404` })
    answer = (_request, response) => response.writeHead(500).end()
    await expect(fetchIt(`${origin}/x`, 'option')).rejects.toMatchObject({ code: 'invalid_adapter' })
    answer = (request) => request.socket.destroy()
    await expect(fetchIt(`${origin}/x`, 'option')).rejects.toMatchObject({ code: 'invalid_adapter', message: expect.stringContaining('cannot be downloaded') })
  })

  it('is given up with the load', async () => {
    const controller = new AbortController()
    answer = (_request, response) => {
      response.write('x')
      controller.abort()
    }
    await expect(fetchIt(`${origin}/x`, 'option', {}, controller.signal)).rejects.toMatchObject({ code: 'request_aborted' })
  })

  describe('of Hugging Face', () => {
    const fetchHub = async (reference: string, allowed = ['hf:']) =>
      await fetchIt(reference, 'api', { allowed, huggingFaceEndpoint: new URL(`${origin}/hub`), huggingFaceToken: 'hf_token' })
    const serve = (files: readonly string[]): void => {
      answer = (request, response) => request.url?.startsWith('/hub/api/') === true
        ? response.end(JSON.stringify({ siblings: files.map((rfilename) => ({ rfilename })) }))
        : response.end(`content of ${request.url}`)
    }

    it('is its only GGUF file, with the token', async () => {
      serve(['README.md', 'lora.gguf'])
      expect(readFileSync(await fetchHub('hf:owner/adapter'), 'utf8')).toBe('content of /hub/owner/adapter/resolve/main/lora.gguf')
      expect(requests.map(({ url, headers }) => [url, headers.authorization])).toEqual([
        ['/hub/api/models/owner/adapter/revision/main', 'Bearer hf_token'], ['/hub/owner/adapter/resolve/main/lora.gguf', 'Bearer hf_token']
      ])
    })

    it('is the file and the revision that it names', async () => {
      serve([])
      expect(readFileSync(await fetchHub('hf:owner/adapter/sub/a.gguf@v2', ['hf:owner/adapter']), 'utf8')).toBe('content of /hub/owner/adapter/resolve/v2/sub/a.gguf')
    })

    it('is a PEFT adapter otherwise', async () => {
      serve(['adapter_config.json', 'adapter_model.safetensors'])
      const peft = await fetchHub('hf:owner/adapter')
      expect(readFileSync(path.join(peft, 'adapter_config.json'), 'utf8')).toContain('adapter_config.json')
    })

    it('says what is wrong', async () => {
      serve(['a.gguf', 'b.gguf'])
      await expect(fetchHub('hf:owner/adapter')).rejects.toMatchObject({ message: expect.stringContaining('hf:owner/adapter/a.gguf, hf:owner/adapter/b.gguf') })
      serve([])
      await expect(fetchHub('hf:owner/adapter')).rejects.toMatchObject({ code: 'adapter_not_found' })
      await expect(fetchHub('hf:owner')).rejects.toMatchObject({ code: 'invalid_value' })
      await expect(fetchHub('hf:owner/adapter/../../x.gguf')).rejects.toMatchObject({ code: 'invalid_value' })
      answer = (_request, response) => response.end('<html>')
      await expect(fetchHub('hf:owner/adapter')).rejects.toMatchObject({ code: 'invalid_adapter' })
    })
  })
})
