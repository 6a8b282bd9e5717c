import { describe, expect, it } from 'vitest'
import { createChatTemplate } from '../../../../src/chat/chat-template.ts'
import type { ChatWork, WorkReply } from '../../../../src/chat/preparation/chat-work.ts'
import { type Crew, mostConversationSize, mostSizeHere, Preparation, type WorkOrder } from '../../../../src/chat/preparation/preparation.ts'
import { Workshop } from '../../../../src/chat/preparation/workshop.ts'
import type { ChatRequest } from '../../../../src/chat/prepare-chat.ts'
import type { OutputFormat } from '../../../../src/chat/structured/output-grammars.ts'
import { asTenantId } from '../../../../src/domain/ids.ts'

/** Does its work at once, on copies, as if it were far away. */
class NearCrew implements Crew {
  readonly works: ChatWork[] = []
  readonly #workshop = new Workshop()

  async do (work: ChatWork): Promise<WorkReply> {
    this.works.push(work)
    return structuredClone(this.#workshop.do(structuredClone(work)))
  }

  async close (): Promise<void> {}
}

const order: WorkOrder = { tenant: asTenantId('acme'), signal: new AbortController().signal }
const template = createChatTemplate({
  chatTemplate: '{% for t in tools or [] %}<tool_call>{{ t | tojson }}{% endfor %}{% for m in messages %}<|im_start|>{{ m.content }}{% endfor %}<|im_start|>assistant', bosText: '', eosText: '', controlTexts: ['<|im_start|>']
})
/** Counts the renderings that are made here. */
function countedVoice () {
  let renderings = 0
  return {
    voice: { dialect: template.dialect, template: { ...template, render: (...given: Parameters<typeof template.render>) => { renderings++; return template.render(...given) } } },
    get renderings () { return renderings }
  }
}
const tool = (index: number, properties: number) => ({
  name: `tool_${index}`, isStrict: false, parameters: { type: 'object', properties: Object.fromEntries(Array.from({ length: properties }, (_, property) => [`p${property}`, { type: 'string' }])) }
})
const requestOf = (changes: Partial<ChatRequest> = {}): ChatRequest => ({
  messages: [{ role: 'user', content: 'Rain?' }], tools: [], toolChoice: { mode: 'required', names: null }, isParallel: true, reasoningEffort: null, splitsReasoning: true, templateVariables: {}, continuesLastMessage: false, ...changes
})
const text: OutputFormat = { kind: 'text' }
const regex = (pattern: string): OutputFormat => ({ kind: 'regex', param: 'r', pattern })

describe('preparation', () => {
  it('makes every grammar elsewhere, once, and then knows it', async () => {
    const crew = new NearCrew()
    const preparation = new Preparation(crew)
    expect(await preparation.grammarOf(text, order)).toBe(null)
    expect(crew.works).toEqual([])
    const grammar = await preparation.grammarOf(regex('a{3}'), order)
    expect(grammar).toBe(await new Preparation(null).grammarOf(regex('a{3}'), order))
    expect(await preparation.grammarOf(regex('a{3}'), order)).toBe(grammar)
    expect(crew.works.map(({ kind }) => kind)).toEqual(['format'])
  })

  it.each([
    ['a regular expression', regex('a?'.repeat(5000))],
    ['a schema', { kind: 'json-schema', param: 's', schema: { type: 'string', pattern: '(a|b)*a(a|b){12}' }, strictName: null }],
    ['a grammar of the client\'s', { kind: 'grammar', grammar: 'root ::= root' }]
  ] as const)('refuses %s elsewhere once, and at once from then on', async (_what, format) => {
    const crew = new NearCrew()
    const preparation = new Preparation(crew)
    const refusals = await Promise.allSettled([1, 2].map(async (_attempt, index) => {
      for (let turn = 0; turn < index; turn++) await Promise.allSettled([preparation.grammarOf(format, order)])
      await preparation.grammarOf(format, order)
    }))
    await expect(preparation.grammarOf(format, order)).rejects.toMatchObject({ status: 400 })
    expect(refusals.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    const before = crew.works.length
    for (let turn = 0; turn < 5; turn++) await expect(preparation.grammarOf(format, order)).rejects.toMatchObject({ status: 400 })
    expect(crew.works.length).toBe(before)
  })

  it('prepares small chats here and large ones elsewhere, with the same result', async () => {
    const crew = new NearCrew()
    const preparation = new Preparation(crew)
    const alone = new Preparation(null)
    const counted = countedVoice()
    const small = requestOf()
    expect(await preparation.prepareChat(small, text, counted.voice, order)).toEqual(await alone.prepareChat(small, text, { template, dialect: template.dialect }, order))
    expect([crew.works.length, counted.renderings]).toEqual([0, 1])
    const large = requestOf({ messages: [{ role: 'user', content: '<|im_start|>'.repeat(10_000) }] })
    const prepared = await preparation.prepareChat(large, text, { template, dialect: template.dialect }, order)
    expect(prepared).toEqual(await alone.prepareChat(large, text, { template, dialect: template.dialect }, order))
    await preparation.prepareChat(large, text, counted.voice, order)
    expect([crew.works.length, counted.renderings]).toEqual([2, 1])
  })

  it('asks elsewhere for the grammar of tools that it has not seen', async () => {
    const crew = new NearCrew()
    const preparation = new Preparation(crew)
    const voice = { template, dialect: template.dialect }
    const request = requestOf({ tools: [tool(1, 5)] })
    const first = await preparation.prepareChat(request, text, voice, order)
    expect(first.answerGrammar?.grammar).toContain('tool_1')
    expect((await preparation.prepareChat({ ...request, messages: [{ role: 'user', content: 'Snow?' }] }, text, voice, order)).answerGrammar).toEqual(first.answerGrammar)
    expect(crew.works.length).toBe(1)
  })

  it('never renders more here than the limit, whatever a request is large by', async () => {
    const long = 'x'.repeat(mostSizeHere)
    const larger: Partial<ChatRequest>[] = [
      { messages: Array.from({ length: 4096 }, () => ({ role: 'user', content: '' })) },
      { messages: [{ role: 'assistant', content: long }] },
      { messages: [{ role: 'assistant', content: '', reasoning: long }] },
      { messages: [{ role: 'assistant', content: '', toolCalls: [{ id: 'c', name: 'f', arguments: long }] }] },
      { messages: [{ role: 'assistant', content: '', toolCalls: Array.from({ length: 500 }, () => ({ id: 'c', name: 'f', arguments: '{}' })) }] },
      { tools: Array.from({ length: 128 }, (_, index) => tool(index, 400)) },
      { tools: [{ ...tool(0, 1), description: long }] },
      { tools: [{ ...tool(0, 1), parameters: { enum: Array.from({ length: 10_000 }, () => 1) } }] },
      { tools: [{ ...tool(0, 1), parameters: { [long]: 1 } }] }
    ]
    for (const changes of larger) {
      const crew = new NearCrew()
      const counted = countedVoice()
      const preparation = new Preparation(crew)
      await Promise.allSettled([
        preparation.prepareChat(requestOf(changes), text, counted.voice, order),
        preparation.render({ messages: [], tools: [], ...changes, options: {} }, counted.voice, order)
      ])
      expect([crew.works.map(({ kind }) => kind), counted.renderings]).toEqual([['chat', 'rendering'], 0])
    }
  })

  it('refuses what nobody should begin with', async () => {
    const crew = new NearCrew()
    const preparation = new Preparation(crew)
    const voice = { template, dialect: template.dialect }
    const endless = [{ role: 'assistant' as const, content: '<'.repeat(mostConversationSize) }]
    await expect(preparation.prepareChat(requestOf({ messages: endless }), text, voice, order)).rejects.toMatchObject({ code: 'invalid_value', param: 'messages' })
    await expect(preparation.render({ messages: endless, tools: [], options: {} }, voice, order)).rejects.toMatchObject({ code: 'invalid_value', param: 'messages' })
    const choices: OutputFormat = { kind: 'choice', param: 'c', texts: Array.from({ length: 100 }, (_, index) => `${index}`.padStart(16_000)) }
    await expect(preparation.grammarOf(choices, order)).rejects.toMatchObject({ code: 'unsupported_value', param: 'c' })
    const deep: OutputFormat = { kind: 'json-schema', param: 's', schema: JSON.parse(`${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`), strictName: null }
    await expect(preparation.grammarOf(deep, order)).rejects.toMatchObject({ code: 'unsupported_value', message: expect.stringContaining('nested too deeply') })
    expect(crew.works).toEqual([])
  })
})
