import { z } from 'zod'
import { metadataSchema } from './parameter-policy.ts'
import { itemsSchema } from './response-request.ts'

/** OpenAI's limit for one request. */
const maxItemsAtOnce = 20

export const createConversationSchema = z.strictObject({
  items: itemsSchema.max(maxItemsAtOnce).default([]),
  metadata: metadataSchema.default({})
})

export const updateConversationSchema = z.strictObject({
  metadata: metadataSchema.default({})
})

export const createItemsSchema = z.strictObject({
  items: itemsSchema.min(1).max(maxItemsAtOnce)
})
