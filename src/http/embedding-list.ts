import { setImmediate as yieldToEventLoop } from 'node:timers/promises'
import type { OpenAI } from 'openai'
import { encodeVector } from '../domain/vector-bytes.ts'
import { toUnitVector } from './embedding-vector.ts'
import { toPromptUsage } from './usage.ts'

/** A vector as the client asked for it: numbers, or the base64 of 32-bit floats, which OpenAI's libraries ask for by themselves. */
type WireEmbedding = Omit<OpenAI.Embedding, 'embedding'> & { readonly embedding: readonly number[] | string }

export interface EmbeddingListOptions {
  /** As the request named it. */
  readonly model: string
  readonly promptTokens: number
  /** Numbers of each vector: its first ones. */
  readonly dimensions: number
  readonly encoding: 'float' | 'base64'
}

/** So many numbers are written before others have their turn: a request's 2048 vectors have some millions. */
const numbersAtOnce = 16_384

/** The body of an answer with vectors, as JSON: of length 1, in the order of the inputs. */
export async function toEmbeddingList (vectors: readonly Float32Array[], { model, promptTokens, dimensions, encoding }: EmbeddingListOptions): Promise<string> {
  const written: string[] = []
  let numbers = 0
  for (const [index, vector] of vectors.entries()) {
    const unit = toUnitVector(vector, dimensions)
    const embedding = encoding === 'base64' ? encodeVector(unit) : [...unit]
    written.push(JSON.stringify({ object: 'embedding', index, embedding } satisfies WireEmbedding))
    numbers += unit.length
    if (numbers < numbersAtOnce) continue
    numbers = 0
    await yieldToEventLoop()
  }
  const rest = { model, usage: toPromptUsage(promptTokens) } satisfies Omit<OpenAI.CreateEmbeddingResponse, 'object' | 'data'>
  return `{"object":"list","data":[${written.join(',')}],${JSON.stringify(rest).slice(1)}`
}
