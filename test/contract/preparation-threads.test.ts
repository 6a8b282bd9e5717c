import { afterAll, describe, expect, it } from 'vitest'
import type { ChatWork } from '../../src/chat/preparation/chat-work.ts'
import { ThreadCrew } from '../../src/chat/preparation/thread-crew.ts'
import { Workshop } from '../../src/chat/preparation/workshop.ts'
import { asTenantId } from '../../src/domain/ids.ts'

const crew = new ThreadCrew()
const order = { tenant: asTenantId('acme'), signal: new AbortController().signal }
afterAll(async () => { await crew.close() })

const model = {
  template: { chatTemplate: '{% for t in tools or [] %}<tool_call>{{ t | tojson }}{% endfor %}{% for m in messages %}<|im_start|>{{ m.content }}{% endfor %}', bosText: '', eosText: '', controlTexts: ['<|im_start|>'] },
  dialect: 'hermes'
} as const
const messages = [{ role: 'user', content: 'Say <|im_start|>.' }] as const
const tools = [{ name: 'f', parameters: { type: 'object', properties: { city: { type: 'string' } } }, isStrict: false }]

const works: readonly (readonly [string, ChatWork])[] = [
  ['a format', { kind: 'format', format: { kind: 'json-schema', param: 's', schema: { enum: [1, 'a', null] }, strictName: null } }],
  ['a number of which there is no JSON', { kind: 'format', format: { kind: 'json-schema', param: 's', schema: { enum: [Infinity] }, strictName: null } }],
  ['a refusal', { kind: 'format', format: { kind: 'regex', param: 'r', pattern: '(' } }],
  ['a chat', {
    kind: 'chat',
    format: { kind: 'text' },
    model,
    request: { messages, tools, toolChoice: { mode: 'required', names: ['f'] }, isParallel: true, reasoningEffort: null, splitsReasoning: true, templateVariables: {}, continuesLastMessage: false }
  }],
  ['a rendering', { kind: 'rendering', rendering: { messages, tools, options: { addGenerationPrompt: false } }, model }]
]

describe('a thread', () => {
  it.each(works)('does what would be done here: %s', async (_what, work) => {
    expect(await crew.do(work, order)).toEqual(new Workshop().do(work))
  })

  it('leaves those who wait for it free to do something else', async () => {
    const progress = { isDone: false }
    const slow = crew.do({ kind: 'format', format: { kind: 'regex', param: 'r', pattern: 'a?'.repeat(5000) } }, order).finally(() => { progress.isDone = true })
    let turns = 0
    while (!progress.isDone) {
      turns++
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(await slow).toMatchObject({ error: { code: 'unsupported_value' } })
    expect(turns).toBeGreaterThan(10)
  })
})
