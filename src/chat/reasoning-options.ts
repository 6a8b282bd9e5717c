import { ServerError } from '../domain/errors.ts'
import type { TemplateVariable } from './chat-template.ts'
import { reasoningTags } from './dialects/reasoning.ts'

export const reasoningEfforts = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'] as const

export type ReasoningEffort = typeof reasoningEfforts[number]

type Variables = Readonly<Record<string, TemplateVariable>>

/** Levels that a template which takes one is known to have; others must occur in its source. */
const usualLevels: readonly ReasoningEffort[] = ['low', 'medium', 'high']

/**
 * What a template is told of how much to reason.
 * @param source the template's
 * @throws ServerError `unsupported_value` where the template has no such choice
 */
export function reasoningVariables (effort: ReasoningEffort, source: string): Variables {
  const choice = reasoningChoiceOf(source)
  const wanted = effort !== 'none'
  if (choice === 'reasoning_effort') {
    const isKnown = usualLevels.includes(effort) || new RegExp(`['"]${effort}['"]`).test(source)
    if (isKnown) return { reasoning_effort: effort }
    throw refusal(`This model's chat template does not know the effort "${effort}"; it knows ${usualLevels.map((level) => `"${level}"`).join(', ')}.`)
  }
  if (choice !== null) return { [choice]: wanted }
  if (!wanted && !showsReasoning(source)) return {}
  throw refusal('This model\'s chat template has no choice of how much to reason.')
}

/** The variable by which a template is told how much, or whether, to reason; null where it has none. */
export function reasoningChoiceOf (source: string): 'reasoning_effort' | 'enable_thinking' | 'thinking' | null {
  if (/(?<![.\w'"])reasoning_effort\b/.test(source)) return 'reasoning_effort'
  if (/\benable_thinking\b/.test(source)) return 'enable_thinking'
  return /\{%-?\s*(?:el)?if\s+(?:not\s+)?thinking\b/.test(source) ? 'thinking' : null
}

/** Whether a template knows of reasoning that is enclosed in tags. */
export const showsReasoning = (source: string): boolean => reasoningTags.some(({ open }) => source.includes(open))

const refusal = (message: string): ServerError => new ServerError('unsupported_value', message, { param: 'reasoning_effort' })
