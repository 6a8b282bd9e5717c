/** What budgets are for; both are of UTC. */
export type Period = 'day' | 'month'

const dayMillis = 86_400_000

/** Days since 1970. @param millis since 1970 */
export const dayOf = (millis: number): number => Math.floor(millis / dayMillis)

/** The first day of the month. @param millis since 1970 */
export function firstDayOfMonth (millis: number): number {
  const date = new Date(millis)
  return dayOf(Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1))
}

/** When the period ends, in milliseconds since 1970. @param micros since 1970 */
export function endOfPeriod (period: Period, micros: number): number {
  const date = new Date(micros / 1000)
  return period === 'day' ? (dayOf(micros / 1000) + 1) * dayMillis : Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1)
}
