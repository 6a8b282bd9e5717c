import { asToken, type Token } from '../../domain/ids.ts'

/**
 * What a word may be followed by is decided by its part of speech alone; that is enough for pleasant nonsense.
 * `spelled` words are made of several tokens that split a character.
 */
export type WordKind =
  | 'opener' | 'spaced-opener' | 'introduction' | 'determiner' | 'adjective' | 'noun' | 'verb' | 'adverb' | 'preposition' | 'comma'
  | 'full-stop' | 'newline' | 'picture'

export interface VocabularyEntry {
  readonly text: string
  readonly bytes: Uint8Array
  readonly kind: WordKind | 'byte' | 'control' | 'marker'
}

const words = (text: string): string[] => text.trim().split(/\s+/)
const spaced = (text: string): string[] => words(text).map((word) => ` ${word}`)

const wordLists: Readonly<Record<WordKind, readonly string[]>> = {
  opener: words('The A Every One This Another My Your'),
  'spaced-opener': spaced('The A Every One This Another My Your'),
  introduction: spaced('Then Soon Perhaps Today Meanwhile'),
  determiner: spaced('the a every one this another its their'),
  adjective: spaced(`quiet small green golden patient curious gentle distant lively warm silver clever sleepy bright hidden
    crooked round slow merry soft tall brave tiny faithful misty`),
  noun: spaced(`river bridge lantern garden sparrow window harbour meadow letter kettle castle valley teacher chapel
    clock violin fox forest ship baker mountain library pebble cloud boat painter gate star village traveller`),
  verb: spaced(`follows finds watches paints opens remembers carries greets crosses keeps builds answers mends wakes
    visits hears draws guards gathers thanks`),
  adverb: spaced('slowly gladly again today softly often together gently twice soon'),
  preposition: spaced('under near beyond beside with behind above across towards without'),
  comma: [', and', ' while', ';', ' because'],
  'full-stop': ['.', '!', '?', '…'],
  newline: ['\n'],
  picture: []
}

/** Words that are spelled in several tokens, the splits falling inside a character, and what they count as. */
const spelledWords: readonly { readonly text: string, readonly kind: WordKind }[] = [
  { text: ' café', kind: 'noun' },
  { text: ' naïve', kind: 'adjective' },
  { text: ' 🌉', kind: 'picture' },
  { text: ' 🌊', kind: 'picture' },
  { text: ' 🦊', kind: 'picture' },
  { text: ' 日', kind: 'picture' }
]

/** Pieces of characters and of spelled words that are tokens, as byte-level BPE vocabularies have them. */
const pieces: readonly (string | readonly number[])[] = [' caf', ' na', 've', [0xf0, 0x9f], [0xe6, 0x97]]

/** Ordinary tokens whose appearance in a prompt triggers a fault, where faults are switched on. Never drawn. */
const markerTexts = [
  '!reject', '!reject-later', '!fail', '!fail-later', '!crash', '!crash-later', '!hang', '!hang-later', '!slow',
  '!slow-later'
] as const
export type MarkerText = typeof markerTexts[number]

const controlTexts = ['<|endoftext|>', '<|im_start|>', '<|im_end|>'] as const
type ControlText = typeof controlTexts[number]

export interface SpelledWord {
  readonly tokens: readonly Token[]
  readonly kind: WordKind
}

/** 256 byte tokens, then control tokens, words and pieces. The same in every run. */
export interface Vocabulary {
  readonly entries: readonly VocabularyEntry[]
  readonly control: Readonly<Record<ControlText, Token>>
  readonly markers: ReadonlyMap<Token, MarkerText>
  readonly byKind: Readonly<Record<WordKind, readonly Token[]>>
  readonly spelled: readonly SpelledWord[]
}

/** The token of a single byte. */
export const byteToken = (byte: number): Token => asToken(byte)

export function createVocabulary (): Vocabulary {
  const encoder = new TextEncoder()
  const entries: VocabularyEntry[] = []
  for (let byte = 0; byte < 256; byte++) {
    entries.push({ text: byte < 128 ? String.fromCharCode(byte) : '\ufffd', bytes: Uint8Array.of(byte), kind: 'byte' })
  }
  const add = (text: string, bytes: Uint8Array, kind: VocabularyEntry['kind']): Token => {
    entries.push({ text, bytes, kind })
    return asToken(entries.length - 1)
  }
  const control = Object.fromEntries(
    controlTexts.map((text) => [text, add(text, new Uint8Array(), 'control')])
  ) as Record<ControlText, Token>
  const markers = new Map(markerTexts.map((text) => [add(text, encoder.encode(text), 'marker'), text]))
  const byKind = Object.fromEntries(Object.entries(wordLists).map(([kind, texts]) => [
    kind,
    // One-byte words are the byte tokens; a vocabulary has each byte string once.
    texts.map((text) => text.length === 1 && text.charCodeAt(0) < 128
      ? byteToken(text.charCodeAt(0))
      : add(text, encoder.encode(text), kind as WordKind))
  ])) as Record<WordKind, Token[]>
  const pieceTokens = new Map<string, Token>()
  for (const piece of pieces) {
    const bytes = typeof piece === 'string' ? encoder.encode(piece) : Uint8Array.from(piece)
    pieceTokens.set(bytes.join(), add(typeof piece === 'string' ? piece : '\ufffd', bytes, 'byte'))
  }
  const spelled = spelledWords.map(({ text, kind }) => ({ tokens: spell(encoder.encode(text), pieceTokens), kind }))
  return { entries, control, markers, byKind, spelled }
}

/** Longest piece first, single bytes else: what the tokenizer makes of the text, too. */
function spell (bytes: Uint8Array, pieceTokens: ReadonlyMap<string, Token>): Token[] {
  const tokens: Token[] = []
  for (let start = 0; start < bytes.length;) {
    let end = bytes.length
    while (end > start + 1 && !pieceTokens.has(bytes.subarray(start, end).join())) end--
    tokens.push(pieceTokens.get(bytes.subarray(start, end).join()) ?? byteToken(bytes[start]!))
    start = end
  }
  return tokens
}
