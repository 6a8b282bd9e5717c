import { parseArgs } from 'node:util'
import { parseValue } from '../../src/config/value-kind.ts'
import { formatTable } from '../../src/bench/report/table.ts'
import { type Outcome, type Target, tryServer } from './try-server.ts'

/*
 * What hostile clients do, against a server of one's own: npm run try:security -- URL [--api-key KEY]. It ends with 1 when something came of it that
 * should not, or when others were not answered meanwhile.
 */
const usage = `Usage: npm run try:security -- URL [options]

Tries what hostile clients do against a server of your own, and says what came of it. Do not point it at others'.

  --api-key KEY       Key with the scope inference; DRAWBRIDGE_API_KEY is the better place for it
  --model NAME        Model to ask; the first of /v1/models unless given
  --connections N     Connections that idle at a time. Default: 5000
  --slow-for TIME     How long slow clients go on; they are cut off after 60 s and 300 s. Default: 10s
`

/** Null for what the usage explains. @throws Error that says what cannot be */
async function readTarget (argv: readonly string[]): Promise<Target | null> {
  const { values, positionals: [url] } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: { help: { type: 'boolean', short: 'h' }, 'api-key': { type: 'string' }, model: { type: 'string' }, connections: { type: 'string', default: '5000' }, 'slow-for': { type: 'string', default: '10s' } }
  })
  const connections = Number(values.connections)
  const slowMs = parseValue(values['slow-for'], 'duration')
  if (values.help === true || url === undefined || !URL.canParse(url) || !Number.isInteger(connections) || connections < 2 || typeof slowMs !== 'number') return null
  const origin = new URL(url)
  const key = values['api-key'] ?? process.env['DRAWBRIDGE_API_KEY'] ?? ''
  return { origin, keyHeader: key === '' ? 'x-none: 1' : `authorization: Bearer ${key}`, model: values.model ?? await firstModel(origin, key), connections, slowMs }
}

async function firstModel (origin: URL, key: string): Promise<string> {
  const response = await fetch(new URL('/v1/models', origin), { headers: key === '' ? {} : { authorization: `Bearer ${key}` } })
  const { data } = await response.json() as { data?: readonly { readonly id: string }[] }
  const [model] = data ?? []
  if (model === undefined) throw new Error(`${origin.origin} answers ${response.status} and tells no model; is the key right?`)
  return model.id
}

const row = ({ group, name, isHarmless, text, durationMs, healthMs }: Outcome): readonly string[] =>
  [isHarmless ? 'ok' : 'NOT OK', group, name, text, `${Math.round(durationMs)} ms`, `${Math.round(healthMs)} ms`]

const target = await readTarget(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`${(error as Error).message}\n\n`)
  return null
})
if (target === null) {
  process.stderr.write(usage)
  process.exitCode = 2
} else {
  const outcomes: Outcome[] = []
  for await (const outcome of tryServer(target)) {
    outcomes.push(outcome)
    if (!outcome.isHarmless) process.stderr.write(`${row(outcome).join('  ')}\n`)
  }
  process.stdout.write(`${formatTable(['', 'what', 'attempt', 'answer', 'took', '/health took at most'], outcomes.map(row))}\n`)
  process.exitCode = outcomes.every(({ isHarmless }) => isHarmless) ? 0 : 1
}
