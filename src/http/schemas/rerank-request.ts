import { z } from 'zod'
import { serviceClassMembers } from './service-class.ts'

/** Jina's and Cohere's form. */
export const rerankRequestSchema = z.strictObject({
  ...serviceClassMembers,
  model: z.string().min(1).max(1024),
  query: z.string().min(1),
  documents: z.array(
    z.union([z.string(), z.strictObject({ text: z.string() })], 'expected a string, or an object with the string "text"')
      .transform((document) => typeof document === 'string' ? document : document.text)
  ).min(1).max(2048),
  /** How many of the best documents are in the answer; all where nothing is said. */
  top_n: z.int().min(1).optional(),
  /** Whether the answer has the documents' texts. */
  return_documents: z.boolean().default(true)
})
