import { dialectNamed } from '../chat/dialects/dialects.ts'
import type { Voice } from '../chat/preparation/preparation.ts'
import type { OpenModel } from './open-model.ts'
import type { HttpServices } from './services.ts'

/** How to talk to a model: its template or its adapter's, and the dialect that it was given or that the template shows. */
export function chatModelOf (
  { host: { toolDialect = 'auto' }, info: { model }, chatTemplate }: OpenModel, { chatTemplates }: Pick<HttpServices, 'chatTemplates'>
): Voice {
  const template = chatTemplates.of(model, chatTemplate)
  return {
    template,
    dialect: toolDialect === 'auto' ? template.dialect : dialectNamed(toolDialect)
  }
}
