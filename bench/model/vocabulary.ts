import { gguf, type GGUFTypedMetadata } from '@huggingface/gguf'
import { findModel } from '../../src/models/model-source.ts'

export type TypedValue = GGUFTypedMetadata[string]

/** `tokenizer.ggml.token_type` of a token that is text and nothing else. */
const normalType = 1

/** Printable ASCII, perhaps after a space, which the byte-level alphabet of GPT-2 writes as Ġ. */
const readable = /^Ġ?[!-~]+$/

export interface Vocabulary {
  /** Tokenizer and chat template as GGUF metadata. */
  readonly metadata: Readonly<Record<string, TypedValue>>
  /** Ids of what answers should not have in them: control tokens, markup, and bytes that are no readable character. */
  readonly quietTokens: ReadonlySet<number>
}

/**
 * The demo model's tokenizer and chat template, with made-up words after its own tokens. No merge leads to those words:
 * answers have them, but a text is still cut into the demo's tokens.
 * @throws Error when the demo's tokens alone are more than `size`.
 */
export async function makeVocabulary (size: number): Promise<Vocabulary> {
  const demo = findModel('demo')
  if (demo.type !== 'file') throw new Error('The demo model is not a file')
  const { typedMetadata } = await gguf(demo.paths[0], { allowLocalFile: true, typedMetadata: true })
  const metadata: Record<string, TypedValue> = Object.fromEntries(
    Object.entries<TypedValue>(typedMetadata).filter(([key]) => key.startsWith('tokenizer.')))
  const tokens = arrayOf<string>(metadata, 'tokenizer.ggml.tokens')
  const types = arrayOf<number>(metadata, 'tokenizer.ggml.token_type')
  if (tokens.value.length > size) throw new Error(`A vocabulary of ${size} is too small for the demo's ${tokens.value.length} tokens`)

  const words = wordsBeside(new Set(tokens.value), size - tokens.value.length)
  return {
    metadata: {
      ...metadata,
      'tokenizer.ggml.tokens': { ...tokens, value: [...tokens.value, ...words] },
      'tokenizer.ggml.token_type': { ...types, value: [...types.value, ...words.map(() => normalType)] }
    },
    quietTokens: new Set(tokens.value.flatMap((token, id) => types.value[id] === normalType && readable.test(token) ? [] : [id]))
  }
}

function arrayOf<Item> (metadata: Readonly<Record<string, TypedValue>>, key: string): TypedValue & { readonly value: Item[] } {
  const entry = metadata[key]
  if (!Array.isArray(entry?.value)) throw new Error(`The demo model has no ${key}`)
  return entry as TypedValue & { readonly value: Item[] }
}

function wordsBeside (taken: ReadonlySet<string>, count: number): readonly string[] {
  const words: string[] = []
  for (const token of madeUpTokens()) {
    if (words.length === count) break
    if (!taken.has(token)) words.push(token)
  }
  return words
}

const syllables = Array.from('bcdfghjklmnprstvwyz').flatMap((consonant) => Array.from('aeiou', (vowel) => consonant + vowel))

/** Words of one syllable, then of two, and so on, each with and without a space before it. */
function * madeUpTokens (): Generator<string> {
  for (let length = 1; ; length++) {
    for (let number = 0; number < syllables.length ** length; number++) {
      let word = ''
      for (let rest = number; word.length < length * 2; rest = Math.floor(rest / syllables.length)) {
        word += syllables[rest % syllables.length]
      }
      yield `Ġ${word}`
      yield word
    }
  }
}
