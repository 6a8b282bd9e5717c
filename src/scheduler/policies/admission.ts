import type { Sequence } from '../sequence.ts'
import { FairShare } from './fair-share.ts'
import { FirstComeFirstServed } from './first-come-first-served.ts'

/**
 * Who gets a free slot. A policy holds the waiting line: the scheduler tells it who comes and goes, and asks for the next one. It is
 * as pure as the scheduler: the same calls give the same answers.
 */
export interface AdmissionPolicy {
  /** It waits from now on. */
  join (sequence: Sequence): void
  /** It waits no more, for whatever reason. */
  leave (sequence: Sequence): void
  /** Who is next, of those that wait and were not passed over; null when there is nobody. */
  next (passed: ReadonlySet<Sequence>): Sequence | null
  /** It was given a slot, with so many prompt tokens to compute. Called after `leave`. */
  admit (sequence: Sequence, promptTokens: number): void
  /** So many more prompt tokens than `admit` was told are computed for it; fewer, if negative. */
  adjust (sequence: Sequence, promptTokens: number): void
  /** A token was drawn for it. */
  charge (sequence: Sequence): void
  /** It gave its slot back. */
  release (sequence: Sequence): void
  /**
   * Whom to turn away so that `count` sequences of the tenant can wait although the line is full: at least `places` of those
   * that wait, or nobody when the newcomers are to be turned away instead.
   */
  makeRoom (newcomers: readonly Sequence[], places: number): readonly Sequence[]
}

export const admissionPolicies = {
  fair: () => new FairShare(),
  'first-come-first-served': () => new FirstComeFirstServed()
} as const satisfies Readonly<Record<string, () => AdmissionPolicy>>

export type AdmissionPolicyName = keyof typeof admissionPolicies

export const admissionPolicyNames = Object.keys(admissionPolicies) as readonly AdmissionPolicyName[]
