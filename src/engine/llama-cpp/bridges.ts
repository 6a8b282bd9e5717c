/**
 * Idle slots between busy ones that a step takes along, with a token that is removed again. llama.cpp decodes neighbouring slots in one
 * pass and starts another at every gap, and on a GPU a pass of a few slots takes hardly less than one of all.
 *
 * @param busy in ascending order
 * @param room tokens that the step may have more
 * @param hasRoom whether a slot can hold one token more
 * @returns in ascending order; none where that would not close all gaps, or more slots would idle than work
 */
export function bridgesOf (busy: readonly number[], room: number, hasRoom: (slot: number) => boolean): readonly number[] {
  const first = busy[0] ?? 0
  const span = (busy.at(-1) ?? 0) - first + 1
  const count = span - busy.length
  if (count <= 0 || count > busy.length || count > room) return []
  const isBusy = new Set(busy)
  const idle = Array.from({ length: span }, (_, at) => first + at).filter((slot) => !isBusy.has(slot))
  return idle.every(hasRoom) ? idle : []
}
