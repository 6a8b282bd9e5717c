import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { Anthropic } from '@anthropic-ai/sdk'
import type { OpenAI } from 'openai'
import { operations } from '../../../src/http/openapi/operations.ts'
import type { embeddingRequestSchema } from '../../../src/http/schemas/embedding-request.ts'
import type { messageParameterPolicies, messageRequestSchema } from '../../../src/http/schemas/message-request.ts'
import type { embeddingParameterPolicies } from '../../../src/http/schemas/parameter-policy.ts'
import type { responseParameterPolicies } from '../../../src/http/schemas/response-parameters.ts'
import type { responseRequestSchema } from '../../../src/http/schemas/response-request.ts'
import { createScriptedInference } from '../../support/scripted-inference.ts'
import { buildTestApp } from '../../support/test-app.ts'
import { createTestHost } from '../../support/test-host.ts'

const root = new URL('../../../', import.meta.url)
const page = readFileSync(new URL('docs/compatibility.md', root), 'utf8')
const sectionOf = (name: string): string => page.split('\n## ').find((section) => section.startsWith(`${name}\n`)) ?? ''

/** Cells of the rows of all tables in a text. */
const rowsOf = (text: string): string[][] => text.split('\n').filter((line) => /^\| ?`/.test(line)).map((line) => line.split('|').slice(1, -1).map((cell) => cell.trim()))

describe('the page that says what is compatible', () => {
  it.each([
    ['OpenAI: responses', ['createResponse', 'countResponseInputTokens']],
    ['OpenAI: conversations', ['createConversation', 'updateConversation', 'createConversationItems']],
    ['OpenAI: embeddings', ['createEmbeddings']],
    ['Anthropic: messages', ['createMessage', 'countMessageTokens']],
    ['Jina and Cohere: rerank', ['rerank']]
  ])('has every member of the requests of "%s"', (name, ids) => {
    const section = sectionOf(name)
    const names = operations.filter(({ id }) => ids.includes(id)).flatMap(({ body }) => [
      ...body!.schemas.flatMap((schema) => Object.keys((schema as unknown as { shape: object }).shape)), ...Object.keys(body!.policies ?? {})
    ])
    expect(names.length).toBeGreaterThanOrEqual(ids.length)
    expect(names.filter((member) => !section.includes(`\`${member}\``))).toEqual([])
  })

  it.each([
    ['OpenAI: responses', 'createResponse'], ['OpenAI: embeddings', 'createEmbeddings'], ['Anthropic: messages', 'createMessage'], ['Jina and Cohere: rerank', 'rerank']
  ])('calls those members of "%s" refused that are refused whatever they hold', (name, id) => {
    const refused = rowsOf(sectionOf(name)).filter(([, status]) => status === 'refused').flatMap(([names = '']) => [...names.matchAll(/`(\w+)`/g)].map(([, member]) => member!))
    const { body } = operations.find((operation) => operation.id === id)!
    const never = Object.entries(body!.policies ?? {}).filter(([, { accepted }]) => accepted instanceof z.ZodNever).map(([member]) => member)
    expect(refused.sort()).toEqual(never.sort())
  })

  it('knows every parameter of the clients\' own types, in code that fails to compile when one learns another', () => {
    type Missing<Params, Schema, Policies> = Exclude<keyof Params, keyof Schema | keyof Policies>
    const missing: [
      Missing<OpenAI.Responses.ResponseCreateParamsStreaming, typeof responseRequestSchema.shape, typeof responseParameterPolicies>,
      Missing<OpenAI.EmbeddingCreateParams, typeof embeddingRequestSchema.shape, typeof embeddingParameterPolicies>,
      // Its client sends these two as headers.
      Missing<Omit<Anthropic.MessageCreateParamsStreaming, 'user_profile_id' | 'workspace_id'>, typeof messageRequestSchema.shape, typeof messageParameterPolicies>
    ][] = []
    const nothing: [never, never, never][] = missing
    expect(nothing).toEqual([])
  })

  it('names the client libraries in the versions that the tests run', () => {
    const rows = rowsOf(sectionOf('Client libraries'))
    const versionOf = (name: string) => (JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, root), 'utf8')) as { version: string }).version
    expect(rows.length).toBeGreaterThanOrEqual(5)
    expect(rows.map(([name, version]) => [name, version])).toEqual(rows.map(([name = '']) => [name, versionOf(name.replaceAll('`', ''))]))
  })
})

describe('endpoints on it', () => {
  let app: FastifyInstance
  beforeAll(async () => { ({ app } = await buildTestApp([createTestHost(createScriptedInference(() => []))])) })
  afterAll(async () => await app.close())

  /** `GET`, `DELETE /v1/x` is two of them. */
  const endpoints = rowsOf(page).flatMap(([cell = '', status = '', note = '']) => {
    const methods: string[] = []
    return [...cell.matchAll(/`(GET|POST|DELETE)(?: (\/[^`]*))?`/g)].flatMap(([, method, path]) => {
      methods.push(method!)
      return path === undefined ? [] : methods.splice(0).map((each) => ({ endpoint: `${each} ${path}`, status, note }))
    })
  })
  const served = new Set(operations.flatMap(({ method, paths }) => paths.map((path) => `${method.toUpperCase()} ${path.replace(/\{\w+\}/g, '{}')}`)))

  it('are many', () => {
    expect(endpoints.length).toBeGreaterThan(80)
    expect(new Set(endpoints.map(({ status }) => status))).toEqual(new Set(['yes', 'partly', 'no (404)', 'no (405)']))
  })

  it('are there where it says so', () => {
    const there = endpoints.filter(({ status }) => !status.startsWith('no')).map(({ endpoint }) => endpoint)
    expect(there.filter((endpoint) => !served.has(endpoint.replace(/\{\w+\}/g, '{}')))).toEqual([])
  })

  it.each(endpoints.filter(({ status }) => status.startsWith('no')))('are not there where it says so: $endpoint', async ({ endpoint, status }) => {
    const [method, path = ''] = endpoint.split(' ')
    const response = await app.inject({ method: method as 'GET', url: path.replace(/\{\w+\}/g, 'x'), ...(method === 'POST' ? { payload: {} } : {}) })
    expect(`no (${response.statusCode})`).toBe(status)
  })
})
