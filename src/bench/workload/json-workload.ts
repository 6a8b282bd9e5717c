import { Random } from '../../domain/random.ts'
import { lengthsOf, type MadeUpParts } from './made-up.ts'
import { singleTurn, type Workload } from './workload.ts'

interface Task {
  readonly name: string
  readonly question: string
  readonly properties: Readonly<Record<string, object>>
}

const tasks: readonly Task[] = [
  {
    name: 'person',
    question: 'Describe a person as JSON.',
    properties: { name: { type: 'string', maxLength: 24 }, age: { type: 'integer' }, is_student: { type: 'boolean' } }
  },
  {
    name: 'order',
    question: 'Write an order of a shop as JSON.',
    properties: {
      item: { type: 'string', maxLength: 24 },
      size: { type: 'string', enum: ['small', 'medium', 'large'] },
      count: { type: 'integer' }
    }
  },
  {
    name: 'weather',
    question: 'Report the weather as JSON.',
    properties: {
      city: { type: 'string', maxLength: 24 },
      sky: { type: 'string', enum: ['clear', 'cloudy', 'rain', 'snow'] },
      is_windy: { type: 'boolean' }
    }
  }
]

/**
 * Answers held to a JSON schema (`response_format`), each checked: an answer that does not parse, or lacks a property, is a
 * failure. Chat completions only. Lengths of answers are the schema's, at most `outputTokens`.
 */
export function jsonWorkload (parts: MadeUpParts): Workload {
  return {
    asksAnew: true,
    description: `json, ${parts.inputTokens.text} tokens in, at most ${parts.outputTokens.text} out`,
    conversation (number) {
      const lengths = lengthsOf(parts, number)
      const task = lengths.pick(tasks)
      const filler = parts.texts.prompt(new Random(parts.textSeed).fork(number), parts.inputTokens.draw(lengths) - 8)
      const names = Object.keys(task.properties)
      const schema = { type: 'object', properties: task.properties, required: names, additionalProperties: false }
      const body = {
        messages: [{ role: 'user', content: `${filler}\n\n${task.question}` }],
        max_tokens: parts.outputTokens.draw(lengths),
        response_format: { type: 'json_schema', json_schema: { name: task.name, strict: true, schema } }
      }
      return singleTurn(task.name, body, (text) => checkAnswer(text, names))
    }
  }
}

/** What is wrong with an answer: no JSON object, or one without a property. Null when nothing is. */
export function checkAnswer (text: string, names: readonly string[]): string | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return `not JSON: ${text.slice(0, 100)}`
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return `not a JSON object: ${text.slice(0, 100)}`
  const missing = names.find((name) => !(name in value))
  return missing === undefined ? null : `without "${missing}": ${text.slice(0, 100)}`
}
