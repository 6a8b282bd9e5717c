import type { Dialect } from '../../chat/dialects/dialect.ts'
import { type ReasoningEffort, reasoningChoiceOf, showsReasoning } from '../../chat/reasoning-options.ts'
import { ServerError } from '../../domain/errors.ts'
import type { MessagePrompt } from '../schemas/message-request.ts'

/** Where budgets become the levels that templates know. */
const levels: readonly (readonly [mostTokens: number, level: ReasoningEffort])[] = [[4096, 'low'], [16_384, 'medium'], [Infinity, 'high']]

/**
 * How much `thinking` and `output_config.effort` ask a model to reason; undefined leaves it to the model.
 *
 * A model that always reasons does what `enabled` asks for. `high` is Anthropic's default, so it asks for nothing where
 * there is no choice.
 *
 * @param source the chat template's
 * @throws ServerError `unsupported_value` for a model that knows no reasoning
 */
export function reasoningEffortOf ({ thinking, output_config: output }: Pick<MessagePrompt, 'thinking' | 'output_config'>, source: string): ReasoningEffort | undefined {
  const effort = output?.effort ?? undefined
  const hasChoice = reasoningChoiceOf(source) !== null
  switch (thinking?.type) {
    case 'disabled':
      return 'none'
    case 'enabled':
      if (hasChoice) return effort ?? levels.find(([mostTokens]) => thinking.budget_tokens <= mostTokens)?.[1]
      if (showsReasoning(source)) return undefined
      throw new ServerError('unsupported_value', 'This model\'s chat template knows no thinking; leave "thinking" out or disable it', { param: 'thinking' })
    case 'adaptive':
    case undefined:
      return effort === 'high' && !hasChoice ? undefined : effort
  }
}

/**
 * Most tokens of the thinking that a request asks for; undefined leaves it to the model. A format with reasoning of its own has no limit of
 * it: there the budget is no more than a level.
 */
export function reasoningBudgetOf ({ thinking }: Pick<MessagePrompt, 'thinking'>, dialect: Dialect): number | undefined {
  return thinking?.type === 'enabled' && dialect.readsReasoning !== true ? thinking.budget_tokens : undefined
}
