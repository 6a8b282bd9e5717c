import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { FastifyInstance } from 'fastify'
import { AdapterLibrary } from '../../../../src/adapters/adapter-library.ts'
import { migrate } from '../../../../src/access/storage/migrate.ts'
import { SqliteDatabase } from '../../../../src/access/storage/sqlite-database.ts'
import { ServerError } from '../../../../src/domain/errors.ts'
import { createFakeEngine } from '../../../../src/engine/fake/fake-engine.ts'
import { createOpenApiDocument } from '../../../../src/http/openapi/create-openapi-document.ts'
import type { Operation } from '../../../../src/http/openapi/operation.ts'
import { operations } from '../../../../src/http/openapi/operations.ts'
import { LocalInference } from '../../../../src/inference/local.ts'
import { createModelCatalogue } from '../../../../src/models/catalogue.ts'
import { createScriptedRegistry } from '../../../support/scripted-adapter-host.ts'
import { answerEvents, createScriptedInference, type ScriptStep } from '../../../support/scripted-inference.ts'
import { waitUntil } from '../../../support/server-process.ts'
import { buildTestApp } from '../../../support/test-app.ts'
import { createTestHost, type TestHost } from '../../../support/test-host.ts'

const chatTemplate = `{% for tool in tools or [] %}<tool_call>{{ tool | tojson }}{% endfor %}{% for m in messages %}<|{{ m.role }}|>
{%- if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}{{ m.content }}<|end|>{% endfor %}<|assistant|>`
const texts = ['<think>', 'Hm', '</think>', 'I look.', '<tool_call>{"name": "get_time", "arguments": {}}</tool_call>']

/** What the model does for a prompt that ends with one of these words; else it thinks, writes and calls. */
const scripts: Readonly<Record<string, () => readonly ScriptStep[]>> = {
  SHORT: () => answerEvents(['An', 'swer'], { reason: 'length' }),
  // After a while, in which what there is of a stream has gone out.
  BREAK: () => [...answerEvents(['An', 'swer']).slice(0, 4), { type: 'wait', until: new Promise((resolve) => setTimeout(resolve, 20)) }, { type: 'throw', error: new ServerError('engine_error', 'The engine broke') }],
  // Until it is given up.
  WAIT: () => [{ type: 'wait', until: new Promise(() => {}) }],
  FULL: () => [{ type: 'throw', error: new ServerError('queue_full', 'Full') }],
  BUSY: () => [{ type: 'throw', error: new ServerError('queue_timeout', 'Busy') }]
}

const operationOf = (id: string): Operation => {
  const found = operations.find((operation) => operation.id === id)
  if (found === undefined) throw new Error(`There is no operation called ${id}`)
  return found
}

let app: FastifyInstance
let writer: TestHost
const adminKey = 'key-of-an-admin'
const closers: (() => Promise<unknown>)[] = []
const ajv = new Ajv2020({ strict: true, strictTypes: false, strictRequired: false, allowUnionTypes: true })
const document = JSON.parse(JSON.stringify(createOpenApiDocument('1.0.0'))) as {
  readonly paths: Record<string, Record<string, { readonly responses: Record<string, { readonly content?: Record<string, { readonly schema: object }> }> }>>
  readonly components: object
}
/** Answers that were looked at, as `operation status media`. */
const seen = new Set<string>()

beforeAll(async () => {
  const scripted = createScriptedInference(({ prompt, sampling, choices }) => {
    const text = 'segments' in prompt ? prompt.segments.map((segment) => segment.text).join('') : ''
    const word = Object.keys(scripts).find((name) => text.includes(name))
    return word === undefined ? answerEvents(texts, { choices, withLogprobs: sampling.logprobs !== null }) : scripts[word]!()
  }, { model: { chatTemplate } })
  const embedder = new LocalInference(createFakeEngine({ embeddings: 'mean', canGenerate: false, contextSize: 64 }), { maxQueue: 8 })
  const ranker = new LocalInference(createFakeEngine({ embeddings: 'rank', canGenerate: false, contextSize: 64 }), { maxQueue: 8 })
  writer = createTestHost(scripted, { id: 'writer' })
  const hosts = [writer, createTestHost(embedder, { id: 'embedder' }), createTestHost(ranker, { id: 'ranker' })]
  const folder = mkdtempSync(path.join(tmpdir(), 'drawbridge-answers-'))
  const database = new SqliteDatabase(path.join(folder, 'keys.db'), { warn: () => {} })
  await migrate(database)
  const { registry, dispose } = await createScriptedRegistry({ model: 'writer' })
  const adapters = new AdapterLibrary({ catalogue: createModelCatalogue(hosts), registries: [registry], resolveReference: (reference) => reference })
  ;({ app } = await buildTestApp(hosts, { adapters, database, config: { adminKeys: [adminKey] } }))
  closers.push(async () => await app.close(), dispose, async () => await embedder.close(), async () => await ranker.close(), async () => await database.close(), async () => rmSync(folder, { recursive: true }))
  ajv.addKeyword('components')
  ajv.addSchema({ $id: 'document', components: document.components })
})
afterAll(async () => { for (const close of closers) await close() })

/** Sends a request and holds its answer to what the document and the schemas say of it. */
async function send (id: string, options: { path?: string, query?: string, body?: unknown, headers?: Record<string, string>, status?: number } = {}): Promise<unknown> {
  const operation = operationOf(id)
  const { path = operation.paths[0], query = '', body, headers = {}, status = 200 } = options
  const response = await app.inject({ method: operation.method.toUpperCase() as 'GET', url: `${path}${query}`, headers: { authorization: `Bearer ${adminKey}`, ...headers }, ...(body === undefined ? {} : { payload: body as object }) })
  expect({ id, status: response.statusCode, ...(response.statusCode === status ? {} : { body: response.body }) }).toEqual({ id, status })
  const media = String(response.headers['content-type']).split(';', 1)[0]!
  const told = document.paths[operation.paths[0]]?.[operation.method]?.responses[status]?.content?.[media]
  expect(told, `${id} ${status} ${media}`).toBeDefined()
  expect(response.headers['x-request-id']).toBeDefined()
  seen.add(`${id} ${status} ${media}`)

  const isStream = media === 'text/event-stream'
  const values = isStream ? eventsOf(response.body) : media === 'application/json' ? [response.json<unknown>()] : [response.body]
  const answer = operation.answers[status]
  const exact = isStream ? answer?.events : media === answer?.text ? undefined : answer?.json
  const validate = ajv.compile(JSON.parse(JSON.stringify(told!.schema).replaceAll('"#/components', '"document#/components')) as object)
  for (const value of values) {
    // The documented exception: an error in a stream of OpenAI's completions.
    if (isStream && operation.tag === 'Chat' && Object.hasOwn(value as object, 'error')) continue
    exact?.parse(value)
    if (!validate(value)) throw new Error(`${id}: ${JSON.stringify(validate.errors)} in ${JSON.stringify(value)}`)
  }
  return isStream ? values : values[0]
}

const eventsOf = (body: string): unknown[] => body.split('\n').filter((line) => line.startsWith('data: ') && line !== 'data: [DONE]').map((line) => JSON.parse(line.slice(6)) as unknown)

const messages = [{ role: 'user', content: 'Hi' }]
const tools = [{ type: 'function', function: { name: 'get_time' } }]
const model = 'writer'
const idOf = (value: unknown): string => (value as { id: string }).id

describe('answers are what the document says', () => {
  it('of chat completions', async () => {
    await send('createChatCompletion', { body: { model, messages, tools, n: 2, logprobs: true, top_logprobs: 1 } })
    await send('createChatCompletion', { body: { model, messages: [{ role: 'user', content: 'SHORT' }] } })
    await send('createChatCompletion', { body: { model, messages, tools, logprobs: true, stream: true, stream_options: { include_usage: true } } })
    await send('createChatCompletion', { body: { model, messages: [{ role: 'user', content: 'BREAK' }], stream: true } })
    await send('createChatCompletion', { body: { model, messages, unknown: 1 }, status: 400 })
    await send('createChatCompletion', { body: { model: 'nobody', messages }, status: 404 })
    await send('createChatCompletion', { body: { model, messages: [{ role: 'user', content: 'FULL' }] }, status: 429 })
    await send('createChatCompletion', { body: { model, messages: [{ role: 'user', content: 'BUSY' }] }, status: 503 })
    await send('createChatCompletion', { body: { model, messages: [{ role: 'user', content: 'BREAK' }] }, status: 500 })
  })

  it('of completions', async () => {
    await send('createCompletion', { body: { model, prompt: ['a', 'b'], logprobs: 1 } })
    await send('createCompletion', { body: { model, prompt: 'a', echo: true, stream: true, stream_options: { include_usage: true, continuous_usage_stats: true } } })
    await send('createCompletion', { body: { model }, status: 400 })
  })

  it('of responses', async () => {
    const flat = [{ type: 'function', name: 'get_time', parameters: { type: 'object' } }]
    const first = await send('createResponse', { body: { model, input: 'Hi', tools: flat, metadata: { a: 'b' }, include: ['message.output_text.logprobs', 'reasoning.encrypted_content'], top_logprobs: 1 } })
    await send('createResponse', { body: { model, input: 'SHORT', text: { format: { type: 'json_schema', name: 'x', schema: { type: 'object' } } } } })
    await send('createResponse', { body: { model, input: 'Hi', tools: flat, tool_choice: { type: 'function', name: 'get_time' }, stream: true } })
    await send('createResponse', { body: { model, input: 'Hi', reasoning: { summary: 'auto' }, stream: true } })
    await send('createResponse', { body: { model, input: 'BREAK', stream: true } })
    await send('createResponse', { body: { model, input: 'Hi', previous_response_id: 'resp_0' }, status: 400 })
    const queued = await send('createResponse', { body: { model, input: 'Hi', background: true } })
    await send('retrieveResponse', { path: `/v1/responses/${idOf(queued)}` })
    await send('cancelResponse', { path: `/v1/responses/${idOf(queued)}/cancel` })
    const [created] = await send('createResponse', { body: { model, input: 'Hi', background: true, stream: true } }) as { response: unknown }[]
    await send('retrieveResponse', { path: `/v1/responses/${idOf(created!.response)}`, query: '?stream=true&starting_after=1' })
    await send('listResponseInputItems', { path: `/v1/responses/${idOf(first)}/input_items`, query: '?limit=1&order=asc' })
    await send('deleteResponse', { path: `/v1/responses/${idOf(first)}` })
    await send('retrieveResponse', { path: `/v1/responses/${idOf(first)}`, status: 404 })
    await send('countResponseInputTokens', { body: { model, input: 'Hi' } })
    await send('compactResponse', { status: 404 })
  })

  it('of conversations', async () => {
    const id = idOf(await send('createConversation', { body: { items: [{ role: 'user', content: 'Hi' }], metadata: { a: 'b' } } }))
    const path = `/v1/conversations/${id}`
    await send('createResponse', { body: { model, input: 'Hi', conversation: id } })
    await send('updateConversation', { path, body: { metadata: {} } })
    await send('retrieveConversation', { path })
    const { data: [item] } = await send('createConversationItems', {
      path: `${path}/items`, body: { items: [{ type: 'function_call', call_id: 'a', name: 'f', arguments: '{}' }, { type: 'function_call_output', call_id: 'a', output: 'x' }] }
    }) as { data: unknown[] }
    await send('listConversationItems', { path: `${path}/items` })
    await send('retrieveConversationItem', { path: `${path}/items/${idOf(item)}` })
    await send('deleteConversationItem', { path: `${path}/items/${idOf(item)}` })
    await send('deleteConversation', { path })
    await send('retrieveConversation', { path, status: 404 })
  })

  it('of messages', async () => {
    const body = { model, max_tokens: 100, messages, tools: [{ name: 'get_time', input_schema: { type: 'object' } }] }
    await send('createMessage', { body })
    await send('createMessage', { body: { ...body, stream: true } })
    await send('createMessage', { body: { ...body, messages: [{ role: 'user', content: 'BREAK' }], stream: true } })
    await send('createMessage', { body: { ...body, thread: {} }, status: 400 })
    await send('createMessage', { body: { ...body, messages: [{ role: 'user', content: 'BUSY' }] }, status: 529 })
    await send('countMessageTokens', { body: { model, messages } })
    await send('countMessageTokens', { body: { model }, status: 400 })
  })

  it('of embeddings and ranks', async () => {
    await send('createEmbeddings', { body: { model: 'embedder', input: ['a', 'b'] } })
    await send('createEmbeddings', { body: { model: 'embedder', input: 'a', encoding_format: 'base64' } })
    await send('createEmbeddings', { body: { model: 'embedder', input: '' }, status: 400 })
    await send('rerank', { body: { model: 'ranker', query: 'a', documents: ['a', { text: 'b' }] } })
    await send('rerank', { body: { model: 'ranker', query: 'a', documents: ['a', 'b'], top_n: 1, return_documents: false } })
  })

  it('of files and batches', async () => {
    const form = (prompt: string, fields: Record<string, string>): { body: string, headers: Record<string, string> } => ({
      headers: { 'content-type': 'multipart/form-data; boundary=x' },
      body: `--x\r\ncontent-disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"writer","messages":[{"role":"user","content":"${prompt}"}]}}\r\n` +
        `${Object.entries(fields).map(([field, value]) => `--x\r\ncontent-disposition: form-data; name="${field}"\r\n\r\n${value}\r\n`).join('')}--x--\r\n`
    })
    const file = idOf(await send('createFile', form('Hi', { purpose: 'batch', 'expires_after[anchor]': 'created_at', 'expires_after[seconds]': '3600' })))
    await send('createFile', { ...form('Hi', { purpose: 'assistants' }), status: 400 })
    await send('listFiles', { query: '?limit=1&order=asc&purpose=batch' })
    await send('listFiles', { query: '?after=file-0', status: 404 })
    await send('retrieveFile', { path: `/v1/files/${file}` })
    await send('downloadFile', { path: `/v1/files/${file}/content` })
    const body = { input_file_id: file, endpoint: '/v1/chat/completions', completion_window: '24h', metadata: { a: 'b' } }
    await send('createBatch', { body: { ...body, input_file_id: 'file-0' }, status: 404 })
    const at = `/v1/batches/${idOf(await send('createBatch', { body }))}`
    await waitUntil(async () => (await send('retrieveBatch', { path: at }) as { status: string }).status === 'completed')
    await send('cancelBatch', { path: `${at}/cancel`, status: 400 })
    const endless = idOf(await send('createFile', form('WAIT', { purpose: 'batch' })))
    await send('cancelBatch', { path: `/v1/batches/${idOf(await send('createBatch', { body: { ...body, input_file_id: endless } }))}/cancel` })
    await send('listBatches', { query: '?limit=1' })
    await send('retrieveBatch', { path: '/v1/batches/batch_0', status: 404 })
    await send('deleteFile', { path: `/v1/files/${file}` })
  })

  it('of models and adapters', async () => {
    const forAnthropic = { 'anthropic-version': '2023-06-01' }
    await send('loadAdapter', { body: { name: 'pirate', source: '10' }, status: 201 })
    await send('loadAdapter', { body: { name: 'pirate', source: '20', replace: true } })
    await send('loadAdapter', { body: { name: 'pirate', source: '30' }, status: 409 })
    await send('listAdapters')
    await send('retrieveAdapter', { path: '/v1/adapters/pirate', query: '?model=writer' })
    await send('retrieveAdapter', { path: '/v1/adapters/nobody', status: 404 })
    await send('listAdapterScales')
    await send('setAdapterScales', { body: [{ id: 0, scale: 0.5 }] })
    await send('listModels')
    await send('listModels', { headers: forAnthropic, query: '?limit=1' })
    await send('listModels', { headers: forAnthropic, query: '?limit=0', status: 400 })
    await send('retrieveModel', { path: '/v1/models/writer:pirate' })
    await send('retrieveModel', { path: '/v1/models/writer', headers: forAnthropic })
    await send('unloadAdapter', { path: '/v1/adapters/pirate' })
    await send('loadLoraAdapter', { body: { lora_name: 'parrot', lora_path: '10' } })
    await send('loadLoraAdapter', { body: { lora_name: 'parrot', lora_path: '10' }, status: 400 })
    await send('unloadLoraAdapter', { body: { lora_name: 'parrot' } })
    await send('unloadLoraAdapter', { body: { lora_name: 'parrot' }, status: 404 })
  })

  it('of keys', async () => {
    const made = idOf(await send('createKey', { body: { owner: 'anna', name: 'laptop', models: ['writer*'], expires_in: 60 }, status: 201 }))
    const at = `/v1/admin/keys/${made}`
    await send('createKey', { body: { owner: 'no body' }, status: 400 })
    await send('createKey', { body: { owner: 'anna' }, headers: { authorization: 'Bearer wrong' }, status: 401 })
    await send('listKeys', { query: '?owner=anna' })
    await send('listKeys', { query: '?owner=', status: 400 })
    await send('listKeys', { query: '?limit=1' })
    await send('listKeys', { query: '?after=key_0', status: 404 })
    await send('retrieveKey', { path: at })
    await send('updateKey', { path: at, body: { name: 'desk', models: null, limits: { requests_per_minute: 600, tokens_per_day: 'off', cost_per_day: null } } })
    await send('updateKey', { path: at, body: { limits: { requests_per_minute: 0 } }, status: 400 })
    await send('updateKey', { path: '/v1/admin/keys/key_0', body: {}, status: 404 })
    await send('retrieveKey', { path: '/v1/admin/keys/key_0', status: 404 })
    await send('rotateKey', { path: `${at}/rotate`, body: { overlap: 60 }, status: 201 })
    await send('revokeKey', { path: at })
  })

  it('of limits', async () => {
    const at = '/v1/admin/owners/anna/limits'
    await send('updateOwnerLimits', { path: at, body: { limits: { tokens_per_month: 1000, concurrent_requests: 2, context_tokens: 900 } } })
    await send('updateOwnerLimits', { path: at, body: { limits: { tokens_per_minute: 'many' } }, status: 400 })
    await send('retrieveOwnerLimits', { path: at })
    await send('retrieveOwnerLimits', { path: '/v1/admin/owners/no%20body/limits', status: 400 })
    expect(await send('listLimits', { query: '?owner=anna&limit=1' })).toMatchObject({ data: [{ owner: 'anna', data: expect.any(Array) as unknown }], has_more: true })
    await send('listLimits', { query: '?limit=0', status: 400 })
    await send('retrieveLimits')
  })

  it('of usage', async () => {
    const groups = '?group_by=owner,model,day'
    expect(await send('retrieveEverybodysUsage', { query: groups })).toMatchObject({ data: [{ model: 'embedder' }, { model: 'ranker' }, { model: 'writer' }] })
    await send('retrieveEverybodysUsage', { query: `${groups}&format=csv` })
    await send('retrieveEverybodysUsage', { query: '?group_by=colour', status: 400 })
    await send('retrieveUsage')
    await send('retrieveUsage', { headers: { accept: 'text/csv' } })
    await send('retrieveUsage', { query: '?owner=anna', status: 400 })
  })

  it('of tokens', async () => {
    await send('tokenize', { body: { model, prompt: 'Hi', return_token_strs: true } })
    await send('tokenize', { body: { model, messages } })
    await send('tokenize', { body: { model, content: 'Hi' } })
    await send('tokenize', { body: { model, content: 'Hi', with_pieces: true } })
    await send('detokenize', { body: { model, tokens: [72, 105] } })
  })

  it('of the server itself', async () => {
    await send('health')
    await send('ready')
    writer.state = 'restarting'
    await send('ready', { status: 503 })
    writer.state = 'ready'
    await send('metrics')
    await send('about')
    expect(await send('openApiDocument')).toMatchObject({ openapi: '3.1.1', paths: document.paths })
  })

  // The last one.
  it('of every kind that the document has', () => {
    const kinds = operations.flatMap(({ id, answers }) => Object.entries(answers).flatMap(([status, { json, events, text }]) => [
      ...(json === undefined ? [] : [`${id} ${status} application/json`]), ...(events === undefined ? [] : [`${id} ${status} text/event-stream`]), ...(text === undefined ? [] : [`${id} ${status} ${text}`])
    ]))
    expect(kinds.filter((kind) => !seen.has(kind))).toEqual([])
  })

  it.each(operations.filter(({ body }) => body !== undefined).map((operation) => ({ id: operation.id, operation })))('and the example of $id is a body that it takes', ({ operation: { body, paths, method } }) => {
    const { schema } = (document.paths[paths[0]]?.[method] as unknown as { requestBody: { content: Record<string, { schema: object }> } }).requestBody.content[body!.mediaType ?? 'application/json']!
    const validate = ajv.compile(JSON.parse(JSON.stringify(schema).replaceAll('"#/components', '"document#/components')) as object)
    validate(body!.example)
    expect(validate.errors).toBe(null)
  })
})
