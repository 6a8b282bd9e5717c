import { userInfo } from 'node:os'
import { z } from 'zod'
import { KeyStore } from '../access/keys/key-store.ts'
import { OwnerLimits } from '../access/limits/owner-limits.ts'
import { openDatabase } from '../access/storage/open-database.ts'
import { loadConfig } from '../config/load-config.ts'
import { readFlags } from '../config/read-flags.ts'
import { StartupError } from '../domain/startup-error.ts'
import { toKeyObject } from '../http/key-object.ts'
import { ownerLimitsSchema, ownerPathSchema, readKeyChange, readNewKey } from '../http/schemas/key-requests.ts'
import { toApiLimits, toChange } from '../http/schemas/limits.ts'
import { parseRequest } from '../http/schemas/parse-request.ts'
import { LineFile } from '../telemetry/line-file.ts'
import { auditedDoor } from './audited-door.ts'
import { createServerClient, readAnswer } from './server-client.ts'
import { createdKeySchema, shownKeySchema, type CreatedKeyAnswer, type ShownKey } from './shown-key.ts'

/** Options that say where the keys are: at a running server, or in a database. */
export const doorOptions = {
  url: { type: 'string' },
  'api-key': { type: 'string' },
  'data-dir': { type: 'string' },
  'database-url': { type: 'string' },
  'audit-log': { type: 'string' },
  config: { type: 'string' }
} as const

const auditLogCloseMs = 5000

type DoorOptions = { readonly [Name in keyof typeof doorOptions]?: string | undefined }

/** The way to the keys, in the words of the admin API. */
export interface KeysDoor {
  /** Where the keys are, for people. */
  readonly place: string
  create (wish: object): Promise<CreatedKeyAnswer>
  list (owner: string | undefined): Promise<readonly ShownKey[]>
  update (id: string, change: object): Promise<ShownKey>
  /** @returns all limits of the owner */
  limitOwner (owner: string, change: object): Promise<ShownKey['limits']>
  rotate (id: string, overlapSeconds: number): Promise<CreatedKeyAnswer>
  revoke (id: string): Promise<ShownKey>
  close (): Promise<void>
}

/**
 * With `--url` the keys of a running server, by its admin API; else those in the database that a server with the same settings would use. A
 * server that has it open sees what was done there within seconds.
 * @throws StartupError
 */
export async function openKeysDoor (options: DoorOptions, environment: NodeJS.ProcessEnv): Promise<KeysDoor> {
  const { url, 'api-key': apiKey } = options
  const flags = (['config', 'data-dir', 'database-url', 'audit-log'] as const).flatMap((flag) => options[flag] === undefined ? [] : [`--${flag}`, options[flag]])
  if (url !== undefined) {
    if (flags[0] !== undefined) throw new StartupError(`--url and ${flags[0]} are two places; give one of them`)
    return openServer({ url, 'api-key': apiKey }, environment)
  }
  if (apiKey !== undefined) throw new StartupError('--api-key is for --url; the database needs no key')
  return await openLocal(flags, environment)
}

const pageSchema = z.object({ data: z.array(shownKeySchema), has_more: z.boolean() })
const ownerSchema = z.object({ limits: shownKeySchema.shape.limits })

function openServer (options: Parameters<typeof createServerClient>[0], environment: NodeJS.ProcessEnv): KeysDoor {
  const client = createServerClient(options, environment)
  const pathOf = (id: string): string => `/v1/admin/keys/${encodeURIComponent(id)}`
  return {
    place: options.url,
    create: async (wish) => readAnswer(createdKeySchema, await client.request('POST', '/v1/admin/keys', wish)),
    list: async (owner) => {
      const keys: ShownKey[] = []
      for (;;) {
        const query = new URLSearchParams({ limit: '1000', ...owner === undefined ? {} : { owner }, ...keys.length === 0 ? {} : { after: keys.at(-1)!.id } })
        const page = readAnswer(pageSchema, await client.request('GET', `/v1/admin/keys?${query.toString()}`))
        keys.push(...page.data)
        if (!page.has_more) return keys
      }
    },
    update: async (id, change) => readAnswer(shownKeySchema, await client.request('POST', pathOf(id), change)),
    limitOwner: async (owner, limits) => readAnswer(ownerSchema, await client.request('POST', `/v1/admin/owners/${encodeURIComponent(owner)}/limits`, { limits })).limits,
    rotate: async (id, overlap) => readAnswer(createdKeySchema, await client.request('POST', `${pathOf(id)}/rotate`, { overlap })),
    revoke: async (id) => readAnswer(shownKeySchema, await client.request('DELETE', pathOf(id))),
    close: async () => {}
  }
}

async function openLocal (flags: readonly string[], environment: NodeJS.ProcessEnv): Promise<KeysDoor> {
  const { config, origins } = loadConfig(readFlags(flags).settings, environment)
  const sourceOf = (flag: string): string => origins.get(flag) ?? `--${flag}`
  // Before anything is done that it has to tell of.
  const auditLog = await openAuditLog(config.auditLog, sourceOf('audit-log'))
  const database = await openDatabase({ config, logger: { warn: () => {} }, sourceOf, environment })
  if (database === null) throw new StartupError('There is no database of keys: give --data-dir DIR or --database-url URL, or --url URL of a running server')
  const store = new KeyStore(database)
  const door: KeysDoor = {
    place: database.name,
    create: async (wish) => {
      const { secret, key } = await store.create(readNewKey(wish, Date.now()))
      return { ...toKeyObject(key, Date.now()), key: secret }
    },
    list: async (owner) => (await store.list(owner)).map((key) => toKeyObject(key, Date.now())),
    update: async (id, change) => toKeyObject(await store.update(id, readKeyChange(change)), Date.now()),
    limitOwner: async (owner, limits) => {
      const change = parseRequest(ownerLimitsSchema, { limits })
      return toApiLimits(await new OwnerLimits(database).change(parseRequest(ownerPathSchema, { owner }).owner, toChange(change.limits)))
    },
    rotate: async (id, overlapSeconds) => {
      const { secret, key } = await store.rotate(id, overlapSeconds * 1000)
      return { ...toKeyObject(key, Date.now()), key: secret }
    },
    revoke: async (id) => toKeyObject(await store.revoke(id), Date.now()),
    close: async () => {
      await auditLog?.close(auditLogCloseMs)
      await database.close()
    }
  }
  return auditLog === null ? door : auditedDoor(door, auditLog, userInfo().username)
}

/** Every line of a command is in the file when it ends, or it says so. */
async function openAuditLog (path: string, source: string): Promise<LineFile | null> {
  if (path === 'off') return null
  const tell = (details: object, message: string): void => { process.stderr.write(`drawbridge: ${message}: ${JSON.stringify(details)}\n`) }
  const file = new LineFile({ path, isDurable: true, maxWaitingBytes: 1024 * 1024, logger: { info: () => {}, error: tell } })
  await file.check(source)
  return file
}
