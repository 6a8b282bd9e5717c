import type { Sequence } from '../sequence.ts'
import type { AdmissionPolicy } from './admission.ts'

/** In order of arrival, whoever asks and however urgently. One tenant's flood is everybody's wait. */
export class FirstComeFirstServed implements AdmissionPolicy {
  readonly #line = new Set<Sequence>()

  join (sequence: Sequence): void { this.#line.add(sequence) }

  leave (sequence: Sequence): void { this.#line.delete(sequence) }

  next (passed: ReadonlySet<Sequence>): Sequence | null {
    for (const sequence of this.#line) if (!passed.has(sequence)) return sequence
    return null
  }

  mayOvertake (): boolean { return false }

  admit (): void {}

  adjust (): void {}

  charge (): void {}

  release (): void {}

  takeover (): null { return null }

  expendable (): null { return null }

  comparePrompts (): number { return 0 }

  makeRoom (): readonly Sequence[] { return [] }
}
