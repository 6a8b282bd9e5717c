import { X509Certificate } from 'node:crypto'
import { statSync } from 'node:fs'
import { userInfo } from 'node:os'
import { checkReach } from '../config/check-config.ts'
import type { Config } from '../config/config.ts'
import type { LoadedConfig } from '../config/load-config.ts'
import { StartupError } from '../domain/startup-error.ts'
import { byteText } from '../models/byte-text.ts'
import { inspectMachine } from '../models/machine.ts'
import { prepareModels } from '../models/prepare-models.ts'
import { alignedLines } from './aligned-lines.ts'
import { checkCertificate } from './checks/check-certificate.ts'
import { checkDatabase } from './checks/check-database.ts'
import { checkPort } from './checks/check-port.ts'
import { checkWritable } from './checks/check-writable.ts'
import type { Finding } from './checks/finding.ts'
import { openTlsFiles } from './tls-files.ts'

type SourceOf = (flag: string) => string

/**
 * Runs `drawbridge check`: says what a server with these settings would find, without starting or changing anything.
 * @returns the exit code: 1 where it could not start, or nobody could use it
 */
export async function checkCommand ({ config, origins, warnings }: LoadedConfig, environment: NodeJS.ProcessEnv): Promise<number> {
  const sourceOf: SourceOf = (flag) => origins.get(flag) ?? `--${flag}`
  const database = await checkDatabase(config, environment)
  const findings: readonly Finding[] = [
    ...warnings.map((text): Finding => ({ about: 'settings', state: 'warning', text })),
    database.finding,
    checkKeys(config, database.keyCount, sourceOf),
    ...checkTls(config, sourceOf),
    await checkPort({ host: config.host, port: config.port, isTls: config.tlsCert !== 'off', sourceOf }),
    ...await checkModels(config, sourceOf),
    ...(['adapterDir', 'auditLog', 'logPrompts'] as const).flatMap((field) => config[field] === 'off' ? [] : [checkWritable(namesOfPlaces[field], config[field])])
  ]
  process.stdout.write(`${alignedLines(findings.map(({ about, state, text }) => [state, about, text])).join('\n')}\n`)
  const problems = findings.filter(({ state }) => state === 'problem').length
  process.stdout.write(`\n${problems === 0 ? 'The server can start' : problems === 1 ? 'There is a problem' : `There are ${problems} problems`}, as far as the user ${userInfo().username} can tell.\n`)
  return problems === 0 ? 0 : 1
}

const namesOfPlaces = { adapterDir: 'adapter folder', auditLog: 'audit log', logPrompts: 'prompt log' } as const

function checkKeys (config: Config, storedKeyCount: number, sourceOf: SourceOf): Finding {
  const about = 'keys'
  try {
    checkReach(config, storedKeyCount > 0, sourceOf)
  } catch (error) {
    return { about, state: 'problem', text: (error as Error).message }
  }
  const count = config.apiKeys.length + config.adminKeys.length + config.tenants.reduce((sum, { keys }) => sum + keys.length, storedKeyCount)
  const text = count === 0 ? `Everybody who reaches ${config.host} may use it without a key` : count === 1 ? 'There is 1 key' : `There are ${count} keys`
  return { about, state: count === 0 && config.insecureNoAuth ? 'warning' : 'ok', text }
}

function checkTls (config: Config, sourceOf: SourceOf): readonly Finding[] {
  try {
    const files = openTlsFiles(config, { sourceOf, logger: { info: () => {}, warn: () => {} } })
    return files === null ? [] : [checkCertificate(new X509Certificate(files.pair.cert), statSync(config.tlsKey).mode, Date.now())]
  } catch (error) {
    return [problem('certificate', error)]
  }
}

async function checkModels (config: Config, sourceOf: SourceOf): Promise<readonly Finding[]> {
  try {
    const machine = await inspectMachine({ withGpu: config.gpu === 'auto' || config.gpu === 'cuda' })
    const models = await prepareModels(config, machine, sourceOf)
    return models.map(({ id, root, capacity: { laneCount, slotsPerLane, contextSize, estimate } }) => ({
      about: 'model',
      state: 'ok',
      text: `${id} (${root}): ${laneCount * slotsPerLane} slots of ${contextSize} tokens${estimate === null ? '' : `, about ${byteText(estimate.totalBytes)} of memory`}`
    }))
  } catch (error) {
    return [problem('model', error)]
  }
}

function problem (about: string, error: unknown): Finding {
  if (!(error instanceof StartupError)) throw error
  return { about, state: 'problem', text: error.message }
}
