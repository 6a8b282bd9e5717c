import type { OpenAI } from 'openai'
import type { StoredFile } from '../../batches/files/stored-file.ts'

/** Beyond the client's types, members that are empty are null, as on OpenAI's wire. */
type OnTheWire<Value> = { readonly [Member in keyof Value]-?: Value[Member] | null }

/** A file that is there has been read as a whole, so there is nothing left to process. */
export const toFileObject = ({ id, bytes, createdAt, expiresAt, filename, purpose }: StoredFile) => ({
  id,
  object: 'file',
  bytes,
  created_at: Math.floor(createdAt / 1000),
  expires_at: expiresAt === null ? null : Math.floor(expiresAt / 1000),
  filename,
  purpose,
  status: 'processed',
  status_details: null
} satisfies OnTheWire<OpenAI.FileObject>)
