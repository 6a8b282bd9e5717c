/**
 * What a key may be used for: `inference` runs models, `models` sees them, `adapters` changes adapters, `metrics` reads `/metrics`, and
 * `admin` does all of it and manages keys.
 */
export const scopes = ['inference', 'models', 'adapters', 'metrics', 'admin'] as const

export type Scope = typeof scopes[number]

/** Whether somebody with these scopes may do what takes one of the `wanted`. */
export const hasOneOf = (held: readonly Scope[], wanted: readonly Scope[]): boolean =>
  held.includes('admin') || wanted.some((scope) => held.includes(scope))
