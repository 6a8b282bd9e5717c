import { ServerError } from '../domain/errors.ts'
import type { ReasoningLimit } from '../domain/sampling.ts'
import type { PromptSegment } from '../inference/inference.ts'
import { adaptConversation } from './adapt-conversation.ts'
import type { ChatMessage, ToolDefinition } from './chat-message.ts'
import type { ChatTemplate, TemplateVariable } from './chat-template.ts'
import type { AnswerFormat } from './dialects/answer-parser.ts'
import type { Dialect } from './dialects/dialect.ts'
import { openReasoning, reasoningControlTexts, reasoningTags } from './dialects/reasoning.ts'
import { type ReasoningEffort, reasoningChoiceOf, reasoningVariables } from './reasoning-options.ts'
import { ParameterTypes } from './structured/parameter-types.ts'
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
  /** Whether the answer goes on with the last message instead of being a new one. */
  readonly continuesLastMessage: boolean
  /** GBNF that the content of an answer without calls follows; any content where nothing is said. */
  readonly contentGrammar?: string | null
}

export interface ChatModel {
  readonly template: ChatTemplate
  readonly dialect: Dialect
  readonly grammars: ToolGrammars
}

/** A chat request as inference takes it: plain data, which another thread may have made. */
export interface WrittenChat {
  readonly segments: readonly PromptSegment[]
  /** The end of the prompt, which may hold a marker that the template has begun. */
  readonly promptEnd: string
  readonly shownControlTexts: readonly string[]
  /** Null where the answer is left to the model. */
  readonly answerGrammar: ToolGrammar | null
  /** Null where reasoning is left to the model, or there is none. */
  readonly reasoningLimit: ReasoningLimit | null
}

/** A chat request as inference takes it, and how to read its answers. */
export interface PreparedChat extends WrittenChat {
  readonly format: AnswerFormat
}

/** How much of the prompt's end may hold a marker that the template has begun. */
const promptEndLength = 256

/**
 * Renders the prompt and works out what the answer may be.
 * @throws ServerError `chat_template_error`, `unsupported_value`, or `invalid_value` for schemas of strict tools
 */
export function prepareChat (request: ChatRequest, model: ChatModel): PreparedChat {
  const written = writeChat(request, model)
  return { ...written, format: answerFormatOf(request, model, written.promptEnd) }
}

const toolsOf = ({ toolChoice, tools }: ChatRequest): readonly ToolDefinition[] => toolChoice.mode === 'none' ? [] : tools

/** How to read the answers to a request whose prompt ends like this. */
export function answerFormatOf (request: ChatRequest, { template, dialect }: Pick<ChatModel, 'template' | 'dialect'>, promptEnd: string): AnswerFormat {
  const tools = toolsOf(request)
  return {
    dialect,
    template: template.source,
    prompt: promptEnd,
    tools: tools.length === 0 ? null : new Map(tools.map(({ name, parameters }) => [name, new ParameterTypes(parameters ?? {})])),
    splitsReasoning: request.splitsReasoning,
    continuesContent: request.continuesLastMessage,
    mostCalls: request.isParallel ? Infinity : 1
  }
}

/** @throws ServerError what {@link prepareChat} throws */
export function writeChat (request: ChatRequest, { template, dialect, grammars }: ChatModel): WrittenChat {
  const { toolChoice, isParallel, continuesLastMessage } = request
  if (continuesLastMessage && toolChoice.mode === 'required') {
    throw new ServerError('unsupported_value', 'An answer that must call a tool cannot go on with the last message', { param: 'tool_choice' })
  }
  const tools = toolsOf(request)
  const conversation = adaptConversation({ messages: request.messages, tools }, template, dialect)
  const segments = template.render(conversation.messages, {
    tools: conversation.tools,
    continuesLastMessage,
    variables: {
      ...(request.reasoningEffort === null ? {} : reasoningVariables(request.reasoningEffort, template.source)),
      ...request.templateVariables
    }
  })
  const end = segments.at(-1)
  const prompt = end?.origin === 'template' ? end.text.slice(-promptEndLength) : ''
  const callable = new Set(toolChoice.names ?? tools.map(({ name }) => name))
  const open = openReasoning(prompt)
  const tags = open ?? reasoningTags.find((each) => template.source.includes(each.open))
  const reasoning = tags === undefined ? null : { tags, isOpen: open !== null }
  return {
    segments,
    promptEnd: prompt,
    shownControlTexts: [...dialect.controlTexts, ...reasoningControlTexts].filter((text) => template.controlTexts.has(text)),
    answerGrammar: grammarOf(),
    reasoningLimit: limitOf(request.reasoningBudget ?? null)
  }

  function limitOf (tokens: number | null): ReasoningLimit | null {
    if (tokens === null) return null
    if (dialect.readsReasoning === true) {
      throw new ServerError('unsupported_value', `In this model's format ("${dialect.name}") reasoning has no budget; use "reasoning_effort"`, { param: 'reasoning_budget' })
    }
    if (request.contentGrammar != null && !request.splitsReasoning) {
      throw new ServerError('unsupported_value', 'With "reasoning_format": "none" a format holds for all of the answer, so that reasoning can have no budget', { param: 'reasoning_budget' })
    }
    return reasoning === null ? null : { tokens, open: reasoning.isOpen ? null : reasoning.tags.open, close: reasoning.tags.close }
  }

  /** Reasoning that stays in the content has to follow the content's format. */
  function formatted (grammar: string, options: ToolGrammarOptions): ToolGrammar | null {
    // A model that is not known to think unasked is not led to it, for want of another way not to begin with the format.
    const mayBegin = request.reasoningEffort !== 'none' && (reasoningChoiceOf(template.source) !== null || (request.reasoningBudget ?? 0) > 0)
    // An answer that goes on with content has no more reasoning before it, unless that is what it goes on with.
    const mayReason = request.splitsReasoning && (options.reasoning?.isOpen === true || (mayBegin && !continuesLastMessage))
    const reasoning = mayReason ? options.reasoning : null
    const isWholeAnswer = tools.length === 0 && reasoning === null && (dialect.content === undefined || continuesLastMessage)
    return isWholeAnswer ? { grammar, grammarTrigger: null } : grammars.formatted(grammar, { ...options, reasoning, continuesContent: continuesLastMessage })
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
