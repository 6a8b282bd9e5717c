import { createScriptedInference, type ScriptedInference, type ScriptStep } from './scripted-inference.ts'
import { buildTestApp, listen } from './test-app.ts'
import { createTestHost } from './test-host.ts'

export interface ScriptedServer extends AsyncDisposable {
  /** Without `/v1`. */
  readonly origin: string
  readonly inference: ScriptedInference
  /** What its model, `scripted`, was asked so far. */
  readonly prompts: readonly string[]
}

/** Shows tools, calls and results, and writes calls as Hermes does. */
const chatTemplate = `{% for tool in tools or [] %}<tool_call>{{ tool | tojson }}{% endfor %}{% for m in messages %}<|{{ m.role }}|>
{%- if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}{{ m.content }}
{%- for call in m.tool_calls or [] %}<tool_call>{{ call.function.name }}{{ call.function.arguments | tojson }}{% endfor %}<|end|>{% endfor %}
{%- if add_generation_prompt %}<|assistant|>{% endif %}`

/** A listening server whose model says what a test wants, for what clients make of it. */
export async function startScriptedServer (script: (prompt: string) => readonly ScriptStep[]): Promise<ScriptedServer> {
  const prompts: string[] = []
  const inference = createScriptedInference(({ prompt }) => {
    const text = 'segments' in prompt ? prompt.segments.map((segment) => segment.text).join('') : ''
    prompts.push(text)
    return script(text)
  }, { model: { chatTemplate } })
  const { app } = await buildTestApp([createTestHost(inference, { id: 'scripted' })])
  const { origin } = await listen(app)
  return {
    origin,
    inference,
    prompts,
    [Symbol.asyncDispose]: async () => {
      app.server.closeAllConnections()
      await app.close()
    }
  }
}
