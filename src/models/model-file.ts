import type { MetadataValue } from '@huggingface/gguf'
import type { GgufFile } from './gguf-file.ts'
import { GGMLFileQuantizationType } from '@huggingface/gguf'
import { isEncoder, poolingOf, type Pooling } from '../domain/pooling.ts'
import { StartupError } from '../domain/startup-error.ts'
import { readGgufFile } from './gguf-file.ts'

/** What a model's file says that matters before it is loaded. */
export interface ModelFile {
  /** The first file, which is the one to load; llama.cpp finds the others beside it. */
  readonly path: string
  /** All parts together. */
  readonly sizeBytes: number
  readonly architecture: string
  /** `general.name`, or null. */
  readonly name: string | null
  /** How the weights are stored, for example `Q4_K_M`; null where the file does not say. */
  readonly quantization: string | null
  readonly parameterCount: number
  /** Longest context the model was trained on, in tokens; null where the file does not say. */
  readonly trainContextSize: number | null
  readonly vocabularySize: number
  /** Width of the model and of its widest feed-forward layer; 0 where the file does not say. */
  readonly embeddingLength: number
  readonly feedForwardLength: number
  /** How it makes vectors of texts; null for a model that writes text. */
  readonly pooling: Pooling | null
  /** What a token takes in the KV caches of all layers, as F16; null where the file does not say enough. */
  readonly kvBytesPerToken: number | null
}

/** What is read of a model at once. */
export interface ReadModel {
  readonly file: ModelFile
  /** The texts of its tokens, by token: many, so they are not kept. */
  readonly vocabulary: readonly unknown[]
}

/** Like {@link readModel}, for whoever needs no vocabulary. */
export async function readModelFile (paths: readonly [string, ...string[]]): Promise<ModelFile> {
  return (await readModel(paths)).file
}

/**
 * Reads and checks all parts of a model.
 * @param paths the parts in their order; most models have one.
 * @throws StartupError when a part is unusable, or the file is no model that writes text or makes vectors of it.
 */
export async function readModel (paths: readonly [string, ...string[]]): Promise<ReadModel> {
  const parts: GgufFile[] = []
  for (const path of paths) parts.push(await readGgufFile(path))
  const [first] = parts as [GgufFile, ...GgufFile[]]
  const metadata = new MetadataReader(first)
  const architecture = checkKind(first, metadata)

  const vocabulary = first.metadata.get('tokenizer.ggml.tokens')
  if (!Array.isArray(vocabulary) || vocabulary.length === 0) {
    throw new StartupError(`The model file ${first.path} has no vocabulary, so it cannot read or write text`)
  }
  const fileType = metadata.number('general.file_type')
  const tensors = parts.flatMap((part) => part.tensors)
  const file = {
    path: first.path,
    sizeBytes: parts.reduce((sum, part) => sum + part.sizeBytes, 0),
    architecture,
    name: metadata.text('general.name'),
    quantization: fileType === null ? null : GGMLFileQuantizationType[fileType] ?? null,
    parameterCount: tensors.reduce((sum, tensor) => sum + tensor.elementCount, 0),
    trainContextSize: metadata.count(`${architecture}.context_length`),
    vocabularySize: vocabulary.length,
    embeddingLength: metadata.number(`${architecture}.embedding_length`) ?? 0,
    feedForwardLength: Math.max(0, ...metadata.numbers(`${architecture}.feed_forward_length`)),
    pooling: poolingOf({
      architecture,
      poolingType: metadata.number(`${architecture}.pooling_type`),
      isNotCausal: first.metadata.get(`${architecture}.attention.causal`) === false
    }),
    kvBytesPerToken: isEncoder(architecture) ? 0 : kvBytesPerToken(metadata, architecture)
  }
  return { file, vocabulary }
}

/** Other things that come as GGUF. */
const otherArchitectures: Readonly<Record<string, string>> = {
  clip: "an image projector (mmproj), not a language model; give the language model's own file",
  t5: 'an encoder-decoder model (t5), which is not supported',
  t5encoder: 'the encoder of an encoder-decoder model (t5encoder), which is not supported',
  whisper: 'a speech recognition model (whisper), not a language model',
  'wavtokenizer-dec': 'an audio decoder, not a language model'
}

/** @returns the architecture. */
function checkKind (file: GgufFile, metadata: MetadataReader): string {
  const subject = `The model file ${file.path}`
  const type = metadata.text('general.type')
  const architecture = metadata.text('general.architecture')
  if (type === 'adapter') {
    const base = metadata.text('general.base_model.0.name')
    throw new StartupError(`${subject} is a LoRA adapter${base === null ? '' : ` for ${base}`}, not a model; give the model it belongs to`)
  }
  if (architecture === null) throw new StartupError(`${subject} does not name its architecture (general.architecture), so it is no model`)
  const kind = type === 'mmproj' ? 'clip' : architecture
  const other = Object.hasOwn(otherArchitectures, kind) ? otherArchitectures[kind] : undefined
  if (other !== undefined) throw new StartupError(`${subject} is ${other}`)
  if (type !== null && type !== 'model') throw new StartupError(`${subject} holds "${type}", not a model`)
  return architecture
}

/**
 * Key and value vectors of every layer's KV heads, as F16. Layers with a sliding window count in full: the engine keeps
 * all of their cells, because a prefix that is kept needs them.
 */
function kvBytesPerToken (metadata: MetadataReader, architecture: string): number | null {
  const key = (name: string): string => `${architecture}.${name}`
  const layerCount = metadata.number(key('block_count'))
  const heads = metadata.numbers(key('attention.head_count'))
  const width = metadata.number(key('embedding_length'))
  if (layerCount === null || layerCount < 1 || layerCount > 10_000 || heads.length === 0 || width === null) return null
  const kvHeads = metadata.numbers(key('attention.head_count_kv'))
  const keyLength = metadata.number(key('attention.key_length'))
  const valueLength = metadata.number(key('attention.value_length'))

  let bytes = 0
  for (let layer = 0; layer < layerCount; layer++) {
    const headCount = perLayer(heads, layer)
    const kvHeadCount = kvHeads.length === 0 ? headCount : perLayer(kvHeads, layer)
    const headWidth = headCount === 0 ? 0 : width / headCount
    bytes += kvHeadCount * ((keyLength ?? headWidth) + (valueLength ?? headWidth)) * 2
  }
  return bytes
}

/** Values that are the same for all layers are written once. */
const perLayer = (values: readonly number[], layer: number): number => values[layer] ?? values[0] ?? 0

class MetadataReader {
  readonly #metadata: ReadonlyMap<string, MetadataValue>

  constructor (file: GgufFile) {
    this.#metadata = file.metadata
  }

  text (key: string): string | null {
    const value = this.#metadata.get(key)
    return typeof value === 'string' && value !== '' ? value : null
  }

  number (key: string): number | null {
    const value = this.#metadata.get(key)
    return typeof value === 'number' || typeof value === 'bigint' ? Number(value) : null
  }

  /** A whole number, 1 or more; null for anything else. */
  count (key: string): number | null {
    const value = this.number(key)
    return value !== null && Number.isSafeInteger(value) && value >= 1 ? value : null
  }

  /** A number, or one for each layer; empty when the key is missing. */
  numbers (key: string): readonly number[] {
    const value = this.#metadata.get(key)
    const values: readonly unknown[] = Array.isArray(value) ? value : [value]
    return values.flatMap((item) => typeof item === 'number' || typeof item === 'bigint' ? [Number(item)] : [])
  }
}
