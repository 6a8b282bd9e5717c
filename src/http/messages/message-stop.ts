import type { Anthropic } from '@anthropic-ai/sdk'
import type { GenerationEvent } from '../../inference/inference.ts'
import type { AnswerFinishReason } from '../choice-reader.ts'

type ChoiceFinished = Extract<GenerationEvent, { type: 'choice-finished' }>

/** Why an answer ended. One whose calls a stop text cut short is none to be acted on. */
export function toMessageStop (reason: AnswerFinishReason, { stopText, completionTokens }: Pick<ChoiceFinished, 'stopText' | 'completionTokens'>, maxTokens: number) {
  return {
    stop_reason: stopReasonOf(),
    stop_sequence: stopText,
    stop_details: null,
    container: null
  } satisfies Anthropic.RawMessageDeltaEvent.Delta

  function stopReasonOf (): Anthropic.StopReason {
    if (stopText !== null) return 'stop_sequence'
    switch (reason) {
      case 'stop': return 'end_turn'
      case 'tool_calls': return 'tool_use'
      case 'length': return completionTokens < maxTokens ? 'model_context_window_exceeded' : 'max_tokens'
    }
  }
}
