/** Slots whose numbers follow each other, which llama.cpp decodes in one pass: it starts another at every gap. */
export interface SlotRun {
  readonly first: number
  readonly last: number
}

/** Neighbours together, in ascending order. @param slots each once, in any order */
export function runsOf (slots: readonly number[]): readonly SlotRun[] {
  const runs: SlotRun[] = []
  for (const slot of slots.toSorted((a, b) => a - b)) {
    const run = runs.at(-1)
    if (run?.last === slot - 1) runs[runs.length - 1] = { first: run.first, last: slot }
    else runs.push({ first: slot, last: slot })
  }
  return runs
}
