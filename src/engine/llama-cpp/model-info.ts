import type { GgufFileInfo } from 'node-llama-cpp'
import { ServerError } from '../../domain/errors.ts'
import { asToken } from '../../domain/ids.ts'
import type { Token } from '../../domain/ids.ts'
import type { ModelInfo } from '../engine.ts'
import type { NativeBindings, NativeModel } from './native.ts'
import { tokenAttribute } from './token-bytes.ts'
import type { VocabularyStyle } from './token-bytes.ts'

/** Architectures that read a text as a whole, or write it otherwise than token by token. */
const otherArchitectures: ReadonlyMap<string, string> = new Map([
  ...['bert', 'modern-bert', 'nomic-bert', 'nomic-bert-moe', 'neo-bert', 'jina-bert-v2', 'jina-bert-v3', 'eurobert',
    'gemma-embedding', 'llama-embed', 't5encoder'].map((name) => [name, 'an embedding model'] as const),
  ...['dream', 'llada', 'llada-moe', 'rnd1'].map((name) => [name, 'a diffusion model'] as const),
  ['t5', 'an encoder-decoder model'],
  ['clip', 'a projector of images, not a language model'],
  ['wavtokenizer-dec', 'a voice decoder']
])

/** The metadata as the file has it; the bindings' types know only some architectures. */
interface RawMetadata {
  readonly general?: { readonly architecture?: string, readonly name?: string, readonly type?: string }
  readonly tokenizer?: {
    readonly chat_template?: string
    readonly ggml?: { readonly model?: string, readonly pre?: string, readonly tokens?: readonly string[] }
  }
}

const metadataOf = (file: GgufFileInfo): RawMetadata => file.metadata

export const architectureOf = (file: GgufFileInfo): string => metadataOf(file).general?.architecture ?? 'unknown'

/** In the vocabulary's own writing, which takes more bytes for a space or for bytes above ASCII, never fewer. */
const longestTokenBytesOf = (file: GgufFileInfo): number =>
  (metadataOf(file).tokenizer?.ggml?.tokens ?? []).reduce((longest, text) => Math.max(longest, Buffer.byteLength(text)), 1)

/** The texts of all tokens. */
export const vocabularyOf = (file: GgufFileInfo): readonly string[] => metadataOf(file).tokenizer?.ggml?.tokens ?? []

export const vocabularySizeOf = (file: GgufFileInfo): number => vocabularyOf(file).length

/**
 * Refuses files that are no generative language model, before their weights are read: llama.cpp loads some of them and
 * aborts the process later.
 * @throws ServerError `engine_error`
 */
export function assertGenerativeModel (file: GgufFileInfo, bindings: NativeBindings): void {
  const architecture = architectureOf(file)
  const refuse = (reason: string): never => {
    throw new ServerError('engine_error', `The model cannot be served: ${reason} (architecture "${architecture}")`)
  }
  if (metadataOf(file).general?.type === 'adapter') refuse('the file is a LoRA adapter; give it as an adapter of its base model')
  const other = otherArchitectures.get(architecture)
  if (other !== undefined) refuse(`it is ${other}, and this server needs a model that generates text`)
  const own = (file.metadata as unknown as Record<string, { attention?: { causal?: unknown } } | undefined>)[architecture]
  if (own?.attention?.causal === false) refuse('it is an embedding model, and this server needs a model that generates text')
  if (bindings.getIsArchRecurrent(architecture) === true || bindings.getIsArchHybrid(architecture) === true) {
    refuse('its recurrent state cannot be cut back to a shorter prompt, which the prefix cache needs')
  }
  if (vocabularySizeOf(file) === 0) refuse('the file has no vocabulary')
}

/** Architectures that learn a vector for each position; llama.cpp reads outside their table beyond the last, and aborts. */
const learnedPositions: ReadonlySet<string> = new Set(['gpt2', 'starcoder'])

/** @throws ServerError `engine_error` when the model cannot count that far at all; others only lose their way */
export function assertContextSize (model: ModelInfo, contextSize: number): void {
  if (!learnedPositions.has(model.architecture) || contextSize <= model.trainContextSize) return
  throw new ServerError('engine_error',
    `A context of ${contextSize} tokens is more than this model can hold; its limit is ${model.trainContextSize} tokens`)
}

export function vocabularyStyleOf (file: GgufFileInfo): VocabularyStyle {
  const { model, pre } = metadataOf(file).tokenizer?.ggml ?? {}
  switch (model) {
    case 'llama':
    case 't5':
    case 'bert':
      return 'sentencepiece'
    case 'gpt2':
    case 'hybriddna':
    case 'whitespace':
      // Byte-pair vocabularies that were converted from SentencePiece, as llama.cpp knows them by name.
      return pre === 'gemma4' || pre === 'sarvam-moe' ? 'sentencepiece' : 'byte-level'
    case 'gemma4':
      return 'sentencepiece'
    case undefined:
    default:
      return 'plain'
  }
}

export function describeModel (model: NativeModel, file: GgufFileInfo): ModelInfo {
  const metadata = metadataOf(file)
  const vocabularySize = vocabularySizeOf(file)
  const bos = model.tokenBos()
  const eos = model.tokenEos()
  const controlTexts = new Set<string>()
  for (let token = 0; token < vocabularySize; token++) {
    if ((model.getTokenAttributes(token) & (tokenAttribute.control | tokenAttribute.unknown)) === 0) continue
    controlTexts.add(model.getTokenString(token) ?? '')
  }
  controlTexts.delete('')
  return {
    architecture: architectureOf(file),
    name: metadata.general?.name ?? null,
    parameterCount: model.getTotalParameters(),
    sizeBytes: model.getModelSize(),
    trainContextSize: model.getTrainContextSize(),
    vocabularySize,
    longestTokenBytes: longestTokenBytesOf(file),
    chatTemplate: metadata.tokenizer?.chat_template ?? null,
    bosText: bos < 0 ? '' : model.getTokenString(bos) ?? '',
    eosText: eos < 0 ? '' : model.getTokenString(eos) ?? '',
    bosToken: bos < 0 ? null : asToken(bos),
    addsBos: bos >= 0 && model.shouldPrependBosToken(),
    controlTexts: [...controlTexts]
  }
}

/** All end-of-generation tokens: EOS, end of turn, and whatever else the file or llama.cpp knows as one. */
export function endTokensOf (model: NativeModel, vocabularySize: number): Token[] {
  return Array.from({ length: vocabularySize }, (_, token) => asToken(token)).filter((token) => model.isEogToken(token))
}
