import type { Token } from '../../domain/ids.ts'
import { asToken } from '../../domain/ids.ts'
import type { Tokenizer } from '../engine.ts'
import type { Vocabulary } from './vocabulary.ts'

/**
 * Longest match over UTF-8 bytes, so that any text has tokens and any token has bytes. Characters outside the word list
 * fall apart into byte tokens, as rare ones do in real vocabularies.
 */
export function createFakeTokenizer (vocabulary: Vocabulary): Tokenizer {
  const encoder = new TextEncoder()
  const { entries, control } = vocabulary
  const { transitions, ends } = buildTrie(vocabulary)
  const controlPattern = new RegExp(`(${Object.keys(control).map(escapePattern).join('|')})`)

  const tokenizePlain = (text: string, tokens: Token[]): void => {
    const bytes = encoder.encode(text)
    for (let start = 0; start < bytes.length;) {
      let token = asToken(bytes[start]!)
      let next = start + 1
      let node = 0
      for (let index = start; index < bytes.length; index++) {
        const child = transitions.get(node * 256 + bytes[index]!)
        if (child === undefined) break
        node = child
        const end = ends.get(node)
        if (end !== undefined) {
          token = end
          next = index + 1
        }
      }
      tokens.push(token)
      start = next
    }
  }

  return {
    tokenize (text, { special }) {
      const tokens: Token[] = []
      if (!special) {
        tokenizePlain(text, tokens)
        return tokens
      }
      for (const part of text.split(controlPattern)) {
        const token = Object.hasOwn(control, part) ? control[part as keyof typeof control] : undefined
        if (token === undefined) tokenizePlain(part, tokens)
        else tokens.push(token)
      }
      return tokens
    },
    tokenBytes: (token) => entries[token]?.bytes ?? new Uint8Array(),
    tokenText: (token) => entries[token]?.text ?? ''
  }
}

interface Trie {
  /** Child of a node (0 is the root) for a byte, under `node * 256 + byte`. */
  readonly transitions: ReadonlyMap<number, number>
  /** The token that ends at a node. */
  readonly ends: ReadonlyMap<number, Token>
}

function buildTrie ({ entries }: Vocabulary): Trie {
  const transitions = new Map<number, number>()
  const ends = new Map<number, Token>()
  let nodeCount = 1
  for (const [index, { bytes }] of entries.entries()) {
    if (bytes.length === 0) continue
    let node = 0
    for (const byte of bytes) {
      const key = node * 256 + byte
      let child = transitions.get(key)
      if (child === undefined) {
        child = nodeCount++
        transitions.set(key, child)
      }
      node = child
    }
    ends.set(node, asToken(index))
  }
  return { transitions, ends }
}

const escapePattern = (text: string): string => text.replace(/[|\\{}()[\]^$+*?.]/g, '\\$&')
