/** @throws Error that names the flag, for the person at the terminal. */
export function wholeNumber (text: string, flag: string, most: number): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1 || value > most) throw new Error(`${flag} is "${text}", but must be a whole number from 1 to ${most}`)
  return value
}

/** The same for `1,8,64`. */
export const wholeNumbers = (text: string, flag: string, most: number): readonly number[] =>
  text.split(',').map((part) => wholeNumber(part.trim(), flag, most))
