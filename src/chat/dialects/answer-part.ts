/** A piece of an answer, told apart by what it is for. Pieces of the same kind in a row belong together. */
export type AnswerPart =
  | { readonly type: 'content', readonly text: string }
  | { readonly type: 'reasoning', readonly text: string }
  /** The first piece of a call; calls are numbered from 0 in the order in which they begin. */
  | { readonly type: 'call-started', readonly call: number, readonly name: string }
  /** JSON text, or whatever the model wrote in its place. */
  | { readonly type: 'call-arguments', readonly call: number, readonly text: string }
