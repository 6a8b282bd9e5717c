import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ScriptedServer, type Script } from '../../bench/known-answer/scripted-server.ts'
import type { BenchReport, BenchRun } from '../../src/bench/report/bench-run.ts'
import { neutralEnvironment, startServer, waitUntil, type ServerProcess } from '../support/server-process.ts'

const mainFile = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url))
const folder = mkdtempSync(path.join(tmpdir(), 'drawbridge-bench-'))
afterAll(() => rmSync(folder, { recursive: true }))
const fileIn = (name: string): string => path.join(folder, name)

interface Result { readonly code: number | null, readonly stdout: string, readonly stderr: string }

/** `drawbridge bench …` as users run it. */
async function bench (...words: readonly string[]): Promise<Result> {
  const environment: NodeJS.ProcessEnv = { ...neutralEnvironment(), OPENAI_API_KEY: '' }
  delete environment['OPENAI_API_KEY']
  return await new Promise((resolve) => {
    execFile(process.execPath, [mainFile, 'bench', ...words], { env: environment }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : null, stdout, stderr })
    })
  })
}

async function benchJson (...words: readonly string[]): Promise<BenchRun & BenchReport> {
  const { code, stderr } = await bench(...words, '--json', fileIn('run.json'))
  expect([code, stderr]).toEqual([0, expect.any(String)])
  return JSON.parse(readFileSync(fileIn('run.json'), 'utf8')) as BenchRun & BenchReport
}

const quick: Script = { ttftMs: 20, gapMs: 5, tokens: 4 }

describe('drawbridge bench, against a server whose times are known', () => {
  it('never reports less than what was, and tokens as the server counts them', async () => {
    await using server = await ScriptedServer.start(() => ({ ttftMs: 60, gapMs: 10, tokens: 5 }))
    const run = await benchJson(server.url, '--requests', '12', '--concurrency', '3', '--warmup', '0')
    expect(run).toMatchObject({ completed: 12, failed: 0, total_output_tokens: 60, model_id: 'scripted', max_concurrency: 3, request_rate: 'inf' })
    // Nothing can arrive before it leaves; how much later it arrives is the machine's affair.
    expect(Math.min(...run.ttfts)).toBeGreaterThanOrEqual(0.059)
    expect(Math.min(...run.latencies)).toBeGreaterThanOrEqual(0.099)
    expect(run.itls.every((gaps) => gaps.length === 4)).toBe(true)
    expect(run.mean_itl_ms).toBeLessThanOrEqual((run.mean_e2el_ms - run.mean_ttft_ms) / 4 + 1e-6)
    // Two probes, then the requests: each asked once.
    expect(server.bodies).toHaveLength(14)
    expect(new Set(server.bodies.slice(2).map((body) => JSON.stringify(body['messages']))).size).toBe(12)
    expect(server.bodies[2]).toMatchObject({ model: 'scripted', stream: true, stream_options: { include_usage: true }, max_tokens: 64, ignore_eos: true, temperature: 0 })
    // One token to a word, and no template: prompts are exactly as long as wanted.
    expect(run.input_lens).toEqual(Array(12).fill(128))
  })

  it('reports every way of failing by its kind, and no latency of it', async () => {
    const faults = ['http 500', 'too many requests', 'error in stream', 'cut off', 'reset', 'stall'] as const
    await using server = await ScriptedServer.start((number) => {
      const fault = number < 2 ? undefined : faults[(number - 2) % 8]
      return { ...quick, ...(fault === undefined ? {} : { fault }) }
    })
    const { code, stdout } = await bench(server.url, '--requests', '16', '--concurrency', '2', '--warmup', '0', '--stall-timeout', '2s', '--json', fileIn('faults.json'))
    expect(code).toBe(0)
    const run = JSON.parse(readFileSync(fileIn('faults.json'), 'utf8')) as BenchRun
    expect(run).toMatchObject({ completed: 4, failed: 12, total_output_tokens: 16 })
    expect(run.drawbridge.errors.map(({ kind, count }) => `${count} ${kind}`).sort()).toEqual([
      '2 connection reset', '2 cut off', '2 error in stream engine_crashed', '2 http 429 queue_full', '2 http 500 engine_error', '2 stalled'
    ])
    expect(run.drawbridge.latencies.ttft.count).toBe(4)
    expect(run.errors.filter(Boolean)).toHaveLength(12)
    expect(stdout).toContain('2 × stalled: Nothing came for 2000 ms')
    expect(stdout).toContain('Warning: 12 of 16 requests failed')
  })

  it('exits with 1 when nothing was answered', async () => {
    await using server = await ScriptedServer.start((number) => ({ ...quick, ...(number < 2 ? {} : { fault: 'http 500' }) }))
    const { code, stdout } = await bench(server.url, '--requests', '4', '--warmup', '0')
    expect(code).toBe(1)
    expect(stdout).toContain('All 4 requests failed')
  })

  it.each(['stdout', 'stderr'] as const)('keeps its exit code when nobody reads %s', async (output) => {
    await using server = await ScriptedServer.start((number) => ({ ...quick, ...(number < 2 ? {} : { fault: 'http 500' }) }))
    const child = spawn(process.execPath, [mainFile, 'bench', server.url, '--requests', '4', '--warmup', '0', '--json', fileIn(`no-${output}.json`)], { stdio: ['ignore', 'pipe', 'pipe'] })
    child.stdout.resume()
    child.stderr.resume()
    child[output].destroy()
    expect(await once(child, 'close')).toEqual([1, null])
    expect(JSON.parse(readFileSync(fileIn(`no-${output}.json`), 'utf8'))).toMatchObject({ failed: 4 })
  })

  it('says what kept it from finding out what a server can do', async () => {
    await using server = await ScriptedServer.start((number) => ({ ...quick, ...(number < 2 ? {} : { fault: 'too many requests' }) }))
    const { code, stdout } = await bench(server.url, '--rate', 'auto', '--requests', '20', '--warmup', '0')
    expect(code).toBe(1)
    expect(stdout).toContain('20 × http 429 queue_full')
    expect(stdout).toContain('All 20 requests failed, each with http 429 queue_full')
  })

  it('writes no key into reports, nor what would move the cursor', async () => {
    const answer = JSON.stringify({ choices: [{ message: { content: 'x' }, finish_reason: 'stop' }], usage: { prompt_tokens: 9, completion_tokens: 1 } })
    let asked = 0
    const server = createServer((request, response) => {
      request.resume()
      if (request.method === 'GET') return response.end(JSON.stringify({ data: [{ id: 'm\u009b2J\nnew' }] }))
      if (request.headers.authorization !== 'Bearer sk-good-key' || ++asked > 2) {
        response.statusCode = 401
        return response.end(JSON.stringify({ error: { message: `No: ${request.headers.authorization}, ${request.url}`, code: 'bad\u009bkey\nsk-good-key' } }))
      }
      return response.end(answer)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1?token=query-key`
    const refused = await bench(url, '--api-key', 'sk-bad-key', '--no-stream')
    expect(refused.code).toBe(1)
    expect(refused.stderr).toMatch(/^drawbridge: http:\S+\/v1\?token=… does not answer with model m\ufffd2J new: http 401 bad\ufffdkey sk-good-key: No: Bearer …, \/v1\/chat\/completions\?token=…\n$/)
    const { stdout } = await bench(url, '--api-key', 'sk-good-key', '--no-stream', '--requests', '2', '--warmup', '0', '--json', fileIn('secret.json'), '--html', fileIn('secret.html'))
    expect(stdout).toContain('2 × http 401 bad\ufffdkey …: No: Bearer …')
    for (const text of [stdout, readFileSync(fileIn('secret.json'), 'utf8'), readFileSync(fileIn('secret.html'), 'utf8')]) {
      expect(text).not.toMatch(/query-key|sk-good|\u009b|m\ufffd2J\s*\nnew/)
      expect(text).toContain('token=…')
    }
    server.close()
  })

  it('says so when the server tells no usage', async () => {
    await using server = await ScriptedServer.start(() => ({ ...quick, fault: 'no usage' }))
    const run = await benchJson(server.url, '--requests', '3', '--warmup', '0')
    expect(run).toMatchObject({ completed: 3, total_output_tokens: 0 })
    expect(run.drawbridge).toMatchObject({ requests_without_usage: 3, latencies: { tpot: { count: 0 }, ttft: { count: 3 } } })
  })

  it('asks two servers the same questions, in turn, and compares', async () => {
    await using a = await ScriptedServer.start(() => quick)
    await using b = await ScriptedServer.start(() => ({ ...quick, gapMs: 25 }))
    const words = [a.url, '--vs', b.url, '--label', 'fast', '--vs-label', 'slow', '--requests', '6', '--concurrency', '2', '--repetitions', '2', '--warmup', '0']
    const report = await benchJson(...words, '--html', fileIn('vs.html'))
    expect(report.runs.map(({ drawbridge: { server, repetition } }) => `${server} ${repetition}`)).toEqual(['fast 1', 'slow 1', 'slow 2', 'fast 2'])
    // What was asked, without the order in which it came.
    const asked = (server: ScriptedServer): string[] => server.bodies.map((body) => JSON.stringify(body['messages'])).sort()
    expect(asked(a)).toEqual(asked(b))
    expect(new Set(asked(a)).size).toBe(14)
    const tpot = report.comparison?.loads[0]?.ratios.find(({ measure }) => measure === 'mean_tpot_ms')
    expect(tpot?.ratios).toHaveLength(2)
    expect(tpot?.median).toBeGreaterThan(1)
    expect(readFileSync(fileIn('vs.html'), 'utf8')).toMatch(/^<!doctype html>/i)
  })

  it('sends each tenant\'s key and model', async () => {
    await using server = await ScriptedServer.start(() => quick)
    const run = await benchJson(server.url, '--requests', '12', '--concurrency', '3', '--tenant', 'a=key-a@2', '--tenant', 'b=key-b', '--models', 'x,y', '--warmup', '0')
    expect(run.drawbridge.per_tenant.map(({ name }) => name)).toEqual(['a', 'b'])
    expect(run.drawbridge.per_model.map(({ name, requests }) => [name, requests])).toEqual([['x', 6], ['y', 6]])
    expect(new Set(server.keys)).toEqual(new Set(['Bearer key-a', 'Bearer key-b']))
    expect(run.command).toContain('--tenant …')
    expect(readFileSync(fileIn('run.json'), 'utf8')).not.toContain('key-a')
  })

  it('exits with 130 when it is interrupted before anything was measured', async () => {
    let arrived = 0
    await using server = await ScriptedServer.start(() => {
      arrived++
      return { ...quick, fault: 'stall' }
    })
    const child = spawn(process.execPath, [mainFile, 'bench', server.url], { stdio: ['ignore', 'pipe', 'pipe'] })
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => { stderr += text })
    child.stdout.resume()
    const closed = once(child, 'close')
    await waitUntil(() => arrived > 0)
    child.kill('SIGINT')
    expect(await closed).toEqual([130, null])
    expect(stderr).toBe('drawbridge: Interrupted before anything was measured\n')
  })

  it('reports what there is when it is interrupted', async () => {
    let arrived = 0
    await using server = await ScriptedServer.start(() => {
      arrived++
      return quick
    })
    const child = spawn(process.execPath, [mainFile, 'bench', server.url, '--requests', '100000', '--warmup', '0', '--json', fileIn('interrupted.json')], { stdio: ['ignore', 'pipe', 'ignore'] })
    let stdout = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => { stdout += text })
    const closed = once(child, 'close')
    await waitUntil(() => arrived > 12)
    child.kill('SIGINT')
    expect(await closed).toEqual([130, null])
    expect(stdout).toMatch(/requests +\d+ completed, 0 failed/)
    expect(stdout).toContain('Warning: This run was interrupted')
    expect(JSON.parse(readFileSync(fileIn('interrupted.json'), 'utf8'))).toHaveProperty('drawbridge.was_interrupted', true)
  })
})

describe('drawbridge bench, against the fake engine', () => {
  let server: ServerProcess
  beforeAll(async () => { server = await startServer(['--model', 'fake', '--slots', '4', '--fake-step-ms', '1']) })
  afterAll(async () => { await server[Symbol.asyncDispose]() })

  it('has the keys of vllm bench serve in its JSON', async () => {
    const run = await benchJson(server.origin, '--requests', '10', '--output-tokens', '8', '--goodput', 'ttft:60000')
    const keys = ['date', 'endpoint_type', 'backend', 'label', 'model_id', 'tokenizer_id', 'num_prompts', 'request_rate', 'burstiness', 'max_concurrency',
      'duration', 'completed', 'failed', 'total_input_tokens', 'total_output_tokens', 'request_throughput', 'request_goodput', 'output_throughput',
      'total_token_throughput', 'input_lens', 'output_lens', 'ttfts', 'itls', 'generated_texts', 'errors', 'start_times',
      ...['ttft', 'tpot', 'itl', 'e2el'].flatMap((name) => ['mean', 'median', 'std', 'p99'].map((statistic) => `${statistic}_${name}_ms`))]
    for (const key of keys) expect(run).toHaveProperty(key)
    expect(run).toMatchObject({ completed: 10, total_output_tokens: 80, drawbridge_bench: 1 })
    expect(run.drawbridge.good_share).toBe(1)
    expect(run.drawbridge.server_metrics?.mean_queue_ms).toBeGreaterThanOrEqual(0)
    expect(run.drawbridge.generator.cpu_seconds).toBeGreaterThan(0)
  })

  it.each([
    ['--workload', 'shared-prefix', '--prefix-tokens', '60'], ['--workload', 'multi-turn', '--turns', '3', '--think-time', '10ms'],
    ['--workload', 'mixed', '--long-share', '0.5'], ['--endpoint', 'completions'], ['--no-stream'], ['--rate', '200', '--burstiness', '0.5'], ['--rate', 'inf'],
    ['--rate', '300', '--ramp', 'linear:100'], ['--stop-early']
  ])('runs %s %s', async (...flags) => {
    const run = await benchJson(server.origin, '--requests', '9', '--input-tokens', '20', '--output-tokens', 'uniform:3-6', ...flags)
    expect(run).toMatchObject({ completed: 9, failed: 0 })
    expect(run.total_output_tokens).toBeGreaterThanOrEqual(9)
  })

  it('finds where a sweep saturates, and writes a page with plots', async () => {
    const report = await benchJson(server.origin, '--concurrency', 'auto', '--requests', '16', '--output-tokens', '8', '--html', fileIn('sweep.html'))
    expect(report.runs.length).toBeGreaterThan(2)
    expect(report.saturation).toHaveLength(1)
    expect(readFileSync(fileIn('sweep.html'), 'utf8')).toContain('<svg')
  })

  it('compares two reports', async () => {
    for (const name of ['a.json', 'b.json']) await bench(server.origin, '--requests', '5', '--output-tokens', '5', '--json', fileIn(name))
    const { code, stdout } = await bench('--compare', fileIn('a.json'), fileIn('b.json'))
    expect(code).toBe(0)
    expect(stdout).toMatch(/output_throughput .* one pair/)
  })

  it('uses a dataset', async () => {
    writeFileSync(fileIn('prompts.jsonl'), '{"prompt": "Hello", "output_tokens": 4}\n"Hi"\n')
    expect(await benchJson(server.origin, '--dataset', fileIn('prompts.jsonl'), '--requests', '4', '--output-tokens', '6')).toMatchObject({ completed: 4, total_output_tokens: 20 })
  })

  it.each([
    [['--api-key', 'sk-…'], /--api-key \(or OPENAI_API_KEY\) has U\+2026 as its 4\. character/],
    [['--model', 'nope'], /does not answer with model nope: http 404 model_not_found/],
    [['--json', '/nowhere/x.json'], /--json \/nowhere\/x\.json cannot be written/],
    [['--html', folder], /--html .* cannot be written: it is a folder/],
    [['--compare', '/nowhere.json', '/nowhere.json'], /The report \/nowhere\.json cannot be read/],
    [['--requests', 'many'], /--requests is "many", but must be a whole number/]
  ])('refuses %j in one line', async (flags, message) => {
    const { code, stdout, stderr } = await bench(...(flags[0] === '--compare' ? [] : [server.origin]), ...flags)
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toMatch(message)
    expect(stderr.trim().split('\n')).toHaveLength(1)
  })

  it('says that nobody is there', async () => {
    const { code, stderr } = await bench('http://127.0.0.1:1')
    expect(code).toBe(1)
    expect(stderr).toMatch(/^drawbridge: No server answers at http:\/\/127\.0\.0\.1:1\/v1/)
    expect(existsSync(fileIn('nothing.json'))).toBe(false)
  })
})
