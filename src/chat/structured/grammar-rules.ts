import { ServerError } from '../../domain/errors.ts'
import { WorkBudget } from './work-budget.ts'

/** What a schema may become. The grammar as a whole has to fit what the engine takes: 256 KiB of text, 50,000 elements. */
const maxGrammarRules = 8000
const maxGrammarCharacters = 250_000

/** Rules of a grammar in the making. All names begin with one prefix, so that several sets fit into one grammar. */
export class GrammarRules {
  readonly #prefix: string
  readonly #rules = new Map<string, string>()
  readonly #shared = new Map<string, string>()
  readonly #remembered = new Map<string, string | null>()
  #characters = 0
  #repeated = 0
  /** The request's field that the grammar is made from. */
  readonly param: string
  readonly budget: WorkBudget

  /**
   * @param prefix letters and digits
   * @param budget where it is one of several grammars that are made at once
   */
  constructor (prefix: string, param: string, budget = new WorkBudget(param)) {
    this.#prefix = prefix
    this.param = param
    this.budget = budget
  }

  get rules (): ReadonlyMap<string, string> { return this.#rules }

  /**
   * A name that no other rule has; its body is to follow.
   * @param purpose letters and digits
   */
  reserve (purpose: string): string {
    let name = `${this.#prefix}-${purpose}`
    if (this.#rules.has(name)) name += `-${++this.#repeated}`
    this.#rules.set(name, '')
    if (this.#rules.size > maxGrammarRules) throw this.#tooLarge(`more than ${maxGrammarRules} rules`)
    return name
  }

  define (name: string, body: string): void {
    this.#rules.set(name, body)
    this.#characters += name.length + body.length + 6
    if (this.#characters > maxGrammarCharacters) throw this.#tooLarge(`more than ${maxGrammarCharacters} characters`)
  }

  /** Takes a reserved name back. */
  remove (name: string): void {
    this.#rules.delete(name)
  }

  add (purpose: string, body: string): string {
    const name = this.reserve(purpose)
    this.define(name, body)
    return name
  }

  /** The rule of this purpose and key, made when it is first asked for. */
  share (purpose: string, make: () => string, key = purpose): string {
    let name = this.#shared.get(key)
    if (name === undefined) {
      name = this.reserve(purpose)
      this.#shared.set(key, name)
      this.define(name, make())
    }
    return name
  }

  /** What was made for a key, the first time it was asked for: an element, or null where nothing fits. */
  remember (key: string, make: () => string | null): string | null {
    let element = this.#remembered.get(key)
    if (element === undefined) this.#remembered.set(key, element = make())
    return element
  }

  #tooLarge (limit: string): ServerError {
    return new ServerError('unsupported_value', `'${this.param}' is too large: its grammar would have ${limit}, which is the limit`, { param: this.param })
  }
}

/** The text of a grammar; one of the rules must be called `root`. */
export const formatGrammar = (rules: Iterable<readonly [string, string]>): string =>
  Array.from(rules, ([name, body]) => `${name} ::= ${body}\n`).join('')
