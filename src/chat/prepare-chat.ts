import { ServerError } from '../domain/errors.ts'
import type { ReasoningLimit } from '../domain/sampling.ts'
import type { ModelInfo } from '../engine/engine.ts'
import type { PromptSegment } from '../inference/inference.ts'
import { adaptConversation } from './adapt-conversation.ts'
import type { ChatMessage, ToolDefinition } from './chat-message.ts'
import type { ChatTemplate, TemplateVariable } from './chat-template.ts'
import type { AnswerFormat } from './dialects/answer-parser.ts'
import type { Dialect } from './dialects/dialect.ts'
import { openReasoning, reasoningControlTexts, reasoningTags } from './dialects/reasoning.ts'
import { type ReasoningEffort, reasoningVariables } from './reasoning-options.ts'
import type { ToolGrammar, ToolGrammarOptions } from './tool-grammar.ts'
import type { ToolGrammars } from './tool-grammars.ts'

/** Which calls an answer may, or must, have. */
export interface ToolChoice {
  readonly mode: 'none' | 'auto' | 'required'
  /** The tools that may be called; null is all of them. */
  readonly names: readonly string[] | null
}

/** What a chat request says of its conversation, tools and reasoning. */
export interface ChatRequest {
  readonly messages: readonly ChatMessage[]
  readonly tools: readonly ToolDefinition[]
  readonly toolChoice: ToolChoice
  /** Whether an answer may have several calls. */
  readonly isParallel: boolean
  readonly reasoningEffort: ReasoningEffort | null
  /** Most tokens of reasoning; as many as the model likes where nothing is said. */
  readonly reasoningBudget?: number | null
  /** Whether reasoning is told apart from content. */
  readonly splitsReasoning: boolean
  /** Words for the template, which win over `reasoningEffort`. */
  readonly templateVariables: Readonly<Record<string, TemplateVariable>>
  /** GBNF that the content of an answer without calls follows; any content where nothing is said. */
  readonly contentGrammar?: string | null
}

export interface ChatModel {
  readonly info: Pick<ModelInfo, 'controlTexts'>
  readonly template: ChatTemplate
  readonly dialect: Dialect
  readonly grammars: ToolGrammars
}

/** A chat request as inference takes it, and how to read its answers. */
export interface PreparedChat {
  readonly segments: readonly PromptSegment[]
  readonly format: AnswerFormat
  readonly shownControlTexts: readonly string[]
  /** Null where the answer is left to the model. */
  readonly answerGrammar: ToolGrammar | null
  /** Null where reasoning is left to the model, or there is none. */
  readonly reasoningLimit: ReasoningLimit | null
}

/** How much of the prompt's end may hold a marker that the template has begun. */
const promptEndLength = 256

/**
 * Renders the prompt and works out what the answer may be.
 * @throws ServerError `chat_template_error`, `unsupported_value`, or `invalid_value` for schemas of strict tools
 */
export function prepareChat (request: ChatRequest, { info, template, dialect, grammars }: ChatModel): PreparedChat {
  const { toolChoice, isParallel } = request
  const tools = toolChoice.mode === 'none' ? [] : request.tools
  const conversation = adaptConversation({ messages: request.messages, tools }, template, dialect)
  const segments = template.render(conversation.messages, {
    tools: conversation.tools,
    variables: {
      ...(request.reasoningEffort === null ? {} : reasoningVariables(request.reasoningEffort, template.source)),
      ...request.templateVariables
    }
  })
  const end = segments.at(-1)
  const prompt = end?.origin === 'template' ? end.text.slice(-promptEndLength) : ''
  const callable = new Set(toolChoice.names ?? tools.map(({ name }) => name))
  const format: AnswerFormat = {
    dialect,
    template: template.source,
    prompt,
    tools: tools.length === 0 ? null : new Set(tools.map(({ name }) => name)),
    splitsReasoning: request.splitsReasoning,
    mostCalls: isParallel ? Infinity : 1
  }
  const hidden = new Set(info.controlTexts)
  const open = openReasoning(prompt)
  const tags = open ?? reasoningTags.find((each) => template.source.includes(each.open))
  const reasoning = tags === undefined ? null : { tags, isOpen: open !== null }
  return {
    segments,
    format,
    shownControlTexts: [...dialect.controlTexts, ...reasoningControlTexts].filter((text) => hidden.has(text)),
    answerGrammar: grammarOf(),
    reasoningLimit: limitOf(request.reasoningBudget ?? null)
  }

  function limitOf (tokens: number | null): ReasoningLimit | null {
    if (tokens === null) return null
    if (dialect.framesAnswers === true) {
      throw new ServerError('unsupported_value', `In this model's format ("${dialect.name}") reasoning has no budget; use "reasoning_effort"`, { param: 'reasoning_budget' })
    }
    if (request.contentGrammar != null && !request.splitsReasoning) {
      throw new ServerError('unsupported_value', 'With "reasoning_format": "none" a format holds for all of the answer, so that reasoning can have no budget', { param: 'reasoning_budget' })
    }
    return reasoning === null ? null : { tokens, open: reasoning.isOpen ? null : reasoning.tags.open, close: reasoning.tags.close }
  }

  /** Reasoning that stays in the content has to follow the content's format. */
  function formatted (grammar: string, options: ToolGrammarOptions): ToolGrammar | null {
    const reasoning = request.splitsReasoning ? options.reasoning : null
    const isWholeAnswer = tools.length === 0 && reasoning === null && dialect.content === undefined
    return isWholeAnswer ? { grammar, grammarTrigger: null } : grammars.formatted(grammar, { ...options, reasoning })
  }

  function grammarOf (): ToolGrammar | null {
    const { contentGrammar = null } = request
    if (tools.length === 0 && contentGrammar === null) return null
    const options = {
      dialect,
      tools,
      callable,
      template: template.source,
      prompt,
      isParallel,
      reasoning
    }
    // What is required is calls: there is no content that could have a format.
    if (tools.length > 0 && toolChoice.mode === 'required') return grammars.required(options)
    if (contentGrammar !== null) return formatted(contentGrammar, options)
    return grammars.optional(options)
  }
}
