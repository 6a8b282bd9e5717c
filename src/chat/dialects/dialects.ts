import type { ToolDialect } from '../../domain/tool-dialect.ts'
import { cohere } from './cohere.ts'
import { deepseek } from './deepseek.ts'
import type { Dialect } from './dialect.ts'
import { functionary } from './functionary.ts'
import { gemma } from './gemma.ts'
import { generic } from './generic.ts'
import { glm } from './glm.ts'
import { granite } from './granite.ts'
import { harmony } from './harmony.ts'
import { hermes } from './hermes.ts'
import { kimi } from './kimi.ts'
import { lfm } from './lfm.ts'
import { llama } from './llama.ts'
import { minimax } from './minimax.ts'
import { mistral } from './mistral.ts'
import { nemotron } from './nemotron.ts'
import { phi } from './phi.ts'
import { pythonic } from './pythonic.ts'
import { qwenCoder } from './qwen-coder.ts'

/** The first one that recognises a template is its dialect, so those whose signs others have too come later. */
const dialects: readonly Dialect[] = [
  harmony, deepseek, mistral, kimi, cohere, minimax, glm, qwenCoder, nemotron, phi, lfm, functionary, granite, hermes, pythonic, llama, gemma, generic
]

/** The dialect of a chat template; null is a model without one. */
export const dialectOf = (template: string | null): Dialect =>
  (template === null ? undefined : dialects.find((dialect) => dialect.recognises(template))) ?? generic

/** The dialect of that name. */
export const dialectNamed = (name: ToolDialect): Dialect => dialects.find((dialect) => dialect.name === name) ?? generic
