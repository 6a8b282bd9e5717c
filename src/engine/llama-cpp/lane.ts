import { adapterKey, baseAdapterSet } from '../../domain/adapter-set.ts'
import type { AdapterKey, AdapterSet } from '../../domain/adapter-set.ts'
import { DurationByCount } from '../../domain/duration-by-count.ts'
import { ServerError } from '../../domain/errors.ts'
import type { LaneId, SequenceId, SlotId } from '../../domain/ids.ts'
import { runsOf } from '../../domain/runs-of.ts'
import { plannedTokens, type DrawnToken, type SlotWork, type StepPlan, type WorkOutcome } from '../../scheduler/plan.ts'
import type { Adapters } from './adapters.ts'
import type { CachePark } from './cache-park.ts'
import { AnswerState } from './answer-state.ts'
import { bridgesOf, type Bridging } from './bridges.ts'
import { drawAlong } from './draw-along.ts'
import { wishesOf, withGuesses } from './drafted-work.ts'
import type { Draft, Drafter } from './drafter.ts'
import type { GrammarDrawLimits } from './engine-options.ts'
import { drawWithin } from './grammar-draw.ts'
import type { LogitIndex, NativeContext } from './native.ts'
import { SlotSampler } from './slot-sampler.ts'
import type { SamplingParts } from './slot-sampler.ts'

export interface LaneOptions {
  readonly id: LaneId
  readonly slotsPerLane: number
  readonly contextSize: number
  readonly maxStepTokens: number
  readonly threads: number
  /** Which steps take tokens of idle slots along that spare passes: see `bridgesOf`. */
  readonly bridging: Bridging
  /** Whether draws asked for during a decode run after it: see `runsJobsInOrder`. */
  readonly jobsRunInOrder: boolean
  /** Makes guesses where plans want them; null where there is no draft model. The lane owns it. */
  readonly drafter: Drafter | null
  readonly grammarDrawLimits: GrammarDrawLimits
  readonly onStuck: (sequence: SequenceId, error: ServerError) => void
}

const noLogits = new Uint32Array(0)

/** Of the last token that is known, and of each guess. */
function logitsFor ({ sample, tokens, guessCount = 0 }: SlotWork): Uint32Array {
  if (sample === undefined) return noLogits
  return Uint32Array.from({ length: guessCount + 1 }, (_, at) => tokens.length - 1 - guessCount + at)
}

/** Whether a grammar counts, or may at some time. */
const hasGrammar = ({ sample }: SlotWork): boolean => sample !== undefined && sample.sampling.grammar !== null

const noDrafts: ReadonlyMap<number, Draft> = new Map()

/** What saving and restoring took. */
type CacheCosts = Pick<Extract<WorkOutcome, { readonly token: unknown }>, 'parked' | 'restoredInMs'>

/** A piece of work that is in the batch, and the draw that waits for its logits. */
interface QueuedWork {
  readonly work: SlotWork
  readonly draw: (() => Promise<readonly DrawnToken[]>) | null
  /** Whether a grammar counts at this draw. */
  readonly isUnderGrammar: boolean
}

const isUnderGrammar = (item: Partial<QueuedWork>): boolean => item.isUnderGrammar === true

/** One llama.cpp context: slots with their KV caches, a sampler for each, one adapter set at a time. */
export class Lane {
  readonly #options: LaneOptions
  readonly #context: NativeContext
  readonly #parts: SamplingParts
  readonly #adapters: Adapters
  readonly #park: CachePark
  readonly #samplers: SlotSampler[]
  /** Tokens in each slot's cache. */
  readonly #cachedTokens: number[]
  readonly #answers = new Map<SequenceId, AnswerState>()
  /** What a pass takes that decodes a token in each of so many neighbouring slots. */
  readonly #passTimes = new DurationByCount()
  #threads: number
  #adapterSet: AdapterSet = baseAdapterSet
  #running: Promise<unknown> | null = null

  /** Owns the context from now on. */
  constructor (options: LaneOptions, context: NativeContext, parts: SamplingParts, adapters: Adapters, park: CachePark) {
    this.#options = options
    this.#context = context
    this.#parts = parts
    this.#adapters = adapters
    this.#park = park
    this.#threads = options.threads
    this.#cachedTokens = new Array<number>(options.slotsPerLane).fill(0)
    this.#samplers = Array.from({ length: options.slotsPerLane }, () => new SlotSampler(parts, context))
  }

  /** See `Engine.step`. */
  step (plan: StepPlan): Promise<readonly WorkOutcome[]> {
    if (this.#running !== null) {
      return Promise.reject(new ServerError('engine_error', `Lane ${this.#options.id} was asked for step ${plan.id} during another`))
    }
    const running = this.#carryOut(plan).finally(() => { this.#running = null })
    this.#running = running
    return running
  }

  /** Settles when the context does not hold the adapter any more; no plan may name it from now on. */
  async releaseAdapter (key: AdapterKey): Promise<void> {
    const isHeld = (): boolean => this.#adapterSet.adapters.some((adapter) => adapterKey(adapter) === key)
    while (this.#running !== null && isHeld()) await this.#running.catch(() => {})
    if (isHeld()) this.#useAdapters(baseAdapterSet)
  }

  /** Decodes and draws one token, so that the first request finds the weights read and the buffers made. */
  async warmUp (): Promise<void> {
    this.#context.initBatch(1)
    const [index] = this.#context.addToBatch(0, 0, Uint32Array.of(this.#parts.endTokens[0] ?? 0), Uint32Array.of(0))
    await this.#context.decodeBatch()
    const sampler = new this.#parts.bindings.AddonSampler(this.#parts.model)
    try {
      sampler.applyConfig({ temperature: 0, seed: 0 })
      await this.#context.sampleToken(index as LogitIndex, sampler)
    } finally {
      sampler.dispose()
    }
    this.#clear(0)
    await this.#options.drafter?.warmUp()
  }

  async dispose (): Promise<void> {
    await this.#running?.catch(() => {})
    for (const sampler of this.#samplers) sampler.dispose()
    this.#answers.clear()
    await this.#options.drafter?.dispose()
    await this.#context.dispose()
  }

  /** Everything up to the start of the decode happens before the first `await`, unless the plan copies, saves or restores caches, or wants a draft. */
  async #carryOut (plan: StepPlan): Promise<readonly WorkOutcome[]> {
    const { maxStepTokens } = this.#options
    for (const sequence of [...plan.released, ...plan.preempted ?? []]) this.#answers.delete(sequence)
    const tokenCount = plan.work.reduce((sum, work) => sum + plannedTokens(work), 0)
    if (tokenCount > maxStepTokens) {
      throw new ServerError('engine_error', `Step ${plan.id} has ${tokenCount} tokens; the limit is ${maxStepTokens}`)
    }
    if (plan.threads !== this.#threads) {
      this.#context.setThreads(plan.threads)
      this.#threads = plan.threads
    }
    this.#useAdapters(plan.adapters)

    const outcomes: WorkOutcome[] = []
    const fail = (work: SlotWork, error: unknown): void => {
      outcomes.push({ slot: work.slot, error: error instanceof Error ? error : new Error(String(error)) })
    }
    // llama.cpp decodes neighbouring slots together and starts another pass at every gap or step back.
    let work = [...plan.work].sort((a, b) => a.slot - b.slot)
    const costs = new Map<SlotId, CacheCosts>()
    if (plan.dropped !== undefined) await this.#park.drop(plan.dropped)
    if (work.some(({ park }) => park !== undefined)) await this.#parkCaches(work, costs)
    if (work.some(({ restore }) => restore !== undefined)) work = await this.#restoreCaches(work, costs, outcomes)
    if (work.some(({ copyFrom }) => copyFrom !== undefined)) work = await this.#copyCaches(work, fail)
    work = work.filter((item) => this.#admit(item, fail))
    if (work.length === 0) return outcomes
    let drafts = noDrafts
    const wishes = wishesOf(work, (slot) => this.#sequenceOf(slot))
    // Waiting for nothing would put off the decode too.
    if (wishes.length > 0) {
      drafts = await this.#options.drafter?.draft(wishes, plan.threads) ?? noDrafts
      work = work.map((item) => withGuesses(item, drafts.get(this.#sequenceOf(item.slot))))
    }

    const queued = this.#decode(work)
    let drawn: readonly (QueuedWork | { readonly work: SlotWork, readonly error: unknown })[]
    try {
      // The options of the draws are worked out while the decode runs.
      drawn = queued.items.map(({ work, indexes }) => this.#prepareDraw(work, indexes))
    } finally {
      // A rejection must find its handler even if preparing throws.
      queued.done.catch(() => {})
    }
    const take = async (item: typeof drawn[number]): Promise<void> => {
      if ('error' in item) return fail(item.work, item.error)
      try {
        const { slot } = item.work
        const drafted = drafts.get(this.#sequenceOf(slot))?.outcome
        outcomes.push({ slot, ...await this.#draw(item), ...costs.get(slot), ...(drafted === undefined ? {} : { drafted }) })
      } catch (error) {
        fail(item.work, error)
      }
    }
    const takeFree = (): readonly Promise<void>[] => drawn.filter((item) => !isUnderGrammar(item)).map(take)
    // Draws that wait behind the decode spare a small model the way here and back, which takes as long as a tenth of a decode.
    const waiting = this.#options.jobsRunInOrder ? takeFree() : null
    try {
      await queued.done
    } catch (error) {
      // What was drawn from no logits is of no use, but the context is not free before.
      await Promise.all(waiting ?? [])
      for (const { slot } of work) this.#clear(this.#sequenceOf(slot))
      throw new ServerError('engine_error', `The decode of ${tokenCount} tokens in ${work.length} slots failed`, { cause: error })
    }
    await Promise.all(waiting ?? takeFree())
    // One after the other, so that the time of each is its own.
    for (const item of drawn.filter(isUnderGrammar)) await take(item)
    return outcomes
  }

  #useAdapters (set: AdapterSet): void {
    if (set.key === this.#adapterSet.key) return
    const loras = set.adapters.map((adapter) => this.#adapters.get(adapter))
    this.#context.setLoras(loras, set.adapters.map(({ scale }) => scale))
    this.#adapterSet = set
  }

  /** A cache that cannot be saved is only computed again later. */
  async #parkCaches (work: readonly SlotWork[], costs: Map<SlotId, CacheCosts>): Promise<void> {
    for (const { slot, park } of work) {
      if (park === undefined) continue
      const sequence = this.#sequenceOf(slot)
      const startedAt = performance.now()
      const bytes = await this.#park.save(park, this.#context, sequence, this.#cachedTokens[sequence] as number).catch(() => null)
      if (bytes !== null) costs.set(slot, { parked: { bytes, durationMs: performance.now() - startedAt } })
    }
  }

  async #restoreCaches (work: readonly SlotWork[], costs: Map<SlotId, CacheCosts>, outcomes: WorkOutcome[]): Promise<SlotWork[]> {
    const going: SlotWork[] = []
    for (const item of work) {
      const { slot, restore } = item
      if (restore !== undefined) {
        const sequence = this.#sequenceOf(slot)
        const startedAt = performance.now()
        try {
          this.#cachedTokens[sequence] = await this.#park.load(restore, this.#context, sequence)
          costs.set(slot, { ...costs.get(slot), restoredInMs: performance.now() - startedAt })
        } catch {
          this.#clear(sequence)
          outcomes.push({ slot, isCacheLost: true })
          continue
        }
      }
      going.push(item)
    }
    return going
  }

  /** llama.cpp notes a copy between slots at once and moves the data at the start of the next decode. */
  async #copyCaches (work: readonly SlotWork[], fail: (work: SlotWork, error: unknown) => void): Promise<SlotWork[]> {
    const going: SlotWork[] = []
    for (const item of work) {
      if (item.copyFrom !== undefined) {
        try {
          const source = this.#sequenceOf(item.copyFrom)
          const target = this.#sequenceOf(item.slot)
          if (source === target) throw new ServerError('engine_error', `Slot ${item.slot} cannot be copied to itself`)
          await this.#context.copySequenceStateFromOtherSequence(target, source)
          this.#cachedTokens[target] = this.#cachedTokens[source] as number
        } catch (error) {
          fail(item, error)
          continue
        }
      }
      going.push(item)
    }
    return going
  }

  /** Checks one piece of work and cuts its slot's cache; what llama.cpp would refuse would cost the whole step. */
  #admit (work: SlotWork, fail: (work: SlotWork, error: unknown) => void): boolean {
    const { contextSize } = this.#options
    const { vocabularySize } = this.#parts
    try {
      const sequence = this.#sequenceOf(work.slot)
      const cached = this.#cachedTokens[sequence] as number
      const refuse = (reason: string): never => { throw new ServerError('engine_error', `Slot ${work.slot}: ${reason}`) }
      if (work.tokens.length === 0) refuse('no tokens to append')
      if (work.keep > cached) refuse(`${work.keep} cached tokens to keep, but it holds ${cached}`)
      const length = work.keep + plannedTokens(work)
      if (length > contextSize) refuse(`${length} tokens; it has room for ${contextSize}`)
      const { guessCount = 0, draft = 0 } = work
      if (guessCount >= work.tokens.length) refuse(`${guessCount} guesses among ${work.tokens.length} tokens`)
      if (guessCount + draft > 0 && hasGrammar(work)) refuse('guesses under a grammar')
      const outside = work.tokens.find((token) => !(token >= 0 && token < vocabularySize))
      if (outside !== undefined) refuse(`token ${outside} is outside the vocabulary of ${vocabularySize} tokens`)
      if (work.keep < cached && !this.#context.removeTokenCellsFromSequence(sequence, work.keep, -1)) {
        this.#clear(sequence)
        refuse(`its cache cannot be cut to ${work.keep} tokens`)
      }
      this.#cachedTokens[sequence] = work.keep
      return true
    } catch (error) {
      fail(work, error)
      return false
    }
  }

  #decode (work: readonly SlotWork[]): {
    readonly done: Promise<void>
    readonly items: readonly { readonly work: SlotWork, readonly indexes: readonly LogitIndex[] }[]
  } {
    const tokenCount = work.reduce((sum, { tokens }) => sum + tokens.length, 0)
    const bridges = this.#bridgesFor(work, this.#options.maxStepTokens - tokenCount)
    this.#context.initBatch(tokenCount + bridges.length)
    let bridged = 0
    const items = work.map((item) => {
      const sequence = this.#sequenceOf(item.slot)
      for (; (bridges[bridged] ?? Infinity) < sequence; bridged++) {
        const idle = bridges[bridged] as number
        this.#context.addToBatch(idle, this.#cachedTokens[idle] as number, Uint32Array.of(this.#parts.endTokens[0] ?? 0), noLogits)
      }
      const indexes = this.#context.addToBatch(sequence, item.keep, Uint32Array.from(item.tokens), logitsFor(item))
      this.#cachedTokens[sequence] = item.keep + item.tokens.length
      return { work: item, indexes: Array.from(indexes) as LogitIndex[] }
    })
    const startedAt = performance.now()
    const settle = (): void => {
      for (const sequence of bridges) this.#context.removeTokenCellsFromSequence(sequence, this.#cachedTokens[sequence] as number, -1)
    }
    const slotCount = work.length + bridges.length
    // What a pass takes is known from steps that are one, and nothing else; it matters where bridges are measured.
    const isOnePass = this.#options.bridging === 'measured' && tokenCount === work.length && runsOf([...work.map(({ slot }) => this.#sequenceOf(slot)), ...bridges]).length === 1
    const learn = (): void => { if (isOnePass) this.#passTimes.learn(slotCount, performance.now() - startedAt) }
    return { done: this.#context.decodeBatch().then(learn).finally(settle), items }
  }

  /** Idle slots that the step takes along, in ascending order. */
  #bridgesFor (work: readonly SlotWork[], room: number): readonly number[] {
    const { bridging, contextSize } = this.#options
    // A piece of a prompt is a pass of its own anyway, and one more if there were bridges beside it.
    if (bridging === 'never' || work.filter(({ tokens }) => tokens.length === 1).length < 2) return []
    const longest = Math.max(...work.map(({ keep, tokens }) => keep + tokens.length))
    return bridgesOf(work.map(({ slot }) => this.#sequenceOf(slot)), room, {
      // An idle token reads its slot's whole cache.
      mayGoAlong: (sequence) => (this.#cachedTokens[sequence] as number) < Math.min(contextSize, 2 * longest),
      passMs: bridging === 'always' ? () => 1 : (count) => this.#passTimes.estimate(count)
    })
  }

  #prepareDraw (work: SlotWork, indexes: readonly LogitIndex[]): QueuedWork | { readonly work: SlotWork, readonly error: unknown } {
    const { sample } = work
    if (sample === undefined) return { work, draw: null, isUnderGrammar: false }
    try {
      const answer = this.#answers.get(work.sequence) ?? new AnswerState()
      this.#answers.set(work.sequence, answer)
      const sampler = this.#samplers[this.#sequenceOf(work.slot)] as SlotSampler
      const draw = drawAlong(work, sample, indexes, this.#parts.endTokens, (each) => sampler.prepare(each, answer))
      return { work, draw, isUnderGrammar: answer.isUnderGrammar }
    } catch (error) {
      return { work, error }
    }
  }

  async #draw ({ work, draw, isUnderGrammar }: QueuedWork): Promise<Omit<Extract<WorkOutcome, { token: unknown }>, 'slot'>> {
    if (draw === null) return { token: null }
    const [first, ...further] = isUnderGrammar
      ? await drawWithin(this.#options.grammarDrawLimits, draw, (error) => this.#options.onStuck(work.sequence, error))
      : await draw()
    if (first === undefined) throw new ServerError('engine_error', 'There were no logits to draw from')
    return further.length === 0 ? first : { ...first, further }
  }

  /** llama.cpp's sequence of a slot. */
  #sequenceOf (slot: SlotId): number {
    const { id, slotsPerLane } = this.#options
    const sequence = slot - id * slotsPerLane
    if (!Number.isInteger(sequence) || sequence < 0 || sequence >= slotsPerLane) {
      throw new ServerError('engine_error', `Lane ${id} has no slot ${slot}`)
    }
    return sequence
  }

  #clear (sequence: number): void {
    this.#context.removeTokenCellsFromSequence(sequence, 0, -1)
    this.#cachedTokens[sequence] = 0
  }
}
