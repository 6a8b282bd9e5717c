import type { Operation } from './operation.ts'
import { adapterOperations } from './operations/adapters.ts'
import { batchOperations } from './operations/batches.ts'
import { chatOperations } from './operations/chat.ts'
import { embeddingOperations } from './operations/embeddings.ts'
import { keyOperations } from './operations/keys.ts'
import { limitOperations } from './operations/limits.ts'
import { messageOperations } from './operations/messages.ts'
import { modelOperations } from './operations/models.ts'
import { responseOperations } from './operations/responses.ts'
import { serverOperations } from './operations/server.ts'
import { tokenOperations } from './operations/tokens.ts'
import { usageOperations } from './operations/usage.ts'

/** Every operation of the server, in the order of the document. A test holds it to the routes of the app. */
export const operations: readonly Operation[] = [
  ...chatOperations,
  ...responseOperations,
  ...messageOperations,
  ...embeddingOperations,
  ...batchOperations,
  ...modelOperations,
  ...adapterOperations,
  ...keyOperations,
  ...limitOperations,
  ...usageOperations,
  ...tokenOperations,
  ...serverOperations
]
