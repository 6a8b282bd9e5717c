import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { z } from 'zod'
import { ServerError } from '../../domain/errors.ts'
import { type DownloadOptions, downloadFile, downloadJson } from './download.ts'

export interface HuggingFaceOptions extends DownloadOptions {
  /** `https://huggingface.co`, or a mirror of it. */
  readonly endpoint: URL
  readonly folder: string
}

const referencePattern = /^hf:(?<repository>[\w.-]+\/[\w.-]+)(?:\/(?<file>[^@]+))?(?:@(?<revision>[\w./-]+))?$/
const repositorySchema = z.object({ siblings: z.array(z.object({ rfilename: z.string().max(1024) })).max(100_000) })
const peftFiles = ['adapter_config.json', 'adapter_model.safetensors'] as const

/**
 * Downloads `hf:OWNER/REPOSITORY[/FILE][@REVISION]`: the file, else the only GGUF file of the repository, else its PEFT adapter.
 * @returns the file, or the folder of a PEFT adapter.
 * @throws ServerError `invalid_value`, `adapter_not_found`, `invalid_adapter`
 */
export async function downloadFromHuggingFace (reference: string, options: HuggingFaceOptions): Promise<string> {
  const groups = referencePattern.exec(reference)?.groups
  const { repository, file, revision = 'main' } = groups ?? {}
  const hasDots = [...(file ?? '').split('/'), ...(repository ?? '').split('/'), ...revision.split('/')].some((part) => part === '.' || part === '..')
  if (repository === undefined || hasDots) {
    throw new ServerError('invalid_value', `"${reference}" is no adapter of Hugging Face; it must be hf:OWNER/REPOSITORY, with /FILE and @REVISION where they are needed`)
  }
  const urlOf = (name: string): URL => below(options.endpoint, `${repository}/resolve/${revision.replaceAll('/', '%2F')}/${name.split('/').map(encodeURIComponent).join('/')}`)
  const save = async (name: string, into: string): Promise<void> => await downloadFile(urlOf(name), into, options)

  const names = file === undefined ? await namesOf(repository, revision, options) : [file]
  const ggufs = names.filter((name) => name.toLowerCase().endsWith('.gguf'))
  const [gguf] = ggufs
  if (ggufs.length > 1) {
    throw new ServerError('invalid_value', `${reference} has several GGUF files; name one of them: ${ggufs.slice(0, 8).map((name) => `hf:${repository}/${name}`).join(', ')}`)
  }
  if (gguf !== undefined) {
    const target = path.join(options.folder, 'adapter.gguf')
    await save(gguf, target)
    return target
  }
  if (!peftFiles.every((name) => names.includes(name))) {
    throw new ServerError('adapter_not_found', `${reference} has neither a GGUF file nor ${peftFiles.join(' and ')}`)
  }
  const folder = path.join(options.folder, 'peft')
  await mkdir(folder)
  for (const name of peftFiles) await save(name, path.join(folder, name))
  return folder
}

async function namesOf (repository: string, revision: string, options: HuggingFaceOptions): Promise<readonly string[]> {
  const document = await downloadJson(below(options.endpoint, `api/models/${repository}/revision/${revision.replaceAll('/', '%2F')}`), options)
  const parsed = repositorySchema.safeParse(document)
  if (!parsed.success) throw new ServerError('invalid_adapter', `What ${options.endpoint.host} says of ${repository} is no list of files`)
  return parsed.data.siblings.map(({ rfilename }) => rfilename)
}

const below = (endpoint: URL, rest: string): URL => new URL(`${endpoint.href.replace(/\/$/, '')}/${rest}`)
