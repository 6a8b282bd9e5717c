import { GGUFValueType } from '@huggingface/gguf'
import { type Pooling, poolingNumber } from '../../src/domain/pooling.ts'
import type { Tensor } from './shape.ts'
import { f32, type TensorType } from './tensor-type.ts'
import type { TypedValue } from './vocabulary.ts'

/** An encoder of the `bert` architecture, which makes vectors of texts. */
export interface EncoderShape {
  readonly width: number
  readonly layerCount: number
  readonly headCount: number
  readonly feedForwardWidth: number
  readonly vocabularySize: number
}

export interface EncoderFacts {
  readonly shape: EncoderShape
  /** Of the matrices. */
  readonly type: TensorType
  /** `rank` is a reranker, with one score. */
  readonly pooling: Pooling
  /** Longest input, in tokens. */
  readonly contextSize: number
  /** `general.name`. */
  readonly name: string
}

const controls = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'] as const

/** The tensors that llama.cpp wants of this architecture, in the order of the file. */
export function encoderTensorsOf ({ shape, type, pooling, contextSize }: EncoderFacts): readonly Tensor[] {
  const { width, feedForwardWidth } = shape
  const matrix = (name: string, rowLength: number, rowCount: number, matrixType = type): Tensor => ({ name, type: matrixType, rowLength, rowCount, gain: 1 })
  const linear = (name: string, rowLength: number, rowCount: number): readonly Tensor[] =>
    [matrix(`${name}.weight`, rowLength, rowCount), { name: `${name}.bias`, type: f32, rowLength: rowCount, rowCount: null, gain: 0 }]
  const norm = (name: string): readonly Tensor[] => [
    { name: `${name}.weight`, type: f32, rowLength: width, rowCount: null, gain: 1 },
    { name: `${name}.bias`, type: f32, rowLength: width, rowCount: null, gain: 0 }
  ]
  return [
    matrix('token_embd.weight', width, shape.vocabularySize),
    matrix('token_types.weight', width, 2, f32),
    matrix('position_embd.weight', width, contextSize, f32),
    ...norm('token_embd_norm'),
    ...Array.from({ length: shape.layerCount }, (_, layer) => [
      ...linear(`blk.${layer}.attn_q`, width, width),
      ...linear(`blk.${layer}.attn_k`, width, width),
      ...linear(`blk.${layer}.attn_v`, width, width),
      ...linear(`blk.${layer}.attn_output`, width, width),
      ...norm(`blk.${layer}.attn_output_norm`),
      ...linear(`blk.${layer}.ffn_up`, width, feedForwardWidth),
      ...linear(`blk.${layer}.ffn_down`, feedForwardWidth, width),
      ...norm(`blk.${layer}.layer_output_norm`)
    ]).flat(),
    ...(pooling === 'rank' ? [...linear('cls', width, width), ...linear('cls.output', width, 1)] : [])
  ]
}

/** Metadata of the file, with a WordPiece vocabulary of all printable ASCII and made-up words. */
export function describeEncoder ({ shape, type, pooling, contextSize, name }: EncoderFacts): Record<string, TypedValue> {
  const tokens = makeWordPieces(shape.vocabularySize)
  return {
    'general.architecture': text('bert'),
    'general.type': text('model'),
    'general.name': text(name),
    'general.description': text('Random weights for benchmarks; its vectors mean nothing'),
    'general.file_type': count(type.fileType),
    'general.quantization_version': count(2),
    'bert.context_length': count(contextSize),
    'bert.embedding_length': count(shape.width),
    'bert.block_count': count(shape.layerCount),
    'bert.feed_forward_length': count(shape.feedForwardWidth),
    'bert.attention.head_count': count(shape.headCount),
    'bert.attention.layer_norm_epsilon': { value: 1e-12, type: GGUFValueType.FLOAT32 },
    'bert.attention.causal': { value: false, type: GGUFValueType.BOOL },
    'bert.pooling_type': count(poolingNumber[pooling]),
    'tokenizer.ggml.model': text('bert'),
    'tokenizer.ggml.pre': text('default'),
    'tokenizer.ggml.tokens': { value: [...tokens], type: GGUFValueType.ARRAY, subType: GGUFValueType.STRING },
    // 3 is a control token, 1 is text.
    'tokenizer.ggml.token_type': { value: tokens.map((_, index) => index < controls.length ? 3 : 1), type: GGUFValueType.ARRAY, subType: GGUFValueType.INT32 },
    'tokenizer.ggml.token_type_count': count(2),
    'tokenizer.ggml.padding_token_id': count(0),
    'tokenizer.ggml.unknown_token_id': count(1),
    'tokenizer.ggml.bos_token_id': count(2),
    'tokenizer.ggml.seperator_token_id': count(3),
    'tokenizer.ggml.mask_token_id': count(4)
  }
}

/** Control tokens, each character at the start of a word (`▁`) and within one, then words of syllables. */
function makeWordPieces (size: number): readonly string[] {
  const characters = Array.from({ length: 94 }, (_, index) => String.fromCharCode(33 + index)).filter((character) => !/[A-Z]/.test(character))
  const pieces: string[] = [...controls, ...characters.flatMap((character) => [`▁${character}`, character])]
  if (size < pieces.length) throw new Error(`A vocabulary of ${size} is too small for ${pieces.length} characters and control tokens`)
  const syllables = Array.from('bcdfghjklmnprstvwyz').flatMap((consonant) => Array.from('aeiou', (vowel) => consonant + vowel))
  for (let number = 0; pieces.length < size; number++) {
    let word = ''
    // Numbers with as many syllables as they need, none of which is a zero: no word comes twice.
    for (let rest = number; rest >= 0; rest = Math.floor(rest / syllables.length) - 1) word += syllables[rest % syllables.length]
    pieces.push(`▁${word}`)
  }
  return pieces
}

const text = (value: string): TypedValue => ({ value, type: GGUFValueType.STRING })
const count = (value: number): TypedValue => ({ value, type: GGUFValueType.UINT32 })
