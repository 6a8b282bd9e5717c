import type { ModelInfo } from '../engine/engine.ts'
import { type ChatTemplate, createChatTemplate } from './chat-template.ts'

/** The compiled templates of all models, each compiled once. */
export interface ChatTemplates {
  /** @throws ServerError `chat_template_error` when the model's template cannot be read. */
  of (model: ModelInfo): ChatTemplate
}

/** @param onFallback told once of every model that has no template of its own */
export function createChatTemplates (onFallback: (model: ModelInfo) => void): ChatTemplates {
  const compiled = new WeakMap<ModelInfo, ChatTemplate>()
  const announced = new Set<string>()
  return {
    of (model) {
      let template = compiled.get(model)
      if (template === undefined) {
        template = createChatTemplate(model)
        compiled.set(model, template)
        const label = `${model.architecture} ${model.name ?? ''}`
        if (template.isFallback && !announced.has(label)) {
          announced.add(label)
          onFallback(model)
        }
      }
      return template
    }
  }
}
