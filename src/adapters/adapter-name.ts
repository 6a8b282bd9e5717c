import { ServerError } from '../domain/errors.ts'

/** Signs that join names, generations and scales in the keys of adapter sets, and names in metrics, are not among them. */
const namePattern = /^[\p{L}\p{N}_](?:[\p{L}\p{N}_.:/ -]{0,126}[\p{L}\p{N}_.:/-])?$/u

export const isAdapterName = (name: string): boolean => namePattern.test(name)

export const adapterNameAdvice =
  'must be 1 to 128 letters, digits, and any of "_ . : / -" or spaces within, and begin with a letter, a digit or "_"'

/** @throws ServerError `invalid_value` for a name that no adapter may have */
export function checkAdapterName (name: string, param: string): void {
  if (isAdapterName(name)) return
  throw new ServerError('invalid_value', `Invalid value for '${param}': ${JSON.stringify(name.slice(0, 140))} is no name of an adapter; it ${adapterNameAdvice}`, { param })
}
