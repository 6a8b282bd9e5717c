import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { asLaneId, asToken, type LaneId, type ParkId, type SequenceId, type SlotId, type Token } from '../../../src/domain/ids.ts'
import { rankOf } from '../../../src/domain/priority.ts'
import { planSize, type StepPlan } from '../../../src/scheduler/plan.ts'
import type { SequenceEvent } from '../../../src/scheduler/scheduler-types.ts'
import { id, Rig, text } from './rig.ts'
import { scenarios } from './scenario.ts'
import { play, playAlone, type Trace, type TraceEntry } from './trace.ts'
import { runs } from '../../support/long-run.ts'

/**
 * The scheduler's laws, as DESIGN numbers them, over random configurations, requests, disconnects, deadlines and engine
 * faults. Every scenario also goes through the fake engine's own checks (`violations`).
 */
const holds = async (law: (trace: Trace) => void | Promise<void>, numRuns = 80): Promise<void> => {
  await fc.assert(fc.asyncProperty(scenarios, async (scenario) => {
    const trace = await play(scenario)
    expect(trace.violations).toEqual([])
    await law(trace)
  }), { numRuns: runs(numRuns) })
}

const plansOf = (trace: Trace): StepPlan[] =>
  trace.entries.flatMap((entry) => entry.kind === 'plan' ? [entry.plan] : [])

const eventsOf = (entry: TraceEntry): readonly SequenceEvent[] =>
  'events' in entry ? entry.events : []

const request = (trace: Trace, id: SequenceId) => trace.sequences.get(id)!

describe('the scheduler’s laws', () => {
  it('law 1: a plan’s tokens never exceed the budget', async () => {
    await holds((trace) => {
      for (const plan of plansOf(trace)) {
        const tokens = plan.work.reduce((sum, work) => sum + work.tokens.length + (work.draft ?? 0), 0)
        expect(tokens).toBeGreaterThan(0)
        expect(tokens).toBeLessThanOrEqual(trace.config.stepTokens)
        for (const work of plan.work) expect(work.keep + work.tokens.length + (work.draft ?? 0)).toBeLessThanOrEqual(trace.config.contextSize)
      }
    })
  })

  it('law 2: a plan has work, in one lane and for one adapter set, and running plans never use more threads than there are', async () => {
    await holds((trace) => {
      const running = new Map<LaneId, StepPlan>()
      for (const entry of trace.entries) {
        if (entry.kind === 'commit') running.delete(entry.plan.lane)
        if (entry.kind !== 'plan') continue
        const { plan } = entry
        expect(running.has(plan.lane)).toBe(false)
        expect(plan.work.length).toBeGreaterThan(0)
        running.set(plan.lane, plan)
        const threads = [...running.values()].map((other) => other.threads)
        expect(Math.min(...threads)).toBeGreaterThanOrEqual(1)
        expect(threads.reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(trace.config.threads)
        for (const { slot, sequence, copyFrom } of plan.work) {
          expect(Math.floor(slot / trace.config.slotsPerLane)).toBe(plan.lane)
          if (copyFrom !== undefined) expect(Math.floor(copyFrom / trace.config.slotsPerLane)).toBe(plan.lane)
          expect(request(trace, sequence).adapters.key).toBe(plan.adapters.key)
        }
      }
    })
  })

  it('law 3: a slot serves one sequence, and a sequence has one slot', async () => {
    await holds((trace) => {
      const holders = new Map<SlotId, SequenceId>()
      const slots = new Map<SequenceId, SlotId>()
      for (const entry of trace.entries) {
        if (entry.kind === 'abort' || entry.kind === 'finish') {
          // The engine may still be busy for it; the slot is free from the next plan on.
          const slot = slots.get(entry.id)
          if (slot !== undefined && holders.get(slot) === entry.id) holders.delete(slot)
        }
        if (entry.kind === 'plan') {
          for (const id of entry.plan.preempted ?? []) {
            holders.delete(slots.get(id)!)
            slots.delete(id)
          }
          expect(new Set(entry.plan.work.map((work) => work.slot)).size).toBe(entry.plan.work.length)
          for (const { slot, sequence } of entry.plan.work) {
            expect(holders.get(slot) ?? sequence).toBe(sequence)
            expect(slots.get(sequence) ?? slot).toBe(slot)
            holders.set(slot, sequence)
            slots.set(sequence, slot)
          }
        }
        for (const event of eventsOf(entry)) {
          if (event.type === 'sequence-started') expect(slots.get(event.id)).toBe(event.slot)
          if (event.type === 'sequence-finished' || event.type === 'sequence-failed') {
            const slot = slots.get(event.id)
            if (slot !== undefined && holders.get(slot) === event.id) holders.delete(slot)
          }
        }
      }
    })
  })

  it('law 4: a cached prefix is reused only under the adapter set that computed it, and only where it is the prompt', async () => {
    await holds((trace) => {
      interface Content { readonly adapters: string, readonly tokens: readonly Token[] }
      const contents = new Map<SlotId, Content>()
      const parked = new Map<ParkId, Content>()
      const lost: Content = { adapters: 'lost', tokens: [] }
      const drawn = new Map<SequenceId, Token[]>()
      for (const entry of trace.entries) {
        for (const event of eventsOf(entry)) {
          if (event.type === 'token-drawn') drawn.set(event.id, [...(drawn.get(event.id) ?? []), event.token])
        }
        if (entry.kind === 'commit') {
          for (const outcome of entry.outcomes) {
            if ('error' in outcome) contents.set(outcome.slot, lost)
            if (!('token' in outcome) || outcome.drafted === undefined) continue
            // Of what was drafted, what was right is known by what was drawn.
            const { token, further = [] } = outcome
            const right = [token!, ...further.map((each) => each.token)].slice(0, further.length)
            const content = contents.get(outcome.slot)!
            contents.set(outcome.slot, { ...content, tokens: [...content.tokens, ...right] })
          }
        }
        if (entry.kind !== 'plan') continue
        const { plan } = entry
        const before = new Map(contents)
        for (const { slot, park } of plan.work) if (park !== undefined) parked.set(park, before.get(slot)!)
        for (const { slot, copyFrom, restore, keep, tokens, sequence } of plan.work) {
          const source = restore === undefined ? before.get(copyFrom ?? slot) : parked.get(restore)
          const kept = keep === 0 ? [] : source!.tokens.slice(0, keep)
          if (keep > 0) {
            expect(source!.adapters).toBe(plan.adapters.key)
            expect(kept).toHaveLength(keep)
            const known = [...request(trace, sequence).prompt, ...(drawn.get(sequence) ?? [])]
            expect(kept).toEqual(known.slice(0, keep))
          }
          contents.set(slot, { adapters: plan.adapters.key, tokens: [...kept, ...tokens] })
        }
      }
    })
  })

  it('law 5: the last prompt token is always recomputed', async () => {
    await holds((trace) => {
      const firstKeep = new Map<SequenceId, number>()
      for (const entry of trace.entries) {
        if (entry.kind === 'plan') {
          for (const { sequence, keep, tokens, sample } of entry.plan.work) {
            const { prompt } = request(trace, sequence)
            if (!firstKeep.has(sequence)) {
              firstKeep.set(sequence, keep)
              expect(keep).toBeLessThan(prompt.length)
            }
            if (sample?.index === 0) {
              expect(tokens.at(-1)).toBe(prompt.at(-1))
              expect(keep + tokens.length).toBe(prompt.length)
            }
          }
        }
        for (const event of eventsOf(entry)) {
          if (event.type === 'sequence-started') expect(event.cachedTokens).toBe(firstKeep.get(event.id))
        }
      }
    })
  })

  it('law 6: every added sequence ends exactly once and is silent after', async () => {
    await holds((trace) => {
      const live = new Set<SequenceId>()
      const started = new Set<SequenceId>()
      const drawn = new Map<SequenceId, number>()
      const ends = { finished: 0, failed: 0, aborted: 0 }
      let added = 0
      for (const entry of trace.entries) {
        if (entry.kind === 'add' && entry.refusal === null) {
          live.add(entry.sequence.id)
          added++
        }
        if (entry.kind === 'abort' && live.delete(entry.id)) ends.aborted++
        if (entry.kind === 'finish' && live.delete(entry.id)) ends.finished++
        for (const event of eventsOf(entry)) {
          expect(live).toContain(event.id)
          if (event.type === 'sequence-started') {
            expect(started).not.toContain(event.id)
            started.add(event.id)
          } else if (event.type === 'token-drawn') {
            expect(started).toContain(event.id)
            drawn.set(event.id, (drawn.get(event.id) ?? 0) + 1)
          } else if (event.type === 'sequence-finished') {
            expect(started).toContain(event.id)
            live.delete(event.id)
            ends.finished++
            // The end token counts as drawn but is not told.
            expect(event.drawnTokens).toBe((drawn.get(event.id) ?? 0) + (event.reason === 'stop' ? 1 : 0))
            const { maxTokens, prompt } = request(trace, event.id)
            if (event.reason === 'length') {
              expect(event.drawnTokens).toBe(Math.min(maxTokens ?? Infinity, trace.config.contextSize - prompt.length))
            }
          } else {
            live.delete(event.id)
            ends.failed++
          }
        }
      }
      expect([...live]).toEqual([])
      expect(trace.final).toMatchObject({ waiting: 0, running: 0, added, ...ends })
      expect(trace.final.lanes.every((lane) => lane.busySlots === 0 && !lane.isStepping)).toBe(true)
    })
  })

  it('law 8: the same inputs give the same plans', async () => {
    await fc.assert(fc.asyncProperty(scenarios, async (scenario) => {
      const [first, second] = [await play(scenario), await play(scenario)]
      expect(second.entries).toEqual(first.entries)
      expect(second.final).toEqual(first.final)
    }), { numRuns: runs(40) })
  })

  it('law 9: a sequence’s tokens in the crowd equal its tokens alone', async () => {
    await holds(async (trace) => {
      const texts = drawnTokens(trace)
      for (const [id, sequence] of trace.sequences) {
        const crowded = texts.get(id) ?? []
        const alone = drawnTokens(await playAlone(sequence, trace.config.contextSize)).get(id) ?? []
        const hasFinished = trace.entries.some((entry) =>
          eventsOf(entry).some((event) => event.type === 'sequence-finished' && event.id === id))
        expect(crowded).toEqual(hasFinished ? alone : alone.slice(0, crowded.length))
      }
    }, 50)
  })
})

describe('the scenarios', () => {
  it('reach everything that the laws speak of', async () => {
    const seen = new Set<string>()
    for (const scenario of fc.sample(scenarios, { numRuns: 300, seed: 7 })) {
      for (const sight of sightsOf(await play(scenario))) seen.add(sight)
    }
    expect([...seen].toSorted()).toEqual([
      'abort during a step', 'abort while waiting', 'batch work gave up its slot though others were free', 'chunked prefill', 'copied prefix', 'copy of a running sequence',
      'dropped cache', 'end of an answer behind a right draft', 'end of an answer behind a right guess', 'failed slot', 'finish during a step', 'finished by length',
      'finished by stop', 'generation timeout', 'guesses of both kinds in a step', 'kept prefix', 'lost step', 'mixed step', 'no part of batch work in a step of prompts', 'preempted',
      'preempted and resumed in another lane', 'preempted before its first token', 'prompts alone', 'pushed out of the queue', 'queue full',
      'queue timeout', 'restored cache', 'right draft', 'right guess', 'right guess of an answer that was ended meanwhile', 'saved cache',
      'two adapter sets in one lane', 'two lanes at once', 'waited for another’s prefill', 'wrong draft', 'wrong guess'
    ])
  })
})

/** A crowd on one lane whose prompts begin alike; some leave early. Some share more than all do. */
const crowds = fc.record({
  slots: fc.integer({ min: 1, max: 6 }),
  stepTokens: fc.integer({ min: 8, max: 120 }),
  sharedLength: fc.integer({ min: 128, max: 300 }),
  tails: fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 16 }),
  /** Comes before so many steps were made. */
  delays: fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 16, maxLength: 16 }),
  leavers: fc.array(fc.record({ number: fc.nat(15), afterSteps: fc.nat(8) }), { maxLength: 4 })
})

describe('the scheduler’s economy', () => {
  it('reads what prompts of a crowd share once, however they come and go', async () => {
    await fc.assert(fc.asyncProperty(crowds, async ({ slots, stepTokens, sharedLength, tails, delays, leavers }) => {
      const rig = new Rig({ slotsPerLane: slots, stepTokens, contextSize: 512 })
      const coming = tails.map((tail, number) => ({
        at: delays[number]!, name: `s${number}`, prompt: [...text(1, sharedLength), ...text(number % 3, tail), asToken(100 + number)]
      }))
      for (let step = 0; ; step++) {
        for (const { at, name, prompt } of coming) if (at === step) rig.add(name, prompt, { maxTokens: 3 })
        for (const { number, afterSteps } of leavers) if (afterSteps === step) rig.scheduler.abort(id(`s${number}`))
        const plan = rig.scheduler.schedule(asLaneId(0), rig.now)
        if (plan !== null) await rig.carryOut(plan)
        else if (step > 8) break
      }
      expect(rig.engine.violations).toEqual([])
      const { promptTokens, waiting, running } = rig.scheduler.snapshot()
      expect({ waiting, running }).toEqual({ waiting: 0, running: 0 })
      // Whoever comes when less than is worth a wait is missing reads that for itself.
      const ownTokens = tails.reduce((sum, tail) => sum + tail + 1, 0)
      expect(promptTokens).toBeLessThanOrEqual(sharedLength + ownTokens + 32 * tails.length)
    }), { numRuns: runs(150) })
  })
})

describe('the scheduler’s manners', () => {
  it('refuses a sequence exactly when the queue is full or the prompt does not fit', async () => {
    await holds((trace) => {
      const { maxQueue, contextSize, policy } = trace.config
      for (const entry of trace.entries) {
        if (entry.kind !== 'add') continue
        const { length } = entry.sequence.prompt
        const expected = length < 1 || length >= contextSize
          ? 'context_length_exceeded'
          : entry.waiting >= maxQueue ? 'queue_full' : null
        // The fair policy may push out another tenant's instead: exactly one, which is not the newcomer.
        if (expected === 'queue_full' && policy === 'fair' && entry.refusal === null) {
          expect(entry.events).toEqual([{ type: 'sequence-failed', id: expect.anything(), error: expect.objectContaining({ code: 'queue_full' }) }])
          const [pushedOut] = entry.events
          const { tenant, priority } = request(trace, pushedOut!.id)
          if (priority === entry.sequence.priority) expect(tenant).not.toBe(entry.sequence.tenant)
          else expect(rankOf(priority ?? 'normal')).toBeGreaterThan(rankOf(entry.sequence.priority ?? 'normal'))
        } else {
          expect(entry.refusal).toBe(expected)
          expect(entry.events).toEqual([])
        }
      }
    })
  })

  it('enforces deadlines when it is told the time, with the right error', async () => {
    await holds((trace) => {
      const live = new Set<SequenceId>()
      const planned = new Set<SequenceId>()
      for (const entry of trace.entries) {
        if (entry.kind === 'add' && entry.refusal === null) live.add(entry.sequence.id)
        if (entry.kind === 'abort' || entry.kind === 'finish') live.delete(entry.id)
        if (entry.kind === 'plan') for (const work of entry.plan.work) planned.add(work.sequence)
        for (const event of eventsOf(entry)) {
          if (event.type === 'sequence-finished' || event.type === 'sequence-failed') live.delete(event.id)
          if (entry.kind !== 'expire' || event.type !== 'sequence-failed') continue
          const { queueDeadline, deadline } = request(trace, event.id)
          if (event.error.code === 'queue_timeout') {
            expect(planned).not.toContain(event.id)
            expect(Math.min(queueDeadline, deadline)).toBeLessThanOrEqual(entry.now)
          } else {
            expect(event.error.code).toBe('generation_timeout')
            expect(deadline).toBeLessThanOrEqual(entry.now)
          }
        }
        if (entry.kind !== 'expire') continue
        for (const id of live) expect(request(trace, id).deadline).toBeGreaterThan(entry.now)
      }
    })
  })

  it('decodes before it reads prompts, in each step that does both', async () => {
    await holds((trace) => {
      for (const { work } of plansOf(trace)) {
        const firstPrompt = work.findIndex(({ sample, tokens }) => tokens.length > 1 && (sample?.index ?? 0) === 0)
        // What was preempted reads its answer again, or restores it, and is no stream until it has.
        const lastDecode = work.findLastIndex(({ sample, tokens, restore }) => tokens.length === 1 && restore === undefined && sample !== undefined && sample.index > 0)
        if (firstPrompt !== -1) expect(lastDecode).toBeLessThan(firstPrompt)
      }
    })
  })

  it('guesses only where streams flow alone, alike for all of them, and no more than could be drawn', async () => {
    await holds((trace) => {
      const { mostGuesses = 0, hasDraftModel, contextSize, endTokens } = trace.config
      for (const { plan: { work }, reading } of turnsOf(trace)) {
        const counts = new Set(work.map(({ draft = 0, guessCount = draft }) => guessCount))
        if (counts.size === 1 && counts.has(0)) continue
        // Who comes back to all of its cache has nothing to read.
        const decoding = new Set(work.filter(({ tokens, sample, guessCount = 0 }) => sample !== undefined && sample.index > 0 && tokens.length === 1 + guessCount).map(({ sequence }) => sequence))
        expect(reading.filter((id) => !decoding.has(id))).toEqual([])
        expect(counts.size).toBe(1)
        for (const { sequence, tokens, draft, guessCount = draft ?? 0, sample } of work) {
          expect(tokens).toHaveLength(1 + guessCount - (draft ?? 0))
          if (draft !== undefined) expect(hasDraftModel).toBe(true)
          expect(guessCount).toBeLessThanOrEqual(mostGuesses)
          const { maxTokens } = request(trace, sequence)
          expect(sample!.index).toBeGreaterThan(0)
          expect(sample!.index + guessCount + 1).toBeLessThanOrEqual(maxTokens ?? Infinity)
          expect(sample!.history.length + guessCount + 1).toBeLessThanOrEqual(contextSize)
          for (const guess of tokens.slice(1)) expect(endTokens).not.toContain(guess)
        }
      }
    })
  })

  it('counts guesses, and those that were right', async () => {
    await holds((trace) => {
      let guessed = 0
      let right = 0
      let drafted = 0
      let rightDrafts = 0
      for (const entry of trace.entries) {
        if (entry.kind !== 'commit') continue
        for (const { slot, guessCount = 0 } of entry.plan.work) {
          const outcome = entry.outcomes.find((candidate) => candidate.slot === slot)!
          if (!('token' in outcome)) continue
          guessed += guessCount + (outcome.drafted?.count ?? 0)
          right += outcome.further?.length ?? 0
          drafted += outcome.drafted?.count ?? 0
          if (outcome.drafted !== undefined) rightDrafts += outcome.further?.length ?? 0
        }
      }
      expect(trace.final).toMatchObject({ guessedTokens: guessed, rightGuesses: right, draftedTokens: drafted, rightDrafts })
    })
  })

  it('lets an adapter set wait for no more steps than the turns of the others', async () => {
    await holds((trace) => {
      // Law 7 as far as it concerns running sequences: `(adapter sets of its lane - 1) x turn` steps of others.
      const waited = new Map<SequenceId, number>()
      const ended = new Set<SequenceId>()
      const lanes = new Map<SequenceId, LaneId>()
      for (const entry of trace.entries) {
        if (entry.kind === 'abort' || entry.kind === 'finish') ended.add(entry.id)
        for (const event of eventsOf(entry)) {
          if (event.type === 'sequence-finished' || event.type === 'sequence-failed') ended.add(event.id)
        }
        if (entry.kind !== 'plan') continue
        const { plan } = entry
        for (const id of plan.preempted ?? []) lanes.delete(id)
        for (const { sequence } of plan.work) {
          lanes.set(sequence, plan.lane)
          waited.set(sequence, 0)
        }
        for (const [sequence, lane] of lanes) {
          if (lane !== plan.lane || ended.has(sequence)) continue
          const isItsTurn = request(trace, sequence).adapters.key === plan.adapters.key
          waited.set(sequence, isItsTurn ? 0 : waited.get(sequence)! + 1)
          // Five adapter sets exist in these scenarios, and a lane has no more than slots.
          const otherSets = Math.min(5, trace.config.slotsPerLane) - 1
          expect(waited.get(sequence)!).toBeLessThanOrEqual(otherSets * trace.config.turnSteps)
        }
      }
    })
  })

  it('leaves a stream out of no more than four steps of its adapters in a row, and only for the sake of prompts', async () => {
    await holds((trace) => {
      // Law 7 as far as it concerns those whose turn it is. Batch work is left out of fifteen at most.
      const leftOut = new Map<SequenceId, number>()
      for (const { plan, streams, isShared } of turnsOf(trace)) {
        for (const id of plan.preempted ?? []) leftOut.delete(id)
        const served = new Set(plan.work.map(({ sequence }) => sequence))
        for (const id of streams) {
          const count = served.has(id) ? 0 : (leftOut.get(id) ?? 0) + 1
          leftOut.set(id, count)
          expect(count).toBeLessThanOrEqual(isBatchWork(trace, id) ? 15 : 4)
        }
        const others = streams.filter((id) => !isBatchWork(trace, id))
        if (others.every((id) => served.has(id))) continue
        // All of them, in a step that nobody else's turn comes after, and that reads.
        expect(others.filter((id) => served.has(id))).toEqual([])
        expect(isShared).toBe(false)
        // Of a prompt there may be one token left.
        expect(plan.work.some(({ sample, tokens, restore }) => tokens.length > 1 || restore !== undefined || sample === undefined || sample.index === 0)).toBe(true)
      }
    })
  })

  it('takes a slot from nobody but batch work while others are free, and only when somebody else came lately', async () => {
    await holds((trace) => {
      let urgentAt = -Infinity
      for (const entry of trace.entries) {
        if (entry.kind === 'add' && entry.refusal === null && entry.sequence.priority !== 'batch') urgentAt = entry.now
        if (entry.kind !== 'plan' || entry.freeSlots === 0) continue
        for (const id of entry.plan.preempted ?? []) {
          expect(isBatchWork(trace, id)).toBe(true)
          expect(entry.now - urgentAt).toBeLessThan(10_000)
          expect(trace.config.policy).toBe('fair')
        }
      }
    })
  })
})

const isBatchWork = (trace: Trace, id: SequenceId): boolean => request(trace, id).priority === 'batch'

/** A plan, and who of its lane has the adapters whose turn it is. */
interface Turn {
  readonly plan: StepPlan
  /** They drew a token in the slot that they have, and could draw the next one. */
  readonly streams: readonly SequenceId[]
  /** They have been in a plan, and have more to read. */
  readonly reading: readonly SequenceId[]
  /** Others of the lane, that have been in a plan, have other adapters. */
  readonly isShared: boolean
}

function turnsOf (trace: Trace): Turn[] {
  const turns: Turn[] = []
  const laneOf = new Map<SequenceId, LaneId>()
  const flowing = new Set<SequenceId>()
  const remove = (id: SequenceId): void => {
    laneOf.delete(id)
    flowing.delete(id)
  }
  for (const entry of trace.entries) {
    if (entry.kind === 'abort' || entry.kind === 'finish') remove(entry.id)
    if (entry.kind === 'plan') {
      const { plan } = entry
      for (const id of plan.preempted ?? []) remove(id)
      for (const { sequence } of plan.work) laneOf.set(sequence, plan.lane)
      const inLane = [...laneOf.keys()].filter((id) => laneOf.get(id) === plan.lane)
      const turn = inLane.filter((id) => request(trace, id).adapters.key === plan.adapters.key)
      turns.push({
        plan,
        streams: turn.filter((id) => flowing.has(id)),
        reading: turn.filter((id) => !flowing.has(id)),
        isShared: turn.length < inLane.length
      })
    }
    if (entry.kind === 'commit') {
      for (const { slot, sequence, sample } of entry.plan.work) {
        const outcome = entry.outcomes.find((candidate) => candidate.slot === slot)!
        if (sample === undefined || !('token' in outcome)) flowing.delete(sequence)
        else if (laneOf.has(sequence)) flowing.add(sequence)
      }
    }
    for (const event of eventsOf(entry)) if (event.type === 'sequence-finished' || event.type === 'sequence-failed') remove(event.id)
  }
  return turns
}

function drawnTokens (trace: Trace): Map<SequenceId, Token[]> {
  const drawn = new Map<SequenceId, Token[]>()
  for (const entry of trace.entries) {
    for (const event of eventsOf(entry)) {
      if (event.type !== 'token-drawn') continue
      const tokens = drawn.get(event.id)
      if (tokens === undefined) drawn.set(event.id, [event.token])
      else tokens.push(event.token)
    }
  }
  return drawn
}

/** What happened in a run, in words. */
function sightsOf (trace: Trace): Set<string> {
  const sights = new Set<string>()
  const running = new Map<LaneId, StepPlan>()
  const adaptersOf = new Map<LaneId, string>()
  const planned = new Set<SequenceId>()
  const drawn = new Set<SequenceId>()
  const preemptedIn = new Map<SequenceId, LaneId>()
  const ended = new Set<SequenceId>()
  /** Tokens in each slot after each plan of its lane, and those that came while a slot was free, with the number of entries before. */
  const lengths = new Map<SlotId, { readonly at: number, readonly length: number }[]>()
  const arrivals = new Map<SequenceId, number>()
  for (const { plan, streams } of turnsOf(trace)) {
    const leftOut = streams.filter((id) => plan.work.every(({ sequence }) => sequence !== id))
    if (leftOut.some((id) => !isBatchWork(trace, id))) sights.add('prompts alone')
    if (leftOut.some((id) => isBatchWork(trace, id)) && planSize(plan).promptTokens > 0) sights.add('no part of batch work in a step of prompts')
  }
  for (const [at, entry] of trace.entries.entries()) {
    if (entry.kind === 'add' && entry.refusal === null && entry.waiting < 0) arrivals.set(entry.sequence.id, at)
    if (entry.kind === 'add' && entry.refusal === 'queue_full') sights.add('queue full')
    if (entry.kind === 'add' && entry.events.length > 0) sights.add('pushed out of the queue')
    if (entry.kind === 'abort' || entry.kind === 'finish') {
      const isStepping = [...running.values()].some((plan) => plan.work.some((work) => work.sequence === entry.id))
      if (isStepping && !ended.has(entry.id)) sights.add(`${entry.kind} during a step`)
      if (entry.kind === 'abort' && !planned.has(entry.id) && !ended.has(entry.id)) sights.add('abort while waiting')
      ended.add(entry.id)
    }
    if (entry.kind === 'plan') {
      const { plan } = entry
      running.set(plan.lane, plan)
      if ((plan.preempted ?? []).length > 0 && entry.freeSlots > 0) sights.add('batch work gave up its slot though others were free')
      if (plan.dropped !== undefined) sights.add('dropped cache')
      for (const id of plan.preempted ?? []) {
        sights.add(drawn.has(id) ? 'preempted' : 'preempted before its first token')
        preemptedIn.set(id, plan.lane)
      }
      for (const { sequence } of plan.work) {
        if ((preemptedIn.get(sequence) ?? plan.lane) !== plan.lane) sights.add('preempted and resumed in another lane')
        preemptedIn.delete(sequence)
      }
      if (running.size > 1) sights.add('two lanes at once')
      if ((adaptersOf.get(plan.lane) ?? plan.adapters.key) !== plan.adapters.key) sights.add('two adapter sets in one lane')
      adaptersOf.set(plan.lane, plan.adapters.key)
      for (const { sequence, keep, copyFrom, park, restore, sample, slot } of plan.work) {
        if (park !== undefined) sights.add('saved cache')
        if (restore !== undefined) sights.add('restored cache')
        if (copyFrom !== undefined) sights.add('copied prefix')
        else if (keep > 0 && !planned.has(sequence)) sights.add('kept prefix')
        if (plan.work.some((other) => other.copyFrom === slot)) sights.add('copy of a running sequence')
        if (sample === undefined) sights.add('chunked prefill')
        if (copyFrom !== undefined && !planned.has(sequence)) {
          // Plans of its lane went without it, and only then was there what it copies.
          const since = (lengths.get(copyFrom) ?? []).filter((length) => length.at > (arrivals.get(sequence) ?? Infinity))
          if (since.length > 1 && since[0]!.length < keep) sights.add('waited for another’s prefill')
        }
        planned.add(sequence)
      }
      for (const { slot, keep, tokens } of plan.work) {
        lengths.set(slot, [...lengths.get(slot) ?? [], { at, length: keep + tokens.length }])
      }
      const kinds = new Set(plan.work.map(({ sample }) => (sample?.index ?? 0) > 0))
      if (kinds.size === 2) sights.add('mixed step')
    }
    if (entry.kind === 'commit') {
      running.delete(entry.plan.lane)
      const errors = entry.outcomes.filter((outcome) => 'error' in outcome).length
      for (const { slot, sequence, guessCount = 0 } of entry.plan.work) {
        const outcome = entry.outcomes.find((candidate) => candidate.slot === slot)!
        if (!('token' in outcome)) continue
        const further = outcome.further ?? []
        const { drafted } = outcome
        if (drafted !== undefined) {
          if (further.length > 0) sights.add('right draft')
          if (further.length < drafted.count) sights.add('wrong draft')
          if (further.length > 0 && trace.config.endTokens.includes(further.at(-1)!.token)) sights.add('end of an answer behind a right draft')
          if (entry.plan.work.some((other) => other.guessCount !== undefined)) sights.add('guesses of both kinds in a step')
          continue
        }
        if (further.length > 0) sights.add('right guess')
        if (further.length > 0 && ended.has(sequence)) sights.add('right guess of an answer that was ended meanwhile')
        if (further.length > 0 && trace.config.endTokens.includes(further.at(-1)!.token)) sights.add('end of an answer behind a right guess')
        if (further.length < guessCount) sights.add('wrong guess')
      }
      if (errors > 1 && errors === entry.outcomes.length) sights.add('lost step')
      if (errors > 0 && errors < entry.outcomes.length) sights.add('failed slot')
    }
    for (const event of eventsOf(entry)) {
      if (event.type === 'token-drawn') drawn.add(event.id)
      if (event.type === 'sequence-finished') sights.add(`finished by ${event.reason}`)
      if (event.type === 'sequence-failed' && entry.kind === 'expire') sights.add(event.error.code.replace('_', ' '))
      if (event.type === 'sequence-finished' || event.type === 'sequence-failed') ended.add(event.id)
    }
  }
  return sights
}
