import { createHash, randomUUID } from 'node:crypto'
import type { EngineInfo } from '../engine/engine.ts'

/** What every chunk of an answer repeats. */
export interface AnswerIdentity {
  readonly id: string
  /** Seconds since 1970. */
  readonly created: number
  /** The model's name as the client wrote it. */
  readonly model: string
  /** Changes when the same seed may give another text: with engine, build, model, placement or attention. */
  readonly fingerprint: string
  /** The class it is served in, whether or not the request asked for one. */
  readonly serviceTier: 'default' | 'flex' | 'priority'
}

/** What the ids of an API's answers begin with. */
export type AnswerPrefix = 'chatcmpl' | 'cmpl' | 'resp' | 'msg'

export function createAnswerIdentity (
  prefix: AnswerPrefix, model: string, info: EngineInfo, serviceTier: AnswerIdentity['serviceTier']
): AnswerIdentity {
  return {
    id: `${prefix}${prefix === 'resp' || prefix === 'msg' ? '_' : '-'}${randomUUID().replaceAll('-', '')}`,
    created: Math.floor(Date.now() / 1000),
    model,
    fingerprint: fingerprintOf(info),
    serviceTier
  }
}

function fingerprintOf ({ backend, build, placement, flashAttention, model }: EngineInfo): string {
  const parts = [backend, build, placement, flashAttention, model.architecture, model.name, model.sizeBytes, model.parameterCount]
  return `fp_${createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 12)}`
}
