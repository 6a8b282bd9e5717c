/**
 * What `encrypted_content` of a reasoning item holds here: the reasoning itself, so that clients which keep nothing but that
 * member between turns can send it back. It is in the answer anyway, so nothing about it is secret.
 */
const prefix = 'drawbridge-reasoning.'

export const writePortableReasoning = (text: string): string => prefix + Buffer.from(text, 'utf8').toString('base64url')

/** The reasoning; null for what another server has written. */
export const readPortableReasoning = (content: string): string | null =>
  content.startsWith(prefix) ? Buffer.from(content.slice(prefix.length), 'base64url').toString('utf8') : null
