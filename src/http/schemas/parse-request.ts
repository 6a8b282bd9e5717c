import type { z } from 'zod'
import type { ParameterPolicies } from './parameter-policy.ts'
import { ServerError } from '../../domain/errors.ts'

type Issue = z.core.$ZodIssue

/** Far above the number of all parameters; copying a million members would take seconds. */
const maxMembers = 512

/**
 * Reads a request body: null means absent for every top-level member, as OpenAI has it; known parameters without effect
 * are checked and dropped; the rest must fit the schema.
 *
 * @throws ServerError `missing_required_parameter`, `unknown_parameter`, `unsupported_parameter` or `invalid_value`, with
 * `param` and the value and limit in the message.
 */
export function parseRequest<Schema extends z.ZodType> (schema: Schema, body: unknown, policies: ParameterPolicies = {}): z.output<Schema> {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new ServerError('invalid_value', `The request body must be a JSON object, but is ${describe(body)}`)
  }
  const memberCount = Object.keys(body).length
  if (memberCount > maxMembers) {
    throw new ServerError('invalid_value', `The request body has ${memberCount} members; the limit is ${maxMembers}`)
  }
  const members: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(body)) {
    if (value === null) continue
    const policy = Object.hasOwn(policies, name) ? policies[name] : undefined
    if (policy === undefined) {
      members[name] = value
    } else if (!policy.accepted.safeParse(value).success) {
      throw new ServerError('unsupported_parameter', `Unsupported parameter or value: '${name}'. ${policy.advice}`, { param: name })
    }
  }
  const result = schema.safeParse(members, { reportInput: true })
  if (result.success) return result.data
  // A misspelt parameter often makes another one missing, so it is the better thing to name.
  const issue = result.error.issues.find(({ code }) => code === 'unrecognized_keys') ?? result.error.issues[0]
  throw issue === undefined ? new ServerError('invalid_value', 'The request is not valid') : toServerError(issue)
}

const formatPath = (path: readonly PropertyKey[]): string =>
  path.map((key, index) => typeof key === 'number' ? `[${key}]` : `${index === 0 ? '' : '.'}${String(key)}`).join('')

function describe (value: unknown): string {
  if (value === undefined) return 'missing'
  if (value === null) return 'null'
  if (Array.isArray(value)) return `a list of ${value.length}`
  if (typeof value === 'object') return 'an object'
  if (typeof value === 'string') return value.length <= 40 ? JSON.stringify(value) : `a string of ${value.length} characters`
  return `${value as number | boolean}`
}

/** The value at fault; zod reports the whole object when it is the member that tells variants of it apart. */
function inputOf (issue: Issue): unknown {
  const member = issue.code === 'invalid_union' && 'discriminator' in issue ? issue.path.at(-1) : undefined
  if (member === undefined || typeof issue.input !== 'object' || issue.input === null) return issue.input
  return (issue.input as Record<PropertyKey, unknown>)[member]
}

const typeNames: Record<string, string> = {
  string: 'a string', number: 'a number', int: 'an integer', boolean: 'true or false', array: 'a list', object: 'an object', record: 'an object'
}

function toServerError (issue: Issue): ServerError {
  if (issue.code === 'unrecognized_keys') {
    const param = formatPath([...issue.path, issue.keys[0] ?? ''])
    return new ServerError('unknown_parameter', `Unknown parameter: '${param}'`, { param })
  }
  const param = formatPath(issue.path)
  const value = inputOf(issue)
  if (value === undefined) {
    return new ServerError('missing_required_parameter', `Missing required parameter: '${param}'`, { param })
  }
  return new ServerError('invalid_value', `Invalid value for '${param}': ${explain(issue)}, but got ${describe(value)}`, { param })
}

const unitOf = (origin: string): string => origin === 'string' ? ' characters' : origin === 'array' ? ' members' : ''

function explain (issue: Issue): string {
  // A message of a schema's own; zod's begin otherwise.
  if (issue.message.startsWith('expected')) return issue.message
  switch (issue.code) {
    case 'invalid_type':
      return `expected ${typeNames[issue.expected] ?? issue.expected}`
    case 'too_big':
      return `expected at most ${issue.maximum}${unitOf(issue.origin)}`
    case 'too_small':
      return `expected ${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}${unitOf(issue.origin)}`
    case 'invalid_value':
      return `expected ${issue.values.map((value) => JSON.stringify(value)).join(' or ')}`
    case 'invalid_union':
      return `expected ${'options' in issue && Array.isArray(issue.options) ? issue.options.map((value) => JSON.stringify(value)).join(' or ') : 'another type'}`
    default:
      return issue.message
  }
}
