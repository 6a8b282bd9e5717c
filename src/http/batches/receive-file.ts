import { TextDecoder } from 'node:util'
import type { MultipartFile } from '@fastify/multipart'
import type { FastifyRequest } from 'fastify'
import { FileWriter } from '../../batches/files/file-writer.ts'
import type { FileStore } from '../../batches/files/file-store.ts'
import type { StoredFile } from '../../batches/files/stored-file.ts'
import { ServerError } from '../../domain/errors.ts'
import { createFileSchema } from '../schemas/file-requests.ts'
import { parseRequest } from '../schemas/parse-request.ts'
import type { HttpConfig } from '../services.ts'

/** Far above what the form has. */
const mostFields = 16
const longestField = 1024

const longestName = 255

/**
 * Takes a file from a form, piece by piece; whatever breaks off leaves nothing. The other fields may come before it or after.
 * @throws ServerError for a form that is none, or not as it should be
 */
export async function receiveFile (request: FastifyRequest, files: FileStore, config: Pick<HttpConfig, 'fileMaxSize' | 'fileTtlMs'>): Promise<StoredFile> {
  if (!request.isMultipart()) throw new ServerError('unsupported_media_type', 'A file is sent as multipart/form-data, with the fields "file" and "purpose"')
  const writer = new FileWriter(files, request.requestContext.caller, true)
  const fields: Record<string, unknown> = {}
  let filename: string | null = null
  try {
    for await (const part of partsOf(request, config.fileMaxSize)) {
      if (part.type === 'field') {
        setField(fields, part.fieldname, part.value)
      } else {
        if (part.fieldname !== 'file') throw new ServerError('unknown_parameter', `Unknown parameter: '${part.fieldname.slice(0, 128)}'`, { param: part.fieldname.slice(0, 128) })
        if (filename !== null) throw new ServerError('invalid_value', 'Invalid value for \'file\': expected one file', { param: 'file' })
        filename = nameOf(part)
        await writeFile(part, writer, config.fileMaxSize)
        fields['file'] = filename
      }
    }
    if (filename === null && fields['file'] !== undefined) throw new ServerError('invalid_value', 'Invalid value for \'file\': expected a file with a name', { param: 'file' })
    const { purpose, expires_after: expiry } = parseRequest(createFileSchema, fields)
    const ttlMs = expiry === undefined ? config.fileTtlMs === 'off' ? null : config.fileTtlMs : expiry.seconds * 1000
    return await files.publish(await writer.end(), { purpose, filename: filename ?? '', ttlMs })
  } catch (error) {
    await writer.discard().catch(() => {})
    throw toUploadError(error, config.fileMaxSize)
  }
}

const partsOf = (request: FastifyRequest, fileSize: number) => request.parts({
  limits: { fileSize, files: 2, fields: mostFields, fieldSize: longestField, fieldNameSize: 128, parts: mostFields + 2, headerPairs: 32 }
})

/** `expires_after[seconds]` is a member of `expires_after`. */
function setField (fields: Record<string, unknown>, name: string, value: unknown): void {
  const [, outer, inner] = /^(\w+)\[(\w+)\]$/.exec(name) ?? []
  if (outer !== 'expires_after' || inner === undefined) {
    fields[name] = value
    return
  }
  const members = { ...fields[outer] as object | undefined }
  fields[outer] = { ...members, [inner]: inner === 'seconds' && /^\d{1,9}$/.test(String(value)) ? Number(value) : value }
}

function nameOf ({ filename }: MultipartFile): string {
  if (filename === '' || filename.length > longestName || /\p{Cc}/u.test(filename)) {
    throw new ServerError('invalid_value', `Invalid value for 'file': expected a name of 1 to ${longestName} characters, none of them a control character`, { param: 'file' })
  }
  return filename
}

async function writeFile ({ file }: MultipartFile, writer: FileWriter, maxSize: number): Promise<void> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  const decode = (bytes?: Buffer): string => {
    let text = ''
    try {
      text = bytes === undefined ? decoder.decode() : decoder.decode(bytes, { stream: true })
    } catch {
      throw new ServerError('invalid_value', 'Invalid value for \'file\': it is not a text in UTF-8', { param: 'file' })
    }
    // PostgreSQL has no text with it, and JSON neither.
    if (text.includes('\0')) throw new ServerError('invalid_value', 'Invalid value for \'file\': it has a null character', { param: 'file' })
    return text
  }
  for await (const bytes of file as AsyncIterable<Buffer>) {
    await writer.write(decode(bytes))
  }
  await writer.write(decode())
  if (file.truncated) throw tooLarge(maxSize)
}

const tooLarge = (maxSize: number): ServerError => new ServerError('body_too_large', `The file is larger than the limit of ${maxSize} bytes (--file-max-size)`, { param: 'file' })

/** What the parser of forms throws is about what it was sent, whatever it says. */
function toUploadError (error: unknown, maxSize: number): ServerError {
  if (error instanceof ServerError) return error
  const { code, message } = error as { readonly code?: unknown, readonly message?: unknown }
  if (code === 'FST_REQ_FILE_TOO_LARGE') return tooLarge(maxSize)
  if (code === 'FST_MP_PREMATURE_CLOSE') return new ServerError('request_aborted', 'The client has gone')
  return new ServerError('invalid_value', `The form cannot be read: ${String(message)}`, { cause: error })
}
