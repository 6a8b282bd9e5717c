import { Template } from '@huggingface/jinja'
import type { ModelInfo } from '../engine/engine.ts'
import type { PromptSegment } from '../inference/inference.ts'
import type { ChatMessage } from './chat-message.ts'
import { ServerError } from '../domain/errors.ts'
import { fallbackTemplate } from './fallback-template.ts'
import { createUserTextGuard } from './user-text-guard.ts'

export interface ChatTemplateOptions {
  /** Whether the prompt ends where the assistant's turn begins. */
  readonly addGenerationPrompt: boolean
}

/** A model's chat template, compiled. */
export interface ChatTemplate {
  /** Whether the model brought none, so that a plain transcript is used. */
  readonly isFallback: boolean
  /**
   * Turns a conversation into prompt text. Control tokens come from the template alone, never from the messages.
   * @throws ServerError `chat_template_error` when the template refuses the messages, with the template's own words.
   */
  render (messages: readonly ChatMessage[], options?: ChatTemplateOptions): readonly PromptSegment[]
}

type TemplateModel = Pick<ModelInfo, 'chatTemplate' | 'bosText' | 'eosText' | 'controlTexts'>

const errorText = (error: unknown): string => error instanceof Error ? error.message : String(error)

/** @throws ServerError `chat_template_error` when the template is not Jinja that can be read. */
export function createChatTemplate (model: TemplateModel): ChatTemplate {
  const isFallback = model.chatTemplate === null
  const source = model.chatTemplate ?? fallbackTemplate
  const template = compile(source)
  const guard = createUserTextGuard(model.controlTexts, source)
  const knowsDeveloper = source.includes('developer')
  const wantsParts = !renders('text') && renders([{ type: 'text', text: probeText }])

  function renderWith (messages: readonly object[], addGenerationPrompt: boolean): string {
    return template.render({
      messages,
      bos_token: model.bosText,
      eos_token: model.eosText,
      add_generation_prompt: addGenerationPrompt
    })
  }

  /** Some templates show content only as a string, some only as a list of parts: trying is the way to know. */
  function renders (content: 'text' | readonly object[]): boolean {
    try {
      return renderWith([{ role: 'user', content: content === 'text' ? probeText : content }], true).includes(probeText)
    } catch {
      return false
    }
  }

  return {
    isFallback,

    render (messages, { addGenerationPrompt } = { addGenerationPrompt: true }) {
      const texts = messages.flatMap(({ content, name }) => name === undefined ? [content] : [content, name])
      try {
        return guard.render(texts, (mark) => renderWith(messages.map(({ role, content, name }) => ({
          role: role === 'developer' && !knowsDeveloper ? 'system' : role,
          content: wantsParts ? [{ type: 'text', text: mark(content) }] : mark(content),
          ...(name === undefined ? {} : { name: mark(name) })
        })), addGenerationPrompt))
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
