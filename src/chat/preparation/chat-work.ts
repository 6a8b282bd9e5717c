import type { SerializedServerError } from '../../domain/errors.ts'
import type { ToolDialect } from '../../domain/tool-dialect.ts'
import type { PromptSegment } from '../../inference/inference.ts'
import type { ChatMessage, ToolDefinition } from '../chat-message.ts'
import type { ChatTemplateOptions, TemplateModel } from '../chat-template.ts'
import type { ChatRequest, WrittenChat } from '../prepare-chat.ts'
import type { LearnedGrammar } from '../structured/grammar-memory.ts'
import type { OutputFormat } from '../structured/output-grammars.ts'

/** A model as another thread can know it. */
interface ModelOfWork {
  readonly template: TemplateModel
  readonly dialect: ToolDialect
}

/** A conversation that is to be shown by a template, and nothing more. */
export interface Rendering {
  readonly messages: readonly ChatMessage[]
  readonly tools: readonly ToolDefinition[]
  readonly options: Omit<ChatTemplateOptions, 'tools'>
}

/** Work on a request that may keep others waiting, as plain data that another thread can take. */
export type ChatWork =
  | { readonly kind: 'format', readonly format: OutputFormat }
  | { readonly kind: 'chat', readonly request: ChatRequest, readonly format: OutputFormat, readonly model: ModelOfWork }
  | { readonly kind: 'rendering', readonly rendering: Rendering, readonly model: ModelOfWork }

/** What comes of each kind of work. */
export interface ChatWorkResults {
  readonly format: string | null
  readonly chat: WrittenChat
  readonly rendering: readonly PromptSegment[]
}

/** What a thread says of the work that it was given; the grammars that it has made are for the one who gave it. */
export type WorkReply =
  & { readonly learned: readonly LearnedGrammar[] }
  & ({ readonly result: ChatWorkResults[ChatWork['kind']] } | { readonly error: SerializedServerError })
