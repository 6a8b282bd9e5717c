import { dialectNamed, dialectOf } from '../chat/dialects/dialects.ts'
import type { ChatModel } from '../chat/prepare-chat.ts'
import type { EngineInfo } from '../engine/engine.ts'
import type { ModelHost } from '../models/model-host.ts'
import type { HttpServices } from './services.ts'

/** How to talk to a model: its template, and the dialect that it was given or that its template shows. */
export function chatModelOf ({ toolDialect = 'auto' }: Pick<ModelHost, 'toolDialect'>, { model, backend }: EngineInfo, { chatTemplates, toolGrammars }: Pick<HttpServices, 'chatTemplates' | 'toolGrammars'>): ChatModel {
  return {
    info: model,
    template: chatTemplates.of(model),
    dialect: toolDialect === 'auto' ? dialectOf(model.chatTemplate) : dialectNamed(toolDialect),
    hasGrammars: backend !== 'fake',
    grammars: toolGrammars
  }
}
