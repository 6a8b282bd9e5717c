import { ServerError } from '../domain/errors.ts'

const mostListed = 8

/** Names the models and adapters there are, as far as a sentence can. */
export function modelNotFound (name: string, models: readonly string[], adapters: readonly string[]): ServerError {
  const listed = [...models, ...adapters]
  const names = listed.slice(0, mostListed).map((id) => `"${id}"`).join(', ')
  const more = listed.length > mostListed ? ` and ${listed.length - mostListed} more` : ''
  const known = listed.length === 0 ? 'there is none that your key may use' : `this server has ${names}${more}`
  return new ServerError('model_not_found', `The model "${name}" does not exist; ${known}`, { param: 'model' })
}
