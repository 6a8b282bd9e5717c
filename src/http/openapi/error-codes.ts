import type { ErrorCode } from '../../domain/errors.ts'

/** Whatever needs a key, which may be in a database. */
export const keyErrors = ['invalid_api_key', 'storage_unavailable'] as const satisfies readonly ErrorCode[]

/** Whatever needs a key with a scope. */
export const accessErrors = [...keyErrors, 'permission_denied'] as const satisfies readonly ErrorCode[]

/** Whatever reads a query. */
export const queryErrors = ['invalid_value', 'unknown_parameter'] as const satisfies readonly ErrorCode[]

/** Whatever reads a body. */
export const bodyErrors = [
  'invalid_json', 'invalid_value', 'missing_required_parameter', 'unknown_parameter', 'request_timeout', 'body_too_large', 'unsupported_media_type', 'internal_error'
] as const satisfies readonly ErrorCode[]

/** Whatever names a model. */
export const modelErrors = ['model_not_found', 'adapter_not_found', 'model_loading', 'server_draining', 'engine_unavailable', 'engine_crashed'] as const satisfies readonly ErrorCode[]

/** Whatever waits for a model and runs it. */
export const runErrors = [
  ...accessErrors, ...bodyErrors, ...modelErrors, 'unsupported_parameter', 'unsupported_value', 'context_length_exceeded', 'queue_full', 'rate_limit_exceeded', 'insufficient_quota', 'request_exceeds_limit', 'queue_timeout', 'engine_error', 'generation_timeout'
] as const satisfies readonly ErrorCode[]

/** Whatever has a model write. */
export const generationErrors = [...runErrors, 'invalid_grammar', 'chat_template_error'] as const satisfies readonly ErrorCode[]

/** Whatever changes adapters. */
export const adapterErrors = [...accessErrors, ...bodyErrors, 'model_not_found', 'adapter_not_found', 'invalid_adapter', 'adapter_conflict', 'adapter_limit'] as const satisfies readonly ErrorCode[]
