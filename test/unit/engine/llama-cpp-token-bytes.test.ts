import { describe, expect, it } from 'vitest'
import { tokenAttribute, tokenBytes } from '../../../src/engine/llama-cpp/token-bytes.ts'

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8')
const { normal, control, unknown, userDefined, byte } = tokenAttribute

describe('bytes of a token', () => {
  it('reads byte-level vocabularies', () => {
    expect(text(tokenBytes('Ġhello', normal, 'byte-level'))).toBe(' hello')
    expect(text(tokenBytes('Ċ', normal, 'byte-level'))).toBe('\n')
    expect([...tokenBytes('ðŁ', normal, 'byte-level')]).toEqual([0xf0, 0x9f])
    expect([...tokenBytes('Ā', normal, 'byte-level')]).toEqual([0])
    expect([...tokenBytes('\u0143', normal, 'byte-level')]).toEqual([0xad])
  })

  it('reads SentencePiece vocabularies', () => {
    expect(text(tokenBytes('▁hello▁you', normal, 'sentencepiece'))).toBe(' hello you')
    expect([...tokenBytes('<0xE6>', byte, 'sentencepiece')]).toEqual([0xe6])
    expect(text(tokenBytes('<0xE6>', normal, 'sentencepiece'))).toBe('<0xE6>')
  })

  it('shows user-defined tokens as they are and control tokens not at all', () => {
    expect(text(tokenBytes('<tool_call>', userDefined, 'byte-level'))).toBe('<tool_call>')
    expect(text(tokenBytes('▁x', userDefined, 'sentencepiece'))).toBe('▁x')
    expect(tokenBytes('<|im_end|>', control, 'byte-level')).toHaveLength(0)
    expect(tokenBytes('<unk>', unknown, 'sentencepiece')).toHaveLength(0)
  })

  it('takes a token that is no byte-level text by its own text', () => {
    expect(text(tokenBytes('日本', normal, 'byte-level'))).toBe('日本')
  })
})
