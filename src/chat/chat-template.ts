import { Template } from '@huggingface/jinja'
import type { ModelInfo } from '../engine/engine.ts'
import type { PromptSegment } from '../inference/inference.ts'
import { callIdsFor } from './call-ids.ts'
import type { ChatMessage, ToolDefinition } from './chat-message.ts'
import { ServerError } from '../domain/errors.ts'
import type { Dialect } from './dialects/dialect.ts'
import { dialectOf } from './dialects/dialects.ts'
import { continueLastMessage } from './continued-message.ts'
import { fallbackTemplate } from './fallback-template.ts'
import { type TemplateCapabilities, probeTemplate } from './template-capabilities.ts'
import { type Mark, type ViewOptions, markUnlessPlain, viewMessage, viewTool } from './template-view.ts'
import { createUserTextGuard } from './user-text-guard.ts'

/** A variable of a template: no text of its own that could become part of the prompt, but words. */
export type TemplateVariable = boolean | number | string

export interface ChatTemplateOptions {
  /** Whether the prompt ends where the assistant's turn begins; true unless said otherwise. */
  readonly addGenerationPrompt?: boolean
  /** Whether the prompt ends where the last message ends, so that the model goes on with it; wins over the former. */
  readonly continuesLastMessage?: boolean
  /** For templates that show them ({@link TemplateCapabilities}); others do not look. */
  readonly tools?: readonly ToolDefinition[]
  /** What else the template knows, for example `enable_thinking`. Words only, see {@link isTemplateWord}. */
  readonly variables?: Readonly<Record<string, TemplateVariable>>
}

/** A model's chat template, compiled. */
export interface ChatTemplate {
  /** Whether the model brought none, so that a plain transcript is used. */
  readonly isFallback: boolean
  /** Jinja. */
  readonly source: string
  /** What it was made from. */
  readonly model: TemplateModel
  /** What it can show; found out at the first use. */
  readonly capabilities: TemplateCapabilities
  /** The format of calls that it shows or asks for. */
  readonly dialect: Dialect
  /** Texts of the model's control tokens. */
  readonly controlTexts: ReadonlySet<string>
  /**
   * Turns a conversation into prompt text. Control tokens come from the template alone, never from messages or tools.
   * @throws ServerError `chat_template_error` when the template refuses the messages, with the template's own words;
   * `invalid_value` or `unsupported_value` when the last message cannot be continued.
   */
  render (messages: readonly ChatMessage[], options?: ChatTemplateOptions): readonly PromptSegment[]
}

/** What a template takes of its model: plain data. */
export type TemplateModel = Pick<ModelInfo, 'chatTemplate' | 'bosText' | 'eosText' | 'controlTexts'>

const errorText = (error: unknown): string => error instanceof Error ? error.message : String(error)

/** Whether a text may be a template's variable: it cannot be, or become, a control text. */
export const isTemplateWord = (text: string): boolean => /^[\w.-]{1,64}$/.test(text)

/** @throws ServerError `chat_template_error` when the template is not Jinja that can be read. */
export function createChatTemplate (model: TemplateModel): ChatTemplate {
  const isFallback = model.chatTemplate === null
  const source = model.chatTemplate ?? fallbackTemplate
  const template = compile(source)
  const guard = createUserTextGuard(model.controlTexts, source)
  const baseOptions = {
    knowsDeveloper: source.includes('developer'),
    ...wishes()
  }
  const callIdsOf = callIdsFor(source)
  let capabilities: TemplateCapabilities | null = null

  function renderWith (messages: readonly object[], tools: readonly object[] | undefined, { addGenerationPrompt = true, variables = {} }: ChatTemplateOptions): string {
    return template.render({
      ...variables,
      messages,
      ...(tools === undefined ? {} : { tools }),
      bos_token: model.bosText,
      eos_token: model.eosText,
      add_generation_prompt: addGenerationPrompt
    })
  }

  /**
   * Some templates show content only as a string, some only as a list of parts, and some fail unless there is a list of
   * tools: trying is the way to know.
   */
  function wishes (): { readonly wantsParts: boolean, readonly needsTools: boolean } {
    const parts = [{ type: 'text', text: probeText }]
    const tries = [[probeText, false], [parts, false], [probeText, true], [parts, true]] as const
    const found = tries.find(([content, needsTools]) => {
      try {
        return renderWith([{ role: 'user', content }], needsTools ? [] : undefined, {}).includes(probeText)
      } catch {
        return false
      }
    })
    return { wantsParts: found?.[0] === parts, needsTools: found?.[1] ?? false }
  }

  function renderMarked (messages: readonly ChatMessage[], options: ChatTemplateOptions, view: ViewOptions, mark: Mark): string {
    const markWord = markUnlessPlain(mark, model.controlTexts)
    const tools = (options.tools ?? []).map((tool) => viewTool(tool, markWord))
    return renderWith(
      messages.map((message) => viewMessage(message, view, mark, markWord)),
      tools.length > 0 || baseOptions.needsTools ? tools : undefined,
      options
    )
  }

  const capabilitiesOf = (): TemplateCapabilities => (capabilities ??= probeTemplate((messages, tools, argumentsAs) =>
    renderMarked(messages, { tools }, { ...baseOptions, callIds: callIdsOf(messages), argumentsAs }, (text) => text)))

  return {
    isFallback,
    source,
    model: { chatTemplate: model.chatTemplate, bosText: model.bosText, eosText: model.eosText, controlTexts: model.controlTexts },
    dialect: dialectOf(model.chatTemplate),
    controlTexts: new Set(model.controlTexts),
    get capabilities () { return capabilitiesOf() },

    render (given, options = {}) {
      const continued = options.continuesLastMessage === true ? continueLastMessage(given, [source, JSON.stringify([options.tools, options.variables])]) : null
      const messages = continued?.messages ?? given
      const hasCalls = messages.some(({ toolCalls }) => toolCalls !== undefined)
      const view: ViewOptions = { ...baseOptions, callIds: callIdsOf(messages), argumentsAs: hasCalls ? capabilitiesOf().callArguments ?? 'object' : 'object' }
      const texts: string[] = []
      const note: Mark = (text) => {
        texts.push(text)
        return text
      }
      for (const message of messages) viewMessage(message, view, note, note)
      for (const tool of options.tools ?? []) viewTool(tool, note)
      try {
        const segments = guard.render(texts, (mark) => renderMarked(messages, continued === null ? options : { ...options, addGenerationPrompt: false }, view, mark))
        return continued?.cut(segments) ?? segments
      } catch (error) {
        if (error instanceof ServerError) throw error
        throw new ServerError('chat_template_error', `The model's chat template refuses these messages: ${errorText(error)}`, { param: 'messages', cause: error })
      }
    }
  }
}

const probeText = 'drawbridge probe'

function compile (source: string): Template {
  try {
    return new Template(source)
  } catch (error) {
    throw new ServerError('chat_template_error', `The model's chat template cannot be read (${errorText(error)}); /v1/completions works without it`, { cause: error })
  }
}
