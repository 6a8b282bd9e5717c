import { describe, expect, it } from 'vitest'
import { baseAdapterSet, createAdapterSet } from '../../../src/domain/adapter-set.ts'
import { asLaneId, asParkId, asSequenceId, asSlotId, asToken, type Token } from '../../../src/domain/ids.ts'
import { greedySampling } from '../../../src/domain/sampling.ts'
import { PlanChecker, PlanViolation } from '../../../src/engine/fake/plan-checker.ts'
import type { SlotWork, StepPlan } from '../../../src/scheduler/plan.ts'

const tokens = (...ids: number[]): Token[] => ids.map(asToken)

let planCount = 0
const plan = (work: readonly SlotWork[], rest: Partial<StepPlan> = {}): StepPlan =>
  ({ id: ++planCount, lane: asLaneId(0), threads: 1, adapters: baseAdapterSet, released: [], work, ...rest })

/** Reads tokens without drawing. */
const read = (sequence: string, slot: number, keep: number, ids: readonly number[], rest: Partial<SlotWork> = {}): SlotWork =>
  ({ sequence: asSequenceId(sequence), slot: asSlotId(slot), keep, tokens: tokens(...ids), ...rest })

/** Reads the rest of a history and draws. */
const draw = (sequence: string, slot: number, keep: number, history: readonly number[], promptLength: number): SlotWork =>
  read(sequence, slot, keep, history.slice(keep), {
    sample: { sampling: greedySampling, index: history.length - promptLength, history: tokens(...history), promptLength }
  })

/** With guesses after it. */
const guess = (work: SlotWork, ...guesses: readonly number[]): SlotWork =>
  ({ ...work, tokens: [...work.tokens, ...tokens(...guesses)], guessCount: guesses.length })

const underGrammar = (work: SlotWork): SlotWork =>
  ({ ...work, sample: { ...work.sample!, sampling: { ...greedySampling, grammar: 'root ::= "a"' } } })

const poet = createAdapterSet([{ name: 'poet', generation: 1, scale: 1 }])

const create = (): PlanChecker => new PlanChecker({
  laneCount: 2,
  slotsPerLane: 3,
  contextSize: 16,
  maxStepTokens: 12,
  threads: 3,
  vocabularySize: 100,
  isAdapterLoaded: (adapter) => adapter.name === 'poet'
})

/** Carries plans out, one after the other. */
const carryOut = (checker: PlanChecker, ...plans: readonly StepPlan[]): void => {
  for (const each of plans) {
    checker.begin(each)
    checker.end(each)
  }
}

describe('PlanChecker', () => {
  it('lets a correct story pass: chunks, draws, a copy, a release, a new sequence on kept tokens', () => {
    const checker = create()
    const prompt = draw('a', 0, 2, [1, 2, 3, 4], 4)
    carryOut(checker, plan([read('a', 0, 0, [1, 2])]))
    checker.begin(plan([prompt], { id: ++planCount }))
    checker.drawn(prompt, asToken(9))
    expect(checker.cache(asSlotId(0)).tokens).toEqual([1, 2, 3, 4])
    expect(() => { checker.begin(plan([prompt])) }).toThrow(/stepping already/)

    const other = create()
    const first = plan([draw('a', 0, 0, [1, 2, 3], 3)])
    other.begin(first)
    other.drawn(first.work[0]!, asToken(9))
    other.end(first)
    carryOut(other,
      plan([draw('a', 0, 3, [1, 2, 3, 9], 3), { ...draw('b', 1, 3, [1, 2, 3, 7], 4), copyFrom: asSlotId(0) }]),
      plan([draw('c', 0, 2, [1, 2, 5], 3)], { released: [asSequenceId('a')] }))
    expect(other.cache(asSlotId(1)).tokens).toEqual([1, 2, 3, 7])
    expect(other.cache(asSlotId(0)).tokens).toEqual([1, 2, 5])
    expect(other.liveSequences).toBe(2)
  })

  it('copies what a slot held before the plan', () => {
    const checker = create()
    carryOut(checker,
      plan([read('a', 0, 0, [1, 2, 3])]),
      plan([read('b', 0, 0, [5]), read('c', 1, 2, [8], { copyFrom: asSlotId(0) })], { released: [asSequenceId('a')] }))
    expect(checker.cache(asSlotId(0)).tokens).toEqual([5])
    expect(checker.cache(asSlotId(1)).tokens).toEqual([1, 2, 8])
  })

  const before = [plan([read('a', 0, 0, [1, 2, 3])])]
  const released = { released: [asSequenceId('a')] }

  const parked = [...before, plan([read('b', 0, 0, [5], { park: asParkId(1) })], released)]

  it.each<[string, RegExp, StepPlan, (readonly StepPlan[])?]>([
    ['has a lane that does not exist', /only 2 lanes/, plan([read('a', 0, 0, [1])], { lane: asLaneId(2) })],
    ['comes out of order', /came before it/, plan([read('b', 1, 0, [1])], { id: 0 }), before],
    ['has no threads', /0 threads/, plan([read('a', 0, 0, [1])], { threads: 0 })],
    ['has too many threads', /4 threads of 3/, plan([read('a', 0, 0, [1])], { threads: 4 })],
    ['names an unknown adapter', /not loaded/, plan([read('a', 0, 0, [1])], {
      adapters: createAdapterSet([{ name: 'nobody', generation: 1, scale: 1 }])
    })],
    ['has nothing to do', /nothing in it/, plan([])],
    ['exceeds the budget', /13 tokens exceed/, plan([read('a', 0, 0, Array(13).fill(1))])],
    ['exceeds the context', /would hold 18 tokens of 16/, plan([read('a', 0, 9, Array(9).fill(1))]),
      [plan([read('a', 0, 0, Array(9).fill(1))])]],
    ['names a slot of another lane', /not of this lane/, plan([read('a', 3, 0, [1])])],
    ['names a slot twice', /slot 0 occurs twice/, plan([read('a', 0, 0, [1]), read('b', 0, 0, [1])])],
    ['names a sequence twice', /sequence a occurs twice/, plan([read('a', 0, 0, [1]), read('a', 1, 0, [1])])],
    ['appends nothing', /no tokens/, plan([read('a', 0, 0, [])])],
    ['appends what is not a token', /not in the vocabulary/, plan([read('a', 0, 0, [100])])],
    ['keeps a negative number', /keep -1/, plan([read('a', 0, -1, [1])])],
    ['keeps more than there is', /holds 3 tokens, 4 are/, plan([read('a', 0, 4, [1])]), before],
    ['keeps what another adapter set computed', /computed under ''/, plan([read('b', 0, 2, [1])], { ...released, adapters: poet }), before],
    ['copies what another adapter set computed', /computed under ''/,
      plan([read('b', 1, 2, [1], { copyFrom: asSlotId(0) })], { adapters: poet }), before],
    ['copies from another lane', /of another lane/, plan([read('b', 1, 2, [1], { copyFrom: asSlotId(3) })]), before],
    ['copies a slot to itself', /to itself/, plan([read('a', 0, 2, [1], { copyFrom: asSlotId(0) })]), before],
    ['copies from a slot that is copied', /source of slot/, plan([
      read('b', 1, 2, [1], { copyFrom: asSlotId(0) }), read('c', 2, 2, [1], { copyFrom: asSlotId(1) })
    ]), before],
    ['saves a slot that holds nothing', /holds nothing to save/, plan([read('a', 0, 0, [1], { park: asParkId(1) })])],
    ['saves two caches as one', /saved after cache 1/, plan([read('b', 0, 0, [1], { park: asParkId(1) })]), parked],
    ['restores what was not saved', /no saved cache 2/, plan([read('b', 0, 0, [1], { restore: asParkId(2) })]), parked],
    ['restores what was dropped', /no saved cache 1/, plan([read('c', 1, 1, [1], { restore: asParkId(1) })], { dropped: [asParkId(1)] }), parked],
    ['drops what was not saved', /no saved cache 2 to drop/, plan([read('b', 0, 1, [1])], { dropped: [asParkId(2)] }), parked],
    ['keeps more than was saved', /3 tokens, 4 are/, plan([read('c', 1, 4, [1], { restore: asParkId(1) })]), parked],
    ['restores what another adapter set computed', /computed under ''/,
      plan([read('c', 1, 2, [1], { restore: asParkId(1) })], { adapters: poet }), parked],
    ['copies and restores at once', /copied and restored/, plan([
      read('c', 1, 1, [1], { restore: asParkId(1), copyFrom: asSlotId(0) })
    ]), parked],
    ['copies from a slot that is restored', /source of slot/, plan([
      read('c', 1, 1, [1], { restore: asParkId(1) }), read('d', 2, 1, [1], { copyFrom: asSlotId(1) })
    ]), parked],
    ['gives a slot away that is held', /but a holds it/, plan([read('b', 0, 0, [1])]), before],
    ['uses what was released', /a was released/, plan([read('a', 0, 0, [1])]), [...before, plan([read('b', 1, 0, [1])], released)]],
    ['releases twice', /released twice/, plan([read('b', 1, 1, [1])], released), [...before, plan([read('b', 1, 0, [1])], released)]],
    ['moves a sequence', /moved from slot 0 to 1/, plan([read('a', 1, 0, [1])]), before],
    ['changes a sequence’s adapters', /changed its adapter set/, plan([read('a', 0, 0, [1])], { adapters: poet }), before],
    ['draws by the wrong number', /draws number 1 after number -1/, plan([draw('a', 0, 0, [1, 2], 1)])],
    ['contradicts itself about the number', /draws number 5/, plan([{
      ...draw('a', 0, 0, [1], 1), sample: { sampling: greedySampling, index: 5, history: tokens(1), promptLength: 1 }
    }])],
    ['draws before the prompt is read', /the history of a 4/, plan([{
      ...draw('a', 0, 3, [1, 2, 3, 4], 4), keep: 2, tokens: tokens(4)
    }]), before],
    ['has guesses for a prompt', /does not decode/, plan([guess(draw('a', 0, 3, [1, 2, 3, 4], 4), 5)]), before],
    ['has guesses where nothing is drawn', /does not decode/, plan([guess(read('a', 0, 3, [4]), 5)]), before],
    ['has guesses instead of the token that is pending', /0 tokens of a before/, plan([{ ...draw('a', 0, 3, [1, 2, 3, 4], 3), guessCount: 1 }]), before],
    ['has guesses of more than one pending token', /2 tokens of a before/, plan([guess(draw('a', 0, 3, [1, 2, 3, 4, 5], 3), 6)]), before],
    ['says that it has no guesses', /0 guesses/, plan([{ ...draw('a', 0, 3, [1, 2, 3, 4], 3), guessCount: 0 }]), before],
    ['guesses under a grammar', /under a grammar/, plan([underGrammar(guess(draw('a', 0, 3, [1, 2, 3, 4], 3), 5))]), before],
    ['wants a draft for a prompt', /does not decode/, plan([{ ...draw('a', 0, 3, [1, 2, 3, 4], 4), draft: 1 }]), before],
    ['wants a draft behind more than one token', /2 tokens of a before/, plan([{ ...draw('a', 0, 3, [1, 2, 3, 4, 5], 3), draft: 1 }]), before],
    ['wants a draft of none', /0 guesses/, plan([{ ...draw('a', 0, 3, [1, 2, 3, 4], 3), draft: 0 }]), before],
    ['wants a draft behind guesses', /guesses and a draft/, plan([{ ...guess(draw('a', 0, 3, [1, 2, 3, 4], 3), 5), draft: 1 }]), before],
    ['wants a draft under a grammar', /under a grammar/, plan([{ ...underGrammar(draw('a', 0, 3, [1, 2, 3, 4], 3)), draft: 1 }]), before],
    ['wants a draft beyond the slot’s end', /would hold 17 tokens of 16/, plan([{ ...draw('a', 0, 5, [1, 2, 3, 4, 5, 6], 5), draft: 11 }]), before],
    ['wants a draft beyond the budget', /13 tokens exceed/, plan([{ ...draw('a', 0, 3, [1, 2, 3, 4], 3), draft: 12 }]), before],
    ['computed other tokens than the history has', /does not hold the history/, plan([draw('a', 0, 3, [1, 7, 3, 4], 4)]), before]
  ])('refuses a plan that %s', (_, message, bad, story = []) => {
    const checker = create()
    carryOut(checker, ...story.map((each) => ({ ...each, id: ++planCount })))
    expect(() => { checker.begin(bad.id === 0 ? bad : { ...bad, id: ++planCount }) }).toThrow(message)
    expect(() => { checker.begin(bad) }).toThrow(PlanViolation)
  })

  it('notices a token that was not the one drawn', () => {
    const checker = create()
    const first = plan([draw('a', 0, 0, [1], 1)])
    checker.begin(first)
    checker.drawn(first.work[0]!, asToken(9))
    checker.end(first)
    expect(() => { checker.begin(plan([draw('a', 0, 1, [1, 8], 1)])) }).toThrow(/drew 9, its history says 8/)
  })

  describe('after guesses', () => {
    /** Drew 4, then guessed 5 and 6, of which only 5 was drawn, and 7. */
    const createGuessed = (): PlanChecker => {
      const checker = create()
      const steps: readonly (readonly [SlotWork, readonly number[]])[] = [
        [draw('a', 0, 0, [1, 2, 3], 3), [4]], [guess(draw('a', 0, 3, [1, 2, 3, 4], 3), 5, 6), [5, 7]]
      ]
      for (const [work, drawn] of steps) {
        const each = plan([work], { id: ++planCount })
        checker.begin(each)
        checker.drawn(work, ...tokens(...drawn))
        checker.end(each)
      }
      return checker
    }
    const next = (keep: number, history: readonly number[]): StepPlan => plan([draw('a', 0, keep, history, 3)], { id: ++planCount })

    it('lets those be kept that were right', () => {
      for (const keep of [5, 4, 2]) createGuessed().begin(next(keep, [1, 2, 3, 4, 5, 7]))
    })

    it('lets those be kept that a draft model made and that were right', () => {
      const checker = create()
      const [first, second] = [draw('a', 0, 0, [1, 2, 3], 3), { ...draw('a', 0, 3, [1, 2, 3, 4], 3), draft: 4 }]
      for (const [work, drafted, drawn] of [[first, [], [4]], [second, [5, 6], [5, 7]]] as const) {
        const each = plan([work], { id: ++planCount })
        checker.begin(each)
        checker.cache(asSlotId(0)).append(tokens(...drafted))
        checker.drawn(work, ...tokens(...drawn))
        checker.end(each)
      }
      expect(() => { checker.begin(plan([{ ...next(6, [1, 2, 3, 4, 5, 7, 8]).work[0]!, keep: 6, tokens: tokens(8) }], { id: ++planCount })) }).toThrow(PlanViolation)
      checker.begin(next(5, [1, 2, 3, 4, 5, 7]))
    })

    it('notices one that was wrong and is taken for computed', () => {
      const copy = { ...draw('b', 1, 6, [1, 2, 3, 4, 5, 7, 8], 7), copyFrom: asSlotId(0) }
      expect(() => { createGuessed().begin(plan([copy], { id: ++planCount })) }).toThrow(/does not hold the history/)
    })

    it('lets all that was drawn be computed again in pieces after a preemption, and draws when it is', () => {
      const preempted = { preempted: [asSequenceId('a')] }
      const resume = (keep: number, length: number, rest: Partial<StepPlan> = {}): StepPlan =>
        plan([read('a', 1, keep, [1, 2, 3, 4, 5, 7].slice(keep, length))], { id: ++planCount, ...rest })
      const checker = createGuessed()
      carryOut(checker, resume(0, 3, preempted), resume(3, 5), plan([draw('a', 1, 5, [1, 2, 3, 4, 5, 7], 3)], { id: ++planCount }))
      expect(() => { createGuessed().begin(resume(0, 6, preempted)) }).toThrow(/nothing is drawn for the decoding a/)
    })

    it('notices any of the drawn tokens that was not the one drawn', () => {
      expect(() => { createGuessed().begin(next(4, [1, 2, 3, 4, 8, 7])) }).toThrow(/drew 5, its history says 8/)
      expect(() => { createGuessed().begin(next(4, [1, 2, 3, 4, 5])) }).toThrow(/draws number 2 after number 2/)
    })
  })

  it('lets nothing be kept of a slot whose content was lost', () => {
    const checker = create()
    carryOut(checker, plan([read('a', 0, 0, [1, 2])]))
    checker.forget(asSlotId(0))
    expect(() => { checker.begin(plan([read('a', 0, 1, [1])])) }).toThrow(/lost its content/)
    carryOut(checker, plan([read('a', 0, 0, [1])]), plan([read('a', 0, 1, [2])]))
  })

  it('knows a saved cache in every lane, once its save has ended, until it is dropped', () => {
    const checker = create()
    carryOut(checker, plan([read('a', 0, 0, [1, 2, 3])]))
    const saving = plan([read('b', 0, 0, [5], { park: asParkId(1) })], released)
    const restoring = () => plan([read('c', 4, 2, [7], { restore: asParkId(1) })], { lane: asLaneId(1) })
    checker.begin(saving)
    expect(() => { checker.begin(restoring()) }).toThrow(/still being saved/)
    checker.end(saving)
    const running = restoring()
    checker.begin(running)
    expect(checker.cache(asSlotId(4)).tokens).toEqual([1, 2, 7])
    expect(checker.parkedLength(asParkId(1))).toBe(3)
    expect(() => { checker.begin(plan([read('b', 0, 1, [6])], { dropped: [asParkId(1)] })) }).toThrow(/while it is being restored/)
    checker.end(running)
    carryOut(checker, plan([read('b', 0, 1, [6])], { dropped: [asParkId(1)] }))
    expect(checker.parkedLength(asParkId(1))).toBe(0)
  })

  it('counts the threads of all running plans', () => {
    const checker = create()
    checker.begin(plan([read('a', 0, 0, [1])], { threads: 2 }))
    expect(() => { checker.begin(plan([read('b', 3, 0, [1])], { lane: asLaneId(1), threads: 2 })) }).toThrow(/4 threads of 3/)
  })
})
