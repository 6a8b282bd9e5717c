import { afterEach, describe, expect, it } from 'vitest'
import type { FastifyInstance } from 'fastify'
import { GapCounts } from '../../../src/telemetry/gap-counts.ts'
import { ServerError } from '../../../src/domain/errors.ts'
import { createLogger } from '../../../src/telemetry/logging.ts'
import { answerEvents, createScriptedInference } from '../../support/scripted-inference.ts'
import { buildTestApp } from '../../support/test-app.ts'
import { createTestHost } from '../../support/test-host.ts'

const apps: FastifyInstance[] = []
afterEach(async () => { for (const app of apps.splice(0)) await app.close() })

const hello = { model: 'test-model', messages: [{ role: 'user', content: 'Hi' }] }

/** A clock that stands still while nobody looks and moves on by 10 ms whenever somebody does. */
const createSteppingClock = () => {
  let time = 0
  return () => (time += 10)
}

async function setUp () {
  const host = createTestHost(createScriptedInference((request) => answerEvents(['a', 'b', 'c'], { choices: request.choices, reason: 'length' })))
  const testApp = await buildTestApp([host], { now: createSteppingClock() })
  apps.push(testApp.app)
  const post = async (body: object = hello) => await testApp.app.inject({ method: 'POST', url: '/v1/chat/completions', payload: body })
  const scrape = async () => (await testApp.app.inject('/metrics')).body
  return { ...testApp, host, post, scrape }
}

/** Samples of a metric as `name{labels} value` lines. */
const samplesOf = (text: string, name: string): string[] => text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))

describe('/metrics', () => {
  it('reads gauges and counters from the snapshot', async () => {
    const { app, host, scrape } = await setUp()
    expect((await app.inject('/metrics')).headers['content-type']).toContain('text/plain; version=0.0.4')
    const text = await scrape()
    const model = 'model_name="test-model"'
    for (const line of [
      `vllm:num_requests_running{${model}} 0`,
      `vllm:num_requests_waiting{${model}} 0`,
      `vllm:kv_cache_usage_perc{${model}} 0.25`,
      `vllm:prompt_tokens_total{${model}} 110`,
      `vllm:generation_tokens_total{${model}} 50`,
      `vllm:prefix_cache_queries_total{${model}} 40`,
      `vllm:prefix_cache_hits_total{${model}} 10`,
      `vllm:spec_decode_num_draft_tokens_total{${model}} 9`,
      `vllm:spec_decode_num_accepted_tokens_total{${model}} 4`,
      `drawbridge_draft_model_guesses_total{${model}} 6`,
      `drawbridge_draft_model_right_guesses_total{${model}} 3`,
      `vllm:gpu_prefix_cache_hit_rate{${model}} 0.25`,
      `drawbridge_steps_total{${model}} 11`,
      `drawbridge_adapter_switches_total{${model}} 8`,
      `drawbridge_slots_total{${model}} 4`,
      `drawbridge_slots_busy{${model},lane="0"} 1`,
      `drawbridge_engine_up{${model}} 1`,
      `drawbridge_engine_restarts_total{${model}} 0`,
      `drawbridge_engine_info{${model},build="test",placement="${host.info?.placement}",threads="${host.info?.threads}",flash_attention="off"} 1`
    ]) expect(text.split('\n')).toContain(line)
    expect(text).toContain('process_cpu_seconds_total')
  })

  it('does not add up what it reads twice', async () => {
    const { scrape } = await setUp()
    await scrape()
    expect(samplesOf(await scrape(), 'vllm:prompt_tokens_total')).toEqual(['vllm:prompt_tokens_total{model_name="test-model"} 110'])
  })

  it('tells a dead engine', async () => {
    const { host, scrape } = await setUp()
    Object.assign(host, { state: 'restarting', restarts: 2 })
    const text = await scrape()
    expect(samplesOf(text, 'drawbridge_engine_up')).toEqual(['drawbridge_engine_up{model_name="test-model"} 0'])
    expect(samplesOf(text, 'drawbridge_engine_restarts_total')).toEqual(['drawbridge_engine_restarts_total{model_name="test-model"} 2'])
  })

  it('counts requests, choices, latencies and gaps', async () => {
    const { post, scrape } = await setUp()
    await post({ ...hello, n: 2 })
    await post({ ...hello, stream: true })
    await post({ ...hello, temperature: 5 })
    const text = await scrape()
    const model = 'model_name="test-model"'
    expect(samplesOf(text, 'vllm:request_success_total')).toEqual([`vllm:request_success_total{${model},finished_reason="length"} 3`])
    expect(samplesOf(text, 'drawbridge_http_requests_total')).toEqual([
      'drawbridge_http_requests_total{route="/v1/chat/completions",method="POST",status="200"} 2',
      'drawbridge_http_requests_total{route="/v1/chat/completions",method="POST",status="400"} 1'
    ])
    for (const name of ['vllm:time_to_first_token_seconds', 'vllm:e2e_request_latency_seconds', 'vllm:request_queue_time_seconds']) {
      expect(samplesOf(text, `${name}_count`)).toEqual([`${name}_count{${model}} 2`])
    }
    // Three texts per choice make two gaps; one choice's text comes between another's, so that they are 20 and 10 ms long.
    expect(samplesOf(text, 'vllm:inter_token_latency_seconds_count')).toEqual([`vllm:inter_token_latency_seconds_count{${model}} 6`])
    expect(samplesOf(text, 'vllm:inter_token_latency_seconds_sum')).toEqual([`vllm:inter_token_latency_seconds_sum{${model}} 0.1`])
    expect(text).toContain(`vllm:inter_token_latency_seconds_bucket{le="0.01",${model}} 2`)
    expect(text).toContain(`vllm:inter_token_latency_seconds_bucket{le="0.025",${model}} 6`)
    expect(text).toContain(`vllm:inter_token_latency_seconds_bucket{le="+Inf",${model}} 6`)
  })

  it('tells apart the wait, the reading of the prompt and the writing of the answer', async () => {
    const { post, scrape } = await setUp()
    await post({ ...hello, max_tokens: 7 })
    const text = await scrape()
    const sumOf = (name: string): unknown => samplesOf(text, `${name}_sum`)
    const is = (name: string, value: number): string[] => [`${name}_sum{model_name="test-model"} ${value}`]
    // Looked at the clock: accepted, started, three texts, ended.
    for (const [name, value] of [
      ['vllm:request_queue_time_seconds', 0.003],
      ['vllm:request_prefill_time_seconds', 0.01],
      ['vllm:request_decode_time_seconds', 0.03],
      ['vllm:request_inference_time_seconds', 0.04],
      ['vllm:request_time_per_output_token_seconds', 0.015],
      ['vllm:request_params_n', 1],
      ['vllm:request_params_max_tokens', 7]
    ] as const) expect(sumOf(name)).toEqual(is(name, value))
    expect(samplesOf(text, 'vllm:time_per_output_token_seconds_count')).toEqual(['vllm:time_per_output_token_seconds_count{model_name="test-model"} 2'])
  })

  it('has no time per token where several choices share it, and no end of what failed', async () => {
    const { post, scrape } = await setUp()
    await post({ ...hello, n: 2 })
    const text = await scrape()
    expect(samplesOf(text, 'vllm:request_params_n_sum')).toEqual(['vllm:request_params_n_sum{model_name="test-model"} 2'])
    expect(samplesOf(text, 'vllm:request_time_per_output_token_seconds_count')).toEqual([])
    const failing = await buildTestApp([createTestHost(createScriptedInference(() => [
      ...answerEvents(['a', 'b']).slice(0, 4), { type: 'throw', error: new ServerError('engine_crashed', 'gone') }
    ]))], { now: createSteppingClock() })
    apps.push(failing.app)
    expect((await failing.app.inject({ method: 'POST', url: '/v1/chat/completions', payload: hello })).statusCode).toBe(500)
    const failed = (await failing.app.inject('/metrics')).body
    expect(samplesOf(failed, 'vllm:request_prefill_time_seconds_count')).toEqual(['vllm:request_prefill_time_seconds_count{model_name="test-model"} 1'])
    expect(samplesOf(failed, 'vllm:request_decode_time_seconds_count')).toEqual([])
    expect(samplesOf(failed, 'vllm:request_inference_time_seconds_count')).toEqual([])
  })

  it('lumps unknown paths together, so that clients cannot invent labels', async () => {
    const { app, scrape } = await setUp()
    await app.inject('/a')
    await app.inject('/b')
    expect(samplesOf(await scrape(), 'drawbridge_http_requests_total')).toEqual(['drawbridge_http_requests_total{route="unknown",method="GET",status="404"} 2'])
  })

  it('belongs to its app alone', async () => {
    const [one, other] = [await setUp(), await setUp()]
    await one.post()
    expect(samplesOf(await other.scrape(), 'vllm:request_success_total')).toEqual([])
  })
})

describe('choices that failed', () => {
  it.each([
    ['are none when the request was refused', false, []],
    ['are counted once it had been accepted', true, ['vllm:request_success_total{model_name="test-model",finished_reason="error"} 1']]
  ])('%s', async (_what, isAccepted, samples) => {
    const inference = createScriptedInference(() => [
      ...(isAccepted ? [{ type: 'accepted', promptTokens: 5 } as const] : []),
      { type: 'throw', error: new ServerError('queue_full', 'full') }
    ])
    const { app } = await buildTestApp([createTestHost(inference)])
    apps.push(app)
    expect((await app.inject({ method: 'POST', url: '/v1/chat/completions', payload: hello })).statusCode).toBe(429)
    expect(samplesOf((await app.inject('/metrics')).body, 'vllm:request_success_total')).toEqual(samples)
  })
})

describe('the request log', () => {
  it('has one line per request with what operators ask for', async () => {
    const { post, log } = await setUp()
    await post({ ...hello, stream: true })
    const lines = log().filter(({ msg }) => msg === 'request finished')
    expect(lines).toEqual([expect.objectContaining({
      level: 30,
      requestId: expect.stringMatching(/^req_/),
      completionId: expect.stringMatching(/^chatcmpl-/),
      method: 'POST',
      route: '/v1/chat/completions',
      status: 200,
      outcome: 'ok',
      tenant: '127.0.0.1',
      model: 'test-model',
      stream: true,
      promptTokens: 5,
      cachedTokens: 2,
      completionTokens: 3,
      finishReasons: ['length'],
      queuedMs: 3,
      ttftMs: 30,
      durationMs: 70
    })])
  })

  it('tells refusals, and probes only at debug', async () => {
    const { app, post, log } = await setUp()
    await post({ ...hello, temperature: 5 })
    await app.inject('/health')
    expect(log().filter(({ msg }) => msg === 'request finished')).toEqual([
      expect.objectContaining({ level: 30, status: 400, outcome: 'error', errorCode: 'invalid_value' }),
      expect.objectContaining({ level: 20, route: '/health', status: 200 })
    ])
  })
})

describe('the logger', () => {
  it('hides keys wherever an object has them', () => {
    let text = ''
    const logger = createLogger({ level: 'info', format: 'json', isTerminal: true, isColoured: true }, { write: (line: string) => { text += line } })
    logger.info({ apiKeys: ['sk-1'], headers: { authorization: 'Bearer sk-2', 'x-api-key': 'sk-3' }, request: { headers: { authorization: 'Bearer sk-4' } }, config: { apiKey: 'sk-5' } }, 'hello')
    expect(text).toContain('hello')
    expect(text).not.toContain('sk-')
  })

  it('is pretty for terminals and JSON for the rest, unless told otherwise', async () => {
    const write = async (format: 'auto' | 'json' | 'pretty', isTerminal: boolean): Promise<string> => {
      let text = ''
      createLogger({ level: 'info', format, isTerminal, isColoured: false }, { write: (line: string) => { text += line } }).info({ a: 1 }, 'hello')
      await new Promise((resolve) => setImmediate(resolve))
      return text
    }
    expect(await write('auto', false)).toMatch(/^\{.*"msg":"hello"\}\n$/)
    expect(await write('json', true)).toMatch(/^\{.*"msg":"hello"\}\n$/)
    expect(await write('auto', true)).toMatch(/INFO.*hello/)
    expect(await write('pretty', false)).toMatch(/INFO.*hello/)
  })
})

describe('gap counts', () => {
  it('count into the bucket whose bound is not below the gap', () => {
    const gaps = new GapCounts()
    for (const gap of [0, 10, 10.1, 80_000, 80_001]) gaps.add(gap)
    expect(gaps.counts[0]).toBe(2)
    expect(gaps.counts[1]).toBe(1)
    expect(gaps.counts.at(-2)).toBe(1)
    expect(gaps.counts.at(-1)).toBe(1)
    const sum = new GapCounts()
    sum.merge(gaps)
    sum.merge(gaps)
    expect([sum.count, sum.sumMs, sum.counts[0]]).toEqual([10, 2 * gaps.sumMs, 4])
  })
})
