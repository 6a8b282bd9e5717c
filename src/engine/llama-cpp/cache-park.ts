import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ServerError } from '../../domain/errors.ts'
import type { ParkId } from '../../domain/ids.ts'
import type { NativeContext } from './native.ts'

/**
 * Caches of slots in files, for all lanes of an engine: what one lane saved, another can load. The folder is the engine's own, readable
 * by nobody else (a cache is what users wrote), and goes with it.
 */
export class CachePark {
  readonly #directory: string | null
  /** Made for the first save. */
  #folder: Promise<string> | null = null
  readonly #tokens = new Map<ParkId, number>()

  /** @param directory of this engine alone; null is a new one in the system's folder for temporary files. */
  constructor (directory: string | null) {
    this.#directory = directory
  }

  /**
   * Saves a sequence that holds so many tokens.
   * @returns bytes written
   */
  async save (id: ParkId, context: NativeContext, sequence: number, tokens: number): Promise<number> {
    const path = await this.#pathOf(id)
    try {
      const bytes = await context.saveSequenceStateToFile(path, sequence, Uint32Array.of(tokens))
      this.#tokens.set(id, tokens)
      return bytes
    } catch (error) {
      await rm(path, { force: true })
      throw error
    }
  }

  /**
   * Replaces what a sequence holds.
   * @returns tokens that it holds now
   * @throws when that is lost; what the sequence holds is then unknown
   */
  async load (id: ParkId, context: NativeContext, sequence: number): Promise<number> {
    const tokens = this.#tokens.get(id)
    if (tokens === undefined) throw new ServerError('engine_error', `There is no saved cache ${id}`)
    const [note] = await context.loadSequenceStateFromFile(await this.#pathOf(id), sequence, 1)
    if (note !== tokens) throw new ServerError('engine_error', `The file of saved cache ${id} holds something else`)
    return tokens
  }

  /** What cannot be deleted now goes with the folder. */
  async drop (ids: readonly ParkId[]): Promise<void> {
    for (const id of ids) if (this.#tokens.delete(id)) await rm(await this.#pathOf(id), { force: true }).catch(() => {})
  }

  async dispose (): Promise<void> {
    const folder = await this.#folder?.catch(() => null)
    if (folder !== null && folder !== undefined) await rm(folder, { recursive: true, force: true })
  }

  async #pathOf (id: ParkId): Promise<string> {
    this.#folder ??= this.#directory === null ? mkdtemp(join(tmpdir(), 'drawbridge-caches-')) : makeEmpty(this.#directory)
    try {
      return join(await this.#folder, `${id}.kv`)
    } catch (error) {
      this.#folder = null
      throw error
    }
  }
}

/**
 * An engine process that was killed leaves its files to the next one. The parent may be a folder that all users write to, so what
 * somebody puts in the place meanwhile is not taken for ours.
 */
async function makeEmpty (directory: string): Promise<string> {
  await rm(directory, { recursive: true, force: true })
  await mkdir(directory, { mode: 0o700 })
  return directory
}
