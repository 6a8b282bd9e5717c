import type { CallerIdentity } from '../access/caller.ts'

/** What the lines of a batch may ask for. */
export const batchEndpoints = ['/v1/chat/completions', '/v1/completions', '/v1/embeddings', '/v1/responses'] as const

export type BatchEndpoint = typeof batchEndpoints[number]

/** How a batch may end. */
export const batchEndings = ['completed', 'failed', 'expired', 'cancelled'] as const

export type BatchEnding = typeof batchEndings[number]

export const openStatuses = ['validating', 'in_progress', 'finalizing', 'cancelling'] as const

/**
 * - `validating`: its input is looked at.
 * - `in_progress`: its lines run.
 * - `finalizing`: no line runs any more; its files are written.
 * - `cancelling`: the same, because its owner wants no more of it.
 *
 * The others are ends: nothing changes any more.
 */
export type BatchStatus = typeof openStatuses[number] | BatchEnding

/** What is wrong with a batch as a whole. */
export interface BatchProblem {
  readonly code: string
  readonly message: string
  readonly param: string | null
  /** 1-based number of the input's line; null where it is none of them. */
  readonly line: number | null
}

export interface BatchUsage {
  readonly inputTokens: number
  readonly cachedTokens: number
  readonly outputTokens: number
  readonly reasoningTokens: number
}

/** Times are milliseconds since 1970, null where it did not come to that. */
export interface Batch extends CallerIdentity, BatchUsage {
  readonly id: string
  readonly endpoint: BatchEndpoint
  readonly inputFileId: string
  readonly metadata: Readonly<Record<string, string>> | null
  /** How long its files are kept; null is as long as files are kept. */
  readonly outputTtlMs: number | null
  readonly status: BatchStatus
  /** What its end will be, once its files are written. */
  readonly ending: BatchEnding | null
  /** Of its first line; null until that is known. */
  readonly model: string | null
  readonly problems: readonly BatchProblem[] | null
  readonly createdAt: number
  readonly expiresAt: number
  readonly inProgressAt: number | null
  readonly finalizingAt: number | null
  readonly completedAt: number | null
  readonly failedAt: number | null
  readonly expiredAt: number | null
  readonly cancellingAt: number | null
  readonly cancelledAt: number | null
  readonly outputFileId: string | null
  readonly errorFileId: string | null
  /** Lines; 0 until they are counted. */
  readonly total: number
  readonly completed: number
  readonly failed: number
}

/** The only way that OpenAI has. */
export const completionWindowMs = 24 * 60 * 60 * 1000

type Progress = Pick<Batch, 'status' | 'total' | 'completed' | 'failed' | 'expiresAt' | 'problems'>

/** Whether every line has its result. */
const isDone = ({ total, completed, failed }: Progress): boolean => completed + failed >= total

/**
 * What has to be done for a batch: look at its input, run its lines, or write its files and end it.
 * @param now milliseconds since 1970
 */
export function nextStep (batch: Progress, now: number): 'validate' | 'run' | 'end' | null {
  const isLate = now >= batch.expiresAt
  switch (batch.status) {
    case 'validating': return isLate ? 'end' : 'validate'
    case 'in_progress': return isLate || isDone(batch) ? 'end' : 'run'
    case 'finalizing':
    case 'cancelling': return 'end'
    default: return null
  }
}

/** What a batch whose lines run no more ends as. */
export function endingOf (batch: Progress): BatchEnding {
  if (batch.status === 'cancelling') return 'cancelled'
  if (batch.problems !== null) return 'failed'
  return batch.status !== 'validating' && isDone(batch) ? 'completed' : 'expired'
}

/** Whether its owner may still stop it. Once its files are written it is too late. */
export const isCancellable = ({ status }: Pick<Batch, 'status'>): boolean => status === 'validating' || status === 'in_progress'
