/** How long a model's answers may be, in tokens; `off` leaves it to the context. */
export interface AnswerLength {
  /** Where a request does not say. */
  readonly byDefault: number | 'off'
  /** Whatever a request says. */
  readonly atMost: number | 'off'
}

export const anyLength: AnswerLength = { byDefault: 'off', atMost: 'off' }

/**
 * Most tokens of an answer; null where only the context ends it. A wish above the limit is met as far as it goes, as one above the
 * context is: the answer ends with the reason `length`.
 * @param asked by the request; null where it does not say
 */
export function maxTokensOf (asked: number | null, { byDefault, atMost }: AnswerLength = anyLength): number | null {
  const wanted = asked ?? (byDefault === 'off' ? Infinity : byDefault)
  const most = Math.min(wanted, atMost === 'off' ? Infinity : atMost)
  return most === Infinity ? null : most
}
