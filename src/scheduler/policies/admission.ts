import type { Millis } from '../../domain/ids.ts'
import type { Sequence } from '../sequence.ts'
import { FirstComeFirstServed } from './first-come-first-served.ts'
import { PriorityClasses } from './priority-classes.ts'

/**
 * Who gets a slot. A policy holds the waiting line: the scheduler tells it who comes and goes, and asks for the next one. It is
 * as pure as the scheduler: the same calls give the same answers.
 */
export interface AdmissionPolicy {
  /** It waits from now on: it came, or it lost its slot and is ahead of all others of its tenant. */
  join (sequence: Sequence, now: Millis): void
  /** It waits no more, for whatever reason. */
  leave (sequence: Sequence): void
  /**
   * Who is next, of those that wait and were not passed over; null when there is nobody.
   * @param isCrowded there are free slots, but none for batch work, unless it has waited for long
   */
  next (passed: ReadonlySet<Sequence>, now: Millis, isCrowded?: boolean): Sequence | null
  /** Whether the second one, which is ahead, can wait until after the first: they are equally urgent, and it is hardly more unfair. */
  mayOvertake (sequence: Sequence, ahead: Sequence): boolean
  /** It was given a slot, with so many prompt tokens to pay for. Called after `leave`. */
  admit (sequence: Sequence, promptTokens: number, now: Millis): void
  /** So many more prompt tokens than `admit` was told are computed for it; fewer, if negative. */
  adjust (sequence: Sequence, promptTokens: number): void
  /** A token was drawn for it. */
  charge (sequence: Sequence): void
  /** It gave its slot back, or lost it. */
  release (sequence: Sequence): void
  /**
   * Who may take whose slot, when none is free; null when nobody may.
   * @param running in order of admission; those whose slot can be taken now.
   */
  takeover (passed: ReadonlySet<Sequence>, running: readonly Sequence[]): Takeover | null
  /** Whose slot others may take at any time, if anybody's. @param running as for `takeover` */
  expendable (running: readonly Sequence[]): Sequence | null
  /** Whose prompt is read first, of two in slots: negative when it is the first one's, 0 when it is that of whoever came first. */
  comparePrompts (a: Sequence, b: Sequence): number
  /**
   * Whom to turn away so that the newcomers, of one tenant, can wait although the line is full: as many as are needed of those
   * that wait and whose request has not begun, or nobody when the newcomers are to be turned away instead.
   */
  makeRoom (newcomers: readonly Sequence[], isEnough: IsEnough): readonly Sequence[]
}

/** Whether there is room when these are turned away. */
export type IsEnough = (turnedAway: readonly Sequence[]) => boolean

export interface Takeover {
  readonly sequence: Sequence
  readonly victim: Sequence
}

export const admissionPolicies = {
  fair: () => new PriorityClasses(),
  'first-come-first-served': () => new FirstComeFirstServed()
} as const satisfies Readonly<Record<string, () => AdmissionPolicy>>

export type AdmissionPolicyName = keyof typeof admissionPolicies

export const admissionPolicyNames = Object.keys(admissionPolicies) as readonly AdmissionPolicyName[]
