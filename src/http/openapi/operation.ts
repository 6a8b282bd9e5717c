import type { z } from 'zod'
import type { ErrorCode } from '../../domain/errors.ts'
import type { ParameterPolicies } from '../schemas/parameter-policy.ts'

export const tags = {
  Chat: 'OpenAI\'s chat completions, and completions of raw text.',
  Responses: 'OpenAI\'s Responses API, with its conversations.',
  Messages: 'Anthropic\'s Messages API.',
  Embeddings: 'Vectors of texts, and documents by how well they answer a query.',
  Batches: 'Files of requests that run in idle time.',
  Models: 'Models and adapters as clients may name them.',
  Adapters: 'LoRA adapters, which come and go while the server runs.',
  Keys: 'API keys, which are made and revoked while the server runs.',
  Usage: 'What requests have used.',
  Tokens: 'Texts as the model reads them.',
  Server: 'How the server is.'
} as const

export type Tag = keyof typeof tags

export interface OperationBody {
  /** One of them; several are an endpoint's several forms. */
  readonly schemas: readonly z.ZodType[]
  readonly policies?: ParameterPolicies
  readonly isOptional?: boolean
  /** JSON unless it says otherwise. */
  readonly mediaType?: string
  /** A required member for which null means something, and the function that says what, before the schema reads the body. */
  readonly nullable?: { readonly name: string, readonly read: (raw: unknown) => unknown }
  /** A body to begin with. */
  readonly example: unknown
}

export interface OperationAnswer {
  readonly description: string
  /** Of a JSON body. */
  readonly json?: z.ZodType
  /** Of the data of each server-sent event, where the request asks for a stream. */
  readonly events?: z.ZodType
  /** Media type of a body that is neither. */
  readonly text?: string
}

/** The shape of an operation's errors. */
export type ErrorShape = 'openai' | 'anthropic' | 'vllm' | 'either'

/** What one method of one path does, for people and programs that read the OpenAPI document. */
export interface Operation {
  /** Unique. */
  readonly id: string
  readonly method: 'get' | 'post' | 'delete'
  /** In OpenAPI's notation; those after the first one are other names of it. */
  readonly paths: readonly [string, ...string[]]
  readonly tag: Tag
  readonly summary: string
  readonly description?: string
  /** What each parameter of the path is. */
  readonly pathParameters?: Readonly<Record<string, string>>
  readonly query?: z.ZodObject
  readonly body?: OperationBody
  readonly answers: Readonly<Record<number, OperationAnswer>>
  readonly errors: readonly ErrorCode[]
  readonly errorShape?: ErrorShape
  /** Needs no key. */
  readonly isPublic?: boolean
}
