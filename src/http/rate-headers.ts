import type { Rate, Rates } from '../access/limits/admission.ts'

/** A time as OpenAI writes it: `120ms`, `1s`, `8.64s`, `6m0s`, `1h0m0s`. */
export function durationText (milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.max(0, Math.round(milliseconds))}ms`
  const seconds = Math.round(milliseconds) / 1000
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds % 3600 / 60)]
  const rest = `${Math.round(seconds % 60 * 1000) / 1000}s`
  return hours > 0 ? `${hours}h${minutes}m${rest}` : minutes > 0 ? `${minutes}m${rest}` : rest
}

type Headers = Record<string, string>

/** What OpenAI's clients look at. */
export function toOpenAiRateHeaders ({ requests, tokens }: Rates): Headers {
  const of = (name: string, rate: Rate | null): Headers => rate === null
    ? {}
    : { [`x-ratelimit-limit-${name}`]: String(rate.limit), [`x-ratelimit-remaining-${name}`]: String(rate.remaining), [`x-ratelimit-reset-${name}`]: durationText(rate.resetMs) }
  return { ...of('requests', requests), ...of('tokens', tokens) }
}

/** What Anthropic's clients look at. @param now milliseconds since 1970 */
export function toAnthropicRateHeaders ({ requests, tokens }: Rates, now: number): Headers {
  const of = (name: string, rate: Rate | null): Headers => rate === null
    ? {}
    : {
        [`anthropic-ratelimit-${name}-limit`]: String(rate.limit),
        [`anthropic-ratelimit-${name}-remaining`]: String(rate.remaining),
        [`anthropic-ratelimit-${name}-reset`]: new Date(Math.ceil((now + rate.resetMs) / 1000) * 1000).toISOString().replace('.000', '')
      }
  return { ...of('requests', requests), ...of('tokens', tokens) }
}

/** Names that a web page may read. */
export const rateHeaderNames: readonly string[] = ['requests', 'tokens'].flatMap((name) => [
  ...['limit', 'remaining', 'reset'].map((what) => `x-ratelimit-${what}-${name}`), ...['limit', 'remaining', 'reset'].map((what) => `anthropic-ratelimit-${name}-${what}`)
])
