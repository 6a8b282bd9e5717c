/** What may be chosen for a model on a CPU. */
export interface ComputeSetting {
  /** Of each lane. */
  readonly threads: number
  /** Attention in one pass over the cache, where llama.cpp has it for the model. */
  readonly flashAttention: boolean
}

/** How long the three things that a server does take with a setting, in milliseconds. */
export interface Speed {
  /** A prompt token, when a prompt is read in one step. */
  readonly promptTokenMs: number
  /** A step that decodes one sequence. */
  readonly singleStepMs: number
  /** A step that decodes a sequence in every slot of the lane. */
  readonly fullStepMs: number
}

export interface MeasuredSetting {
  readonly setting: ComputeSetting
  readonly speed: Speed
}

/** Prompt tokens that are read for each token that is drawn; conversations repeat more, but most of that is in the prefix cache. */
const promptTokensPerDrawn = 2

/** Another setting must save this share of the time: less is within what two measurements of one setting differ by. */
const clearGain = 0.1

/**
 * Milliseconds for a drawn token and the prompt tokens that come with it: the geometric mean of what they take alone and in
 * a full lane, so that a gain in either counts alike.
 */
export function costOf ({ promptTokenMs, singleStepMs, fullStepMs }: Speed, slotsPerLane: number): number {
  const reading = promptTokensPerDrawn * promptTokenMs
  return Math.sqrt((reading + singleStepMs) * (reading + fullStepMs / slotsPerLane))
}

/**
 * The fastest of some settings.
 * @param measured the first is the default, which is kept unless another is clearly faster. Of two that are as good as each other
 * the earlier one wins.
 */
export function chooseSetting (measured: readonly [MeasuredSetting, ...MeasuredSetting[]], slotsPerLane: number): ComputeSetting {
  const [standard] = measured
  const standardCost = costOf(standard.speed, slotsPerLane)
  let best = standard
  let bestCost = standardCost * (1 - clearGain)
  for (const candidate of measured.slice(1)) {
    const cost = costOf(candidate.speed, slotsPerLane)
    if (cost < bestCost) [best, bestCost] = [candidate, cost]
  }
  return best.setting
}

/** Thread counts worth trying, the default first: powers of two below the limit, and the limit. */
export function threadCandidates (standard: number, limit: number): readonly number[] {
  const counts = [limit]
  for (let count = 1; count < limit; count *= 2) counts.push(count)
  return [standard, ...counts.filter((count) => count !== standard).sort((a, b) => b - a)]
}
