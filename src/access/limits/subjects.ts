import type { EffectiveLimits, LimitName } from '../../domain/limits.ts'

/** Whoever is limited: a key (with those that it was rotated to), or an owner with all keys of it. */
export interface SubjectLimits {
  /** `key:…` or `owner:…` */
  readonly subject: string
  readonly limits: EffectiveLimits
}

export const keySubject = (id: string): string => `key:${id}`
export const ownerSubject = (owner: string): string => `owner:${owner}`

/** The least that any of them says. */
export function strictestLimit (subjects: readonly SubjectLimits[], name: LimitName): number | null {
  const values = subjects.flatMap(({ limits }) => limits[name] ?? [])
  return values.length === 0 ? null : Math.min(...values)
}
