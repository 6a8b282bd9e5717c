import { Random } from '../../domain/random.ts'
import type { LengthDistribution } from './length-distribution.ts'
import type { TextMaker } from './text-maker.ts'
import { conversationsPerRun, singleTurn, type Conversation, type Turn, type Workload } from './workload.ts'

export type Endpoint = 'chat' | 'completions'

/** What all made-up workloads need. */
export interface MadeUpParts {
  /** Of lengths. */
  readonly seed: number
  /** Of words. */
  readonly textSeed: number
  readonly endpoint: Endpoint
  readonly texts: TextMaker
  readonly inputTokens: LengthDistribution
  readonly outputTokens: LengthDistribution
  /** Ask for answers of exactly their length (`ignore_eos`), not of at most that. */
  readonly ignoresEnd: boolean
}

interface Message {
  readonly role: 'system' | 'user' | 'assistant'
  readonly content: string
}

const streamOf = ({ textSeed }: MadeUpParts, number: number): Random => new Random(textSeed).fork(number)

/** Another stream, for lengths: request k of every run is as long as that of the others, so that loads can be compared, but says something else. */
export const lengthsOf = ({ seed }: MadeUpParts, number: number): Random => new Random(seed).fork(0x7000_0000 + number % conversationsPerRun)

function bodyOf (parts: MadeUpParts, messages: readonly Message[], outputTokens: number): Turn['body'] {
  return {
    ...(parts.endpoint === 'chat' ? { messages } : { prompt: messages.map(({ content }) => content).join('\n\n') }),
    max_tokens: outputTokens,
    ...(parts.ignoresEnd ? { ignore_eos: true } : {})
  }
}

/** One question each, all different. */
export function syntheticWorkload (parts: MadeUpParts): Workload {
  return {
    asksAnew: true,
    description: `synthetic, ${parts.inputTokens.text} tokens in, ${parts.outputTokens.text} out`,
    conversation (number) {
      const lengths = lengthsOf(parts, number)
      const content = parts.texts.prompt(streamOf(parts, number), parts.inputTokens.draw(lengths))
      return singleTurn('chat', bodyOf(parts, [{ role: 'user', content }], parts.outputTokens.draw(lengths)))
    }
  }
}

/** Long system prompts that many requests share, each with a question of its own. */
export function sharedPrefixWorkload (parts: MadeUpParts, prefixes: number, prefixTokens: LengthDistribution): Workload {
  const systems = Array.from({ length: prefixes }, (_, index) => {
    const length = prefixTokens.draw(new Random(parts.seed).fork(0x7fff_2000 + index))
    return parts.texts.text(new Random(parts.textSeed).fork(0x7fff_2000 + index), length)
  })
  return {
    asksAnew: false,
    description: `shared-prefix, ${prefixes} system prompts of ${prefixTokens.text} tokens, questions of ${parts.inputTokens.text}, ${parts.outputTokens.text} out`,
    conversation (number) {
      const lengths = lengthsOf(parts, number)
      const messages: Message[] = [
        { role: 'system', content: lengths.pick(systems) },
        { role: 'user', content: parts.texts.text(streamOf(parts, number), parts.inputTokens.draw(lengths)) }
      ]
      return singleTurn('chat', bodyOf(parts, messages, parts.outputTokens.draw(lengths)))
    }
  }
}

/** Conversations: every turn sends all that was said before, with the server's own answers in it. */
export function multiTurnWorkload (parts: MadeUpParts, turns: number, thinkMs: number): Workload {
  return {
    asksAnew: false,
    description: `multi-turn, ${turns} turns of ${parts.inputTokens.text} tokens in, ${parts.outputTokens.text} out` +
      (thinkMs === 0 ? '' : `, ${thinkMs} ms to think on average`),
    conversation (number): Conversation {
      const random = streamOf(parts, number)
      const lengths = lengthsOf(parts, number)
      const messages: Message[] = []
      let asked = 0
      return {
        kind: 'chat',
        next (answer) {
          if (asked === turns) return null
          if (answer !== null) messages.push({ role: 'assistant', content: answer })
          const inputTokens = parts.inputTokens.draw(lengths)
          messages.push({ role: 'user', content: asked === 0 ? parts.texts.prompt(random, inputTokens) : parts.texts.text(random, inputTokens) })
          const wait = asked === 0 || thinkMs === 0 ? 0 : lengths.exponential(thinkMs)
          asked++
          return { body: bodyOf(parts, [...messages], parts.outputTokens.draw(lengths)), thinkMs: wait }
        }
      }
    }
  }
}

export interface LongRequests {
  /** Their share of all requests, 0 to 1. */
  readonly share: number
  readonly inputTokens: LengthDistribution
  readonly outputTokens: LengthDistribution
}

/** Short requests with long ones between them, told apart in the report: who suffers from whom? */
export function mixedWorkload (parts: MadeUpParts, long: LongRequests): Workload {
  return {
    asksAnew: true,
    description: `mixed, ${parts.inputTokens.text} tokens in and ${parts.outputTokens.text} out, ` +
      `${Math.round(long.share * 100)} % of them ${long.inputTokens.text} in and ${long.outputTokens.text} out`,
    conversation (number) {
      const lengths = lengthsOf(parts, number)
      const isLong = lengths.uniform() < long.share
      const { inputTokens, outputTokens } = isLong ? long : parts
      const content = parts.texts.prompt(streamOf(parts, number), inputTokens.draw(lengths))
      return singleTurn(isLong ? 'long' : 'short', bodyOf(parts, [{ role: 'user', content }], outputTokens.draw(lengths)))
    }
  }
}
