import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { helpText } from '../../../src/cli/help.ts'
import { configSchema } from '../../../src/config/config.ts'
import { configurationPage } from '../../../src/config/configuration-page.ts'
import { loadConfig } from '../../../src/config/load-config.ts'
import { parseConfigFile } from '../../../src/config/read-config-file.ts'
import { readFlags } from '../../../src/config/read-flags.ts'
import { shortOptionTable } from '../../../src/config/option-text.ts'
import { defaultText, schemaOf } from '../../../src/config/option-schema.ts'
import { options, variableName } from '../../../src/config/options.ts'
import { printConfig } from '../../../src/config/print-config.ts'

const root = new URL('../../../', import.meta.url)

describe('the list of options', () => {
  it('fills every field of the config exactly once', () => {
    const filled = options.flatMap(({ target }) => {
      if (target.type === 'config') return [target.path.join('.')]
      if (target.type === 'models') return ['models']
      if (target.type === 'tenants') return ['tenants']
      if (target.type === 'adapters') return ['adapters']
      if (target.type === 'admin-keys') return ['adminKeys']
      return target.type === 'api-keys' ? ['apiKeys'] : []
    })
    const fields = Object.keys(configSchema.shape).flatMap((field) =>
      field === 'fake' ? Object.keys(configSchema.parse({}).fake).map((member) => `fake.${member}`) : [field])
    expect(filled.sort()).toEqual(fields.sort())
  })

  it('has no spelling twice', () => {
    for (const spelling of [
      options.map(({ flag }) => flag),
      options.map(variableName),
      options.flatMap(({ fileKey }) => fileKey ?? []),
      options.flatMap(({ short }) => short ?? [])
    ]) expect(new Set(spelling).size).toBe(spelling.length)
  })

  it('writes each default in a form that is read back as the default', () => {
    for (const option of options) {
      const text = defaultText(option)
      if (text === null || option.kind === 'switch' || option.target.type !== 'config') continue
      const [field, member] = option.target.path
      const { config } = loadConfig(readFlags([`--${option.flag}`, text]).settings, {})
      const value = config[field as keyof typeof config]
      const filled = member === undefined ? value : (value as unknown as Record<string, unknown>)[member]
      expect({ [option.flag]: filled }).toEqual({ [option.flag]: schemaOf(option)?.parse(undefined) })
    }
  })
})

describe('texts made from it', () => {
  it('help names every flag and stays within 110 columns', () => {
    const text = helpText('1.2.3')
    for (const { flag, hasFlag } of options) expect(text.includes(`--${flag}`)).toBe(hasFlag)
    expect(text).toContain('Drawbridge 1.2.3')
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(110)
  })

  it('docs/configuration.md is what the options say', async () => {
    await expect(configurationPage()).toMatchFileSnapshot('../../../docs/configuration.md')
  })

  it('the file shown in docs/configuration.md is valid', () => {
    const [, example = ''] = /```yaml\n([^`]*)```/.exec(configurationPage()) ?? []
    expect([...parseConfigFile(example, '/etc/drawbridge.yaml').keys()]).toContain('api-key-file')
  })

  it("the README's table is what the options say", () => {
    expect(readFileSync(new URL('README.md', root), 'utf8')).toContain(shortOptionTable())
  })
})

describe('--print-config', () => {
  it('hides keys, says where settings come from, and can be read back', () => {
    const flags = ['--api-key', 'hunter2', '--port', '9000', '--model', 'a.gguf', '--alias', 'a', '--queue-timeout', '5000', '--database-url', 'postgres://a:hunter2@db/x']
    const loaded = loadConfig(readFlags(flags).settings, { DRAWBRIDGE_SLOTS: '4' })
    const text = printConfig(loaded)
    expect(text).not.toContain('hunter2')
    expect(text).toContain('# apiKeys: 1 hidden, from --api-key\n')
    expect(text).toContain('# databaseUrl: hidden, from --database-url\n')
    expect(text).toContain('port: 9000  # --port\n')
    expect(text).toContain('slots: 4  # DRAWBRIDGE_SLOTS\n')
    expect(text).toContain('queueTimeout: 5s  # --queue-timeout\n')
    expect(text).toContain('stepTokens: 512  # default\n')
    expect(parse(text)).toMatchObject({ models: [{ ref: 'a.gguf', alias: 'a' }] })

    const again = loadConfig(parseConfigFile(text, '/x.yaml'), {})
    expect(again.config).toEqual({ ...loaded.config, apiKeys: [], databaseUrl: 'off', models: [{ ref: '/a.gguf', alias: 'a', draftModel: null }] })
  })
})
