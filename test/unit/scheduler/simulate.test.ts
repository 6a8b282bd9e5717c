import { describe, expect, it } from 'vitest'
import { EventLog } from '../../../bench/simulate/event-log.ts'
import { Ledger } from '../../../bench/simulate/ledger.ts'
import { parseCommandLine, UsageError } from '../../../bench/simulate/options.ts'
import { formatReport } from '../../../bench/simulate/report.ts'
import { simulate, type CreateScheduler, type SimulationOptions, type SimulationResult } from '../../../bench/simulate/simulation.ts'
import { adapterSets } from '../../../bench/simulate/workload.ts'
import { asLaneId, asSequenceId } from '../../../src/domain/ids.ts'
import type { StepPlan } from '../../../src/scheduler/plan.ts'
import { Scheduler } from '../../../src/scheduler/scheduler.ts'

const options = (...flags: string[]): SimulationOptions => parseCommandLine(flags)!.simulation

const run = (simulation: SimulationOptions, createScheduler?: CreateScheduler): { result: SimulationResult, digest: string } => {
  using log = new EventLog()
  return { result: simulate(simulation, log, createScheduler), digest: log.digest() }
}

/** The production scheduler with its plans bent. */
const bent = (bend: (plan: StepPlan) => StepPlan): CreateScheduler => (config) => {
  const scheduler = new Scheduler(config)
  const schedule = scheduler.schedule.bind(scheduler)
  scheduler.schedule = (lane, now) => {
    const plan = schedule(lane, now)
    // In place: the scheduler knows its plans by identity.
    return plan === null ? null : Object.assign(plan, bend(plan))
  }
  return scheduler
}

describe('simulator', () => {
  const workload = [
    '--requests', '1000', '--slots', '8', '--lanes', '2', '--adapters', '4', '--load', '0.4', '--choices-share', '0.2',
    '--abort-share', '0.2'
  ]

  it('gives the same event log for the same seed, and another for another', () => {
    const [first, again, other] = [[], [], ['--seed', '2']].map((flags) => run(options(...workload, ...flags)))
    expect(again!.digest).toBe(first!.digest)
    expect(formatReport(options(...workload), again!.result)).toBe(formatReport(options(...workload), first!.result))
    expect(other!.digest).not.toBe(first!.digest)
  })

  it('accounts for every sequence', () => {
    const { snapshot, errors, leftEarly, queueMs, firstTokenMs } = run(options(...workload)).result
    expect(snapshot.added).toBeGreaterThan(1000)
    expect(snapshot.finished + snapshot.failed + snapshot.aborted).toBe(snapshot.added)
    expect(snapshot.aborted).toBe(leftEarly)
    expect(leftEarly).toBeGreaterThan(0)
    expect([...errors.values()].reduce((sum, count) => sum + count, 0)).toBe(0)
    expect(firstTokenMs.count).toBeGreaterThanOrEqual(snapshot.finished)
    expect(queueMs.count).toBeGreaterThanOrEqual(firstTokenMs.count)
  })

  it('has the timing that the costs say when there is nobody else', () => {
    const { result } = run(options('--requests', '20', '--rate', '0.01', '--slots', '1', '--step-ms', '10', '--decode-ms', '2',
      '--prefill-ms', '0', '--choices-share', '0', '--abort-share', '0', '--step-tokens', '4096'))
    expect(result.queueMs.max).toBe(0)
    expect(result.firstTokenMs.max).toBeCloseTo(10)
    expect(result.tokenGapMs.percentile(0.5)).toBeCloseTo(12, 0)
  })

  it('refuses and times out under overload, and still ends', () => {
    const { errors, snapshot } = run(options('--requests', '2000', '--load', '4', '--max-queue', '50', '--queue-timeout', '2000')).result
    expect([...errors.keys()].toSorted()).toEqual(['queue_full', 'queue_timeout'])
    expect(snapshot.waiting).toBe(0)
  })

  it('finds prompts that begin alike', () => {
    const hits = (prompts: string): number => {
      const { snapshot } = run(options('--requests', '500', '--system-prompts', prompts)).result
      return snapshot.prefixHitTokens / snapshot.prefixQueriedTokens
    }
    expect(hits('1')).toBeGreaterThan(0.5)
    expect(hits('0')).toBeLessThan(0.1)
  })

  it('takes fewer steps for answers that quote, with guesses, and keeps the laws', () => {
    const flags = ['--requests', '500', '--quote-share', '0.95', '--load', '0.3', '--abort-share', '0']
    const [plain, guessing] = ['0', '7'].map((most) => run(options(...flags, '--speculate', most)).result.snapshot)
    expect(plain).toMatchObject({ guessedTokens: 0, rightGuesses: 0 })
    expect(guessing!.rightGuesses).toBeGreaterThan(0.7 * guessing!.guessedTokens)
    expect(guessing!.steps).toBeLessThan(0.9 * plain!.steps)
    expect(guessing).toMatchObject({ drawnTokens: plain!.drawnTokens, finished: plain!.finished })
  })

  it.each([0, 3])('keeps the laws with batch work among the others, and %i adapters', (adapters) => {
    const { snapshot, firstTokenMsOf } = run(options('--requests', '1500', '--batch-share', '0.3', '--load', '0.9', '--adapters', String(adapters))).result
    expect(snapshot.preempted).toBeGreaterThan(0)
    expect(firstTokenMsOf.others.percentile(0.5)).toBeLessThan(firstTokenMsOf.batch.percentile(0.5))
  })

  it.each<[string, string, number, RegExp | null]>([
    // Who is served, step by step: `a`; `n`, which is batch work with the same adapters; `x`, which has others.
    ['a stream is left out of four steps', 'annnna', 0, null],
    ['a stream is left out of five', 'annnnna', 0, /law 7 .*a was left out of 5 steps, the limit is 4/],
    ['batch work is left out of fifteen', `n${'a'.repeat(15)}n`, 0, null],
    ['batch work is left out of sixteen', `n${'a'.repeat(16)}n`, 0, /law 7 .*n was left out of 16 steps, the limit is 15/],
    ['others have their turns', 'axxa', 2, null],
    ['others have more than their turns', 'axxxa', 2, /law 7 .*a waited for 3 steps of others, the limit is 2/],
    ['a stream is left out between turns of others', 'axxnxxa', 2, null],
    ['a stream is left out between longer turns of others', 'axxnxxxa', 2, /law 7 .*a waited for 5 steps of others, the limit is 4/]
  ])('knows what law 7 says when %s', (_, steps, othersTurns, violation) => {
    const ledger = new Ledger(othersTurns)
    for (const id of 'anx') ledger.add(asSequenceId(id), id === 'n' ? 'batch' : 'others', id === 'n', 1, 0)
    const adapters = adapterSets(1)
    const follow = (): void => {
      for (const id of steps) {
        ledger.plan({
          lane: asLaneId(0),
          adapters: adapters[id === 'x' ? 1 : 0]!,
          work: [{ sequence: asSequenceId(id), slot: 'anx'.indexOf(id), keep: 0, sample: {} }]
        } as unknown as StepPlan, 0)
      }
    }
    if (violation === null) follow()
    else expect(follow).toThrow(violation)
  })

  it.each<[string, RegExp, (plan: StepPlan) => StepPlan]>([
    ['keeps what is not there', /are to be kept|does not hold|holds/, (plan) => ({
      ...plan, work: plan.work.map((work) => ({ ...work, keep: work.keep + 1 }))
    })],
    ['recomputes the wrong tokens', /does not hold the history/, (plan) => ({
      ...plan, work: plan.work.map((work) => ({ ...work, tokens: work.tokens.toReversed() }))
    })],
    ['uses too many threads', /threads/, (plan) => ({ ...plan, threads: plan.threads + 100 })],
    ['serves a sequence twice', /occurs twice/, (plan) => ({ ...plan, work: [...plan.work, ...plan.work] })],
    ['forgets to release', /holds it/, (plan) => ({ ...plan, released: [] })]
  ])('stops at a scheduler that %s', (_, message, bend) => {
    expect(() => run(options('--requests', '50'), bent(bend))).toThrow(message)
  })

  it('stops at a scheduler that speaks of the dead', () => {
    const createScheduler: CreateScheduler = (config) => {
      const scheduler = new Scheduler(config)
      const commit = scheduler.commit.bind(scheduler)
      scheduler.commit = (plan, outcomes, now) => {
        const events = commit(plan, outcomes, now)
        return [...events, ...events.filter((event) => event.type === 'sequence-finished')]
      }
      return scheduler
    }
    expect(() => run(options('--requests', '50'), createScheduler)).toThrow(/law 6/)
  })

  it.each([
    [['--reqests', '5'], '--reqests'],
    [['--requests', '0'], '--requests'],
    [['--requests', '1.5'], '--requests'],
    [['--requests', 'many'], '--requests'],
    [['--requests'], '--requests'],
    [['--abort-share', '2'], '--abort-share'],
    [['--rate', '0'], '--rate'],
    [['--policy', 'lottery'], '--policy'],
    [['--slots', '7', '--lanes', '2'], '--slots'],
    [['--step-tokens', '4'], '--step-tokens'],
    [['--lanes', '8', '--threads', '4'], '--threads']
  ])('names the flag that is wrong: %j', (flags, name) => {
    expect(() => parseCommandLine(flags)).toThrow(UsageError)
    expect(() => parseCommandLine(flags)).toThrow(name)
  })
})
