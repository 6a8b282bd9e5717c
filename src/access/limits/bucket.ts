/**
 * A bucket that holds what a minute gives, as one point in time: when it will be full. Taking from it moves that into the future by the time
 * that what was taken needs to come back (the generic cell rate algorithm, ITU-T I.371), so nothing has to fill it, and one number is all that is shared.
 * Times are microseconds since 1970. A bucket that nobody knows has been full for ever: 0.
 */
export const minuteMicros = 60_000_000

/** How long it takes until so much has come back. */
export const refillMicros = (amount: number, perMinute: number): number => Math.round(amount * minuteMicros / perMinute)

/**
 * How long to wait until the bucket has so much. More than it holds is there when it is full.
 * @returns microseconds; 0 when it has it now
 */
export function waitMicros (fullAt: number, now: number, amount: number, perMinute: number): number {
  const needed = Math.min(refillMicros(amount, perMinute), minuteMicros)
  return Math.max(0, Math.max(fullAt, now) + needed - minuteMicros - now)
}

/** When the bucket is full after this was taken, or given back where it is negative; whether it has it or not. */
export const afterTaking = (fullAt: number, now: number, amount: number, perMinute: number): number =>
  Math.max(fullAt, now) + refillMicros(amount, perMinute)

/** What is in the bucket; no less than 0, even where more was taken than there was. */
export const levelOf = (fullAt: number, now: number, perMinute: number): number =>
  Math.max(0, Math.floor(perMinute * (1 - Math.max(0, fullAt - now) / minuteMicros) + 1e-6))
