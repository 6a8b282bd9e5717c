/** llama.cpp's limit too. Larger models of a family have a few more tokens that stand for nothing, to round up their number. */
const mostPadding = 128

/**
 * In what the vocabulary of a draft model differs from that of its model, in words that go on after "its"; null where the tokens of one
 * are those of the other. At the end one may have some more: such tokens are never drafted, and nothing is behind one that is drawn.
 */
export function vocabularyDifference (draft: readonly unknown[], model: readonly unknown[]): string | null {
  const common = Math.min(draft.length, model.length)
  if (Math.abs(draft.length - model.length) > mostPadding) return `vocabulary has ${draft.length} tokens, the model's has ${model.length}`
  for (let token = 0; token < common; token++) {
    if (draft[token] !== model[token]) return `token ${token} is ${JSON.stringify(draft[token])}, the model's is ${JSON.stringify(model[token])}`
  }
  return null
}
