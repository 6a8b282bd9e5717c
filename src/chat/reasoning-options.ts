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
  if (/(?<![.\w'"])reasoning_effort\b/.test(source)) {
    const isKnown = usualLevels.includes(effort) || new RegExp(`['"]${effort}['"]`).test(source)
    if (isKnown) return { reasoning_effort: effort }
    throw refusal(`This model's chat template does not know the effort "${effort}"; it knows ${usualLevels.map((level) => `"${level}"`).join(', ')}.`)
  }
  const wanted = effort !== 'none'
  if (/\benable_thinking\b/.test(source)) return { enable_thinking: wanted }
  if (/\{%-?\s*(?:el)?if\s+(?:not\s+)?thinking\b/.test(source)) return { thinking: wanted }
  if (!wanted && !reasoningTags.some(({ open }) => source.includes(open))) return {}
  throw refusal('This model\'s chat template has no choice of how much to reason.')
}

const refusal = (message: string): ServerError => new ServerError('unsupported_value', message, { param: 'reasoning_effort' })
