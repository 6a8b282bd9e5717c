import type { LoadRequest } from './load.ts'

export interface Scenario {
  readonly name: 'bare' | 'health' | 'chat' | 'stream'
  /** Tokens of each answer; 0 where no model runs. */
  readonly tokens: number
  readonly request: LoadRequest
}

/** A short prompt, so that what is measured is the way of the answer. */
const messages = [
  { role: 'system', content: 'You are a helpful assistant.' },
  { role: 'user', content: 'Please count from one to one thousand, and do not stop early.' }
]

const chat = (model: string, tokens: number, isStream: boolean): Scenario => ({
  name: isStream ? 'stream' : 'chat',
  tokens,
  request: {
    method: 'POST',
    path: '/v1/chat/completions',
    body: JSON.stringify({
      model, messages, temperature: 0, max_tokens: tokens, ignore_eos: true, stream: isStream
    })
  }
})

/**
 * What Fastify alone costs here (a route without anything, in a process of its own), the server's cheapest route, then whole and streamed answers, short and long: the difference between
 * short and long is what a token costs.
 */
export const createScenarios = (model: string, tokens: number): readonly Scenario[] => [
  { name: 'bare', tokens: 0, request: { method: 'GET', path: '/health' } },
  { name: 'health', tokens: 0, request: { method: 'GET', path: '/health' } },
  chat(model, 1, false),
  chat(model, tokens, false),
  chat(model, 1, true),
  chat(model, tokens, true)
]

/**
 * Sends a scenario's request once and looks at the answer, so that no benchmark counts answers that are empty or short.
 * @throws when it is not what the scenario says.
 */
export async function checkScenario (url: string, scenario: Scenario): Promise<void> {
  const { method, path, body } = scenario.request
  const asked = body === undefined || scenario.name !== 'stream'
    ? body
    : JSON.stringify({ ...JSON.parse(body) as object, stream_options: { include_usage: true } })
  const response = await fetch(`${url}${path}`, {
    method,
    ...(asked === undefined ? {} : { body: asked, headers: { 'content-type': 'application/json' } }),
    signal: AbortSignal.timeout(60_000)
  })
  const text = await response.text()
  const found = tokensOf(scenario, text)
  if (response.status !== 200 || found !== scenario.tokens) {
    throw new Error(`${scenario.name} was to answer with ${scenario.tokens} tokens, but came with ${found} and status ` +
      `${response.status}: ${text.slice(0, 500)}`)
  }
}

interface WithUsage { readonly usage?: { readonly completion_tokens: number } | null }

function tokensOf (scenario: Scenario, text: string): number {
  if (scenario.tokens === 0) return 0
  if (scenario.name === 'chat') return (JSON.parse(text) as WithUsage).usage?.completion_tokens ?? Number.NaN
  const events = text.split('\n\n').filter((event) => event.startsWith('data: '))
  if (events.at(-1) !== 'data: [DONE]') return Number.NaN
  const last = events.at(-2)
  return last === undefined ? Number.NaN : (JSON.parse(last.slice(6)) as WithUsage).usage?.completion_tokens ?? Number.NaN
}
