import type { AnswerFormat } from '../chat/dialects/answer-parser.ts'
import type { ChatChunks } from './chat-chunks.ts'
import { type AnswerPiece, ChoiceReader } from './choice-reader.ts'
import { type GenerationSink, UsageSum } from './generation.ts'

interface StreamedChoice {
  readonly counts: UsageSum
  readonly reader: ChoiceReader
  hasRole: boolean
}

/** Writes a chunk per piece; the first one of a choice follows its role in the same write. */
export function createChatStreamSink (chunks: ChatChunks, usage: UsageSum, format: AnswerFormat, send: (events: string) => void): GenerationSink {
  const choices = new Map<number, StreamedChoice>()
  let promptTokens = 0
  let cachedTokens = 0

  const choiceOf = (index: number): StreamedChoice => {
    let choice = choices.get(index)
    if (choice === undefined) {
      choice = { counts: new UsageSum(), reader: new ChoiceReader(format), hasRole: false }
      choice.counts.add({ promptTokens, cachedTokens, completionTokens: 0 })
      choices.set(index, choice)
    }
    return choice
  }

  /** Sends the role once it is known whether content or something else comes first, and then the pieces. */
  const write = (index: number, choice: StreamedChoice, pieces: readonly AnswerPiece[], isEnd: boolean): void => {
    const { counts } = choice
    const [first] = pieces
    if (!choice.hasRole && (first !== undefined || isEnd)) {
      choice.hasRole = true
      send(chunks.role(index, first === undefined || first.type === 'content', { ...counts, completionTokens: 0, reasoningTokens: 0 }))
    }
    for (const piece of pieces) send(chunks.piece(index, piece, counts))
  }

  return {
    take (_prompt, event) {
      switch (event.type) {
        case 'accepted':
          promptTokens = event.promptTokens
          break
        case 'choice-started':
          cachedTokens = Math.max(cachedTokens, event.cachedTokens)
          break
        case 'text': {
          const choice = choiceOf(event.choice)
          const pieces = choice.reader.take(event)
          choice.counts.completionTokens = event.drawnTokens
          choice.counts.reasoningTokens = choice.reader.reasoningTokens
          write(event.choice, choice, pieces, false)
          break
        }
        case 'choice-finished': {
          const choice = choiceOf(event.choice)
          choice.counts.completionTokens = event.completionTokens
          write(event.choice, choice, choice.reader.end(), true)
          send(chunks.finish(event.choice, choice.reader.reasonFor(event.reason), choice.counts))
          break
        }
        case 'finished':
          usage.add(event)
          usage.reasoningTokens = [...choices.values()].reduce((sum, { reader }) => sum + reader.reasoningTokens, 0)
      }
    }
  }
}
