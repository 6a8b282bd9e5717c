import { ServerError } from '../../domain/errors.ts'
import { RecentlyUsed } from '../../domain/recently-used.ts'
import { adaptConversation } from '../adapt-conversation.ts'
import { type ChatTemplate, createChatTemplate } from '../chat-template.ts'
import { dialectNamed } from '../dialects/dialects.ts'
import { type ChatModel, writeChat } from '../prepare-chat.ts'
import { GrammarMemory, type LearnedGrammar } from '../structured/grammar-memory.ts'
import { OutputGrammars } from '../structured/output-grammars.ts'
import { ToolGrammars } from '../tool-grammars.ts'
import type { ChatWork, ChatWorkResults, Rendering, WorkReply } from './chat-work.ts'

/** A few models, each perhaps with adapters that have templates of their own. */
const mostTemplates = 32

/** Does work that was sent to it, one after the other. */
export class Workshop {
  #learned: LearnedGrammar[] = []
  readonly #templates = new RecentlyUsed<ChatTemplate>(mostTemplates)
  readonly #formats: OutputGrammars
  readonly #grammars: ToolGrammars

  constructor () {
    const memory = new GrammarMemory({ onMade: (learned) => this.#learned.push(learned) })
    this.#formats = new OutputGrammars(memory)
    this.#grammars = new ToolGrammars(memory)
  }

  /** Never throws: what goes wrong is part of the reply. */
  do (work: ChatWork): WorkReply {
    try {
      const result = this.#do(work)
      return { result, learned: this.#takeLearned() }
    } catch (error) {
      return { error: ServerError.from(error).serialize(), learned: this.#takeLearned() }
    }
  }

  #do (work: ChatWork): ChatWorkResults[ChatWork['kind']] {
    switch (work.kind) {
      case 'format': return this.#formats.of(work.format)
      case 'chat': return writeChat({ ...work.request, contentGrammar: this.#formats.of(work.format) }, this.#modelOf(work.model))
      case 'rendering': return render(work.rendering, this.#modelOf(work.model))
    }
  }

  #modelOf ({ template, dialect }: Extract<ChatWork, { readonly kind: 'chat' }>['model']): ChatModel {
    return {
      template: this.#templates.get(JSON.stringify(template), () => createChatTemplate(template)),
      dialect: dialectNamed(dialect),
      grammars: this.#grammars
    }
  }

  #takeLearned (): readonly LearnedGrammar[] {
    const learned = this.#learned
    this.#learned = []
    return learned
  }
}

/** Shows a conversation in a template, which may not know of tools. */
export function render ({ messages, tools, options }: Rendering, { template, dialect }: Pick<ChatModel, 'template' | 'dialect'>): ChatWorkResults['rendering'] {
  const conversation = adaptConversation({ messages, tools }, template, dialect)
  return template.render(conversation.messages, { ...options, tools: conversation.tools })
}
