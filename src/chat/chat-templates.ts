import type { ModelInfo } from '../engine/engine.ts'
import { type ChatTemplate, createChatTemplate } from './chat-template.ts'

/** The compiled templates of all models, each compiled once. */
export interface ChatTemplates {
  /**
   * @param override Jinja source that is used instead of the model's own
   * @throws ServerError `chat_template_error` when the template cannot be read.
   */
  of (model: ModelInfo, override?: string | null): ChatTemplate
}

/** @param onFallback told once of every model that has no template of its own */
export function createChatTemplates (onFallback: (model: ModelInfo) => void): ChatTemplates {
  const compiled = new WeakMap<ModelInfo, Map<string | null, ChatTemplate>>()
  const announced = new Set<string>()
  return {
    of (model, override = null) {
      const ofModel = compiled.get(model) ?? new Map<string | null, ChatTemplate>()
      compiled.set(model, ofModel)
      let template = ofModel.get(override)
      if (template === undefined) {
        template = createChatTemplate(override === null ? model : { ...model, chatTemplate: override })
        ofModel.set(override, template)
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
