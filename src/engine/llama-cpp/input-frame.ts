import type { GgufFileInfo } from 'node-llama-cpp'
import { ServerError } from '../../domain/errors.ts'
import { asToken, type Token } from '../../domain/ids.ts'
import type { InputFrame, Tokenizer } from '../engine.ts'
import { addsSeparator, isWordPiece, rerankTemplateOf } from './model-info.ts'
import type { NativeModel } from './native.ts'

/**
 * What stands around a text whose vector is wanted, as llama.cpp's own tokenizer would add it, and around a query and a document.
 * The latter are written as the file's template has it (`tokenizer.chat_template.rerank`), else as the tokenizer of the model family
 * writes pairs: BERT `[CLS] query [SEP] document [SEP]`, the others with their end token after each and a separator between them
 * where the file wants one.
 *
 * @param isPair whether the model reads a query and a document
 * @throws ServerError `engine_error` for a template that lacks one of them
 */
export function inputFrameOf (model: NativeModel, file: GgufFileInfo, tokenizer: Tokenizer, isPair: boolean): InputFrame {
  const template = isPair ? rerankTemplateOf(file) : null
  if (template !== null) return frameOfTemplate(template, tokenizer)
  const bos = known(model.tokenBos())
  const separator = known(model.sepToken())
  if (isWordPiece(file)) return { before: bos, between: separator, after: separator }
  const eos = known(model.tokenEos())
  const end = model.shouldAppendEosToken() ? (isPair && eos.length === 0 ? separator : eos) : []
  return {
    before: model.shouldPrependBosToken() ? bos : [],
    between: isPair ? [...end, ...(addsSeparator(file) ? separator : [])] : [],
    after: end
  }
}

function frameOfTemplate (template: string, tokenizer: Tokenizer): InputFrame {
  const parts = template.split(/\{query\}|\{document\}/)
  const [before, between, after, more] = parts
  if (before === undefined || between === undefined || after === undefined || more !== undefined ||
    template.indexOf('{query}') > template.indexOf('{document}')) {
    throw new ServerError('engine_error', 'The model\'s template for reranking must have {query} and then {document}, once each')
  }
  const tokens = (text: string): Token[] => tokenizer.tokenize(text, { special: true })
  return { before: tokens(before), between: tokens(between), after: tokens(after) }
}

const known = (token: number): readonly Token[] => token < 0 ? [] : [asToken(token)]
