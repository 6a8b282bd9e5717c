import type { Config } from '../config/config.ts'
import type { Machine } from './machine.ts'
import type { MemoryEstimate, MemoryShape } from './memory-estimate.ts'
import type { ModelFile } from './model-file.ts'
import { StartupError } from '../domain/startup-error.ts'
import { byteText } from './byte-text.ts'
import { estimateMemory } from './memory-estimate.ts'

/** How a model is loaded, with nothing left to choose. */
export interface Capacity {
  readonly laneCount: number
  readonly slotsPerLane: number
  /** Tokens that each slot can hold. */
  readonly contextSize: number
  readonly stepTokens: number
  readonly threads: number
  /** Whether all layers are to be on a GPU, as far as can be told before it is asked. */
  readonly isOnGpu: boolean
  /** Null for the fake engine. */
  readonly estimate: MemoryEstimate | null
}

export type CapacityRequest = Pick<Config, 'slots' | 'contextSize' | 'lanes' | 'stepTokens' | 'threads' | 'gpu' | 'gpuLayers'> &
  Partial<Pick<Config, 'adapters' | 'adapterDir' | 'adapterFetch' | 'embeddings'>>

/** What is aimed for where memory is no question; of slots in each lane. */
const preferredSlots = 8
/** More lanes for adapters leave each too few threads. */
const mostAdapterLanes = 4
/**
 * Lanes on a GPU, by the most of its memory that the weights may be. Reading all of its memory takes a GPU 25 to 80 ms, so that decodes of
 * such a model take a few at most, and a full lane's draws longer (docs/decisions/0026-lanes-and-adapters.md).
 */
const gpuLaneRules = [{ lanes: 4, mostOfMemory: 1 / 32 }, { lanes: 2, mostOfMemory: 1 / 16 }] as const
const preferredContextSize = 8192
/** Fewer tokens than this are given up only after slots are. */
const comfortableContextSize = 2048
const smallestContextSize = 512
const fakeContextSize = 4096

interface Candidate {
  readonly slots: number
  readonly contextSize: number
}

/** Memory that a model may take, and how to call it. */
interface Budget {
  readonly bytes: number
  readonly name: string
}

export interface CapacityOptions {
  /** What models chosen before this one take of the same memory. */
  readonly takenBytes?: number
  /** Its draft model; null where there is none. */
  readonly draft?: ModelFile | null
  /** Where a setting comes from, by its flag, for errors: `--slots` unless told otherwise. */
  readonly sourceOf?: (flag: string) => string
}

const flagItself = (flag: string): string => `--${flag}`

/**
 * Chooses slots, context size, lanes and threads for a model, as far as they were left to `auto`. The caches take at most
 * half of what the rest of the model leaves; where not even the smallest choice keeps to that, they may take all of it.
 *
 * @throws StartupError when what was asked for cannot be: the numbers, and what would help.
 */
export function chooseCapacity (
  model: ModelFile, request: CapacityRequest, machine: Machine, { takenBytes = 0, draft = null, sourceOf = flagItself }: CapacityOptions = {}
): Capacity {
  const weightsBytes = model.sizeBytes + (draft?.sizeBytes ?? 0)
  const device = deviceOf(weightsBytes, request, machine, takenBytes)
  const budget = budgetOf(device, request, machine, takenBytes)
  if (model.pooling !== null) return chooseEmbeddingCapacity(model, request, machine, device, budget, sourceOf)
  const { laneCount, threads } = chooseLanes(request, machine, device === 'cpu')
  const trainContextSize = model.trainContextSize ?? Infinity
  if (request.contextSize !== 'auto' && request.contextSize > trainContextSize) {
    throw new StartupError(`${sourceOf('context-size')} is ${request.contextSize}, but the model file ${model.path} was trained for at most ${trainContextSize} tokens`)
  }
  const candidates = listCandidates(request, laneCount, trainContextSize)
  const { embeddings: embeds = false, stepTokens } = request
  const estimated = (lanes: number, { slots, contextSize }: Candidate) => {
    const shape: MemoryShape = { lanes, slots, contextSize, stepTokens, embeds }
    return { shape, estimate: estimateMemory(model, shape, draft) }
  }
  const spread = device === 'gpu' && request.lanes === 'auto' ? gpuLaneCounts(weightsBytes, machine).filter((lanes) => lanes <= threads) : []
  const estimates = candidates.map((candidate) => estimated(laneCount, candidate))
  const chosen = spread.flatMap((lanes) => spreadCandidates(request, lanes, trainContextSize).map((candidate) => estimated(lanes, candidate)))
    .find(({ estimate }) => isPolite(estimate, budget)) ??
    estimates.find(({ estimate }) => isPolite(estimate, budget)) ??
    estimates.find(({ estimate }) => estimate.totalBytes <= budget.bytes)
  if (chosen === undefined) throw tooLarge(model, draft, estimates.at(-1)!, budget, request, sourceOf)
  return toCapacity(chosen, threads, device)
}

/**
 * Inputs of an embedding model are computed one by one in each lane, whole, so that a step has as many tokens as the context, which is
 * as long as the model allows or less; there is one slot in a lane. A lane with all threads is as fast as several with their share
 * (docs/decisions/0034-embeddings.md).
 */
function chooseEmbeddingCapacity (
  model: ModelFile, request: CapacityRequest, machine: Machine, device: Device, budget: Budget, sourceOf: (flag: string) => string
): Capacity {
  const lanes = request.lanes === 'auto' ? 1 : request.lanes
  const threads = request.threads === 'auto' ? Math.max(machine.computeThreads, lanes) : request.threads
  // One setting is for all models; none of another kind is kept from loading by it.
  const longest = Math.min(request.contextSize === 'auto' ? preferredContextSize : request.contextSize, model.trainContextSize ?? Infinity)
  const lengths = [longest]
  if (request.contextSize === 'auto') for (let length = longest / 2; length >= smallestContextSize; length /= 2) lengths.push(Math.floor(length))
  const estimates = lengths.map((contextSize) => {
    const shape: MemoryShape = { lanes, slots: lanes, contextSize, stepTokens: contextSize }
    return { shape, estimate: estimateMemory(model, shape) }
  })
  const chosen = estimates.find(({ estimate }) => estimate.totalBytes <= budget.bytes)
  if (chosen === undefined) throw tooLarge(model, null, estimates.at(-1)!, budget, request, sourceOf)
  return toCapacity(chosen, threads, device)
}

const toCapacity = ({ shape, estimate }: { readonly shape: MemoryShape, readonly estimate: MemoryEstimate }, threads: number, device: Device): Capacity => ({
  laneCount: shape.lanes,
  slotsPerLane: shape.slots / shape.lanes,
  contextSize: shape.contextSize,
  stepTokens: shape.stepTokens,
  threads,
  isOnGpu: device === 'gpu',
  estimate
})

/** The fake engine needs no memory to speak of, so it gets what it is asked for. */
export function chooseFakeCapacity (request: CapacityRequest, machine: Machine): Capacity {
  const { laneCount, threads } = chooseLanes(request, machine, true)
  const slots = request.slots === 'auto' ? fittingSlots(preferredSlots * laneCount, laneCount, request.stepTokens) : request.slots
  return {
    laneCount,
    slotsPerLane: slots / laneCount,
    contextSize: request.contextSize === 'auto' ? fakeContextSize : request.contextSize,
    stepTokens: request.stepTokens,
    threads,
    isOnGpu: false,
    estimate: null
  }
}

/** From the most; none where one lane is best, or nothing is known of the GPU. */
function gpuLaneCounts (weightsBytes: number, { gpu }: Machine): readonly number[] {
  return gpu === null ? [] : gpuLaneRules.filter(({ mostOfMemory }) => weightsBytes <= gpu.freeBytes * mostOfMemory).map(({ lanes }) => lanes)
}

/** Several lanes are for where there is room for the context in full, and for company in each lane; one lane is what makes do with less. */
function spreadCandidates (request: CapacityRequest, laneCount: number, trainContextSize: number): readonly Candidate[] {
  const contextSize = request.contextSize === 'auto' ? Math.min(preferredContextSize, trainContextSize) : request.contextSize
  const wanted = request.slots === 'auto' ? [preferredSlots * laneCount, 4 * laneCount].map((slots) => fittingSlots(slots, laneCount, request.stepTokens)) : [request.slots]
  return wanted.filter((slots) => slots % laneCount === 0 && slots >= 2 * laneCount).map((slots) => ({ slots, contextSize }))
}

/**
 * On a processor adapters are served best in lanes of their own, which share the threads, and the base model alone in one
 * (docs/decisions/0026-lanes-and-adapters.md). What a GPU computes is in one unless it is small (`gpuLaneRules`).
 */
function chooseLanes (request: CapacityRequest, machine: Machine, isOnCpu: boolean): { readonly laneCount: number, readonly threads: number } {
  const wishes = request.lanes === 'auto' ? 1 : request.lanes
  const threads = request.threads === 'auto' ? Math.max(machine.computeThreads, wishes) : request.threads
  if (request.lanes !== 'auto' || !isOnCpu) return { laneCount: wishes, threads }
  const most = Math.min(adapterSetsOf(request), mostAdapterLanes, threads)
  return { laneCount: request.slots === 'auto' ? most : largestDivisor(request.slots, most), threads }
}

function largestDivisor (dividend: number, most: number): number {
  let divisor = Math.min(most, dividend)
  while (dividend % divisor !== 0) divisor--
  return divisor
}

/** As many as are known, with the base model; any number where a folder or the API may bring more. */
function adapterSetsOf ({ adapters = [], adapterDir = 'off', adapterFetch = [] }: CapacityRequest): number {
  return adapterDir === 'off' && adapterFetch.length === 0 ? adapters.length + 1 : Infinity
}

/** At least one slot in each lane, the same number in all of them, and no more in a lane than a step has tokens. */
function fittingSlots (wanted: number, laneCount: number, stepTokens: number): number {
  return Math.min(Math.max(1, Math.floor(wanted / laneCount)), stepTokens) * laneCount
}

/** From the most generous to the smallest: first slots are halved, then the context, then the rest of both. */
function listCandidates (
  request: CapacityRequest, laneCount: number, trainContextSize: number
): readonly Candidate[] {
  const fullContext = Math.min(preferredContextSize, trainContextSize)
  const wanted: (readonly [slots: number, contextSize: number])[] = [[preferredSlots * laneCount, fullContext], [4 * laneCount, fullContext], [preferredSlots, fullContext], [4, fullContext]]
  for (let size = fullContext / 2; size >= comfortableContextSize; size /= 2) wanted.push([4, size])
  const comfortable = Math.min(comfortableContextSize, fullContext)
  wanted.push([4, comfortable], [2, comfortable], [1, comfortable])
  for (let size = comfortable / 2; size >= smallestContextSize; size /= 2) wanted.push([1, size])

  return wanted.map(([slots, contextSize]) => ({
    slots: request.slots === 'auto' ? fittingSlots(slots, laneCount, request.stepTokens) : request.slots,
    contextSize: request.contextSize === 'auto' ? Math.floor(contextSize) : request.contextSize
  }))
}

const isPolite = ({ cacheBytes, totalBytes }: MemoryEstimate, { bytes }: Budget): boolean =>
  cacheBytes <= (bytes - (totalBytes - cacheBytes)) / 2

type Device = 'cpu' | 'gpu' | 'both'

/** Where layers are to be. Of a GPU that is not NVIDIA's nothing is known before the engine asks it. */
function deviceOf (weightsBytes: number, { gpu, gpuLayers }: CapacityRequest, machine: Machine, takenBytes: number): Device {
  if (gpu === 'off' || gpuLayers === 0) return 'cpu'
  if (gpu === 'metal' || gpu === 'vulkan') return 'gpu'
  if (machine.gpu === null) return 'cpu'
  return gpuLayers === 'max' || weightsBytes * 1.2 <= Math.max(0, machine.gpu.freeBytes - takenBytes) ? 'gpu' : 'both'
}

/**
 * Which memory counts. On a GPU it is the GPU's as long as the whole model is to be there; where layers may be split it
 * is both together, and where nothing is known of the GPU's (Vulkan), there is no limit to check.
 */
function budgetOf (device: Device, request: CapacityRequest, machine: Machine, takenBytes: number): Budget {
  const main = {
    bytes: Math.max(0, machine.availableBytes - takenBytes),
    name: `this ${machine.memoryLimit} has ${byteText(Math.max(0, machine.availableBytes - takenBytes))} of memory available${takenBytes > 0 ? ' beside the models before it' : ''}`
  }
  if (device === 'cpu' || request.gpu === 'metal') return main
  if (request.gpu === 'vulkan' || machine.gpu === null) return { bytes: Infinity, name: 'the GPU has no limit that is known' }
  const free = Math.max(0, machine.gpu.freeBytes - takenBytes)
  const gpu = { bytes: free, name: `${machine.gpu.name} has ${byteText(free)} of memory free${takenBytes > 0 ? ' beside the models before it' : ''}` }
  return device === 'gpu' ? gpu : { bytes: main.bytes + free, name: `${main.name}, and ${gpu.name}` }
}

function tooLarge (
  model: ModelFile, draft: ModelFile | null, { shape, estimate }: { readonly shape: MemoryShape, readonly estimate: MemoryEstimate },
  budget: Budget, request: CapacityRequest, sourceOf: (flag: string) => string
): StartupError {
  const { weightsBytes, cacheBytes, workBytes, totalBytes } = estimate
  const slots = `${shape.slots} ${shape.slots === 1 ? 'slot' : 'slots'} of ${shape.contextSize} tokens`
  const embeds = model.pooling !== null
  const settings = [request.slots === 'auto' || embeds ? [] : sourceOf('slots'), request.contextSize === 'auto' ? [] : sourceOf('context-size')].flat()
  // The work of a model that embeds grows with the length of its inputs.
  const canShrink = weightsBytes + (embeds ? 0 : workBytes) < budget.bytes && settings.length > 0
  const advice = canShrink
    ? `lower ${settings.join(' or ')}`
    : `use a smaller model or a smaller quantization of it${draft === null ? '' : `, or leave out ${sourceOf('draft-model')}`}`
  const subject = draft === null ? `The model file ${model.path} needs` : `The model file ${model.path} needs with its draft model ${draft.path}`
  return new StartupError(`${subject} about ${byteText(totalBytes)} (weights ${byteText(weightsBytes)}, ` +
    `caches ${byteText(cacheBytes)} for ${slots}, work ${byteText(workBytes)}), but ${budget.name}; ${advice}`)
}
