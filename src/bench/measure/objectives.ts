import { StartupError } from '../../domain/startup-error.ts'
import { latencyNames, type LatencyName } from '../report/bench-run.ts'
import { e2elOf, itlsOf, tpotOf, ttftOf, type RequestRecord } from './request-record.ts'

/** What a request must keep to for its user to be content (service level objectives), in ms. */
export type Objectives = Readonly<Partial<Record<LatencyName, number>>>

/**
 * Reads `ttft:200 tpot:50`, parted by spaces or commas.
 * @throws StartupError
 */
export function parseObjectives (words: readonly string[]): Objectives {
  const objectives: Partial<Record<LatencyName, number>> = {}
  for (const word of words.flatMap((text) => text.split(/[\s,]+/)).filter(Boolean)) {
    const [, given, limit] = /^([a-z0-9]+):(\d{1,9}(?:\.\d{1,3})?)$/.exec(word) ?? []
    const name = given === 'e2e' ? 'e2el' : latencyNames.find((known) => known === given)
    if (name === undefined || limit === undefined) {
      throw new StartupError(`--goodput is "${word}", but must be like ttft:200 or tpot:50 (ms), with ${latencyNames.join(', ')}`)
    }
    objectives[name] = Number(limit)
  }
  return objectives
}

export const hasObjectives = (objectives: Objectives): boolean => Object.keys(objectives).length > 0

/** Whether a request met all objectives. Failed ones do not, nor do those whose latency cannot be told; a gap counts if any was longer. */
export function isGood (record: RequestRecord, objectives: Objectives): boolean {
  if (record.failure !== null) return false
  const isWithin = (name: LatencyName, value: number | null): boolean => {
    const limit = objectives[name]
    return limit === undefined || (value !== null && value <= limit)
  }
  // An answer of one token has no second one to be late.
  const tpot = record.outputTokens === 1 ? 0 : tpotOf(record)
  return isWithin('ttft', ttftOf(record)) && isWithin('tpot', tpot) && isWithin('e2el', e2elOf(record)) &&
    isWithin('itl', itlsOf(record).reduce((most, gap) => Math.max(most, gap), 0))
}
