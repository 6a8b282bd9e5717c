import { z } from 'zod'
import { messagesSchema } from './chat-completion-request.ts'
import { reasoningMembers } from './reasoning.ts'
import { tokenListSchema } from './token-list.ts'
import { toolMembers } from './tools.ts'

const modelSchema = z.string().min(1).max(1024).optional()

/** llama-server's form. */
export const tokenizeContentSchema = z.strictObject({
  model: modelSchema,
  content: z.string(),
  add_special: z.boolean().default(false),
  /** Whether texts of control tokens become those tokens. */
  parse_special: z.boolean().default(true),
  with_pieces: z.boolean().default(false)
})

/** vLLM's form for texts. */
export const tokenizePromptSchema = z.strictObject({
  model: modelSchema,
  prompt: z.string(),
  add_special_tokens: z.boolean().default(true),
  return_token_strs: z.boolean().default(false)
})

/** vLLM's form for conversations. */
export const tokenizeMessagesSchema = z.strictObject({
  model: modelSchema,
  messages: messagesSchema,
  tools: toolMembers.tools,
  chat_template_kwargs: reasoningMembers.chat_template_kwargs,
  /** The opposite of `continue_final_message` where nothing is said. */
  add_generation_prompt: z.boolean().optional(),
  continue_final_message: z.boolean().default(false),
  add_special_tokens: z.boolean().default(false),
  return_token_strs: z.boolean().default(false)
})

export const detokenizeSchema = z.strictObject({
  model: modelSchema,
  tokens: tokenListSchema(1_000_000)
})
