import { z } from 'zod'

const token = z.int().min(0)

/** llama-server's. */
export const tokenListAnswerSchema = z.strictObject({
  tokens: z.union([z.array(token), z.array(z.strictObject({ id: token, piece: z.string() }))])
})

/** vLLM's. */
export const tokenCountSchema = z.strictObject({
  count: z.int().min(0), max_model_len: z.int().min(0), tokens: z.array(token), token_strs: z.array(z.string()).nullable()
})

export const detokenizedSchema = z.strictObject({ content: z.string(), prompt: z.string() })
