import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { type Call, Connections } from '../../src/bench/client/exchange.ts'
import { summarizeLatencies } from '../../src/bench/measure/latency-summary.ts'
import { formatNumber, formatTable } from '../../src/bench/report/table.ts'
import { describeMachine, machineLine } from '../support/machine.ts'
import { saveReport } from '../support/report-file.ts'
import { runBenchmark } from '../support/run-benchmark.ts'
import { ServerProcess } from '../support/server-process.ts'
import { wholeNumber } from '../support/whole-number.ts'

const help = `Usage: npm run bench:batches -- [options]

What does a batch do to somebody who chats meanwhile, and is it whole after a restart in its middle? One chat at a time, streamed, from one key; a batch from another.
The server is ended by SIGTERM when half of the batch is done, and started again on the same database.

  --model REF          GGUF file or demo (default demo)
  --slots N            of the server (default 4)
  --lines N            of the batch (default 1000)
  --tokens N           of each line's answer (default 32)
  --chat-tokens N      of each answer in the chat (default 16)
  --seconds N          how long the chat is measured alone, before and after (default 15)
  --save               write bench/reports/batches-DATE-COMMIT.json
  --help`

const [chatKey, batchKey] = ['sk-of-the-chat', 'sk-of-the-batch']

/** Between two requests of the chat: nobody reads in no time. */
const pauseMs = 30

const limits = { timeoutMs: 60_000, stallTimeoutMs: 60_000 }

/** Chats until it is over, and gives the times to the first text of the answers that came whole. */
async function chat (url: string, tokens: number, isOver: () => boolean | Promise<boolean>, signal: AbortSignal): Promise<readonly number[]> {
  using connections = new Connections(new URL(url))
  const times: number[] = []
  for (let turn = 0; !await isOver(); turn++) {
    const call: Call = {
      url: new URL(`${url}/v1/chat/completions`),
      headers: { 'content-type': 'application/json', authorization: `Bearer ${chatKey}` },
      body: JSON.stringify({ model: 'base', messages: [{ role: 'user', content: `Question ${turn}: what is a slot, and who gets one?` }], max_tokens: tokens, stream: true, ignore_eos: true }),
      isStreaming: true
    }
    const { sentAt, outputTimes, failure } = await connections.exchange(call, limits, () => performance.now(), signal)
    if (failure !== null) throw new Error(`The chat has failed: ${JSON.stringify(failure)}`)
    times.push((outputTimes[0] ?? NaN) - sentAt)
    await sleep(pauseMs)
  }
  return times
}

async function api<Body> (url: string, init: RequestInit = {}): Promise<Body> {
  const response = await fetch(url, { ...init, headers: { authorization: `Bearer ${batchKey}`, ...init.headers as Record<string, string> | undefined } })
  if (!response.ok) throw new Error(`${url} was answered with ${response.status}: ${await response.text()}`)
  return await response.json() as Body
}

interface BatchBody {
  readonly id: string
  readonly status: string
  readonly output_file_id: string | null
  readonly request_counts: { readonly total: number, readonly completed: number, readonly failed: number }
}

async function createBatch (url: string, lines: number, tokens: number): Promise<string> {
  const content = Array.from({ length: lines }, (_, index) => `${JSON.stringify({
    custom_id: `line-${index}`,
method: 'POST',
url: '/v1/chat/completions',
    body: { model: 'base', messages: [{ role: 'user', content: `Item ${index}: tell a story about it.` }], max_tokens: tokens, ignore_eos: true }
  })}\n`).join('')
  const form = new FormData()
  form.append('purpose', 'batch')
  form.append('file', new Blob([content]), 'input.jsonl')
  const { id } = await api<{ id: string }>(`${url}/v1/files`, { method: 'POST', body: form })
  return (await api<BatchBody>(`${url}/v1/batches`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ input_file_id: id, endpoint: '/v1/chat/completions', completion_window: '24h' })
  })).id
}

/** @returns how many lines have a result, none of them twice */
async function countResults (url: string, { output_file_id: file }: BatchBody): Promise<number> {
  const text = await (await fetch(`${url}/v1/files/${file}/content`, { headers: { authorization: `Bearer ${batchKey}` } })).text()
  const ids = text.split('\n').filter((line) => line !== '').map((line) => (JSON.parse(line) as { custom_id: string }).custom_id)
  if (new Set(ids).size !== ids.length) throw new Error('A line has two results')
  return ids.length
}

async function run (signal: AbortSignal): Promise<void> {
  const { values } = parseArgs({
    options: {
      model: { type: 'string', default: 'demo' },
      slots: { type: 'string', default: '4' },
      lines: { type: 'string', default: '1000' },
      tokens: { type: 'string', default: '32' },
      'chat-tokens': { type: 'string', default: '16' },
      seconds: { type: 'string', default: '15' },
      save: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false }
    }
  })
  if (values.help) {
    console.log(help)
    return
  }
  const lines = wholeNumber(values.lines, '--lines', 50_000)
  const tokens = wholeNumber(values.tokens, '--tokens', 4000)
  const chatTokens = wholeNumber(values['chat-tokens'], '--chat-tokens', 4000)
  const aloneMs = wholeNumber(values.seconds, '--seconds', 600) * 1000
  const machine = describeMachine()
  console.log(machineLine(machine))
  const folder = mkdtempSync(path.join(tmpdir(), 'drawbridge-bench-'))
  const flags = [
    '--model', values.model, '--alias', 'base', '--slots', values.slots, '--context-size', '1024', '--calibrate', 'off', '--data-dir', folder, '--api-key', chatKey, '--api-key', batchKey
  ]
  const after = (milliseconds: number): () => boolean => {
    const end = performance.now() + milliseconds
    return () => performance.now() > end
  }
  try {
    const alone: number[] = []
    const beside: number[] = []
    let id = ''
    let atStop: BatchBody
    const batchMs = { total: 0, startedAt: 0 }
    {
      await using server = await ServerProcess.start({ flags })
      await chat(server.url, chatTokens, after(2000), signal)
      alone.push(...await chat(server.url, chatTokens, after(aloneMs), signal))
      id = await createBatch(server.url, lines, tokens)
      batchMs.startedAt = performance.now()
      beside.push(...await chat(server.url, chatTokens, async () => (await api<BatchBody>(`${server.url}/v1/batches/${id}`)).request_counts.completed >= lines / 2, signal))
      atStop = await api<BatchBody>(`${server.url}/v1/batches/${id}`)
      batchMs.total += performance.now() - batchMs.startedAt
    }
    await using server = await ServerProcess.start({ flags })
    batchMs.startedAt = performance.now()
    const get = async (): Promise<BatchBody> => await api<BatchBody>(`${server.url}/v1/batches/${id}`)
    beside.push(...await chat(server.url, chatTokens, async () => (await get()).request_counts.completed >= lines, signal))
    batchMs.total += performance.now() - batchMs.startedAt
    while ((await get()).status !== 'completed') await sleep(50)
    alone.push(...await chat(server.url, chatTokens, after(aloneMs), signal))
    const results = await countResults(server.url, await get())
    const ttft = { alone: summarizeLatencies(alone), beside: summarizeLatencies(beside) }
    const row = (name: string, valueOf: (of: typeof ttft.alone) => number): string[] =>
      [name, formatNumber(valueOf(ttft.alone)), formatNumber(valueOf(ttft.beside)), formatNumber(valueOf(ttft.beside) / valueOf(ttft.alone))]
    console.log(formatTable(['chat', 'alone', 'beside the batch', 'ratio'], [
      row('TTFT p50, ms', ({ p50 }) => p50), row('TTFT p90, ms', ({ p90 }) => p90), row('TTFT p99, ms', ({ p99 }) => p99), ['answers', String(ttft.alone.count), String(ttft.beside.count), '']
    ]))
    console.log(`The batch: ${lines} lines, ${atStop.request_counts.completed} done at the stop, ${results} results, none twice, in ${formatNumber(batchMs.total / 1000)} s (${formatNumber(lines / batchMs.total * 1000)} lines/s)`)
    if (results !== lines) throw new Error(`${lines - results} results are missing`)
    if (values.save) {
      console.log(saveReport('batches', machine, { settings: { ...values, lines, tokens, chatTokens }, ttftMs: ttft, batch: { lines, results, doneAtStop: atStop.request_counts.completed, seconds: batchMs.total / 1000 } }))
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

await runBenchmark(run)
