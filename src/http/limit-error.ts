import type { Refusal } from '../access/limits/admission.ts'
import { ServerError } from '../domain/errors.ts'
import { type LimitName, snakeName } from '../domain/limits.ts'

const words: Readonly<Record<LimitName, string>> = {
  requestsPerMinute: 'requests per minute',
  tokensPerMinute: 'tokens per minute',
  tokensPerDay: 'tokens per day',
  tokensPerMonth: 'tokens per month',
  costPerDay: 'cost per day',
  costPerMonth: 'cost per month',
  concurrentRequests: 'concurrent requests',
  contextTokens: 'tokens of context',
  answerTokens: 'tokens of an answer'
}

const numberText = (value: number): string => String(Math.round(value * 1e6) / 1e6)

/** Whose limit it is, for those who have the key. */
const ofWhom = (subject: string): string => subject.startsWith('key:') ? 'this key' : 'all keys of its owner'

/** What a client is told that was not let in. */
export function toLimitError ({ limit, subject, most, used, asked, retryAfterMs, resetsAt }: Refusal): ServerError {
  const facts = `${words[limit]} (${snakeName(limit)}) for ${ofWhom(subject)}: limit ${numberText(most)}, used ${numberText(used)}, this request may take ${numberText(asked)}`
  if (retryAfterMs === null) {
    const reset = resetsAt === null ? '' : ` It begins anew at ${new Date(resetsAt).toISOString().replace('.000', '')}.`
    return new ServerError('insufficient_quota', `The budget does not have it: ${facts}.${reset}`)
  }
  return new ServerError('rate_limit_exceeded', `Rate limit reached on ${facts}. Try again in ${numberText(retryAfterMs / 1000)}s.`, { retryAfterMs })
}

/** @param least that it takes in any case */
export const exceedsLimit = (limit: LimitName, subject: string, most: number, least: number): ServerError => new ServerError('request_exceeds_limit',
  `This request takes at least ${least} tokens with all that it asks for, and the limit on ${words[limit]} (${snakeName(limit)}) for ${ofWhom(subject)} is ${most}. Shorten the prompt, or ask for fewer tokens.`)
