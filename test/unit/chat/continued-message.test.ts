import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ChatMessage } from '../../../src/chat/chat-message.ts'
import { createChatTemplate } from '../../../src/chat/chat-template.ts'
import { ServerError } from '../../../src/domain/errors.ts'
import type { PromptSegment } from '../../../src/inference/inference.ts'

const controlTexts = ['<|im_start|>', '<|im_end|>', '<|start|>', '<|channel|>', '<|message|>', '<|return|>', '<s>', '</s>', '[INST]', '[/INST]', '<think>', '</think>']
const chatml = `{% for m in messages %}<|im_start|>{{ m.role }}
{{ m.content | trim }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}`
const thinking = `{% for m in messages %}<|im_start|>{{ m.role }}
{% if m.role == 'assistant' and loop.last %}<think>
{{ m.reasoning_content or '' }}
</think>

{% endif %}{{ m.content.split('</think>')[-1].lstrip() }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
<think>
{% endif %}`
const harmony = '{% for m in messages %}<|start|>{{ m.role }}<|channel|>final<|message|>{{ m.content }}<|return|>{% endfor %}{% if add_generation_prompt %}<|start|>assistant{% endif %}'
const parts = '{% for m in messages %}[INST]{% for part in m.content %}{% if part.type == "text" %}{{ part.text }}{% endif %}{% endfor %}</s>{% endfor %}'

const templateOf = (chatTemplate: string | null) => createChatTemplate({ chatTemplate, bosText: '<s>', eosText: '</s>', controlTexts })
const textOf = (segments: readonly PromptSegment[]): string => segments.map(({ text }) => text).join('')
const question: ChatMessage = { role: 'user', content: 'Sun?' }
const begun = (content: string, changes: Partial<ChatMessage> = {}): ChatMessage => ({ role: 'assistant', content, ...changes })
const continued = (chatTemplate: string | null, ...messages: ChatMessage[]) => templateOf(chatTemplate).render(messages, { continuesLastMessage: true })

function errorOf (action: () => unknown): ServerError {
  try {
    action()
  } catch (error) {
    if (error instanceof ServerError) return error
    throw error
  }
  throw new Error('Nothing was thrown')
}

describe('a message that is continued', () => {
  it.each([
    ['a template that trims', chatml, '<|im_start|>user\nSun?<|im_end|>\n<|im_start|>assistant\nIt is ('],
    ['a template whose new turn begins with reasoning', thinking, '<|im_start|>user\nSun?<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\nIt is ('],
    ['a template with channels', harmony, '<|start|>user<|channel|>final<|message|>Sun?<|return|><|start|>assistant<|channel|>final<|message|>It is ('],
    ['a template that reads parts', parts, '[INST]Sun?</s>[INST]It is ('],
    ['no template', null, '<s>User: Sun?\nAssistant: It is (']
  ])('ends the prompt, with %s', (_name, chatTemplate, prompt) => {
    expect(textOf(continued(chatTemplate, question, begun('It is (')))).toBe(prompt)
  })

  it('keeps white space at its end, which templates would trim', () => {
    expect(textOf(continued(chatml, question, begun('It is \n')))).toMatch(/assistant\nIt is \n$/)
  })

  it('is found where other texts are like the word that marks its end', () => {
    const template = templateOf('{% for tool in tools or [] %}{{ tool.function.description }}{% endfor %}{{ level }}{% for m in messages %}|{{ m.reasoning_content or "" }}|{{ m.content }}{% endfor %}')
    const shown = template.render([question, begun('Su', { reasoning: 'goesonherex' })], {
      continuesLastMessage: true, tools: [{ name: 'f', description: 'goesonhere', isStrict: false }], variables: { level: 'goesonherexx' }
    })
    expect(textOf(shown)).toBe('goesonheregoesonherexx||Sun?|goesonherex|Su')
  })

  it('may be empty, or be like the word that marks its end', () => {
    expect(textOf(continued(chatml, question, begun('')))).toMatch(/<\|im_start\|>assistant\n$/)
    expect(textOf(continued(chatml, begun('goesonhere'), question, begun('goesonherex')))).toMatch(/assistant\ngoesonherex$/)
    const taken = `goesonhere${'x'.repeat(100_000)}`
    expect(textOf(continued(chatml, question, begun(taken)))).toMatch(/x{100000}$/)
  })

  it('makes control texts no more than other messages do', () => {
    fc.assert(fc.property(fc.array(fc.constantFrom('<|im_', 'start|>', '<|im_end|>', 'x', ' ', '<', '|>'), { maxLength: 8 }), (pieces) => {
      const text = pieces.join('')
      const segments = continued(chatml, question, begun(text))
      const controls = segments.filter(({ origin }) => origin === 'template').flatMap((segment) => segment.text.match(/<\|im_start\|>|<\|im_end\|>/g) ?? [])
      expect(controls).toEqual(['<|im_start|>', '<|im_end|>', '<|im_start|>'])
      expect(textOf(segments).endsWith(`assistant\n${text.trimStart()}`)).toBe(true)
    }))
  })

  it('must be the assistant\'s, and have no calls', () => {
    const calling = begun('', { toolCalls: [{ id: 'call_1', name: 'x', arguments: '{}' }] })
    for (const last of [question, calling]) {
      expect(errorOf(() => continued(chatml, question, last))).toMatchObject({ code: 'invalid_value', param: 'messages' })
    }
  })

  it.each([
    ['leaves it out', '{% for m in messages %}{% if m.role == "user" %}{{ m.content }}{% endif %}{% endfor %}'],
    ['shows it twice', '{% for m in messages %}{{ m.content }}{{ m.content }}{% endfor %}'],
    ['changes it', '{% for m in messages %}{{ m.content | upper }}{% endfor %}']
  ])('is refused where the template %s', (_what, chatTemplate) => {
    expect(errorOf(() => continued(chatTemplate, question, begun('It is (')))).toMatchObject({ code: 'unsupported_value', param: 'messages' })
  })
})
