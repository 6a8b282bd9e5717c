import { parseArgs } from 'node:util'
import { parseValue } from '../config/value-kind.ts'
import { didYouMean } from '../config/suggest.ts'
import { limitNames, snakeName } from '../domain/limits.ts'
import { ServerError } from '../domain/errors.ts'
import { StartupError } from '../domain/startup-error.ts'
import { keyTable } from './key-table.ts'
import { doorOptions, type KeysDoor, openKeysDoor } from './keys-door.ts'
import type { CreatedKeyAnswer } from './shown-key.ts'

interface KeysCommand {
  readonly usage: string
  readonly summary: string
  readonly run: (argv: readonly string[], environment: NodeJS.ProcessEnv) => Promise<void>
}

const outputOptions = { ...doorOptions, json: { type: 'boolean' } } as const

/** What of a key can be said at first and changed later. */
const keyOptions = {
  ...outputOptions,
  name: { type: 'string' },
  scope: { type: 'string', multiple: true },
  model: { type: 'string', multiple: true },
  adapter: { type: 'string', multiple: true },
  weight: { type: 'string' },
  limit: { type: 'string', multiple: true }
} as const

const create: KeysCommand = {
  usage: 'OWNER [--name TEXT] [--scope SCOPE]… [--model PATTERN]… [--adapter PATTERN]… [--expires-in TIME]\n         [--weight N] [--priority CLASS] [--highest-priority CLASS] [--names-users] [--limit NAME=VALUE]… [--json]',
  summary: 'Make a key and write it to the output, this once. Scopes are inference (the default), models, adapters, metrics and\n      admin; patterns may have * in them; TIME is such as 12h or 90d; classes are interactive, normal and batch.\n      Limits are as docs/limits.md has them: --limit requests-per-minute=60 --limit tokens-per-day=1000000',
  run: async (argv, environment) => {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        ...keyOptions,
        'expires-in': { type: 'string' },
        priority: { type: 'string' },
        'highest-priority': { type: 'string' },
        'names-users': { type: 'boolean' }
      }
    })
    const owner = only(positionals, 'create', 'an owner')
    const { weight, 'expires-in': expiresIn } = values
    // What is absent has the server's default.
    const wish = {
      owner,
      name: values.name,
      scopes: values.scope,
      models: values.model,
      adapters: values.adapter,
      weight: weight === undefined ? undefined : readNumber('--weight', weight),
      priority: values.priority,
      highest_priority: values['highest-priority'],
      names_users: values['names-users'],
      limits: values.limit === undefined ? undefined : readLimits(values.limit),
      expires_in: expiresIn === undefined ? undefined : readSeconds('--expires-in', expiresIn)
    }
    const present = Object.fromEntries(Object.entries(wish).filter(([, value]) => value !== undefined))
    await withDoor(values, environment, async (door) => showCreated(await door.create(present), door, values.json))
  }
}

const list: KeysCommand = {
  usage: '[--owner OWNER] [--json]',
  summary: 'Show the keys, without their secrets',
  run: async (argv, environment) => {
    const { values, positionals } = parseArgs({ args: [...argv], allowPositionals: true, options: { ...outputOptions, owner: { type: 'string' } } })
    if (positionals[0] !== undefined) throw new StartupError('keys list takes no words (drawbridge keys --help explains)')
    await withDoor(values, environment, async (door) => {
      const keys = await door.list(values.owner)
      process.stdout.write(values.json === true ? `${JSON.stringify(keys, null, 2)}\n` : keyTable(keys))
    })
  }
}

const update: KeysCommand = {
  usage: 'ID [--name TEXT] [--scope SCOPE]… [--model PATTERN]… [--adapter PATTERN]… [--weight N] [--limit NAME=VALUE]… [--json]',
  summary: 'Change a key; what is not named stays. VALUE is a number, off, or default for what keys without their own have',
  run: async (argv, environment) => {
    const { values, positionals } = parseArgs({ args: [...argv], allowPositionals: true, options: keyOptions })
    const id = only(positionals, 'update', 'the id of a key')
    const { weight, limit } = values
    const change = {
      name: values.name,
      scopes: values.scope,
      models: values.model,
      adapters: values.adapter,
      weight: weight === undefined ? undefined : readNumber('--weight', weight),
      limits: limit === undefined ? undefined : readLimits(limit)
    }
    const present = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined))
    await withDoor(values, environment, async (door) => {
      const key = await door.update(id, present)
      process.stdout.write(values.json === true ? `${JSON.stringify(key, null, 2)}\n` : `Changed ${key.id} (${key.prefix}…) of ${key.owner}; its limits: ${limitsText(key.limits)}.\n`)
    })
  }
}

const limit: KeysCommand = {
  usage: 'OWNER [--limit NAME=VALUE]… [--json]',
  summary: 'Set limits that all keys of an owner share, and show all of them',
  run: async (argv, environment) => {
    const { values, positionals } = parseArgs({ args: [...argv], allowPositionals: true, options: { ...outputOptions, limit: { type: 'string', multiple: true } } })
    const owner = only(positionals, 'limit', 'an owner')
    const change = readLimits(values.limit ?? [])
    await withDoor(values, environment, async (door) => {
      const limits = await door.limitOwner(owner, change)
      process.stdout.write(values.json === true ? `${JSON.stringify(limits, null, 2)}\n` : `Limits of all keys of ${owner}: ${limitsText(limits)}.\n`)
    })
  }
}

const rotate: KeysCommand = {
  usage: 'ID [--overlap TIME] [--json]',
  summary: 'Make a key that is as the old one, which goes on working for TIME (not at all without)',
  run: async (argv, environment) => {
    const { values, positionals } = parseArgs({ args: [...argv], allowPositionals: true, options: { ...outputOptions, overlap: { type: 'string' } } })
    const id = only(positionals, 'rotate', 'the id of a key')
    const overlap = values.overlap === undefined ? 0 : readSeconds('--overlap', values.overlap)
    await withDoor(values, environment, async (door) => showCreated(await door.rotate(id, overlap), door, values.json))
  }
}

const revoke: KeysCommand = {
  usage: 'ID [--json]',
  summary: 'End a key. Running servers refuse it within five seconds, and at once with --url',
  run: async (argv, environment) => {
    const { values, positionals } = parseArgs({ args: [...argv], allowPositionals: true, options: outputOptions })
    const id = only(positionals, 'revoke', 'the id of a key')
    await withDoor(values, environment, async (door) => {
      const key = await door.revoke(id)
      process.stdout.write(values.json === true ? `${JSON.stringify(key, null, 2)}\n` : `Revoked ${key.id} (${key.prefix}…) of ${key.owner}.\n`)
    })
  }
}

const commands: Readonly<Record<string, KeysCommand>> = { create, list, update, limit, rotate, revoke }

/**
 * Runs `drawbridge keys`.
 * @returns the exit code.
 * @throws StartupError for wrong words, and what the keys' place refuses.
 */
export async function keysCommand ([name, ...rest]: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  if (name === undefined || name === 'help' || name === '--help' || name === '-h' || rest.includes('--help') || rest.includes('-h')) {
    process.stdout.write(help())
    return 0
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (command === undefined) throw new StartupError(`There is no command "keys ${name}"${didYouMean(name, Object.keys(commands))} (drawbridge keys --help explains)`)
  try {
    await command.run(rest, environment)
    return 0
  } catch (error) {
    if (error instanceof ServerError) throw new StartupError(error.message, { cause: error })
    if ((error as Partial<NodeJS.ErrnoException>).code?.startsWith('ERR_PARSE_ARGS') === true) {
      throw new StartupError(`${(error as Error).message} (drawbridge keys --help explains)`, { cause: error })
    }
    throw error
  }
}

async function withDoor (options: Parameters<typeof openKeysDoor>[0], environment: NodeJS.ProcessEnv, work: (door: KeysDoor) => Promise<void>): Promise<void> {
  const door = await openKeysDoor(options, environment)
  try {
    await work(door)
  } finally {
    await door.close()
  }
}

/** The key alone goes to the output, so that a script can take it from there. */
function showCreated ({ key, ...facts }: CreatedKeyAnswer, { place }: KeysDoor, isJson: boolean | undefined): void {
  if (isJson === true) {
    process.stdout.write(`${JSON.stringify({ ...facts, key }, null, 2)}\n`)
    return
  }
  process.stdout.write(`${key}\n`)
  process.stderr.write(`${facts.id} of ${facts.owner}, for ${facts.scopes.join(', ')}; kept in ${place} without its secret, which is shown only now.\n`)
}

function only ([word, more]: readonly string[], command: string, what: string): string {
  if (word === undefined || more !== undefined) throw new StartupError(`keys ${command} takes ${what} (drawbridge keys --help explains)`)
  return word
}

/** `requests-per-minute=60`, as the API has them. */
function readLimits (texts: readonly string[]): Readonly<Record<string, number | 'off' | null>> {
  return Object.fromEntries(texts.map((text) => {
    const [, name = '', value = ''] = /^([a-z_-]+)=(.+)$/.exec(text) ?? []
    const known = limitNames.map(snakeName)
    const snake = name.replaceAll('-', '_')
    if (!known.includes(snake)) {
      throw new StartupError(`--limit is "${text}", but must be NAME=VALUE with one of the names ${known.map((other) => other.replaceAll('_', '-')).join(', ')}`)
    }
    return [snake, value === 'off' ? 'off' : value === 'default' ? null : readNumber(`--limit ${name}`, value)]
  }))
}

const limitsText = (limits: Readonly<Record<string, number | string>>): string =>
  Object.entries(limits).map(([name, value]) => `${name.replaceAll('_', '-')}=${value}`).join(', ') || 'none'

function readNumber (flag: string, text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value)) throw new StartupError(`${flag} is "${text}", but must be a number`)
  return value
}

function readSeconds (flag: string, text: string): number {
  const value = parseValue(text, 'duration')
  if (typeof value !== 'number' || value < 1000) throw new StartupError(`${flag} is "${text}", but must be a time of at least 1s, such as 12h or 90d`)
  return Math.floor(value / 1000)
}

const help = (): string => `Usage: drawbridge keys COMMAND

API keys: who may use the server, for what, and for how long. docs/keys.md says more.

${Object.entries(commands).map(([name, { usage, summary }]) => `  ${name} ${usage}\n      ${summary}`).join('\n')}

Where the keys are
  --url URL [--api-key KEY]
      At a running server. KEY has the scope admin; DRAWBRIDGE_ADMIN_KEY is the better place for it.
  --data-dir DIR, --database-url URL, --config FILE [--audit-log FILE]
      In the database that a server with these settings uses. No key is needed: whoever may write there is an admin. What is done is in
      the audit log of these settings, if they have one. Without any of them, and without variables of the environment, it is the one
      in the data folder of this user.
`
