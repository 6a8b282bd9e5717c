import type { AnswerReader, Reading } from './answer-reader.ts'
import type { AnswerWriter } from './answer-writer.ts'

export interface ReasoningTags {
  readonly open: string
  readonly close: string
}

/** How models enclose what they think before they answer. */
export const reasoningTags: readonly ReasoningTags[] = [
  { open: '<think>', close: '</think>' },
  { open: '[THINK]', close: '[/THINK]' },
  { open: '<|START_THINKING|>', close: '<|END_THINKING|>' },
  { open: '<seed:think>', close: '</seed:think>' },
  { open: '<thinking>', close: '</thinking>' }
]

/** Texts of tokens that must stay in the output for reasoning to be found. */
export const reasoningControlTexts: readonly string[] = reasoningTags.flatMap(({ open, close }) => [open, close])

/** The tags that the prompt has opened already, so that the answer begins within them; null when there are none. */
export function openReasoning (prompt: string): ReasoningTags | null {
  const end = prompt.trimEnd()
  return reasoningTags.find(({ open }) => end.endsWith(open)) ?? null
}

/**
 * Reads reasoning where the answer begins with it, or begins within it.
 * @param opened what the prompt has opened; models that write the opening tag once more are understood
 */
export function * readReasoning (reader: AnswerReader, writer: AnswerWriter, opened: ReasoningTags | null): Reading<void> {
  reader.record()
  yield * reader.space()
  const space = reader.recorded()
  let tags = opened
  for (const candidate of reasoningTags) {
    if (yield * reader.skip(candidate.open)) {
      tags = candidate
      break
    }
  }
  if (tags === null) {
    writer.content(space)
    return
  }
  yield * reader.until([tags.close], (text) => writer.reasoning(text))
  writer.endReasoning()
}
