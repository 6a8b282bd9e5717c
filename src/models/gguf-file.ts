import type { GGUFParseOutput, MetadataValue } from '@huggingface/gguf'
import { constants, open } from 'node:fs/promises'
import { gguf } from '@huggingface/gguf'
import { StartupError } from '../domain/startup-error.ts'
import { byteText } from './byte-text.ts'
import { fileErrorText } from '../domain/file-error-text.ts'
import { tensorSizeBytes } from './tensor-size.ts'

export interface GgufTensor {
  readonly name: string
  readonly elementCount: number
  /** Number of the type in ggml. */
  readonly type: number
  /** Null for types that are newer than this program. */
  readonly sizeBytes: number | null
}

/** What the header of a GGUF file says, with its tensors checked against the file's size. */
export interface GgufFile {
  readonly path: string
  readonly sizeBytes: number
  readonly metadata: ReadonlyMap<string, MetadataValue>
  readonly tensors: readonly GgufTensor[]
}

/** Versions of GGUF that llama.cpp reads. */
const supportedVersions = [2, 3]
const wholeHeaderBytes = 24

/**
 * Reads the header of a GGUF file in JavaScript, so that a wrong file is refused with a sentence before any native code
 * sees it.
 * @param label what the file is to the reader of an error, for example `The model file`.
 * @throws StartupError when the file is missing, a folder, not GGUF, of another version, damaged or truncated.
 */
export async function readGgufFile (path: string, label = 'The model file'): Promise<GgufFile> {
  const { head, sizeBytes } = await readHead(path, label)
  checkHead(head, sizeBytes, `${label} ${path}`)

  let parsed: GGUFParseOutput<{ strict: false }>
  try {
    parsed = await gguf(path, { allowLocalFile: true })
  } catch (error) {
    throw new StartupError(`${label} ${path} is damaged or truncated: its header cannot be read (${(error as Error).message})`, { cause: error })
  }

  // Past the end of a truncated file the parser sees zeros, which make a valid but wrong header.
  const headerEnd = parsed.tensorInfoByteRange[1]
  if (headerEnd > sizeBytes) throw truncated(`${label} ${path}`, sizeBytes, null)
  const dataOffset = Number(parsed.tensorDataOffset)
  let end = 0
  const tensors = parsed.tensorInfos.map(({ name, shape, dtype, offset }) => {
    const elementCount = shape.reduce((product, length) => product * Number(length), 1)
    const size = tensorSizeBytes(dtype, elementCount)
    end = Math.max(end, dataOffset + Number(offset) + (size ?? 1))
    return { name, elementCount, type: Number(dtype), sizeBytes: size }
  })
  if (end > sizeBytes) throw truncated(`${label} ${path}`, sizeBytes, end)
  return { path, sizeBytes, metadata: new Map(Object.entries(parsed.metadata)), tensors }
}

async function readHead (path: string, label: string): Promise<{ readonly head: Buffer, readonly sizeBytes: number }> {
  try {
    // Not to wait for a writer, should it be a named pipe.
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const stats = await file.stat()
    if (stats.isDirectory()) throw new StartupError(`${label} ${path} is a folder, not a file`)
    if (!stats.isFile()) throw new StartupError(`${label} ${path} is not a regular file`)
    const head = Buffer.alloc(256)
    const { bytesRead } = await file.read(head, 0, head.length, 0)
    return { head: head.subarray(0, bytesRead), sizeBytes: stats.size }
  } catch (error) {
    if (error instanceof StartupError) throw error
    throw new StartupError(`${label} ${path} cannot be read: ${fileErrorText(error)}`, { cause: error })
  }
}

function checkHead (head: Buffer, sizeBytes: number, subject: string): void {
  if (sizeBytes === 0) throw new StartupError(`${subject} is empty`)
  if (head.toString('latin1', 0, 4) !== 'GGUF') throw new StartupError(`${subject} is not a GGUF file${guess(head)}`)
  if (sizeBytes < wholeHeaderBytes) throw truncated(subject, sizeBytes, null)
  const version = head.readUInt32LE(4)
  // A small number read with the wrong byte order has nothing in its low half.
  if (version !== 0 && (version & 0xFFFF) === 0) throw new StartupError(`${subject} is a big-endian GGUF file, which this machine cannot use`)
  if (!supportedVersions.includes(version)) {
    throw new StartupError(`${subject} has version ${version} of the GGUF format, but only versions 2 and 3 can be read; ` +
      (version < 2 ? 'convert the model again' : 'a newer Drawbridge may read it'))
  }
}

function truncated (subject: string, sizeBytes: number, wantedBytes: number | null): StartupError {
  const wanted = wantedBytes === null ? 'it ends within its header' : `its tensors need ${byteText(wantedBytes)}, ${wantedBytes - sizeBytes} bytes more`
  return new StartupError(`${subject} is truncated at ${byteText(sizeBytes)}: ${wanted}; copy or download it again`)
}

/** What a file that is not GGUF most likely is. */
function guess (head: Buffer): string {
  const text = head.toString('latin1')
  if (text.startsWith('version https://git-lfs')) return ', but a pointer of Git LFS; run "git lfs pull" to get the file itself'
  if (/^\s*<(!doctype|html)/i.test(text)) return ', but a web page; the download brought an error or a login page'
  if (text.startsWith('PK\u0003\u0004')) return ', but a zip archive or a PyTorch checkpoint; convert it with convert_hf_to_gguf.py of llama.cpp'
  if (/^.{8}\{/s.test(text)) return ', but safetensors; convert the model with convert_hf_to_gguf.py of llama.cpp'
  if (/^(lmgg|fmgg|tjgg|algg)/.test(text)) return ', but one of its predecessors (GGML); convert the model again'
  if (head.subarray(0, 4).equals(Buffer.from([0x1F, 0x8B, 0x08, 0x00]))) return ', but compressed with gzip; unpack it first'
  return ': it does not begin with "GGUF"'
}
