import { effectiveLimits, type Limits } from '../domain/limits.ts'
import type { FoundKey } from './keys/key-store.ts'
import { keySubject, ownerSubject, type SubjectLimits } from './limits/subjects.ts'

/** Whose budgets the requests of a key are on. What a key was rotated to has what is left of it. @param defaults of keys without their own */
export const subjectsOfKey = ({ id, firstId, owner, limits, ownerLimits }: Pick<FoundKey, 'id' | 'firstId' | 'owner' | 'limits' | 'ownerLimits'>, defaults: Limits): readonly SubjectLimits[] => [
  { subject: keySubject(firstId ?? id), limits: effectiveLimits(limits, defaults) },
  { subject: ownerSubject(owner), limits: effectiveLimits(ownerLimits) }
]
