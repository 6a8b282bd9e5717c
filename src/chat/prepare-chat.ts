import { ServerError } from '../domain/errors.ts'
import type { PromptSegment } from '../inference/inference.ts'
import { adaptConversation } from './adapt-conversation.ts'
import type { ChatMessage, ToolDefinition } from './chat-message.ts'
import type { ChatTemplate, TemplateVariable } from './chat-template.ts'
import type { AnswerFormat } from './dialects/answer-parser.ts'
import type { Dialect } from './dialects/dialect.ts'
import { openReasoning, reasoningControlTexts, reasoningTags } from './dialects/reasoning.ts'
import { type ReasoningEffort, reasoningVariables } from './reasoning-options.ts'
import { ParameterTypes } from './structured/parameter-types.ts'
import type { ToolGrammar } from './tool-grammar.ts'
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
  /** Whether reasoning is told apart from content. */
  readonly splitsReasoning: boolean
  /** Words for the template, which win over `reasoningEffort`. */
  readonly templateVariables: Readonly<Record<string, TemplateVariable>>
  /** Whether the answer goes on with the last message instead of being a new one. */
  readonly continuesLastMessage: boolean
}

export interface ChatModel {
  readonly template: ChatTemplate
  readonly dialect: Dialect
  /** Whether its engine can hold an answer to a grammar. */
  readonly hasGrammars: boolean
  readonly grammars: ToolGrammars
}

/** A chat request as inference takes it, and how to read its answers. */
export interface PreparedChat {
  readonly segments: readonly PromptSegment[]
  readonly format: AnswerFormat
  readonly shownControlTexts: readonly string[]
  /** Null where the calls are left to the model. */
  readonly toolGrammar: ToolGrammar | null
}

/** How much of the prompt's end may hold a marker that the template has begun. */
const promptEndLength = 256

/**
 * Renders the prompt and works out what the answer may be.
 * @throws ServerError `chat_template_error`, `unsupported_value`, or `invalid_value` for schemas of strict tools
 */
export function prepareChat (request: ChatRequest, { template, dialect, hasGrammars, grammars }: ChatModel): PreparedChat {
  const { toolChoice, isParallel, continuesLastMessage } = request
  if (continuesLastMessage && toolChoice.mode === 'required') {
    throw new ServerError('unsupported_value', 'An answer that must call a tool cannot go on with the last message', { param: 'tool_choice' })
  }
  const tools = toolChoice.mode === 'none' ? [] : request.tools
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
  const format: AnswerFormat = {
    dialect,
    template: template.source,
    prompt,
    tools: tools.length === 0 ? null : new Map(tools.map(({ name, parameters }) => [name, new ParameterTypes(parameters ?? {})])),
    splitsReasoning: request.splitsReasoning,
    continuesContent: continuesLastMessage,
    mostCalls: isParallel ? Infinity : 1
  }
  return {
    segments,
    format,
    shownControlTexts: [...dialect.controlTexts, ...reasoningControlTexts].filter((text) => template.controlTexts.has(text)),
    toolGrammar: tools.length === 0 ? null : grammarOf()
  }

  function grammarOf (): ToolGrammar | null {
    const open = openReasoning(prompt)
    const tags = open ?? reasoningTags.find((each) => template.source.includes(each.open))
    const options = {
      dialect,
      tools,
      callable,
      template: template.source,
      prompt,
      isParallel,
      reasoning: tags === undefined ? null : { tags, isOpen: open !== null }
    }
    if (toolChoice.mode === 'required') return grammars.required(options)
    if (hasGrammars) return grammars.optional(options)
    const strict = tools.findIndex(({ isStrict }) => isStrict)
    if (strict === -1) return null
    throw new ServerError('unsupported_value', 'This model\'s engine has no grammars, which "strict" needs', { param: `tools[${strict}].function.strict` })
  }
}
