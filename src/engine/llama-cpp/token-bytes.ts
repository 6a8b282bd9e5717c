/** llama.cpp's `llama_token_attr`. */
export const tokenAttribute = { unknown: 1, unused: 2, normal: 4, control: 8, userDefined: 16, byte: 32 } as const

const encoder = new TextEncoder()
const noBytes = new Uint8Array(0)

/**
 * GPT-2's way to write any byte as a printable character, as characters to bytes: printable Latin-1 stands for itself, the
 * other 68 bytes are U+0100 and up in order.
 */
const byteOfCharacter: ReadonlyMap<string, number> = (() => {
  const bytes = new Map<string, number>()
  let next = 0x100
  for (let byte = 0; byte < 256; byte++) {
    const isPrintable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae
    bytes.set(String.fromCodePoint(isPrintable ? byte : next++), byte)
  }
  return bytes
})()

/** How a vocabulary writes the text of its normal tokens. */
export type VocabularyStyle =
  /** SentencePiece, Unigram and WordPiece as GGUF has them: `▁` is a space. */
  | 'sentencepiece'
  /** GPT-2: every character is one byte. */
  | 'byte-level'
  /** Text as it is. */
  | 'plain'

/**
 * The bytes that a token stands for in running text, as llama.cpp's `token_to_piece` gives them; none for control tokens.
 * @param text the vocabulary's text of the token
 * @param attributes bits of {@link tokenAttribute}
 */
export function tokenBytes (text: string, attributes: number, style: VocabularyStyle): Uint8Array {
  if ((attributes & (tokenAttribute.control | tokenAttribute.unknown)) !== 0) return noBytes
  if ((attributes & tokenAttribute.userDefined) !== 0) return encoder.encode(text)
  const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(text)
  if ((attributes & tokenAttribute.byte) !== 0 && byte?.[1] !== undefined) return Uint8Array.of(parseInt(byte[1], 16))
  if ((attributes & tokenAttribute.normal) === 0) return noBytes
  switch (style) {
    case 'sentencepiece': return encoder.encode(text.replaceAll('\u2581', ' '))
    case 'byte-level': return byteLevelBytes(text)
    case 'plain': return encoder.encode(text)
  }
}

function byteLevelBytes (text: string): Uint8Array {
  const bytes: number[] = []
  for (const character of text) {
    const byte = byteOfCharacter.get(character)
    // Not a character of the scheme: a token that was added by hand. Its own text is the best reading there is.
    if (byte === undefined) return encoder.encode(text)
    bytes.push(byte)
  }
  return Uint8Array.from(bytes)
}
