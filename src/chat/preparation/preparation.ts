import { ServerError } from '../../domain/errors.ts'
import type { TenantId } from '../../domain/ids.ts'
import type { PromptSegment } from '../../inference/inference.ts'
import { type ChatModel, type ChatRequest, type PreparedChat, answerFormatOf, writeChat } from '../prepare-chat.ts'
import { GrammarMemory, UnknownGrammar } from '../structured/grammar-memory.ts'
import { OutputGrammars, type OutputFormat } from '../structured/output-grammars.ts'
import { ToolGrammars } from '../tool-grammars.ts'
import type { ChatWork, ChatWorkResults, Rendering, WorkReply } from './chat-work.ts'
import { sizeOfConversation, sizeOfJson } from './size-of.ts'
import { render } from './workshop.ts'

/** Whose request it is, and when nobody waits for it any more. */
export interface WorkOrder {
  readonly tenant: TenantId
  readonly signal: AbortSignal
}

/** Those who do work that must not be done where requests are read. */
export interface Crew {
  /** @throws ServerError `queue_full` when too much waits, `unsupported_value` when it takes too long, `request_aborted` */
  do (work: ChatWork, order: WorkOrder): Promise<WorkReply>
  close (): Promise<void>
}

/** How a model is talked to. */
export type Voice = Pick<ChatModel, 'template' | 'dialect'>

/** Of a conversation that is rendered at once: it takes some 10 ms at most, whatever the template. */
export const mostSizeHere = 65_536
/** Of all texts that a template gets: no context is that long, and texts without end would fill the memory when they are marked. */
export const mostConversationSize = 8 * 1024 * 1024
/** Of an output format; grammars may have a quarter of it. */
export const mostFormatSize = 1024 * 1024

/**
 * Makes prompts and grammars of requests without keeping other requests waiting: what is small or known is done at once, everything else
 * by a crew. How large something is, is counted, not timed, so that it is always the same.
 */
export class Preparation {
  readonly #crew: Crew | null
  readonly #memory: GrammarMemory
  readonly #formats: OutputGrammars
  readonly #grammars: ToolGrammars

  /** @param crew null where everything is done here */
  constructor (crew: Crew | null) {
    this.#crew = crew
    this.#memory = new GrammarMemory({ makes: crew === null })
    this.#formats = new OutputGrammars(this.#memory)
    this.#grammars = new ToolGrammars(this.#memory)
  }

  /**
   * The GBNF grammar that an answer follows; null for any text.
   * @throws ServerError what {@link OutputGrammars.of} and {@link Crew.do} throw
   */
  async grammarOf (format: OutputFormat, order: WorkOrder): Promise<string | null> {
    checkFormat(format)
    return await this.#do(0, () => this.#formats.of(format), () => ({ kind: 'format', format }), order)
  }

  /**
   * A request as inference takes it.
   * @throws ServerError what `prepareChat` and {@link grammarOf} throw, and `invalid_value` for a conversation without end
   */
  async prepareChat (request: ChatRequest, format: OutputFormat, voice: Voice, order: WorkOrder): Promise<PreparedChat> {
    checkFormat(format)
    const written = await this.#do(
      checkedSizeOf(request),
      () => writeChat({ ...request, contentGrammar: this.#formats.of(format) }, { ...voice, grammars: this.#grammars }),
      () => ({ kind: 'chat', request, format, model: { template: voice.template.model, dialect: voice.dialect.name } }),
      order
    )
    return { ...written, format: answerFormatOf(request, voice, written.promptEnd) }
  }

  /**
   * A conversation as its template shows it.
   * @throws ServerError `chat_template_error`, and what {@link Crew.do} throws
   */
  async render (rendering: Rendering, voice: Voice, order: WorkOrder): Promise<readonly PromptSegment[]> {
    return await this.#do(
      checkedSizeOf(rendering),
      () => render(rendering, voice),
      () => ({ kind: 'rendering', rendering, model: { template: voice.template.model, dialect: voice.dialect.name } }),
      order
    )
  }

  async close (): Promise<void> {
    await this.#crew?.close()
  }

  async #do<Kind extends ChatWork['kind']> (
    size: number, doHere: () => ChatWorkResults[Kind], work: () => Extract<ChatWork, { readonly kind: Kind }>, order: WorkOrder
  ): Promise<ChatWorkResults[Kind]> {
    if (this.#crew === null) return doHere()
    if (size <= mostSizeHere) {
      try {
        return doHere()
      } catch (error) {
        if (!(error instanceof UnknownGrammar)) throw error
      }
    }
    const reply = await this.#crew.do(work(), order)
    for (const learned of reply.learned) this.#memory.learn(learned)
    if ('error' in reply) throw ServerError.deserialize(reply.error)
    return reply.result as ChatWorkResults[Kind]
  }
}

function checkFormat (format: OutputFormat): void {
  if (format.kind === 'text' || format.kind === 'grammar') return
  if (sizeOfJson(format, mostFormatSize) <= mostFormatSize) return
  throw new ServerError('unsupported_value', `'${format.param}' is too large: it has more than ${mostFormatSize} characters, of which each member and item counts as 32`, { param: format.param })
}

function checkedSizeOf ({ messages, tools }: Pick<ChatRequest, 'messages' | 'tools'>): number {
  const size = sizeOfConversation(messages, tools, mostConversationSize)
  if (size <= mostConversationSize) return size
  throw new ServerError('invalid_value', `The messages and tools have more than ${mostConversationSize} characters; that is the limit`, { param: 'messages' })
}
