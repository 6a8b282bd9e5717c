import type { ToolDialect } from '../../domain/tool-dialect.ts'
import type { ParameterForm } from '../structured/parameter-grammar.ts'
import type { JsonType } from '../structured/schema-constraints.ts'
import type { AnswerReader, Reading } from './answer-reader.ts'
import type { AnswerWriter } from './answer-writer.ts'

/** What a dialect's reader knows beside the answer. */
export interface ReadContext {
  /** The chat template's source: formats of one family differ in details. */
  readonly template: string
  /** The prompt's end: some templates write the answer's first marker themselves. */
  readonly prompt: string
  /** Whether the request has tools that may be called. */
  readonly hasTools: boolean
  /** Whether the answer begins within content that the prompt has begun. */
  readonly continuesContent: boolean
  /** Whether a name is one of the request's tools. */
  readonly isTool: (name: string) => boolean
  /** Types that an argument of a tool may have, as far as the tool's schema says; null is any. */
  readonly typesOf: (tool: string, parameter: string) => ReadonlySet<JsonType> | null
}

/** A tool in a grammar: its name, and the GBNF rule that its arguments follow, as the format writes them. */
export interface ToolRule {
  readonly name: string
  readonly rule: string
}

export interface GrammarContext extends Pick<ReadContext, 'prompt' | 'template'> {
  /** Whether an answer may have several calls. */
  readonly isParallel: boolean
  /** Adds a rule to the grammar and gives its name. The same name must have the same body. */
  readonly define: (name: string, body: string) => string
}

export interface OptionalCalls {
  /** Text with which calls begin and nothing else does; null where the grammar is one for all answers. */
  readonly trigger: string | null
  /** GBNF from the trigger on. */
  readonly calls: string
}

/** A way in which models call tools. */
export interface Dialect {
  readonly name: ToolDialect
  /** Tokens of the format that are control tokens in some vocabularies: their texts must stay in the output. */
  readonly controlTexts: readonly string[]
  /** Whether every answer is written in the format's frame; other formats are only read where there are tools. */
  readonly framesAnswers?: boolean
  /** Whether the format itself says what is reasoning. Otherwise that is looked for before the format's reader begins. */
  readonly readsReasoning?: boolean
  /** How arguments are written one by one, with templates that have it so; elsewhere they are a JSON object. */
  readonly parameterForm?: (template: string) => ParameterForm | null
  /** Whether a chat template (its Jinja source) is of this format. */
  recognises (template: string): boolean
  /** Reads an answer to its end. */
  read (reader: AnswerReader, writer: AnswerWriter, context: ReadContext): Reading<void>
  /** GBNF for an answer that is a call, or one or more where `isParallel` says so. */
  calls (tools: readonly ToolRule[], context: GrammarContext): string
  /** How a grammar can shape the calls of an answer that may also have none; null where it cannot. */
  optionalCalls (tools: readonly ToolRule[], context: GrammarContext): OptionalCalls | null
  /** GBNF for an answer that is this content and no call; without it, the content alone. */
  content? (rule: string, context: GrammarContext): string
  /** How a call is written, for models whose template says nothing of tools. */
  write (name: string, argumentText: string, template: string): string
}
