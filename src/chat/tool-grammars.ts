import { createHash } from 'node:crypto'
import { RecentlyUsed } from '../domain/recently-used.ts'
import { type FormattedAnswerOptions, type ToolGrammar, type ToolGrammarOptions, formattedAnswerGrammar, optionalCallGrammar, requiredCallGrammar } from './tool-grammar.ts'

/** Up to 256 KiB each, a few KiB as a rule; a client sends the same tools with every turn of a conversation. */
const maxKept = 64

/** The grammars for the tools of recent requests: writing one takes some ten milliseconds, and some tenths of a second where tools are many and large. */
export class ToolGrammars {
  readonly #kept = new RecentlyUsed<{ readonly grammar: ToolGrammar | null }>(maxKept)

  /** @throws ServerError what {@link requiredCallGrammar} throws */
  required (options: ToolGrammarOptions): ToolGrammar | null {
    return this.#kept.get(keyOf('required', options), () => ({ grammar: requiredCallGrammar(options) })).grammar
  }

  /** @throws ServerError what {@link optionalCallGrammar} throws */
  optional (options: ToolGrammarOptions): ToolGrammar | null {
    return this.#kept.get(keyOf('optional', options), () => ({ grammar: optionalCallGrammar(options) })).grammar
  }

  /** @throws ServerError what {@link formattedAnswerGrammar} throws */
  formatted (format: string, options: FormattedAnswerOptions): ToolGrammar | null {
    return this.#kept.get(keyOf(`${options.continuesContent} ${format}`, options), () => ({ grammar: formattedAnswerGrammar(format, options) })).grammar
  }
}

/** All that decides a grammar; of templates and prompts only what dialects look at, which are a few words. */
const keyOf = (mode: string, { dialect, tools, callable, template, prompt, isParallel, reasoning }: ToolGrammarOptions): string =>
  createHash('sha256').update(JSON.stringify([mode, dialect.name, isParallel, reasoning, [...callable], tools, prompt.slice(-8), template])).digest('base64')
