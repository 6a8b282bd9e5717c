import type { OpenAI } from 'openai'
import type { Batch } from '../../batches/batch.ts'

const seconds = (milliseconds: number | null): number | null => milliseconds === null ? null : Math.floor(milliseconds / 1000)

/** Beyond the client's types, members that are empty are null, as on OpenAI's wire. */
type OnTheWire<Value> = { readonly [Member in keyof Value]-?: Value[Member] | null }

export const toBatchObject = (batch: Batch) => ({
  id: batch.id,
  object: 'batch',
  endpoint: batch.endpoint,
  model: batch.model,
  errors: batch.problems === null ? null : { object: 'list', data: [...batch.problems] },
  input_file_id: batch.inputFileId,
  completion_window: '24h',
  status: batch.status,
  output_file_id: batch.outputFileId,
  error_file_id: batch.errorFileId,
  created_at: Math.floor(batch.createdAt / 1000),
  in_progress_at: seconds(batch.inProgressAt),
  expires_at: seconds(batch.expiresAt),
  finalizing_at: seconds(batch.finalizingAt),
  completed_at: seconds(batch.completedAt),
  failed_at: seconds(batch.failedAt),
  expired_at: seconds(batch.expiredAt),
  cancelling_at: seconds(batch.cancellingAt),
  cancelled_at: seconds(batch.cancelledAt),
  request_counts: { total: batch.total, completed: batch.completed, failed: batch.failed },
  usage: {
    input_tokens: batch.inputTokens,
    input_tokens_details: { cached_tokens: batch.cachedTokens },
    output_tokens: batch.outputTokens,
    output_tokens_details: { reasoning_tokens: batch.reasoningTokens },
    total_tokens: batch.inputTokens + batch.outputTokens
  },
  metadata: batch.metadata === null ? null : { ...batch.metadata }
} satisfies OnTheWire<OpenAI.Batch>)
