import fc from 'fast-check'
import type { Priority } from '../../../src/domain/priority.ts'
import type { FaultKind } from '../../../src/engine/fake/faults.ts'
import type { AdmissionPolicyName } from '../../../src/scheduler/policies/admission.ts'
import type { SchedulerConfig } from '../../../src/scheduler/scheduler-types.ts'

/** A request as a client would make it; choices become sequences that share a prompt. */
export interface RequestShape {
  readonly tenant: number
  readonly priority: Priority
  readonly weight: number
  /** Prompts of the same family begin alike. */
  readonly family: number
  readonly sharedLength: number
  readonly ownTokens: readonly number[]
  readonly adapters: number
  readonly choices: number
  readonly maxTokens: number | null
  readonly ignoresEos: boolean
  /** The answer is made of few tokens, so that much of it can be guessed. */
  readonly isRepetitive: boolean
  /** Null is greedy. */
  readonly seed: number | null
  readonly queueTimeoutMs: number
  readonly timeoutMs: number
}

export type Action =
  | { readonly type: 'request', readonly request: RequestShape }
  /** `back` counts from the sequence that was added last. */
  | { readonly type: 'abort' | 'finish', readonly back: number }
  | { readonly type: 'begin' | 'end', readonly lane: number }
  | { readonly type: 'wait', readonly durationMs: number }
  /** The step under way takes this for each of its sequences. */
  | { readonly type: 'compute', readonly lane: number, readonly sequenceMs: number }

export interface Scenario {
  readonly config: Omit<SchedulerConfig, 'endTokens'>
  readonly actions: readonly Action[]
  /** By number of the engine's step. */
  readonly faults: readonly (readonly [number, FaultKind])[]
}

interface Ranges {
  readonly laneCount: number
  readonly slotsPerLane: readonly [number, number]
  readonly contextSize: readonly [number, number]
  readonly spareStepTokens: number
}

const configs = ({ laneCount, slotsPerLane, contextSize, spareStepTokens }: Ranges) => fc.record({
  laneCount: fc.integer({ min: 1, max: laneCount }),
  slotsPerLane: fc.integer({ min: slotsPerLane[0], max: slotsPerLane[1] }),
  contextSize: fc.integer({ min: contextSize[0], max: contextSize[1] }),
  spareStepTokens: fc.integer({ min: 0, max: spareStepTokens }),
  spareThreads: fc.integer({ min: 0, max: 3 }),
  maxQueue: fc.integer({ min: 1, max: 10 }),
  turnSteps: fc.integer({ min: 1, max: 4 }),
  lanesAreApart: fc.boolean(),
  mostGuesses: fc.constantFrom(0, 1, 4, 15),
  hasDraftModel: fc.boolean(),
  targetItlMs: fc.constantFrom<number | 'auto'>('auto', 1, 10),
  parkBytes: fc.constantFrom(0, 300_000, 10_000_000),
  policy: fc.constantFrom<AdmissionPolicyName>('fair', 'fair', 'first-come-first-served')
}).map(({ spareStepTokens: spare, spareThreads, ...rest }) => ({
  ...rest,
  stepTokens: rest.slotsPerLane + spare,
  threads: rest.laneCount + spareThreads
}))

/** Mostly generous, so that most sequences get to run. */
const timeout = fc.oneof({ weight: 4, arbitrary: fc.constant(1_000_000) }, { weight: 1, arbitrary: fc.integer({ min: 0, max: 50 }) })

export const crowdedRequest: fc.Arbitrary<RequestShape> = fc.record({
  tenant: fc.constantFrom(0, 0, 0, 1, 2),
  priority: fc.constantFrom<Priority>('interactive', 'normal', 'normal', 'normal', 'batch', 'batch'),
  weight: fc.constantFrom(1, 1, 3),
  family: fc.integer({ min: 0, max: 1 }),
  sharedLength: fc.oneof(fc.constantFrom(0, 33, 64, 100), fc.integer({ min: 0, max: 120 })),
  ownTokens: fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 0, maxLength: 4 }),
  adapters: fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, { weight: 3, arbitrary: fc.integer({ min: 0, max: 4 }) }),
  choices: fc.oneof({ weight: 3, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.integer({ min: 2, max: 4 }) }),
  maxTokens: fc.oneof({ weight: 4, arbitrary: fc.integer({ min: 1, max: 12 }) }, { weight: 1, arbitrary: fc.constant(null) }),
  ignoresEos: fc.boolean(),
  isRepetitive: fc.boolean(),
  seed: fc.option(fc.integer({ min: 0, max: 1000 })),
  queueTimeoutMs: timeout,
  timeoutMs: timeout
})

/** Prompts that are almost alike, long enough to be copied, with short answers: slots change hands under pending copies. */
const alike: fc.Arbitrary<RequestShape> = fc.record({
  tenant: fc.constantFrom(0, 0, 1),
  priority: fc.constantFrom<Priority>('normal', 'normal', 'batch'),
  weight: fc.constant(1),
  family: fc.integer({ min: 0, max: 2 }),
  sharedLength: fc.constantFrom(34, 40),
  ownTokens: fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 3 }),
  adapters: fc.integer({ min: 0, max: 1 }),
  choices: fc.constantFrom(1, 1, 1, 2),
  maxTokens: fc.integer({ min: 1, max: 3 }),
  ignoresEos: fc.constant(true),
  isRepetitive: fc.constant(false),
  seed: fc.constant(null),
  queueTimeoutMs: fc.constant(1_000_000),
  timeoutMs: fc.constant(1_000_000)
})

/** Few long answers that can be guessed. */
const repetitive: fc.Arbitrary<RequestShape> = crowdedRequest.map((shape) => ({
  ...shape,
  sharedLength: shape.sharedLength % 10,
  choices: 1,
  maxTokens: null,
  isRepetitive: true,
  adapters: shape.adapters % 2,
  seed: shape.family === 0 ? null : shape.seed,
  queueTimeoutMs: 1_000_000,
  timeoutMs: 1_000_000
}))

/** Long prompts that begin alike and come close together: sequences wait for each other's prefill, and lose whom they wait for. */
const crowd: fc.Arbitrary<RequestShape> = fc.record({
  tenant: fc.constantFrom(0, 0, 1),
  priority: fc.constantFrom<Priority>('normal', 'normal', 'normal', 'batch'),
  weight: fc.constant(1),
  family: fc.constantFrom(0, 0, 0, 1),
  sharedLength: fc.constantFrom(100, 130, 130, 200, 230),
  ownTokens: fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 3 }),
  adapters: fc.constantFrom(0, 0, 0, 1),
  choices: fc.constantFrom(1, 1, 1, 2),
  maxTokens: fc.integer({ min: 1, max: 3 }),
  ignoresEos: fc.constant(true),
  isRepetitive: fc.constant(false),
  seed: fc.constant(null),
  queueTimeoutMs: timeout,
  timeoutMs: timeout
})

/** Long answers to short prompts, most of them batch work: a lane is full of them, and learns how many are enough. */
const atNight: fc.Arbitrary<RequestShape> = crowdedRequest.map((shape) => ({
  ...shape,
  tenant: shape.tenant % 2,
  priority: shape.family === 0 || shape.priority === 'batch' ? 'batch' : 'normal',
  sharedLength: shape.sharedLength % 10,
  choices: 1,
  maxTokens: 10 + shape.sharedLength,
  ignoresEos: true,
  adapters: shape.adapters === 4 ? 1 : 0,
  queueTimeoutMs: 1_000_000,
  timeoutMs: 1_000_000
}))

const lane = fc.integer({ min: 0, max: 2 })
const back = fc.integer({ min: 0, max: 7 })

export const actions = (requests: fc.Arbitrary<RequestShape>, requestWeight = 6, endWeight = 2, waitWeight = 1): fc.Arbitrary<Action> => fc.oneof(
  { weight: requestWeight, arbitrary: fc.record({ type: fc.constant('request' as const), request: requests }) },
  { weight: 9, arbitrary: fc.record({ type: fc.constant('begin' as const), lane }) },
  { weight: 8, arbitrary: fc.record({ type: fc.constant('end' as const), lane }) },
  { weight: endWeight, arbitrary: fc.record({ type: fc.constantFrom('abort' as const, 'finish' as const), back }) },
  { weight: waitWeight, arbitrary: fc.record({ type: fc.constant('wait' as const), durationMs: fc.oneof({ weight: 9, arbitrary: fc.integer({ min: 0, max: 30 }) }, { weight: 1, arbitrary: fc.constant(10_000) }) }) }
)

/** Batch work fills the lane for long, and each sequence takes its own time, so that half of them come to be enough. */
const evening: fc.Arbitrary<Action[]> = fc.record({
  requests: fc.array(atNight.map((request) => ({ type: 'request' as const, request: { ...request, priority: 'batch' as const, adapters: 0, maxTokens: 190 } })), { minLength: 8, maxLength: 9 }),
  steps: fc.integer({ min: 130, max: 180 }),
  sequenceMs: fc.integer({ min: 1, max: 4 })
}).map(({ requests, steps, sequenceMs }) => [
  ...requests,
  ...Array.from({ length: steps }, (): Action[] => [{ type: 'begin', lane: 0 }, { type: 'compute', lane: 0, sequenceMs }, { type: 'end', lane: 0 }]).flat()
])

const fault = fc.tuple(fc.integer({ min: 1, max: 40 }), fc.constantFrom<FaultKind>('reject', 'fail'))
const faults = fc.oneof(
  { weight: 2, arbitrary: fc.constant([]) },
  { weight: 1, arbitrary: fc.array(fault, { maxLength: 5 }) }
)

/** More often than the long ones. */
const twice = <T>(arbitrary: fc.Arbitrary<T>): fc.WeightedArbitrary<T> => ({ weight: 2, arbitrary })

/** Whatever clients, disconnects, clocks and a faulty engine may do to the scheduler, in any order. */
export const scenarios: fc.Arbitrary<Scenario> = fc.oneof(
  twice(fc.record({
    config: configs({ laneCount: 3, slotsPerLane: [1, 4], contextSize: [2, 160], spareStepTokens: 60 }),
    actions: fc.array(actions(crowdedRequest), { minLength: 5, maxLength: 120 }),
    faults
  })),
  twice(fc.record({
    config: configs({ laneCount: 2, slotsPerLane: [2, 4], contextSize: [44, 60], spareStepTokens: 20 }),
    actions: fc.array(actions(alike), { minLength: 40, maxLength: 200 }),
    faults
  })),
  twice(fc.record({
    config: configs({ laneCount: 1, slotsPerLane: [1, 2], contextSize: [40, 160], spareStepTokens: 40 })
      .map((config) => ({ ...config, mostGuesses: 15 })),
    actions: fc.array(actions(repetitive, 1, 1), { minLength: 60, maxLength: 200 }),
    faults
  })),
  twice(fc.record({
    config: configs({ laneCount: 2, slotsPerLane: [2, 6], contextSize: [236, 300], spareStepTokens: 100 }),
    actions: fc.array(actions(crowd), { minLength: 20, maxLength: 80 }),
    faults
  })),
  fc.record({
    config: configs({ laneCount: 1, slotsPerLane: [7, 8], contextSize: [236, 260], spareStepTokens: 30 })
      .map((config) => ({ ...config, mostGuesses: 0, maxQueue: 20 })),
    actions: fc.tuple(evening, fc.array(actions(atNight, 3, 1, 6), { minLength: 60, maxLength: 200 })).map((parts) => parts.flat()),
    faults
  })
)
