import { GGUFValueType } from '@huggingface/gguf'
import { open, rename, rm, type FileHandle } from 'node:fs/promises'
import { describeEncoder, encoderTensorsOf, type EncoderFacts } from './encoder.ts'
import { makeGgufHeader, paddedSize } from './gguf-header.ts'
import { adapterTensorsOf, elementCountOf, tensorsOf, type ModelShape, type Tensor } from './shape.ts'
import { matrixTypes, type TensorType } from './tensor-type.ts'
import { makeVocabulary, type TypedValue } from './vocabulary.ts'
import { RandomWeights } from './weights.ts'

export interface RandomModel {
  readonly shape: ModelShape
  /** Of the matrices; norms are F32. */
  readonly type: TensorType
  /** 32 bits. Equal models with equal seeds have equal bytes. */
  readonly seed: number
  /** Longest context that the file allows, in tokens. */
  readonly contextSize: number
  /** `general.name`. */
  readonly name: string
}

export interface WrittenModel {
  readonly parameterCount: number
  readonly sizeBytes: number
}

export interface RandomAdapter {
  /** Of the base model. */
  readonly shape: ModelShape
  readonly rank: number
  readonly seed: number
  readonly name: string
}

/** Elements that are in memory at a time. */
const chunkLength = 2 ** 18

/** Writes a model with random weights. */
export async function writeModel (file: string, model: RandomModel, signal: AbortSignal): Promise<WrittenModel> {
  const vocabulary = await makeVocabulary(model.shape.vocabularySize)
  const metadata = { ...describeModel(model), ...vocabulary.metadata }
  return await writeFile(file, metadata, tensorsOf(model.shape, model.type), new RandomWeights(model.seed, vocabulary.quietTokens), signal)
}

/** Writes a LoRA adapter with random weights, as F16, for all matrices in the layers of a model of that shape. */
export async function writeAdapter (file: string, adapter: RandomAdapter, signal: AbortSignal): Promise<WrittenModel> {
  const tensors = adapterTensorsOf(adapter.shape, matrixTypes.f16, adapter.rank)
  return await writeFile(file, describeAdapter(adapter), tensors, new RandomWeights(adapter.seed, new Set()), signal)
}

/** Writes an encoder with random weights. Equal encoders with equal seeds have equal bytes. */
export async function writeEncoder (file: string, encoder: EncoderFacts & { readonly seed: number }, signal: AbortSignal): Promise<WrittenModel> {
  return await writeFile(file, describeEncoder(encoder), encoderTensorsOf(encoder), new RandomWeights(encoder.seed, new Set()), signal)
}

/**
 * The file appears under its name when it is whole; until then, and for good when something fails, there is only one beside it,
 * which is removed. Replaces a file of that name.
 */
async function writeFile (
  file: string, metadata: Readonly<Record<string, TypedValue>>, tensors: readonly Tensor[], weights: RandomWeights, signal: AbortSignal
): Promise<WrittenModel> {
  const header = await makeGgufHeader(metadata, tensors)

  const temporaryFile = `${file}.${process.pid}.part`
  let sizeBytes = header.length
  try {
    await using output = await open(temporaryFile, 'w')
    await output.writeFile(header)
    for (const [index, tensor] of tensors.entries()) {
      sizeBytes += await writeTensor(output, tensor, index, weights, signal)
    }
    await output.sync()
    signal.throwIfAborted()
    await rename(temporaryFile, file)
  } catch (error) {
    await rm(temporaryFile, { force: true })
    throw error
  }
  return { sizeBytes, parameterCount: tensors.reduce((sum, tensor) => sum + elementCountOf(tensor), 0) }
}

/** @returns the bytes that were written. */
async function writeTensor (output: FileHandle, tensor: Tensor, tensorIndex: number, weights: RandomWeights, signal: AbortSignal): Promise<number> {
  const { rowLength, type } = tensor
  const rowCount = tensor.rowCount ?? 1
  const chunkRows = Math.min(rowCount, Math.ceil(chunkLength / rowLength))
  const values = new Float32Array(chunkRows * rowLength)
  const rowBytes = rowLength / type.blockLength * type.blockBytes
  const bytes = Buffer.alloc(chunkRows * rowBytes)
  for (let row = 0; row < rowCount; row += chunkRows) {
    signal.throwIfAborted()
    const rows = Math.min(chunkRows, rowCount - row)
    const filled = values.subarray(0, rows * rowLength)
    const encoded = bytes.subarray(0, rows * rowBytes)
    weights.fill(filled, tensor, tensorIndex, row)
    type.encode(filled, encoded)
    await output.writeFile(encoded)
  }
  const tensorBytes = rowCount * rowBytes
  const padding = paddedSize(tensorBytes) - tensorBytes
  if (padding > 0) await output.writeFile(Buffer.alloc(padding))
  return tensorBytes + padding
}

const text = (value: string): TypedValue => ({ value, type: GGUFValueType.STRING })
const count = (value: number): TypedValue => ({ value, type: GGUFValueType.UINT32 })
const real = (value: number): TypedValue => ({ value, type: GGUFValueType.FLOAT32 })

function describeAdapter ({ rank, name }: RandomAdapter): Record<string, TypedValue> {
  return {
    'general.architecture': text('llama'),
    'general.type': text('adapter'),
    'general.name': text(name),
    'general.description': text('Random weights for benchmarks; its answers mean nothing'),
    'adapter.type': text('lora'),
    'adapter.lora.alpha': real(rank)
  }
}

function describeModel ({ shape, type, contextSize, name }: RandomModel): Record<string, TypedValue> {
  return {
    'general.architecture': text('llama'),
    'general.type': text('model'),
    'general.name': text(name),
    'general.description': text('Random weights for benchmarks; its answers mean nothing'),
    'general.file_type': count(type.fileType),
    'general.quantization_version': count(2),
    'llama.context_length': count(contextSize),
    'llama.embedding_length': count(shape.width),
    'llama.block_count': count(shape.layerCount),
    'llama.feed_forward_length': count(shape.feedForwardWidth),
    'llama.attention.head_count': count(shape.headCount),
    'llama.attention.head_count_kv': count(shape.kvHeadCount),
    'llama.attention.layer_norm_rms_epsilon': real(1e-5),
    'llama.rope.dimension_count': count(shape.width / shape.headCount),
    'llama.rope.freq_base': real(10_000),
    'llama.vocab_size': count(shape.vocabularySize)
  }
}
