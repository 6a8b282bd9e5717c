import { unsupportedSchema } from './located-schema.ts'

/** Some tenths of a second of a thread that others may wait for. */
const maxWork = 3_000_000

/** What may be spent on making one grammar, in steps of its inner loops. Hostile schemas and expressions take more. */
export class WorkBudget {
  readonly #param: string
  #left = maxWork

  /** @param param the request's field that the grammar is made from */
  constructor (param: string) {
    this.#param = param
  }

  /** Whether there is nothing left, so that what needs more need not be begun. */
  get isSpent (): boolean { return this.#left <= 0 }

  /** @throws ServerError `unsupported_value` when nothing is left */
  spend (steps: number): void {
    this.#left -= steps
    if (this.#left < 0) throw unsupportedSchema(this.#param, 'it takes too long to turn into a grammar; ask for less at once')
  }
}
