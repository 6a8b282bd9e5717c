import type { Operation } from '../telemetry/observer.ts'
import { GenerationTrace } from './generation-trace.ts'
import type { OpenModel } from './open-model.ts'
import type { RequestContext } from './request-context.ts'
import type { HttpServices } from './services.ts'

export interface TracedRun {
  readonly id: string
  readonly operation: Operation
  readonly maxTokens: number | null
}

/** Begins to watch a run for log, metrics and traces. The context hears of it. */
export function startTrace (
  { id, operation, maxTokens }: TracedRun, { host, picks }: OpenModel, body: { readonly model: string, readonly n: number, readonly stream: boolean }, context: RequestContext, { now, promptLog }: Pick<HttpServices, 'now' | 'promptLog'>
): GenerationTrace {
  const trace = new GenerationTrace({
    id,
    operation,
    requestedModel: body.model,
    model: host.id,
    adapters: picks.map(({ name }) => name),
    isStream: body.stream,
    arrivedAt: context.arrivedAt,
    choicesPerPrompt: body.n,
    maxTokens,
    keepsAnswers: promptLog !== null,
    now
  })
  context.generation = trace
  return trace
}
