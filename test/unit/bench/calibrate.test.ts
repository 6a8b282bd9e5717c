import { describe, expect, it } from 'vitest'
import { calibrate } from '../../../src/bench/calibrate.ts'
import type { Answer } from '../../../src/bench/client/exchange.ts'
import type { Assignment } from '../../../src/bench/load/run-load.ts'
import { parseOptions, type BenchOptions } from '../../../src/bench/parse-options.ts'
import type { Turn } from '../../../src/bench/workload/workload.ts'

function optionsOf (...argv: readonly string[]): BenchOptions {
  const command = parseOptions(argv, {})
  if (command.type !== 'run') throw new Error('These are no options of a run')
  return command.options
}

interface Asked extends Assignment { readonly body: Turn['body'] }

/** A server that counts tokens in this way, and what it was asked. */
function serverOf (tokensOf: (words: number) => number | null, fields: (asked: Asked) => Partial<Answer> = () => ({})): Parameters<typeof calibrate>[0] & { readonly asked: Asked[] } {
  const asked: Asked[] = []
  return {
    asked,
    url: new URL('http://a.example/v1'),
    models: ['m', 'n'],
    async send ({ body }, assignment) {
      const entry = { ...assignment, body }
      asked.push(entry)
      const text = body['prompt'] ?? (body['messages'] as readonly { readonly content: string }[])[0]?.content
      const inputTokens = tokensOf(String(text).split(/\s+/).length)
      return { sentAt: 0, endedAt: 0, outputTimes: [], text: '', choiceCount: 1, inputTokens, outputTokens: 2, cachedTokens: 0, failure: null, ...fields(entry) }
    }
  }
}

const { signal } = new AbortController()

describe('calibrate', () => {
  it.each(['chat', 'completions'])('finds tokens per word, and those around them: %s', async (endpoint) => {
    const server = serverOf((words) => Math.round(words * 1.75) + 9)
    expect(await calibrate(server, optionsOf('--endpoint', endpoint), signal)).toEqual({ tokensPerWord: 1.75, overheadTokens: 9 })
  })

  it('takes a likely value where the server tells nothing of use', async () => {
    for (const tokensOf of [() => null, () => 5, (words: number) => 100 - words]) {
      expect(await calibrate(serverOf(tokensOf), optionsOf(), signal)).toEqual({ tokensPerWord: 1.3, overheadTokens: 0 })
    }
  })

  it('tries every model with every key, as requests will be', async () => {
    const server = serverOf((words) => words)
    await calibrate(server, optionsOf('--tenant', 'a=ka', '--tenant', 'b=kb'), signal)
    const tried = [['m', 'a'], ['m', 'b'], ['n', 'a'], ['n', 'b']]
    expect(server.asked.map(({ model, tenant }) => [model, tenant?.name])).toEqual([...tried, ...tried])
    expect(server.asked[0]?.body).toMatchObject({ max_tokens: 2, ignore_eos: true })
    await calibrate(server, optionsOf('--stop-early'), signal)
    expect(server.asked.at(-1)?.body).not.toHaveProperty('ignore_eos')
  })

  it('says who gets no answer, and what helps', async () => {
    const failing = serverOf(() => 1, ({ tenant }) => tenant?.name === 'b' ? { failure: { kind: 'http 400', message: 'Unknown parameter: ignore_eos\u001B[2J' } } : {})
    await expect(calibrate(failing, optionsOf('--tenant', 'a=ka', '--tenant', 'b=kb'), signal)).rejects.toThrow(
      /^http:\/\/a\.example\/v1 does not answer for tenant b with model m: http 400: Unknown parameter: ignore_eos\ufffd\[2J; --stop-early leaves ignore_eos out$/)
  })
})
