import { randomUUID } from 'node:crypto'
import type { ResponseItem } from './response-item.ts'

const prefixes = { message: 'msg', function_call: 'fc', function_call_output: 'fco', reasoning: 'rs' } as const satisfies Record<ResponseItem['type'], string>

/** A new id for an item, as OpenAI's look. */
export const createItemId = (type: ResponseItem['type']): string => `${prefixes[type]}_${randomUUID().replaceAll('-', '')}`
