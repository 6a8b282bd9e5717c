import { z } from 'zod'
import { isTemplateWord } from '../../chat/chat-template.ts'
import { reasoningEfforts } from '../../chat/reasoning-options.ts'
import { boundedRecord } from './bounded-record.ts'
import { wireForms, withKeywords } from './wire-form.ts'

/** What templates get from this server alone. */
const ownVariables = new Set(['messages', 'tools', 'bos_token', 'eos_token', 'add_generation_prompt'])

const variableSchema = z.union([
  z.boolean(), z.number(), z.string().refine(isTemplateWord, 'expected a word of letters, digits, "_", "." and "-"')
    .register(wireForms, { form: withKeywords({ pattern: '^[a-zA-Z0-9_.-]{1,64}$' }) })
], { error: () => 'expected true, false, a number or a word' })

const variablesSchema = boundedRecord(variableSchema, 32, 'members').refine(
  (variables) => Object.keys(variables).every((name) => /^[a-zA-Z_]\w{0,63}$/.test(name) && !ownVariables.has(name)),
  'expected names that templates can use, and none that this server sets itself')
  .register(wireForms, { form: withKeywords({ propertyNames: { pattern: '^[a-zA-Z_][a-zA-Z0-9_]{0,63}$', not: { enum: [...ownVariables] } } }) })

const budgetSchema = z.int().min(-1).max(16_777_216)

/** What a request says of reasoning, and to the template. */
export const reasoningMembers = {
  reasoning_effort: z.enum(reasoningEfforts).optional(),
  /** Three names of one option: llama-server has two, vLLM the third. −1 is no limit. */
  reasoning_budget: budgetSchema.optional(),
  reasoning_budget_tokens: budgetSchema.optional(),
  thinking_token_budget: budgetSchema.optional(),
  /** llama-server's: `none` leaves reasoning in the content. */
  reasoning_format: z.enum(['auto', 'deepseek', 'none']).default('auto'),
  chat_template_kwargs: variablesSchema.default({})
}
