import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { StartupError } from '../../../src/domain/startup-error.ts'
import { checkReach } from '../../../src/config/check-config.ts'
import { loadConfig } from '../../../src/config/load-config.ts'
import { printConfig } from '../../../src/config/print-config.ts'
import { readFlags } from '../../../src/config/read-flags.ts'

let directory = ''
beforeAll(() => { directory = mkdtempSync(path.join(tmpdir(), 'drawbridge-config-')) })
afterAll(() => { rmSync(directory, { recursive: true }) })

function load (argv: readonly string[], environment: Record<string, string> = {}) {
  return loadConfig(readFlags(argv).settings, environment)
}

function fileOf (name: string, text: string, mode = 0o600): string {
  const file = path.join(directory, name)
  writeFileSync(file, text)
  chmodSync(file, mode)
  return file
}

function refusal (argv: readonly string[], environment: Record<string, string> = {}): string {
  try {
    load(argv, environment)
  } catch (error) {
    expect(error).toBeInstanceOf(StartupError)
    return (error as StartupError).message
  }
  throw new Error(`${argv.join(' ')} was accepted`)
}

describe('precedence', () => {
  it('has a default for everything', () => {
    const { config, origins, warnings } = load([])
    expect(config).toMatchObject({
      host: '127.0.0.1',
      port: 8080,
      models: [{ ref: 'demo', alias: null }],
      slots: 'auto',
      contextSize: 'auto',
      stepTokens: 512,
      maxQueue: 256,
      queueTimeoutMs: 60_000,
      requestTimeoutMs: 600_000,
      apiKeys: [],
      tenants: [],
      fake: { stepMs: 5, decodeTokenMs: 0.5, prefillTokenMs: 0.05 }
    })
    expect(origins.size).toBe(0)
    expect(warnings).toEqual([])
    expect(Object.isFrozen(config)).toBe(true)
  })

  it('takes the flag before the environment, and the environment before the file', () => {
    const file = fileOf('precedence.yaml', 'port: 1\nslots: 2\nmaxQueue: 3\n')
    const environment = { DRAWBRIDGE_CONFIG: file, DRAWBRIDGE_PORT: '11', DRAWBRIDGE_SLOTS: '12' }
    const { config, origins } = load(['--port', '111'], environment)
    expect(config).toMatchObject({ port: 111, slots: 12, maxQueue: 3 })
    expect(Object.fromEntries(origins)).toEqual({
      config: 'DRAWBRIDGE_CONFIG',
      port: '--port',
      slots: 'DRAWBRIDGE_SLOTS',
      'max-queue': `maxQueue in ${file}`
    })
  })

  it('replaces lists as a whole', () => {
    const file = fileOf('lists.yaml', 'models: [a.gguf, b.gguf]\ncorsOrigins: ["https://a.example"]\n')
    const { config } = load(['--config', file, '--model', 'c.gguf'], { DRAWBRIDGE_CORS_ORIGIN: 'https://b.example, https://c.example' })
    expect(config.models).toEqual([{ ref: 'c.gguf', alias: null, draftModel: null }])
    expect(config.corsOrigins).toEqual(['https://b.example', 'https://c.example'])
  })

  it('treats an empty variable as absent', () => {
    expect(load([], { DRAWBRIDGE_PORT: '', DRAWBRIDGE_MODEL: ' ' }).config).toMatchObject({ port: 8080, models: [{ ref: 'demo' }] })
  })
})

describe('values', () => {
  it('reads times and sizes with and without units', () => {
    const { config } = load(['--queue-timeout', '1500', '--request-timeout=2m', '--keep-alive', '1.5s', '--response-ttl', '2d', '--body-limit', '64KiB'])
    expect(config.responseTtlMs).toBe(2 * 24 * 60 * 60 * 1000)
    expect(config).toMatchObject({ queueTimeoutMs: 1500, requestTimeoutMs: 120_000, keepAliveMs: 1500, bodyLimit: 65_536 })
  })

  it('reads switches, short flags and physics', () => {
    const { config } = load(['-m', 'fake', '--insecure-no-auth', '--fake-decode-token-ms', '0.25'])
    expect(config).toMatchObject({ insecureNoAuth: true, models: [{ ref: 'fake' }], fake: { decodeTokenMs: 0.25, stepMs: 5 } })
    expect(load(['--insecure-no-auth=false'], { DRAWBRIDGE_INSECURE_NO_AUTH: '1' }).config.insecureNoAuth).toBe(false)
    expect(load([], { DRAWBRIDGE_INSECURE_NO_AUTH: 'yes' }).config.insecureNoAuth).toBe(true)
  })

  it.each([
    ['--port', 'eighty', '--port is "eighty", but must be a whole number from 0 to 65535'],
    ['--port', '65536', '--port is "65536", but must be a whole number from 0 to 65535'],
    ['--port', '-1', '--port is "-1", but must be a whole number from 0 to 65535'],
    ['--slots', '4.5', '--slots is "4.5", but must be auto or a whole number from 1 to 256'],
    ['--slots', '1e2', '--slots is "1e2", but must be auto or a whole number from 1 to 256'],
    ['--slots', '0x10', '--slots is "0x10", but must be auto or a whole number from 1 to 256'],
    ['--slots', '0', '--slots is "0", but must be auto or a whole number from 1 to 256'],
    ['--gpu', 'rocm', '--gpu is "rocm", but must be auto, off, cuda, vulkan or metal'],
    ['--gpu-layers', 'most', '--gpu-layers is "most", but must be auto, max or a whole number from 0 to 10000'],
    ['--queue-timeout', '5 days', '--queue-timeout is "5 days", but must be a time from 1ms to 24h, such as 500ms, 30s or 10m (a bare number is milliseconds)'],
    ['--queue-timeout', '0', '--queue-timeout is "0", but must be a time from 1ms to 24h, such as 500ms, 30s or 10m (a bare number is milliseconds)'],
    ['--body-limit', '2GiB', '--body-limit is "2GiB", but must be a size from 1KiB to 1GiB, such as 64KiB or 32MiB (a bare number is bytes)'],
    ['--fake-step-ms', 'fast', '--fake-step-ms is "fast", but must be a number from 0 to 60000'],
    ['--database-url', 'mysql://a:hunter2@db/x', '--database-url is a secret, but must be off or an address such as postgres://USER:PASSWORD@HOST/NAME'],
    ['--public-route', 'models', '--public-route is ["models"], but must be ready or metrics'],
    ['--insecure-no-auth=maybe', '', '--insecure-no-auth is "maybe", but must be true or false'],
    ['--cors-origin', 'https://a.example/path', '--cors-origin is "https://a.example/path", but must be * or an origin such as https://chat.example.com, without a path'],
    ['--tls-cert', 'cert.pem', '--tls-cert is set, but --tls-key is not; TLS needs both'],
    ['--tls-key', 'key.pem', '--tls-key is set, but --tls-cert is not; TLS needs both'],
    ['--trusted-proxy', 'proxy.internal', '--trusted-proxy is "proxy.internal", but must be an address or a range of them, such as 10.0.0.0/8']
  ])('refuses %s %s', (flag, value, message) => {
    expect(refusal(value === '' ? [flag] : [flag, value])).toBe(message)
  })

  it('names the variable or the key at fault', () => {
    expect(refusal([], { DRAWBRIDGE_LANES: 'two' })).toBe('DRAWBRIDGE_LANES is "two", but must be auto or a whole number from 1 to 64')
    const file = fileOf('value.yaml', 'stepTokens: lots\n')
    expect(refusal(['--config', file])).toBe(`stepTokens in ${file} is "lots", but must be a whole number from 1 to 16384`)
    const list = fileOf('value-list.yaml', 'port: [1, 2]\n')
    expect(refusal(['--config', list])).toBe(`port in ${list} is [1,2], but must be a whole number from 0 to 65535`)
  })
})

describe('flags', () => {
  it('suggests the flag that was meant', () => {
    expect(refusal(['--max-queu', '5'])).toBe('There is no option --max-queu; did you mean --max-queue? (drawbridge --help lists them)')
    expect(refusal(['--contextSize=5'])).toContain('did you mean --context-size?')
    expect(refusal(['--adaptor-directory', 'x'])).toBe('There is no option --adaptor-directory (drawbridge --help lists them)')
    expect(refusal(['-x'])).toBe('There is no option -x (drawbridge --help lists them)')
  })

  it('asks for a missing value instead of swallowing the next flag', () => {
    expect(refusal(['--model', '--port', '80'])).toBe('--model needs a value: --model REF')
    expect(refusal(['--port'])).toBe('--port needs a value: --port N')
    expect(refusal(['--host='])).toBe('--host is empty: --host ADDRESS')
  })

  it('refuses a second value where one is meant', () => {
    expect(refusal(['--port', '1', '--port', '2'])).toBe('--port is given twice, but takes one value')
  })

  it('gives back the words that belong to no flag', () => {
    expect(readFlags(['serve', '--port', '1', 'x.gguf']).words).toEqual(['serve', 'x.gguf'])
  })
})

describe('environment', () => {
  it('warns of unknown variables and does not refuse them', () => {
    const { warnings } = load([], { DRAWBRIDGE_MAX_QUEU: '5', DRAWBRIDGE_COLOUR: 'red', PORT: '5' })
    expect(warnings).toEqual([
      'The environment variable DRAWBRIDGE_MAX_QUEU means nothing to this server; did you mean DRAWBRIDGE_MAX_QUEUE?',
      'The environment variable DRAWBRIDGE_COLOUR means nothing to this server'
    ])
  })

  it('ignores what Kubernetes sets for a Service of the same name', () => {
    const { config, warnings } = load([], {
      DRAWBRIDGE_PORT: 'tcp://10.96.0.12:8080',
      DRAWBRIDGE_SERVICE_HOST: '10.96.0.12',
      DRAWBRIDGE_SERVICE_PORT_HTTP: '8080',
      DRAWBRIDGE_PORT_8080_TCP_ADDR: '10.96.0.12'
    })
    expect(config.port).toBe(8080)
    expect(warnings).toEqual([])
  })
})

describe('file', () => {
  it('refuses unknown keys with a suggestion', () => {
    const file = fileOf('unknown.yaml', 'max_queue: 5\n')
    expect(refusal(['--config', file])).toBe(`The configuration file ${file} has the unknown key "max_queue"; did you mean maxQueue?`)
    const model = fileOf('unknown-model-key.yaml', 'models:\n  - ref: demo\n    aliass: x\n')
    expect(refusal(['--config', model])).toContain('has an entry with the unknown key "aliass"; did you mean alias?')
  })

  it('says what is wrong with a file', () => {
    expect(refusal(['--config', '/nowhere/x.yaml'])).toBe('The configuration file /nowhere/x.yaml (--config) cannot be read: it does not exist')
    expect(refusal([], { DRAWBRIDGE_CONFIG: directory })).toContain('(DRAWBRIDGE_CONFIG) cannot be read: it is a folder')
    expect(refusal(['--config', fileOf('list.yaml', '- 1\n')])).toContain('must hold settings such as "port: 8080"')
    const broken = refusal(['--config', fileOf('broken.yaml', 'port: [1\nslots: 2\n')])
    expect(broken).toContain('is not valid YAML')
    expect(broken).toMatch(/line \d/)
    expect(broken).not.toContain('\n')
    expect(refusal(['--config', fileOf('twice.yaml', 'port: 1\nport: 2\n')])).toContain('is not valid YAML')
    const bomb = 'a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n' + ['b', 'c', 'd'].map((name, index) => `${name}: &${name} [${Array.from({ length: 9 }, () => `*${'abc'[index]}`).join(', ')}]\n`).join('')
    expect(refusal(['--config', fileOf('bomb.yaml', bomb)])).toContain('is not valid YAML: Excessive alias count')
  })

  it('takes an empty file as no settings', () => {
    expect(load(['--config', fileOf('empty.yaml', '# nothing\n')]).config.port).toBe(8080)
  })

  it('has its certificate beside it', () => {
    const file = fileOf('tls.yaml', 'tlsCert: cert.pem\ntlsKey: /etc/key.pem\n')
    expect(load(['--config', file]).config).toMatchObject({ tlsCert: path.join(directory, 'cert.pem'), tlsKey: '/etc/key.pem' })
  })

  it('has logs and folders beside it', () => {
    const file = fileOf('logs.yaml', 'auditLog: audit.jsonl\nlogPrompts: off\nparkDir: auto\ndataDir: data\n')
    expect(load(['--config', file]).config).toMatchObject({ auditLog: path.join(directory, 'audit.jsonl'), logPrompts: 'off', parkDir: 'auto', dataDir: path.join(directory, 'data') })
  })

  it('resolves its relative paths from its own folder, and leaves names alone', () => {
    const file = fileOf('paths.yaml', [
      'apiKeyFile: keys.txt',
      'models:',
      '  - ref: models/a.gguf',
      '    alias: assistant',
      '  - demo',
      '  - ~/b.gguf',
      '  - /c.gguf'
    ].join('\n'))
    fileOf('keys.txt', '# ours\nkey-one\n\n  key-two  \n')
    const { config, warnings } = load(['--config', file])
    expect(config.models).toEqual([
      { ref: path.join(directory, 'models/a.gguf'), alias: 'assistant', draftModel: null },
      { ref: 'demo', alias: null, draftModel: null },
      { ref: '~/b.gguf', alias: null, draftModel: null },
      { ref: '/c.gguf', alias: null, draftModel: null }
    ])
    expect(config.apiKeys).toEqual(['key-one', 'key-two'])
    expect(warnings).toEqual([])
  })

  it.each([['data', () => path.join(directory, 'data')], ['auto', () => 'auto'], ['off', () => 'off'], ['/var/lib/x', () => '/var/lib/x']])('resolves the data folder %s', (dataDir, expected) => {
    expect(load(['--config', fileOf('data.yaml', `dataDir: ${dataDir}\n`)]).config.dataDir).toBe(expected())
  })
})

describe('models and aliases', () => {
  it('pairs them in order, wherever they were set', () => {
    const { config } = load(['--alias', 'first', '--alias', 'second'], { DRAWBRIDGE_MODEL: 'a.gguf,b.gguf,c.gguf' })
    const none = { draftModel: null }
    expect(config.models).toEqual([{ ref: 'a.gguf', alias: 'first', ...none }, { ref: 'b.gguf', alias: 'second', ...none }, { ref: 'c.gguf', alias: null, ...none }])
    expect(load(['--alias', 'mine']).config.models).toEqual([{ ref: 'demo', alias: 'mine', ...none }])
  })

  it('take lengths of answers for all of them, and from the file for each', () => {
    const file = fileOf('lengths.yaml', 'maxTokensDefault: 500\nmodels:\n  - { ref: demo, maxTokensDefault: off, maxTokensLimit: 2000 }\n  - fake')
    const { config } = load(['--config', file, '--max-tokens-limit', '4000'])
    expect(config).toMatchObject({ maxTokensDefault: 500, maxTokensLimit: 4000, models: [{ maxTokensDefault: 'off', maxTokensLimit: 2000 }, {}] })
    expect(config.models[1]).not.toHaveProperty('maxTokensLimit')
    expect(load([]).config).toMatchObject({ maxTokensDefault: 'off', maxTokensLimit: 'off' })
    expect(refusal(['--max-tokens-limit', '0'])).toContain('--max-tokens-limit')
    const wrong = fileOf('wrong.yaml', 'models:\n  - { ref: demo, maxTokensLimit: many }')
    expect(refusal(['--config', wrong])).toContain('an entry with the maxTokensLimit "many", but it must be a number of tokens from 1 to 16777216, or off')
  })

  it('pairs draft models in the same way, or takes them from the file, relative to it', () => {
    const drafts = (flags: readonly string[], environment = {}): unknown => load(flags, environment).config.models.map(({ ref, draftModel }) => [ref, draftModel])
    expect(drafts(['--draft-model', 'demo'])).toEqual([['demo', 'demo']])
    expect(drafts(['--draft-model', 'small.gguf'], { DRAWBRIDGE_MODEL: 'a.gguf,b.gguf' })).toEqual([['a.gguf', 'small.gguf'], ['b.gguf', null]])
    const file = fileOf('drafts.yaml', 'models: [{ ref: a.gguf, draftModel: small.gguf }, b.gguf]\n')
    expect(drafts(['--config', file])).toEqual([[`${directory}/a.gguf`, `${directory}/small.gguf`], [`${directory}/b.gguf`, null]])
    expect(load(['--config', file]).origins.get('draft-model')).toBe(`draftModel of models in ${file}`)
    expect(drafts(['--config', file, '--draft-model', 'other.gguf'])).toEqual([[`${directory}/a.gguf`, 'other.gguf'], [`${directory}/b.gguf`, null]])
    expect(load(['--config', file, '--draft-model', 'x']).origins.get('draft-model')).toBe('--draft-model')
    expect(printConfig(load(['--config', file]))).toContain(`draftModel: ${directory}/small.gguf`)
  })

  it('refuses more draft models than models, and what is none', () => {
    expect(refusal(['--draft-model', 'a', '--draft-model', 'b'])).toBe('--draft-model names 2 draft models, but there is only 1 model')
    expect(refusal(['--config', fileOf('number.yaml', 'models: [{ ref: a.gguf, draftModel: 3 }]\n')])).toContain('has the draft model 3, but must be the path of a GGUF file')
  })

  it('warns of a draft model that is not to guess', () => {
    expect(load(['--draft-model', 'demo', '--speculate', 'off']).warnings).toEqual(['--draft-model changes nothing, because --speculate is off'])
    expect(load(['--draft-model', 'demo']).warnings).toEqual([])
  })

  it('says whether models that write text make embeddings, for all of them or for one', () => {
    const wanted = (flags: readonly string[], environment = {}): unknown => {
      const { config } = load(flags, environment)
      return [config.embeddings, ...config.models.map(({ embeddings }) => embeddings)]
    }
    expect(wanted([])).toEqual([false, undefined])
    expect(wanted(['--embeddings'])).toEqual([true, undefined])
    expect(wanted([], { DRAWBRIDGE_EMBEDDINGS: 'yes' })).toEqual([true, undefined])
    const file = fileOf('embeddings.yaml', 'models: [{ ref: a.gguf, embeddings: true }, { ref: b.gguf, embeddings: false }, c.gguf]\n')
    expect(wanted(['--config', file])).toEqual([false, true, false, undefined])
    expect(refusal(['--config', fileOf('word.yaml', 'models: [{ ref: a.gguf, embeddings: mean }]\n')])).toContain('has an entry with the embeddings "mean", but it must be true or false')
  })

  it('reads the prices of models from the file', () => {
    const file = fileOf('prices.yaml', 'prices: [{ model: "llama-*", prompt: 0.5, cached: 0.1, completion: 2 }, { model: "*", prompt: 1 }]\n')
    expect(load(['--config', file]).config.prices).toEqual([{ model: 'llama-*', prompt: 0.5, cached: 0.1, completion: 2 }, { model: '*', prompt: 1, completion: 0 }])
    for (const wrong of ['{ model: a, prompt: -1 }', '{ model: a }', '{ model: a, prompt: 1, input: 2 }', 'free']) {
      expect(refusal(['--config', fileOf('wrong-prices.yaml', `prices: [${wrong}]\n`)])).toContain('must be entries with model, prompt, cached, completion as the documentation has them')
    }
  })

  it('refuses more aliases than models, and unusable names', () => {
    expect(refusal(['--alias', 'a', '--alias', 'b'])).toBe('--alias names 2 aliases, but there is only 1 model')
    expect(refusal(['--alias', ' a'])).toContain('--alias has the alias " a"')
    const file = fileOf('no-ref.yaml', 'models: [{ alias: x }]\n')
    expect(refusal(['--config', file])).toContain('has an entry without "ref"')
    const empty = fileOf('no-models.yaml', 'models: []\n')
    expect(refusal(['--config', empty])).toBe(`models in ${empty} is an empty list; name at least one model, or leave the key out to serve the demo`)
  })
})

describe('adapters', () => {
  const none = { model: null, scale: 1, pinned: false, systemPrompt: null, chatTemplate: null }

  it('are given in one text each', () => {
    expect(load(['--adapter', 'pirate=a/pirate.gguf', '--adapter', 'base:shout=hf:owner/shout@main@-0.5']).config.adapters).toEqual([
      { ...none, name: 'pirate', ref: 'a/pirate.gguf' }, { ...none, name: 'base:shout', ref: 'hf:owner/shout@main', scale: -0.5 }
    ])
    expect(load([], { DRAWBRIDGE_ADAPTER: 'a=x.gguf,b=y=z.gguf@2' }).config.adapters).toEqual([{ ...none, name: 'a', ref: 'x.gguf' }, { ...none, name: 'b', ref: 'y=z.gguf', scale: 2 }])
  })

  it('may say more in the file, whose paths are relative to it', () => {
    fileOf('a.jinja', '{{ messages }}')
    const file = fileOf('adapters.yaml', 'adapterDir: in\nadapterState: state.json\nadapters:\n  - pirate=p.gguf@0.8\n  - { name: b, ref: hf:o/b, model: m, scale: 2, pinned: true, systemPrompt: Be brief., chatTemplateFile: a.jinja }\n')
    const { config } = load(['--config', file])
    expect(config.adapters).toEqual([
      { ...none, name: 'pirate', ref: path.join(directory, 'p.gguf'), scale: 0.8 },
      { name: 'b', ref: 'hf:o/b', model: 'm', scale: 2, pinned: true, systemPrompt: 'Be brief.', chatTemplate: '{{ messages }}' }
    ])
    expect(config).toMatchObject({ adapterDir: path.join(directory, 'in'), adapterState: path.join(directory, 'state.json') })
    const printed = printConfig(load(['--config', file]))
    expect(load(['--config', fileOf('again.yaml', printed)]).config).toEqual(config)
  })

  it.each([
    ['adapters: [x]', 'adapters in FILE is "x", but must be NAME=REF or NAME=REF@SCALE'],
    ['adapters: [5]', 'adapters in FILE has the entry 5, but must list NAME=REF, or entries with "name" and "ref"'],
    ['adapters: [{ name: a }]', 'ref of the adapter "a" of adapters in FILE must be a path, an https: address or hf:OWNER/REPOSITORY'],
    ['adapters: [{ name: a, ref: b, scale: x }]', 'scale of the adapter "a" of adapters in FILE must be a number from -100 to 100'],
    ['adapters: [{ name: a, ref: b, scal: 1 }]', 'adapters in FILE has an entry with the unknown key "scal"; did you mean scale?'],
    ['adapters: [{ name: a, ref: b, chatTemplateFile: no.jinja }]', 'The chat template no.jinja (adapters in FILE) cannot be read: it does not exist']
  ])('are refused when they are wrong: %s', (text, message) => {
    const file = fileOf('wrong-adapters.yaml', text)
    expect(refusal(['--config', file])).toBe(message.replace('FILE', file))
  })
})

describe('tenants', () => {
  const tenants = (yaml: string): readonly unknown[] => load(['--config', fileOf('tenants.yaml', yaml, 0o600)]).config.tenants
  const refused = (yaml: string, flags: readonly string[] = []): string => refusal(['--config', fileOf('tenants.yaml', yaml, 0o600), ...flags])

  it('have keys of their own or of a file beside the configuration, and defaults', () => {
    fileOf('support.keys', '# two\nk-2\nk-3\n', 0o600)
    expect(tenants('tenants:\n  - { name: support, keys: [k-1, k-2], keyFile: support.keys, weight: 2.5, priority: interactive }\n  - { name: night.ly, keys: k-4, priority: batch, namesUsers: true }\n')).toEqual([
      { name: 'support', keys: ['k-1', 'k-2', 'k-3'], weight: 2.5, priority: 'interactive', highestPriority: 'interactive', namesUsers: false, admin: false, models: null, adapters: null, limits: {} },
      { name: 'night.ly', keys: ['k-4'], weight: 1, priority: 'batch', highestPriority: 'normal', namesUsers: true, admin: false, models: null, adapters: null, limits: {} }
    ])
  })

  it('are as good as keys where the network can come in', () => {
    const file = fileOf('network.yaml', 'host: 0.0.0.0\ntenants: [{ name: a, keys: [k] }]\n', 0o600)
    expect(load(['--config', file]).config.host).toBe('0.0.0.0')
  })

  it('are shown without their keys', () => {
    const text = printConfig(load(['--config', fileOf('shown.yaml', 'tenants: [{ name: a, keys: [hunter2], weight: 3 }, { name: b, keys: [k-b], limits: { tokensPerDay: 5 } }]\nlimits: { requestsPerMinute: 7 }\n', 0o600)]))
    expect(text).toContain(', admin false, limits {"tokensPerDay":5}\n')
    expect(text).toContain('limits:  # limits in')
    expect(text).toContain('# tenant a: 1 hidden, weight 3, priority normal, highestPriority normal, namesUsers false, admin false\n')
    expect(text).not.toContain('hunter2')
  })

  it.each([
    ['tenants: a', 'must list tenants, each with "name" and "keys" or "keyFile"'],
    ['tenants: [a]', 'must list tenants, each with "name" and "keys" or "keyFile"'],
    ['tenants: [{ name: a }]', 'The tenant "a" of tenants in'],
    ['tenants: [{ name: a, keys: [k], wieght: 2 }]', 'has the unknown key "wieght"; did you mean weight?'],
    ['tenants: [{ name: a b, keys: [k] }]', 'must be a name of 1 to 64 letters, digits, dots, dashes or underscores'],
    ['tenants: [{ keys: [k] }]', 'name of a tenant of tenants in'],
    ['tenants: [{ name: a, keys: [k], weight: 0 }]', 'must be a number from 0.01 to 100'],
    ['tenants: [{ name: a, keys: [k], priority: urgent }]', 'must be interactive, normal or batch'],
    ['tenants: [{ name: a, keys: [k], priority: interactive, highestPriority: batch }]', 'is more urgent than its highestPriority'],
    ['tenants: [{ name: a, keys: [k], limits: { tokensPerDay: 0 } }]', 'limits.tokensPerDay of the tenant "a" of tenants in'],
    ['tenants: [{ name: a, keys: [k], limits: { tokensPerYear: 1 } }]', 'limits.tokensPerYear of the tenant "a" of tenants in'],
    ['tenants: [{ name: a, keys: [k], scopes: [root] }]', 'must be a list of inference, models, adapters, metrics, admin'],
    ['tenants: [{ name: a, keys: [k], admin: true, scopes: [inference] }]', 'has both "admin" and "scopes"'],
    ['tenants: [{ name: a, keys: [k], models: [] }]', 'must be a list of patterns'],
    ['limits: { requestsPerMinute: many }', 'must be entries with requestsPerMinute, tokensPerMinute,'],
    ['tenants: [{ name: a, keys: [k] }, { name: a, keys: [l] }]', 'has the tenant "a" twice'],
    ['tenants: [{ name: a, keys: [hunter2] }, { name: b, keys: [hunter2] }]', 'a key of the tenant "b" is also one of the tenant "a"'],
    ['tenants: [{ name: a, keyFile: /nowhere }]', 'The key file /nowhere (keyFile of the tenant "a" of tenants in'],
    ['tenants: [{ name: a, keys: [hunter 2] }]', 'is not a key']
  ])('are refused as %s', (yaml, message) => {
    expect(refused(yaml)).toContain(message)
    expect(refused(yaml)).not.toContain('hunter')
  })

  it('share no key with those that are nobody\'s', () => {
    expect(refused('tenants: [{ name: a, keys: [k] }]', ['--api-key', 'k'])).toContain('a key of the tenant "a" is also one of the keys that are no tenant\'s')
    expect(refusal(['--tenants', 'x'])).toContain('There is no option --tenants')
  })
})

describe('API keys', () => {
  it('joins keys of both options and drops doubles', () => {
    const file = fileOf('both.txt', 'b\nc\n')
    expect(load(['--api-key', 'a', '--api-key', 'b', '--api-key-file', file]).config.apiKeys).toEqual(['a', 'b', 'c'])
  })

  it('warns when everybody may read the key file', () => {
    const file = fileOf('open.txt', 'k\n', 0o644)
    expect(load(['--api-key-file', file]).warnings).toEqual([`Every user of this machine can read the key file ${file}; chmod 600 ${file} keeps them out`])
  })

  it('refuses missing, empty and unusable key files without showing a key', () => {
    expect(refusal(['--api-key-file', '/nowhere/keys'])).toBe('The key file /nowhere/keys (--api-key-file) cannot be read: it does not exist')
    const empty = fileOf('empty-keys.txt', '# none yet\n\n')
    expect(refusal(['--api-key-file', empty])).toBe(`The key file ${empty} (--api-key-file) has no key in it`)
    const spaced = refusal(['--api-key-file', fileOf('spaced.txt', 'good\nnot so good\n')])
    expect(spaced).toMatch(/^Line 2 of the key file .* is not a key: keys are printable ASCII characters without spaces$/)
    expect(spaced).not.toContain('so good')
    expect(refusal([], { DRAWBRIDGE_API_KEY: 'sëcret' })).toBe('A value of DRAWBRIDGE_API_KEY is not a key: keys are printable ASCII characters without spaces')
  })
})

describe('settings that do not go together', () => {
  const reach = (argv: readonly string[], hasStoredKeys = false) => () => checkReach(load(argv).config, hasStoredKeys, (flag) => `--${flag}`)

  it.each(['0.0.0.0', '::', '192.168.1.5', 'example.com', '2001:db8::1'])('refuses %s without a key', (host) => {
    expect(reach(['--host', host])).toThrow(new StartupError(`--host is "${host}", where others can reach the server, and there is no API key; make one with drawbridge keys create, set --api-key-file FILE, or --insecure-no-auth if everybody there may use it`))
    expect(reach(['--host', host, '--api-key', 'k'])).not.toThrow()
    expect(reach(['--host', host, '--insecure-no-auth'])).not.toThrow()
    expect(reach(['--host', host], true)).not.toThrow()
  })

  it.each(['127.0.0.1', '127.1.2.3', '::1', 'localhost', 'LOCALHOST', '[::1]'])('needs no key on %s', (host) => {
    expect(reach(['--host', host])).not.toThrow()
  })

  it('checks slots, lanes, step tokens and threads against each other', () => {
    expect(refusal(['--slots', '5', '--lanes', '2'])).toBe('--slots is 5, which cannot be divided evenly among 2 lanes (--lanes)')
    expect(refusal(['--slots', '16', '--step-tokens', '8'])).toBe('--step-tokens is 8, but must be at least 16, so that all 16 slots of a lane can go on in one step')
    expect(load(['--slots', '16', '--lanes', '2', '--step-tokens', '8']).config.slots).toBe(16)
    expect(refusal(['--lanes', '4', '--threads', '2'])).toBe('--lanes is 4, but must be at most 2, so that each lane has a thread (--threads)')
    expect(refusal(['--gpu', 'off', '--gpu-layers', '3'])).toBe('--gpu-layers is 3, but --gpu is off')
    expect(refusal(['--gpu', 'off', '--gpu-layers', 'max'])).toBe('--gpu-layers is max, but --gpu is off')
  })

  it('warns of settings that change nothing', () => {
    expect(load(['--fake-step-ms', '1']).warnings).toEqual(['--fake-step-ms changes nothing, because no model is "fake"'])
    expect(load(['--insecure-no-auth', '--api-key', 'k']).warnings).toEqual(['--insecure-no-auth changes nothing, because API keys are set and every request needs one'])
  })
})
