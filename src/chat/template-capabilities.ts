import type { ChatMessage, ToolDefinition } from './chat-message.ts'
import type { ViewOptions } from './template-view.ts'

/** What a template can show of tools; found out by rendering, since templates do not say. */
export interface TemplateCapabilities {
  /** Whether it shows the tools that it is given. */
  readonly showsTools: boolean
  /** How it shows the calls of earlier turns; null where it leaves them out. */
  readonly callArguments: ViewOptions['argumentsAs'] | null
  /** Whether it shows messages of tools. */
  readonly showsResults: boolean
  readonly showsSystem: boolean
}

/** Renders a conversation; throws where the template does. */
export type Probe = (messages: readonly ChatMessage[], tools: readonly ToolDefinition[], argumentsAs: ViewOptions['argumentsAs']) => string

const tool: ToolDefinition = {
  name: 'probe_tool',
  description: 'Probe',
  parameters: { type: 'object', properties: { probe_key: { type: 'string', description: 'Probe' } }, required: ['probe_key'] },
  isStrict: false
}
const question: ChatMessage = { role: 'user', content: 'Probe' }
const result: ChatMessage = { role: 'tool', content: 'probe_result', toolCallId: 'probe1234' }
const call: ChatMessage = {
  role: 'assistant',
  content: '',
  toolCalls: [{ id: 'probe1234', name: 'probe_tool', arguments: '{"probe_key": "probe_value"}' }]
}

export function probeTemplate (probe: Probe): TemplateCapabilities {
  const render = (messages: readonly ChatMessage[], tools: readonly ToolDefinition[], argumentsAs: ViewOptions['argumentsAs'] = 'object'): string => {
    try {
      return probe(messages, tools, argumentsAs)
    } catch {
      return ''
    }
  }
  const showsCall = (argumentsAs: ViewOptions['argumentsAs']): boolean => {
    const text = render([question, call, result], [], argumentsAs)
    return text.includes('probe_tool') && /"probe_key"\s*:\s*"probe_value"/.test(text)
  }
  return {
    showsTools: render([question], [tool]).includes('probe_tool'),
    callArguments: showsCall('object') ? 'object' : showsCall('string') ? 'string' : null,
    showsResults: render([question, call, result], []).includes('probe_result') ||
      render([question, { role: 'assistant', content: 'Probe' }, result], []).includes('probe_result'),
    showsSystem: render([{ role: 'system', content: 'probe_system' }, question], []).includes('probe_system')
  }
}
