import { describe, expect, it } from 'vitest'
import { commandLine } from '../../../src/bench/bench-command.ts'
import { benchHelp } from '../../../src/bench/help.ts'
import { benchOptions } from '../../../src/bench/options.ts'
import { parseOptions, type BenchOptions } from '../../../src/bench/parse-options.ts'

function parse (text: string, environment: NodeJS.ProcessEnv = {}): BenchOptions {
  const command = parseOptions(text.split(' ').filter(Boolean), environment)
  if (command.type !== 'run') throw new Error(`This is ${command.type}`)
  return command.options
}

describe('parseOptions', () => {
  it('has defaults that measure something', () => {
    const options = parse('')
    expect(options.servers.map(({ url, label }) => [url.href, label])).toEqual([['http://127.0.0.1:8080/v1', '127.0.0.1:8080']])
    expect(options.plan).toEqual({ type: 'given', shapes: [{ type: 'closed', concurrency: 8 }] })
    expect(options).toMatchObject({ limit: null, repetitions: 1, seed: 1, endpoint: 'chat', isStreaming: true, temperature: 0 })
    expect(options.workload).toMatchObject({ name: 'synthetic', ignoresEnd: true })
  })

  it.each([
    ['http://host:1', 'http://host:1/v1'], ['https://host/v1/', 'https://host/v1'], ['--url http://host/openai/v2', 'http://host/openai/v2']
  ])('takes %s for %s', (text, href) => {
    expect(parse(text).servers[0]?.url.href).toBe(href)
  })

  it('asks the same words when a seed is given, others each time when not', () => {
    expect(parse('--seed 7')).toMatchObject({ seed: 7, textSeed: 7 })
    expect(parse('').textSeed).not.toBe(parse('').textSeed)
  })

  it('takes lists of loads', () => {
    expect(parse('--concurrency 1,2,16').plan).toMatchObject({ shapes: [{ concurrency: 1 }, { concurrency: 2 }, { concurrency: 16 }] })
    expect(parse('--rate 0.5,inf --burstiness 0.3 --max-concurrency 9').plan).toMatchObject({
      shapes: [{ type: 'open', rate: 0.5, burstiness: 0.3, maxConcurrency: 9, ramp: null }, { rate: Infinity }]
    })
    // As a program writes half of something.
    expect(parse('--rate 1.3594191242215274').plan).toMatchObject({ shapes: [{ rate: 1.3594191242215274 }] })
    expect(parse('--rate 8 --ramp linear:0.5').plan).toMatchObject({ shapes: [{ rate: 8, ramp: { form: 'linear', from: 0.5 } }] })
    expect(parse('--concurrency auto').plan).toEqual({ type: 'auto-concurrency' })
    expect(parse('--rate auto --burstiness inf').plan).toMatchObject({ type: 'auto-rate', template: { burstiness: Infinity } })
  })

  it('takes objectives as vLLM\'s tool does, in words that follow', () => {
    expect(parse('http://h --goodput ttft:200 tpot:50 --requests 5').objectives).toEqual({ ttft: 200, tpot: 50 })
  })

  it('takes keys from the environment', () => {
    expect(parse('', { OPENAI_API_KEY: 'sk-env' }).servers[0]?.apiKey).toBe('sk-env')
    expect(parse('--tenant a=sk-a --tenant b=env:B_KEY@2.5', { B_KEY: 'sk-b' }).tenants).toEqual([
      { name: 'a', apiKey: 'sk-a', weight: 1 }, { name: 'b', apiKey: 'sk-b', weight: 2.5 }
    ])
  })

  it('takes an authorization of the command line before a key of the environment', () => {
    const { servers, headers } = parse('--header authorization:Basic --vs http://b', { OPENAI_API_KEY: 'sk-env' })
    expect(servers.map(({ apiKey }) => apiKey)).toEqual([null, null])
    expect(headers).toEqual({ authorization: 'Basic' })
  })

  it('takes an objective of whole answers without streams', () => {
    expect(parse('--no-stream --goodput e2e:900').objectives).toEqual({ e2el: 900 })
    expect(parse('--workload multi-turn --think-time 0 --duration 1.5s')).toMatchObject({ limit: { ms: 1500 }, workload: { thinkMs: 0 } })
  })

  it('takes a second server, and repeats then', () => {
    const options = parse('http://a:1 --vs http://b:2 --vs-label other --vs-api-key k --vs-model m')
    expect(options.servers[1]).toMatchObject({ label: 'other', apiKey: 'k', model: 'm' })
    expect(options.repetitions).toBe(3)
  })

  it('takes a dataset without being told the workload', () => {
    expect(parse('--dataset x.jsonl').workload).toMatchObject({ name: 'dataset', dataset: 'x.jsonl' })
  })

  it.each([
    ['--concurency 3', 'There is no option --concurency; did you mean --concurrency?'],
    ['--concurrency 0', '--concurrency is "0", but must be a whole number from 1 to 10000'],
    ['--concurrency 1,x', '--concurrency is "x"'],
    ['--rate fast', '--rate is "fast", but must be a number from 0.001 to 100000'],
    ['--rate 3 --concurrency 2', '--rate and --concurrency exclude each other'],
    ['--burstiness 2', '--burstiness needs --rate'],
    ['--rate 1,inf --duration 3s', '--rate inf sends everything at once'],
    ['--rate 1,2 --ramp linear:1', '--ramp needs one --rate to end at, not 1,2'],
    ['--rate 2 --ramp linear', '--ramp is "linear", but must be like linear:1'],
    ['--requests 5 --duration 3s', '--requests and --duration exclude each other'],
    ['--duration 3 days', 'The URL is "days", but must be an http or https URL'],
    ['--duration 1ms', '--duration is "1ms", but must be a time with its unit, such as 500ms, 30s or 10m, from 100ms to 24h'],
    ['--duration 120', '--duration is "120", but must be a time with its unit'],
    ['--workload chat', '--workload is "chat", but must be synthetic, shared-prefix, multi-turn, mixed, json or dataset'],
    ['--workload dataset', '--workload dataset needs --dataset FILE'],
    ['--turns 3', '--turns has no effect on --workload synthetic; it belongs to multi-turn'],
    ['--workload json --endpoint completions', '--workload json needs --endpoint chat'],
    ['--model a --models b,c', '--model and --models exclude each other'],
    ['--models a,a', '--models names a model twice'],
    ['--url ftp://host', '--url is "ftp://host", but must be an http or https URL'],
    ['http://a --url http://b', 'The URL is given twice'],
    ['--vs-model m', '--vs-model needs --vs URL'],
    ['http://a:1 --vs http://a:1', 'Both servers are called "a:1"; --label and --vs-label tell them apart'],
    ['--tenant alice', '--tenant must be like alice=sk-1'],
    ['--tenant a=env:NOPE', '--tenant a takes its key from NOPE, which is not set'],
    ['--tenant a=1 --tenant a=2', '--tenant a is given twice'],
    ['--goodput fast', '--goodput is "fast"'],
    ['ttft:200', '"ttft:200" belongs to no option; objectives are given with --goodput ttft:200'],
    ['--model-body {}', '--model-body is \'{}\', but must be like'],
    ['--model-body a={}', '--model-body is for "a", which is none of --models'],
    ['--models a,b --model-body a={} --model-body a={}', '--model-body is given twice for "a"'],
    ['--models a,b --model-body a=1', '--model-body for "a" is \'1\', but must be a JSON object'],
    ['--extra-body [1]', '--extra-body is \'[1]\', but must be a JSON object'],
    ['--extra-body {"n":2}', '--extra-body has n 2, but the bench asks for one answer at a time'],
    ['--no-stream --goodput e2el:900 tpot:50', '--goodput tpot needs streams'],
    ['--api-key k --header Authorization:Basic', '--header authorization and --api-key exclude each other'],
    ['--tenant a=k --header authorization:Basic', '--header authorization and --tenant exclude each other'],
    ['--header nonsense', '--header is "nonsense", but must be like'],
    ['--seed 1 --seed 2', '--seed is given twice'],
    ['--json', '--json needs a value: --json FILE'],
    ['--no-stream=false', '--no-stream takes no value'],
    ['--compare a.json', '--compare takes two reports']
  ])('refuses %s', (text, message) => {
    expect(() => parse(text)).toThrow(message)
  })

  it('does not show a key in a message', () => {
    expect(() => parse('--tenant =sk-secret@x')).toThrow(/^(?!.*sk-secret).*--tenant must be like/)
  })
})

describe('the command line in a report', () => {
  it('has no secrets', () => {
    expect(commandLine(['http://a/v1?key=k-5&x=1', '--vs=http://b/v1?k-6', '--compare', 'what?.json']))
      .toBe("drawbridge bench 'http://a/v1?key=…&x=…' '--vs=http://b/v1?…' --compare 'what?.json'")
    const line = commandLine(['http://a', '--api-key', 'sk-1', '--tenant=a=sk-2', '--header', 'x-key: sk-3', '--vs-api-key=sk-4', '--extra-body', '{"a": 1}'])
    expect(line).toBe('drawbridge bench http://a --api-key … --tenant=… --header … --vs-api-key=… --extra-body \'{"a": 1}\'')
  })
})

describe('the help', () => {
  it('explains every flag and measure', () => {
    const text = benchHelp()
    for (const { flag } of benchOptions) expect(text).toContain(`--${flag}`)
    for (const measure of ['TTFT', 'ITL', 'TPOT', 'Goodput']) expect(text).toContain(measure)
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100)
  })
})
