import { contentOf } from './structured/content-of.ts'
import { GrammarMemory } from './structured/grammar-memory.ts'
import { type FormattedAnswerOptions, type ToolGrammar, type ToolGrammarOptions, formattedAnswerGrammar, optionalCallGrammar, requiredCallGrammar } from './tool-grammar.ts'

/** The grammars for the tools of requests: writing one takes some ten milliseconds, and some tenths of a second where tools are many and large. */
export class ToolGrammars {
  readonly #memory: GrammarMemory

  constructor (memory = new GrammarMemory()) {
    this.#memory = memory
  }

  /** @throws ServerError what {@link requiredCallGrammar} throws */
  required (options: ToolGrammarOptions): ToolGrammar | null {
    return this.#memory.of(contentOfAll('required', options), () => requiredCallGrammar(options))
  }

  /** @throws ServerError what {@link optionalCallGrammar} throws */
  optional (options: ToolGrammarOptions): ToolGrammar | null {
    return this.#memory.of(contentOfAll('optional', options), () => optionalCallGrammar(options))
  }

  /** @throws ServerError what {@link formattedAnswerGrammar} throws */
  formatted (format: string, options: FormattedAnswerOptions): ToolGrammar | null {
    return this.#memory.of(contentOfAll(`${options.continuesContent} ${format}`, options), () => formattedAnswerGrammar(format, options))
  }
}

/** All that decides a grammar; of templates and prompts only what dialects look at, which are a few words. */
const contentOfAll = (mode: string, { dialect, tools, callable, template, prompt, isParallel, reasoning }: ToolGrammarOptions): string =>
  `tools ${contentOf([mode, dialect.name, isParallel, reasoning, [...callable], tools, prompt.slice(-8), template])}`
