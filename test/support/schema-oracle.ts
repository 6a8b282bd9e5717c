import { Ajv, type AnySchema, type ValidateFunction } from 'ajv'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { formatGrammar } from '../../src/chat/structured/grammar-rules.ts'
import { jsonSchemaGrammar } from '../../src/chat/structured/json-schema-grammar.ts'
import { checkGbnf } from '../../src/engine/llama-cpp/gbnf-check.ts'
import { GbnfMatcher } from './gbnf-matcher.ts'

/** A validator that shares no code with the server's reading of schemas. */
export function validatorOf (schema: unknown): ValidateFunction {
  const isOld = /"(?:additionalItems|items":\[)/.test(JSON.stringify(schema))
  // What every object inherits, `toString` for one, is no member of a JSON object.
  const options = { strict: false, logger: false, ownProperties: true } as const
  const ajv = isOld ? new Ajv(options) : new Ajv2020(options)
  addFormats.default(ajv)
  return ajv.compile(schema as AnySchema)
}

/** The text of the grammar that a schema becomes; fails when the engine would not take it. */
export function grammarOf (schema: unknown): string {
  const { rootRule, rules } = jsonSchemaGrammar(schema, { prefix: 's', param: 'schema' })
  const text = formatGrammar([['root', rootRule], ...rules])
  checkGbnf(text)
  return text
}

export const matcherOf = (schema: unknown): GbnfMatcher => new GbnfMatcher(grammarOf(schema))
