import { Random } from '../domain/random.ts'
import { StartupError } from '../domain/startup-error.ts'
import type { Answer } from './client/exchange.ts'
import type { BenchServer } from './bench-server.ts'
import type { BenchOptions } from './parse-options.ts'
import { withoutControls } from './report/terminal.ts'
import { makeWords, type TokenScale } from './workload/text-maker.ts'

type AskedServer = Pick<BenchServer, 'url' | 'models' | 'send'>

/** Words of the two questions whose numbers of prompt tokens are compared. */
const fewWords = 12
const manyWords = 72

/**
 * Asks a server two short questions: whether it answers at all, as requests of the benchmark will be asked, and how many tokens
 * our words are to it, so that prompts come out about as long as wanted. What they truly were is in the usage of each answer.
 *
 * @throws StartupError with what the server says.
 */
export async function calibrate (server: AskedServer, options: BenchOptions, signal: AbortSignal): Promise<TokenScale> {
  const few = await ask(server, options, fewWords, signal)
  const many = await ask(server, options, manyWords, signal)
  if (few === null || many === null || many <= few) return { tokensPerWord: 1.3, overheadTokens: 0 }
  const tokensPerWord = (many - few) / (manyWords - fewWords)
  return { tokensPerWord, overheadTokens: Math.max(0, Math.round(few - fewWords * tokensPerWord)) }
}

/** @returns prompt tokens; null where the server does not tell. */
async function ask (server: AskedServer, options: BenchOptions, words: number, signal: AbortSignal): Promise<number | null> {
  const content = makeWords(new Random(options.textSeed).fork(0x7fff_1000 + words), words)
  const body = {
    ...(options.endpoint === 'chat' ? { messages: [{ role: 'user', content }] } : { prompt: content }),
    max_tokens: 2,
    ...(options.workload.ignoresEnd ? { ignore_eos: true } : {})
  }
  // Every model and key is tried once, so that a wrong name is not found out in the middle of a run.
  let answer: Answer | null = null
  for (const model of server.models) {
    for (const tenant of options.tenants.length === 0 ? [null] : options.tenants) {
      answer = await server.send({ body, thinkMs: 0 }, { model, tenant }, signal)
      if (answer.failure === null) continue
      const { kind, message } = answer.failure
      const hint = /ignore_eos/.test(message) ? '; --stop-early leaves ignore_eos out' : ''
      const whom = tenant === null ? '' : ` for tenant ${tenant.name}`
      throw new StartupError(`${server.url.href} does not answer${whom} with model ${model}: ${kind}: ${withoutControls(message)}${hint}`)
    }
  }
  return answer?.inputTokens ?? null
}
