import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import OpenAI, { toFile } from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chatLines, type ResultLine } from '../support/batch-client.ts'
import { startServer, type ServerProcess, waitUntil } from '../support/server-process.ts'

describe('batches of the demo model, through the openai client', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'drawbridge-batches-'))
  let server: ServerProcess
  let client: OpenAI
  beforeAll(async () => {
    server = await startServer(['--model', 'demo', '--slots', '4', '--api-key', 'k', '--data-dir', folder])
    client = new OpenAI({ baseURL: server.baseURL, apiKey: 'k', maxRetries: 0 })
  })
  afterAll(async () => {
    await server[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true })
  })

  const upload = async (content: string) => await client.files.create({ file: await toFile(Buffer.from(content), 'requests.jsonl'), purpose: 'batch', expires_after: { anchor: 'created_at', seconds: 7200 } })

  it('go from a file of requests to a file of answers', async () => {
    const prompts = Array.from({ length: 12 }, (_, index) => `Count to ${index + 1}.`)
    const file = await client.files.waitForProcessing((await upload(chatLines('drawbridge-demo', prompts, { max_tokens: 12, temperature: 0 }))).id)
    expect(file).toMatchObject({ object: 'file', purpose: 'batch', status: 'processed', filename: 'requests.jsonl' })
    let batch = await client.batches.create({ input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h', metadata: { of: 'a test' } })
    expect(batch.status).toBe('validating')
    await waitUntil(async () => {
      batch = await client.batches.retrieve(batch.id)
      return batch.status === 'completed'
    })
    expect(batch).toMatchObject({ model: 'drawbridge-demo', request_counts: { total: 12, completed: 12, failed: 0 }, metadata: { of: 'a test' }, output_file_id: expect.stringMatching(/^file-/) as string })
    expect(batch.usage?.output_tokens).toBeGreaterThanOrEqual(12)
    const lines = (await (await client.files.content(batch.output_file_id!)).text()).trim().split('\n').map((line) => JSON.parse(line) as ResultLine)
    expect(lines.map(({ custom_id: id }) => id)).toEqual(prompts.map((_, index) => `line-${index}`))
    // A line has the answer that its request alone has.
    const alone = await client.chat.completions.create({ model: 'drawbridge-demo', messages: [{ role: 'user', content: prompts[3]! }], max_tokens: 12, temperature: 0 })
    expect(lines[3]?.response?.body.choices?.[0]?.message.content).toBe(alone.choices[0]?.message.content)

    const listed: string[] = []
    for await (const each of client.batches.list({ limit: 1 })) listed.push(each.id)
    expect(listed).toEqual([batch.id])
    const files: string[] = []
    for await (const each of client.files.list({ limit: 1, order: 'asc' })) files.push(each.id)
    expect(files).toEqual([file.id, batch.output_file_id])
    expect(await client.files.delete(file.id)).toEqual({ id: file.id, object: 'file', deleted: true })
    await expect(client.files.retrieve(file.id)).rejects.toMatchObject({ status: 404, code: 'file_not_found' })
  })

  it('are stopped', async () => {
    const file = await upload(chatLines('drawbridge-demo', Array.from({ length: 50 }, () => 'Tell me a story.'), { max_tokens: 2000, ignore_eos: true }))
    const { id } = await client.batches.create({ input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' })
    await waitUntil(async () => (await client.batches.retrieve(id)).status === 'in_progress')
    expect((await client.batches.cancel(id)).status).toBe('cancelling')
    await waitUntil(async () => (await client.batches.retrieve(id)).status === 'cancelled')
    await expect(client.batches.cancel(id)).rejects.toMatchObject({ status: 400 })
  })
})
