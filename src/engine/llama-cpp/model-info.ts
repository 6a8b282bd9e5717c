import type { GgufFileInfo } from 'node-llama-cpp'
import { ServerError } from '../../domain/errors.ts'
import { asToken } from '../../domain/ids.ts'
import type { Token } from '../../domain/ids.ts'
import { poolingOf, type Pooling } from '../../domain/pooling.ts'
import type { ModelInfo } from '../engine.ts'
import type { NativeBindings, NativeModel } from './native.ts'
import { tokenAttribute } from './token-bytes.ts'
import type { VocabularyStyle } from './token-bytes.ts'

/** Architectures that neither write a text token by token nor make a vector of it. */
const otherArchitectures: ReadonlyMap<string, string> = new Map([
  ...['dream', 'llada', 'llada-moe', 'rnd1'].map((name) => [name, 'a diffusion model'] as const),
  ['t5', 'an encoder-decoder model'],
  ['t5encoder', 'the encoder of such a model'],
  ['clip', 'a projector of images, not a language model'],
  ['wavtokenizer-dec', 'a voice decoder']
])

/** The metadata as the file has it; the bindings' types know only some architectures. */
interface RawMetadata {
  readonly general?: { readonly architecture?: string, readonly name?: string, readonly type?: string }
  readonly tokenizer?: {
    readonly chat_template?: string
    readonly 'chat_template.rerank'?: unknown
    readonly ggml?: { readonly model?: string, readonly pre?: string, readonly tokens?: readonly string[], readonly add_sep_token?: unknown }
  }
}

const metadataOf = (file: GgufFileInfo): RawMetadata => file.metadata

export const architectureOf = (file: GgufFileInfo): string => metadataOf(file).general?.architecture ?? 'unknown'

/**
 * In the vocabulary's own writing, which takes more bytes for a space or for bytes above ASCII, never fewer. The token of BERT's for
 * words that it does not know has no limit.
 */
const longestTokenBytesOf = (file: GgufFileInfo): number => isWordPiece(file)
  ? Number.MAX_SAFE_INTEGER
  : (metadataOf(file).tokenizer?.ggml?.tokens ?? []).reduce((longest, text) => Math.max(longest, Buffer.byteLength(text)), 1)

/** The texts of all tokens. */
export const vocabularyOf = (file: GgufFileInfo): readonly string[] => metadataOf(file).tokenizer?.ggml?.tokens ?? []

export const vocabularySizeOf = (file: GgufFileInfo): number => vocabularyOf(file).length

/** The members that are named after the architecture. */
function ownMetadataOf (file: GgufFileInfo): { readonly pooling_type?: unknown, readonly attention?: { readonly causal?: unknown } } {
  const metadata = file.metadata as unknown as Readonly<Record<string, object | undefined>>
  return metadata[architectureOf(file)] ?? {}
}

/** How the file's model makes a vector of a text; null for a model that writes text. */
export function poolingIn (file: GgufFileInfo): Pooling | null {
  const { pooling_type: poolingType, attention } = ownMetadataOf(file)
  return poolingOf({
    architecture: architectureOf(file),
    poolingType: typeof poolingType === 'number' ? poolingType : null,
    isNotCausal: attention?.causal === false
  })
}

/** The template of a query with a document, if the file has one. */
export function rerankTemplateOf (file: GgufFileInfo): string | null {
  const template = metadataOf(file).tokenizer?.['chat_template.rerank']
  return typeof template === 'string' ? template : null
}

/** Byte-pair vocabularies that put a separator between a query and a document, as llama.cpp knows them by name. */
const separatingVocabularies: ReadonlySet<string> = new Set(['jina-v1-en', 'jina-v2-code', 'roberta-bpe'])

/** Whether a separator stands between a query and a document. */
export function addsSeparator (file: GgufFileInfo): boolean {
  const { pre, add_sep_token: addsIt } = metadataOf(file).tokenizer?.ggml ?? {}
  return typeof addsIt === 'boolean' ? addsIt : isWordPiece(file) || separatingVocabularies.has(pre ?? '')
}

/** Whether the vocabulary is BERT's, where a word that it lacks is one token, however long. */
export const isWordPiece = (file: GgufFileInfo): boolean => metadataOf(file).tokenizer?.ggml?.model === 'bert'

/**
 * Refuses files that are no language model, before their weights are read: llama.cpp loads some of them and aborts the process
 * later.
 * @throws ServerError `engine_error`
 */
export function assertLanguageModel (file: GgufFileInfo, bindings: NativeBindings): void {
  const architecture = architectureOf(file)
  if (metadataOf(file).general?.type === 'adapter') refuse(file, 'the file is a LoRA adapter; give it as an adapter of its base model')
  const other = otherArchitectures.get(architecture)
  if (other !== undefined) refuse(file, `it is ${other}, and this server needs a model that writes text or makes vectors of it`)
  if (bindings.getIsArchRecurrent(architecture) === true || bindings.getIsArchHybrid(architecture) === true) {
    refuse(file, 'its recurrent state cannot be cut back to a shorter prompt, which the prefix cache needs')
  }
  if (vocabularySizeOf(file) === 0) refuse(file, 'the file has no vocabulary')
}

/** @throws ServerError `engine_error`, as {@link assertLanguageModel}, and for embedding models */
export function assertGenerativeModel (file: GgufFileInfo, bindings: NativeBindings): void {
  assertLanguageModel(file, bindings)
  if (poolingIn(file) !== null) refuse(file, 'it is an embedding model, which cannot write text')
}

function refuse (file: GgufFileInfo, reason: string): never {
  throw new ServerError('engine_error', `The model cannot be served: ${reason} (architecture "${architectureOf(file)}")`)
}

/** Architectures that learn a vector for each position; llama.cpp reads outside their table beyond the last, and aborts. */
const learnedPositions: ReadonlySet<string> = new Set(['gpt2', 'starcoder', 'bert'])

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
