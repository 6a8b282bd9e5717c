import { describe, expect, it } from 'vitest'
import { Reload } from '../../../src/cli/reload.ts'
import { type Config, configSchema } from '../../../src/config/config.ts'
import { StartupError } from '../../../src/domain/startup-error.ts'

function setUp (first: Partial<Config> = {}) {
  const live: Config = { ...configSchema.parse({}), ...first }
  const logged: [level: string, details: object, message: string][] = []
  const log = (level: string) => (details: object, message: string): void => { logged.push([level, details, message]) }
  const applied: (readonly string[])[] = []
  let rereads = 0
  const state = {
    next: {} as Partial<Config>,
    warnings: [] as string[],
    load: () => ({ config: { ...live, ...state.next }, origins: new Map<string, string>(), warnings: state.warnings }),
    check: () => {}
  }
  const reload = new Reload({
    load: () => state.load(),
    live,
    check: () => state.check(),
    apply: (_, changed) => { applied.push([...changed]) },
    rereadFiles: () => { rereads++ },
    logger: { info: log('info'), warn: log('warn'), error: log('error') }
  })
  return { live, logged, applied, state, reload, rereads: () => rereads }
}

describe('reading the settings again', () => {
  it('takes over what can change, and names the rest', () => {
    const { live, logged, applied, state, reload, rereads } = setUp({ slots: 4 })
    state.next = { requestTimeoutMs: 5000, apiKeys: ['k-new'], slots: 8, fake: { ...live.fake, stepMs: 1 } }
    state.warnings = ['be careful']
    reload.run()
    expect(live).toMatchObject({ requestTimeoutMs: 5000, apiKeys: ['k-new'], slots: 4, fake: { stepMs: 5 } })
    expect(applied).toEqual([['apiKeys', 'requestTimeoutMs']])
    expect(rereads()).toBe(1)
    expect(logged).toEqual([
      ['warn', {}, 'be careful'],
      ['info', { changed: ['api-key', 'request-timeout'] }, 'settings read again'],
      ['warn', { settings: ['slots', 'fake-step-ms'] }, 'these settings have changed, but need a restart']
    ])
    expect(JSON.stringify(logged)).not.toContain('k-new')
  })

  it('says so when nothing has changed', () => {
    const { logged, applied, reload } = setUp()
    reload.run()
    expect(applied).toEqual([[]])
    expect(logged).toEqual([['info', { changed: [] }, 'settings read again']])
  })

  it.each([
    ['cannot be read', (state: ReturnType<typeof setUp>['state']) => { state.load = () => { throw new StartupError('port is 0x10') } }, { reason: 'port is 0x10' }],
    ['are refused', (state: ReturnType<typeof setUp>['state']) => { state.check = () => { throw new StartupError('no such model') } }, { reason: 'no such model' }],
    ['break something', (state: ReturnType<typeof setUp>['state']) => { state.check = () => { throw new TypeError('x') } }, { err: new TypeError('x') }]
  ])('leaves all as it was when they %s', (_, breakThem, details) => {
    const { live, logged, applied, state, reload } = setUp()
    state.next = { requestTimeoutMs: 5000 }
    breakThem(state)
    reload.run()
    expect(live.requestTimeoutMs).toBe(600_000)
    expect(applied).toEqual([])
    expect(logged).toEqual([['error', details, 'settings cannot be read again']])
  })

  it('does not open the address that it has when keys go and another address comes', () => {
    const { live, logged, state, reload } = setUp({ host: '0.0.0.0', apiKeys: ['k'] })
    state.next = { host: '127.0.0.1', apiKeys: [] }
    reload.run()
    expect(live.apiKeys).toEqual(['k'])
    expect(logged).toMatchObject([['error', { reason: expect.stringContaining('no API key is set') }, 'settings cannot be read again']])
  })
})
