import type { GgufFileInfo } from 'node-llama-cpp'
import { describe, expect, it } from 'vitest'
import { asToken } from '../../../src/domain/ids.ts'
import type { Tokenizer } from '../../../src/engine/engine.ts'
import { inputFrameOf } from '../../../src/engine/llama-cpp/input-frame.ts'
import type { NativeModel } from '../../../src/engine/llama-cpp/native.ts'

/** Its tokens are the characters' codes; control texts count only where they may. */
const tokenizer: Tokenizer = {
  tokenize: (text, { special }) => [...special ? text : `plain ${text}`].map((character) => asToken(character.codePointAt(0) ?? 0)),
  tokenBytes: () => new Uint8Array(),
  tokenText: () => ''
}

interface Vocabulary {
  readonly model: string
  readonly pre?: string
  readonly addSeparator?: boolean
  readonly template?: string
  readonly bos?: number
  readonly eos?: number
  readonly sep?: number
  readonly addsBos?: boolean
  readonly addsEos?: boolean
}

function frameOf ({ model, pre, addSeparator, template, bos = -1, eos = -1, sep = -1, addsBos = false, addsEos = false }: Vocabulary, isPair: boolean) {
  const native = {
    tokenBos: () => bos, tokenEos: () => eos, sepToken: () => sep, shouldPrependBosToken: () => addsBos, shouldAppendEosToken: () => addsEos
  } as unknown as NativeModel
  const file = {
    metadata: {
      general: { architecture: 'any' },
      tokenizer: {
        ...(template === undefined ? {} : { 'chat_template.rerank': template }),
        ggml: { model, pre, ...(addSeparator === undefined ? {} : { add_sep_token: addSeparator }) }
      }
    }
  } as unknown as GgufFileInfo
  const { before, between, after } = inputFrameOf(native, file, tokenizer, isPair)
  return [before, between, after]
}

describe('the frame of inputs', () => {
  const bert: Vocabulary = { model: 'bert', bos: 101, sep: 102, addsBos: true }
  /** XLM-RoBERTa, as in BGE-M3. */
  const roberta: Vocabulary = { model: 't5', bos: 0, eos: 2, sep: 2, addsBos: true, addsEos: true }
  /** Qwen3 Embedding. */
  const qwen: Vocabulary = { model: 'gpt2', pre: 'qwen2', eos: 9, addsEos: true }

  it('is that of the tokenizer around a text', () => {
    expect(frameOf(bert, false)).toEqual([[101], [102], [102]])
    expect(frameOf(roberta, false)).toEqual([[0], [], [2]])
    expect(frameOf(qwen, false)).toEqual([[], [], [9]])
    expect(frameOf({ model: 'llama', bos: 1, eos: 2, addsBos: true }, false)).toEqual([[1], [], []])
    expect(frameOf({ model: 'llama', bos: 1, eos: 2 }, false)).toEqual([[], [], []])
  })

  it('joins a query and a document as the tokenizer joins pairs', () => {
    expect(frameOf(bert, true)).toEqual([[101], [102], [102]])
    expect(frameOf(roberta, true)).toEqual([[0], [2], [2]])
    expect(frameOf({ ...roberta, addSeparator: true }, true)).toEqual([[0], [2, 2], [2]])
    expect(frameOf({ ...roberta, model: 'gpt2', pre: 'roberta-bpe' }, true)).toEqual([[0], [2, 2], [2]])
    // A model without an end token ends with its separator.
    expect(frameOf({ model: 'gpt2', sep: 5, addsEos: true }, true)).toEqual([[], [5], [5]])
  })

  it('follows the file\'s template for pairs, in which control texts count', () => {
    const template = '<q>{query}|{document}</d>'
    const codes = (text: string): number[] => [...text].map((character) => character.codePointAt(0) ?? 0)
    expect(frameOf({ ...qwen, template }, true)).toEqual([codes('<q>'), codes('|'), codes('</d>')])
    // It is not for texts alone.
    expect(frameOf({ ...qwen, template }, false)).toEqual([[], [], [9]])
  })

  it.each(['{query}', '{document} {query}', '{query}{document}{document}', 'nothing'])('refuses the template %s', (template) => {
    expect(() => frameOf({ ...qwen, template }, true)).toThrow('must have {query} and then {document}, once each')
  })
})
