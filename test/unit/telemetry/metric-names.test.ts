import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { FastifyInstance } from 'fastify'
import { AdapterLibrary } from '../../../src/adapters/adapter-library.ts'
import { createModelCatalogue } from '../../../src/models/catalogue.ts'
import { neverAborted } from '../../support/generation.ts'
import { createScriptedRegistry, loadRequest } from '../../support/scripted-adapter-host.ts'
import { answerEvents, createScriptedInference } from '../../support/scripted-inference.ts'
import { buildTestApp } from '../../support/test-app.ts'
import { createTestHost } from '../../support/test-host.ts'

interface Family { readonly type: string, readonly help: string, readonly labels: Set<string> }

/** The metrics of a scrape, without those of Node. */
function readFamilies (text: string): Map<string, Family> {
  const families = new Map<string, Family>()
  let help = ''
  let current: Family | undefined
  for (const line of text.split('\n')) {
    const [, keyword, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? []
    if (keyword === 'HELP') help = rest
    if (keyword === 'TYPE') families.set(name, current = { type: rest, help, labels: new Set() })
    const labels = /^[^#{]+\{(.*)\} /.exec(line)?.[1]
    for (const [, label = ''] of labels?.matchAll(/(\w+)="/g) ?? []) if (label !== 'le') current?.labels.add(label)
  }
  return new Map([...families].filter(([name]) => !/^(process|nodejs)_/.test(name)))
}

let app: FastifyInstance
let dispose: () => Promise<unknown>
let text = ''
let families: Map<string, Family>
beforeAll(async () => {
  const host = createTestHost(createScriptedInference(() => answerEvents(['a', 'b']), { info: { laneCount: 2, slotsPerLane: 3, contextSize: 1030 } }), { id: 'base' })
  const embedder = createTestHost(createScriptedInference(() => [], { info: { canGenerate: false } }), { id: 'embedder' })
  const scripted = await createScriptedRegistry({ model: 'base' })
  const library = new AdapterLibrary({ catalogue: createModelCatalogue([host, embedder]), registries: [scripted.registry], resolveReference: (reference) => reference })
  ;({ app } = await buildTestApp([host, embedder], { adapters: library }))
  dispose = async () => await scripted.dispose()
  await scripted.registry.load(loadRequest('pirate', '10'), neverAborted)
  await app.inject({ method: 'POST', url: '/v1/chat/completions', payload: { model: 'pirate', max_tokens: 5, messages: [{ role: 'user', content: 'Hi' }] } })
  text = (await app.inject('/metrics')).body
  families = readFamilies(text)
})
afterAll(async () => {
  await app.close()
  await dispose()
})

/** What those who route to servers and scale them read by name: the Gateway API inference extension, llm-d, vLLM's production stack. */
const scraped: readonly (readonly [name: string, type: string, labels: readonly string[]])[] = [
  ['vllm:num_requests_running', 'gauge', []],
  ['vllm:num_requests_waiting', 'gauge', []],
  ['vllm:kv_cache_usage_perc', 'gauge', []],
  ['vllm:gpu_cache_usage_perc', 'gauge', []],
  ['vllm:gpu_prefix_cache_hit_rate', 'gauge', []],
  ['vllm:gpu_prefix_cache_hits_total', 'counter', []],
  ['vllm:gpu_prefix_cache_queries_total', 'counter', []],
  ['vllm:prefix_cache_hits_total', 'counter', []],
  ['vllm:prefix_cache_queries_total', 'counter', []],
  ['vllm:prompt_tokens_total', 'counter', []],
  ['vllm:generation_tokens_total', 'counter', []],
  ['vllm:num_preemptions_total', 'counter', []],
  ['vllm:spec_decode_num_draft_tokens_total', 'counter', []],
  ['vllm:spec_decode_num_accepted_tokens_total', 'counter', []],
  ['vllm:request_success_total', 'counter', ['finished_reason']],
  ['vllm:cache_config_info', 'gauge', ['block_size', 'num_gpu_blocks']],
  ['vllm:time_to_first_token_seconds', 'histogram', []],
  ['vllm:inter_token_latency_seconds', 'histogram', []],
  ['vllm:time_per_output_token_seconds', 'histogram', []],
  ['vllm:request_time_per_output_token_seconds', 'histogram', []],
  ['vllm:e2e_request_latency_seconds', 'histogram', []],
  ['vllm:request_queue_time_seconds', 'histogram', []],
  ['vllm:request_prefill_time_seconds', 'histogram', []],
  ['vllm:request_decode_time_seconds', 'histogram', []],
  ['vllm:request_inference_time_seconds', 'histogram', []],
  ['vllm:request_prompt_tokens', 'histogram', []],
  ['vllm:request_generation_tokens', 'histogram', []],
  ['vllm:request_params_n', 'histogram', []],
  ['vllm:request_params_max_tokens', 'histogram', []]
]

describe('the names of metrics', () => {
  it.each(scraped)('have %s, a %s', (name, type, labels) => {
    const family = families.get(name)
    expect(family?.type).toBe(type)
    expect([...family?.labels ?? []].sort()).toEqual([...labels, 'model_name'].sort())
  })

  it('have vllm:lora_requests_info, whose value is a time', () => {
    const [, maxLora, value] = /^vllm:lora_requests_info\{max_lora="(\d+)",running_lora_adapters="",waiting_lora_adapters=""\} ([\d.]+)$/m.exec(text) ?? []
    expect(maxLora).toBe('6')
    expect(Math.abs(Number(value) - Date.now() / 1000)).toBeLessThan(3600)
  })

  it('are those of docs/telemetry.md, with their types, labels and meanings', () => {
    const page = readFileSync(new URL('../../../docs/telemetry.md', import.meta.url), 'utf8')
    const documented = page.split('\n').filter((line) => /^\| `(?:vllm:|drawbridge_)/.test(line)).sort()
    const live = [...families].map(([name, { type, labels, help }]) => `| \`${name}\` | ${type} | ${[...labels].sort().map((label) => `\`${label}\``).join(', ')} | ${help} |`)
    expect(documented).toEqual(live.sort())
  })
})

describe('vllm:cache_config_info', () => {
  it('tells the tokens of all slots in blocks of 16, of models that have a cache', () => {
    expect(text.match(/^vllm:cache_config_info.*$/gm)).toEqual(['vllm:cache_config_info{model_name="base",block_size="16",num_gpu_blocks="384"} 1'])
  })
})
