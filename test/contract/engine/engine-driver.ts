import { baseAdapterSet, type AdapterSet } from '../../../src/domain/adapter-set.ts'
import { asLaneId, asSequenceId, asParkId, asSlotId, type LaneId, type ParkId, type SequenceId, type SlotId, type Token } from '../../../src/domain/ids.ts'
import { greedySampling, type Sampling, type TokenLogprob } from '../../../src/domain/sampling.ts'
import type { Engine } from '../../../src/engine/engine.ts'
import type { SlotWork, WorkOutcome } from '../../../src/scheduler/plan.ts'

/** Greedy, with the runner-up's log-probability, so that near ties can be told from mistakes. */
export const greedyWithRunnerUp: Sampling = { ...greedySampling, logprobs: 2 }

export interface SequenceOptions {
  /** Index within the lane. */
  readonly slot?: number
  readonly lane?: number
  readonly sampling?: Sampling
  readonly adapters?: AdapterSet
}

/** One sequence as the scheduler would keep it. */
export class DrivenSequence {
  readonly id: SequenceId
  readonly lane: LaneId
  readonly slot: SlotId
  readonly sampling: Sampling
  readonly adapters: AdapterSet
  readonly promptLength: number
  /** Prompt and drawn tokens. */
  readonly history: Token[]
  /** How many of them are in the slot. */
  computed = 0
  readonly logprobs: (TokenLogprob | undefined)[] = []

  constructor (engine: Engine, id: SequenceId, prompt: readonly Token[], options: SequenceOptions) {
    const { slot = 0, lane = 0, sampling = greedyWithRunnerUp, adapters = baseAdapterSet } = options
    this.id = id
    this.lane = asLaneId(lane)
    this.slot = asSlotId(lane * engine.info.slotsPerLane + slot)
    this.sampling = sampling
    this.adapters = adapters
    this.promptLength = prompt.length
    this.history = [...prompt]
  }

  get drawn (): readonly Token[] { return this.history.slice(this.promptLength) }
}

export interface WorkOptions {
  /** Most tokens to append; all by default. */
  readonly chunk?: number
  readonly copyFrom?: DrivenSequence
  /** Cached tokens to start from; what the sequence has computed by default. */
  readonly keep?: number
  /** What the sequence is thought to draw next. */
  readonly guesses?: readonly Token[]
  /** How much of it the engine's draft model may guess. */
  readonly draft?: number | undefined
  /** Saves what the slot holds first. */
  readonly park?: ParkId
  readonly restore?: ParkId
}

/** A hand on the engine's lever: builds correct plans, one at a time, and keeps the books that a scheduler keeps. */
export class EngineDriver {
  readonly engine: Engine
  #planCount = 0
  #parkCount = 0
  #sequenceCount = 0
  /** Ended sequences that no plan of their lane has released yet. */
  readonly #ended: DrivenSequence[] = []

  constructor (engine: Engine) {
    this.engine = engine
  }

  sequence (prompt: readonly Token[], options: SequenceOptions = {}): DrivenSequence {
    return new DrivenSequence(this.engine, asSequenceId(`sequence-${++this.#sequenceCount}`), prompt, options)
  }

  /** The lane's next plan releases the sequence. */
  end (...sequences: readonly DrivenSequence[]): void { this.#ended.push(...sequences) }

  work (sequence: DrivenSequence, options: WorkOptions = {}): SlotWork {
    const { chunk = Infinity, copyFrom, park, restore, keep = sequence.computed, guesses = [], draft } = options
    const known = sequence.history.slice(keep, keep + chunk)
    const isComplete = keep + known.length === sequence.history.length
    return {
      slot: sequence.slot,
      sequence: sequence.id,
      ...(copyFrom === undefined ? {} : { copyFrom: copyFrom.slot }),
      ...(park === undefined ? {} : { park }),
      ...(restore === undefined ? {} : { restore }),
      keep,
      tokens: [...known, ...guesses],
      ...(guesses.length === 0 ? {} : { guessCount: guesses.length }),
      ...(draft === undefined ? {} : { draft }),
      ...(isComplete
        ? {
            sample: {
              sampling: sequence.sampling,
              index: sequence.history.length - sequence.promptLength,
              history: sequence.history,
              promptLength: sequence.promptLength
            }
          }
        : {})
    }
  }

  nextParkId (): ParkId { return asParkId(++this.#parkCount) }

  /** One step of the lane of these sequences. They share one adapter set. */
  async step (
    parts: readonly (readonly [DrivenSequence, WorkOptions?])[], dropped: readonly ParkId[] = []
  ): Promise<readonly WorkOutcome[]> {
    const first = parts[0]![0]
    const sequences = new Map(parts.map(([sequence]) => [sequence.slot, sequence]))
    const released = this.#ended.filter((sequence) => sequence.lane === first.lane)
    for (const sequence of released) this.#ended.splice(this.#ended.indexOf(sequence), 1)
    const work = parts.map(([sequence, options]) => this.work(sequence, options))
    const outcomes = await this.engine.step({
      id: ++this.#planCount,
      lane: first.lane,
      threads: 1,
      adapters: first.adapters,
      work,
      released: released.map((sequence) => sequence.id),
      ...(dropped.length === 0 ? {} : { dropped })
    })
    if (outcomes.length !== work.length) throw new Error(`${outcomes.length} outcomes for ${work.length} works`)
    for (const part of work) {
      const sequence = sequences.get(part.slot)!
      const outcome = outcomes.find((candidate) => candidate.slot === part.slot)
      if (outcome === undefined) throw new Error(`no outcome for slot ${part.slot}`)
      if ('error' in outcome) throw outcome.error
      if ('isCacheLost' in outcome) {
        sequence.computed = 0
        continue
      }
      const { further = [] } = outcome
      sequence.computed = part.keep + part.tokens.length - (part.guessCount ?? 0) + further.length
      if ((outcome.token === null) === (part.sample !== undefined)) throw new Error('a draw without a token, or the other way')
      if (outcome.token === null) continue
      for (const { token, logprobs } of [{ token: outcome.token, logprobs: outcome.logprobs }, ...further]) {
        sequence.history.push(token)
        sequence.logprobs.push(logprobs)
      }
    }
    return outcomes
  }

  /** Steps all sequences (of one lane and adapter set) together until each drew `count` tokens or an end token. */
  async run (sequences: readonly DrivenSequence[], count: number): Promise<void> {
    for (;;) {
      const active = sequences.filter((sequence) => !this.#hasEnded(sequence, count))
      if (active.length === 0) return
      await this.step(active.map((sequence) => [sequence]))
    }
  }

  /** Runs one sequence from the start and releases it. */
  async alone (prompt: readonly Token[], count: number, options: SequenceOptions = {}): Promise<DrivenSequence> {
    const sequence = this.sequence(prompt, options)
    await this.run([sequence], count)
    this.end(sequence)
    return sequence
  }

  #hasEnded (sequence: DrivenSequence, count: number): boolean {
    const last = sequence.drawn.at(-1)
    if (last === undefined) return false
    return sequence.drawn.length >= count || this.engine.info.endTokens.includes(last)
  }
}
