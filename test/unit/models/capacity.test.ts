import type { CapacityRequest } from '../../../src/models/capacity.ts'
import type { Machine } from '../../../src/models/machine.ts'
import type { ModelFile } from '../../../src/models/model-file.ts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { StartupError } from '../../../src/domain/startup-error.ts'
import { chooseCapacity, chooseFakeCapacity } from '../../../src/models/capacity.ts'
import { estimateMemory } from '../../../src/models/memory-estimate.ts'

const gibibyte = 1024 ** 3

/** The shape of Llama 3 8B as Q4_K_M: 128 KiB of cache per token. */
const llama8B: ModelFile = {
  path: '/m/llama.gguf',
  sizeBytes: 4.6 * gibibyte,
  architecture: 'llama',
  name: 'Llama 3 8B',
  quantization: 'Q4_K_M',
  parameterCount: 8.03e9,
  trainContextSize: 131_072,
  vocabularySize: 128_256,
  embeddingLength: 4096,
  feedForwardLength: 14_336,
  pooling: null,
  kvBytesPerToken: 32 * 8 * 256 * 2
}

const automatic: CapacityRequest = {
  slots: 'auto', contextSize: 'auto', lanes: 'auto', stepTokens: 512, threads: 'auto', gpu: 'auto', gpuLayers: 'auto'
}

const machineWith = (gibibytes: number, machine: Partial<Machine> = {}): Machine =>
  ({ availableBytes: gibibytes * gibibyte, memoryLimit: 'machine', gpu: null, computeThreads: 4, openMpThreads: 4, ...machine })

const chosen = (request: Partial<CapacityRequest>, machine: Machine, model = llama8B): readonly [slots: number, contextSize: number] => {
  const { laneCount, slotsPerLane, contextSize } = chooseCapacity(model, { ...automatic, ...request }, machine)
  return [laneCount * slotsPerLane, contextSize]
}

function refusal (request: Partial<CapacityRequest>, machine: Machine, model = llama8B, takenBytes = 0): string {
  try {
    chooseCapacity(model, { ...automatic, ...request }, machine, { takenBytes, sourceOf: (flag) => flag === 'slots' ? 'DRAWBRIDGE_SLOTS' : `--${flag}` })
  } catch (error) {
    expect(error).toBeInstanceOf(StartupError)
    return (error as StartupError).message
  }
  throw new Error('It was accepted')
}

/** As small as a draft is beside its model: 8 KiB of cache per token. */
const draftOfIt: ModelFile = {
  ...llama8B, path: '/m/draft.gguf', sizeBytes: 0.1 * gibibyte, trainContextSize: 2048, embeddingLength: 512, feedForwardLength: 1024, kvBytesPerToken: 8 * 1024
}

describe('memory estimate', () => {
  it('counts a draft model too: its weights, its caches as far as it was trained, its work', () => {
    const shape = { lanes: 1, slots: 4, contextSize: 8192, stepTokens: 512 }
    const alone = estimateMemory(llama8B, shape)
    const both = estimateMemory(llama8B, shape, draftOfIt)
    expect(both.weightsBytes).toBe(alone.weightsBytes + draftOfIt.sizeBytes)
    expect(both.cacheBytes).toBe(alone.cacheBytes + 4 * 2048 * 8 * 1024)
    // The logits of another step, but no second process.
    const logitBytes = 512 * llama8B.vocabularySize * 4
    expect(both.workBytes - alone.workBytes).toBeGreaterThan(logitBytes)
    expect(both.workBytes - alone.workBytes).toBeLessThan(1.1 * logitBytes)
    expect(both.totalBytes).toBe(both.weightsBytes + both.cacheBytes + both.workBytes)
  })

  it('counts caches by layer, KV head, token and slot', () => {
    const shape = { lanes: 1, slots: 4, contextSize: 8192, stepTokens: 512 }
    const { cacheBytes, weightsBytes, workBytes, totalBytes } = estimateMemory(llama8B, shape)
    expect(cacheBytes).toBe(4 * 8192 * 128 * 1024)
    expect(weightsBytes).toBe(llama8B.sizeBytes)
    expect(totalBytes).toBe(weightsBytes + cacheBytes + workBytes)
    // llama.cpp reports a compute buffer of 258.5 MiB for this model; the estimate must not be less.
    expect(workBytes).toBeGreaterThan(258.5 * 1024 ** 2)
    expect(workBytes).toBeLessThan(gibibyte)
  })

  it('rounds cells up as llama.cpp does', () => {
    const cache = (contextSize: number) => estimateMemory(llama8B, { lanes: 1, slots: 1, contextSize, stepTokens: 512 }).cacheBytes
    expect(cache(1)).toBe(256 * 128 * 1024)
    expect(cache(257)).toBe(512 * 128 * 1024)
  })

  it('counts the work of every lane', () => {
    const work = (lanes: number) => estimateMemory(llama8B, { lanes, slots: 4, contextSize: 4096, stepTokens: 512 }).workBytes
    expect(work(2) - work(1)).toBeCloseTo(work(3) - work(2))
    expect(work(2)).toBeGreaterThan(work(1))
  })
})

describe('choosing slots and context', () => {
  it.each([
    [64, 8, 8192],
    [24, 8, 8192],
    [16, 4, 8192],
    [11, 4, 4096],
    [8, 4, 2048],
    [6.5, 2, 2048],
    [5.5, 1, 1024],
    [5.2, 1, 512]
  ])('with %d GiB takes %d slots of %d tokens', (gibibytes, slots, contextSize) => {
    expect(chosen({}, machineWith(gibibytes))).toEqual([slots, contextSize])
  })

  it('keeps what was asked for and chooses the rest', () => {
    expect(chosen({ slots: 16 }, machineWith(24))).toEqual([16, 4096])
    expect(chosen({ contextSize: 32_768 }, machineWith(24))).toEqual([2, 32_768])
    expect(chosen({ slots: 2, contextSize: 1000 }, machineWith(24))).toEqual([2, 1000])
  })

  it('leaves room for a draft model, and says so where there is none', () => {
    const large = { ...draftOfIt, sizeBytes: 2 * gibibyte }
    const withDraft = (machine: Machine): number => {
      const { slotsPerLane, contextSize } = chooseCapacity(llama8B, automatic, machine, { draft: large })
      return slotsPerLane * contextSize
    }
    const [slots, contextSize] = chosen({}, machineWith(11))
    expect(withDraft(machineWith(11))).toBeLessThan(slots * contextSize)
    expect(() => withDraft(machineWith(6.5))).toThrow(
      /^The model file \/m\/llama\.gguf needs with its draft model \/m\/draft\.gguf about 7\.\d GiB .*, or leave out --draft-model$/)
    // On a GPU too, whose memory is to hold both.
    const gpu = { name: 'GPU', freeBytes: 7 * gibibyte }
    expect(() => chooseCapacity(llama8B, { ...automatic, gpuLayers: 'max' }, machineWith(64, { gpu }), { draft: large })).toThrow(/GPU has 7 GiB/)
  })

  it('goes no further than the model was trained for', () => {
    expect(chosen({}, machineWith(64), { ...llama8B, trainContextSize: 2048 })).toEqual([8, 2048])
    expect(refusal({ contextSize: 4096 }, machineWith(64), { ...llama8B, trainContextSize: 2048 }))
      .toBe('--context-size is 4096, but the model file /m/llama.gguf was trained for at most 2048 tokens')
  })

  it('divides slots evenly among lanes, and keeps to the step budget', () => {
    expect(chooseCapacity(llama8B, { ...automatic, lanes: 3 }, machineWith(64))).toMatchObject({ laneCount: 3, slotsPerLane: 8 })
    expect(chooseCapacity(llama8B, { ...automatic, lanes: 3 }, machineWith(24))).toMatchObject({ laneCount: 3, slotsPerLane: 2 })
    expect(chosen({ stepTokens: 2 }, machineWith(64))).toEqual([2, 8192])
    expect(chooseCapacity(llama8B, { ...automatic, lanes: 16 }, machineWith(64))).toMatchObject({ laneCount: 16, slotsPerLane: 1, threads: 16 })
  })

  it('takes one thread for each core unless told otherwise', () => {
    expect(chooseCapacity(llama8B, automatic, machineWith(64)).threads).toBe(4)
    expect(chooseCapacity(llama8B, { ...automatic, threads: 7 }, machineWith(64)).threads).toBe(7)
  })

  it('assumes the best of a file that does not tell its shape', () => {
    expect(chosen({}, machineWith(8), { ...llama8B, kvBytesPerToken: null, trainContextSize: null })).toEqual([8, 8192])
  })

  it('never takes more than there is, and never less than a smaller machine', () => {
    fc.assert(fc.property(
      fc.double({ min: 5.5, max: 200, noNaN: true }), fc.double({ min: 0, max: 50, noNaN: true }),
      fc.constantFrom<CapacityRequest['slots']>('auto', 1, 2), fc.constantFrom<CapacityRequest['contextSize']>('auto', 600),
      (gibibytes, more, slots, contextSize) => {
        const request = { ...automatic, slots, contextSize }
        const small = chooseCapacity(llama8B, request, machineWith(gibibytes))
        const large = chooseCapacity(llama8B, request, machineWith(gibibytes + more))
        expect(small.estimate?.totalBytes).toBeLessThanOrEqual(gibibytes * gibibyte)
        expect(large.estimate?.cacheBytes).toBeGreaterThanOrEqual(small.estimate?.cacheBytes ?? NaN)
      }
    ))
  })
})

describe('choosing lanes', () => {
  const lanes = (request: Partial<CapacityRequest>, machine: Partial<Machine> = {}): readonly [lanes: number, slotsPerLane: number] => {
    const { laneCount, slotsPerLane } = chooseCapacity(llama8B, { ...automatic, ...request }, machineWith(128, { computeThreads: 15, ...machine }))
    return [laneCount, slotsPerLane]
  }
  const adapter = (name: string) => ({ name, ref: `${name}.gguf`, model: null, scale: 1, pinned: false, systemPrompt: null, chatTemplate: null })
  const gpu = { name: 'NVIDIA L4', freeBytes: 22 * gibibyte }

  it('takes one where no adapters are to be expected', () => {
    expect(lanes({})).toEqual([1, 8])
    expect(lanes({ adapters: [], adapterDir: 'off', adapterFetch: [] })).toEqual([1, 8])
  })

  it('takes one for each adapter and one for the base model, up to four', () => {
    expect(lanes({ adapters: [adapter('a')] })).toEqual([2, 8])
    expect(lanes({ adapters: [adapter('a'), adapter('b')] })).toEqual([3, 8])
    expect(lanes({ adapters: Array.from({ length: 9 }, (_, index) => adapter(`a${index}`)) })).toEqual([4, 8])
  })

  it('expects any number from a folder and from the API', () => {
    expect(lanes({ adapterDir: '/adapters' })).toEqual([4, 8])
    expect(lanes({ adapterFetch: ['hf:'] })).toEqual([4, 8])
  })

  it('leaves each lane a thread, and a slot', () => {
    expect(lanes({ adapterDir: '/adapters' }, { computeThreads: 3 })).toEqual([3, 8])
    expect(lanes({ adapterDir: '/adapters', threads: 1 })).toEqual([1, 8])
    expect(lanes({ adapterDir: '/adapters', slots: 6 })).toEqual([3, 2])
    expect(lanes({ adapterDir: '/adapters', slots: 1 })).toEqual([1, 1])
  })

  it('takes several on a GPU for a model that is small beside its memory', () => {
    const gpuWith = (gibibytes: number): Partial<Machine> => ({ gpu: { name: 'GPU', freeBytes: gibibytes * gibibyte } })
    expect(lanes({}, gpuWith(160))).toEqual([4, 8])
    expect(lanes({}, gpuWith(80))).toEqual([2, 8])
    expect(lanes({ slots: 32, contextSize: 2048 }, gpuWith(160))).toEqual([4, 8])
    expect(lanes({ slots: 6 }, gpuWith(160))).toEqual([2, 3])
    expect(lanes({ threads: 2 }, gpuWith(160))).toEqual([2, 8])
  })

  it('takes one on a GPU where several lanes would lack company, room or threads, and what it is told', () => {
    const large = { gpu: { name: 'GPU', freeBytes: 160 * gibibyte } }
    expect(lanes({ slots: 3 }, large)).toEqual([1, 3])
    expect(lanes({ slots: 128, contextSize: 8192 }, large)).toEqual([1, 128])
    expect(lanes({ threads: 1 }, large)).toEqual([1, 8])
    expect(lanes({ lanes: 1 }, large)).toEqual([1, 8])
    expect(lanes({ lanes: 8 }, large)).toEqual([8, 8])
    expect(lanes({ gpu: 'vulkan' })).toEqual([1, 8])
  })

  it('takes one on a GPU that a model is large for, and what it is told', () => {
    expect(lanes({ adapterDir: '/adapters' }, { gpu })).toEqual([1, 8])
    expect(lanes({ adapterDir: '/adapters', gpuLayers: 0 }, { gpu })).toEqual([4, 8])
    expect(lanes({ adapterDir: '/adapters', lanes: 2, slots: 16 })).toEqual([2, 8])
  })

  it('makes do with fewer slots where memory is scarce', () => {
    const { laneCount, slotsPerLane } = chooseCapacity(llama8B, { ...automatic, adapterDir: '/adapters' }, machineWith(16, { computeThreads: 4 }))
    expect([laneCount, slotsPerLane]).toEqual([4, 1])
  })
})

describe('too little memory', () => {
  it('is one sentence with the numbers and what would help', () => {
    expect(refusal({}, machineWith(4))).toBe('The model file /m/llama.gguf needs about 5.2 GiB (weights 4.6 GiB, caches 64 MiB for 1 slot of 512 tokens, work 527 MiB), ' +
      'but this machine has 4 GiB of memory available; use a smaller model or a smaller quantization of it')
    expect(refusal({ slots: 64, contextSize: 8192 }, machineWith(16, { memoryLimit: 'container' }))).toMatch(
      /^The model file \/m\/llama\.gguf needs about 69\.\d GiB \(.*caches 64 GiB for 64 slots of 8192 tokens.*\), but this container has 16 GiB of memory available; lower DRAWBRIDGE_SLOTS or --context-size$/)
  })

  it('counts the models before it', () => {
    expect(chosen({}, machineWith(12))).toEqual([4, 4096])
    expect(refusal({}, machineWith(12), llama8B, 8 * gibibyte)).toContain('this machine has 4 GiB of memory available beside the models before it')
  })
})

describe('with a GPU', () => {
  const gpu = { name: 'NVIDIA L4', freeBytes: 22 * gibibyte }

  it("counts the GPU's memory when the model fits there", () => {
    expect(chosen({}, machineWith(2, { gpu }))).toEqual([8, 8192])
    expect(refusal({ gpu: 'off' }, machineWith(2, { gpu }))).toContain('this machine has 2 GiB')
    expect(refusal({ gpuLayers: 0 }, machineWith(2, { gpu }))).toContain('this machine has 2 GiB')
  })

  it('counts both memories when the layers may be split', () => {
    const small = { name: 'NVIDIA T400', freeBytes: 3 * gibibyte }
    expect(chosen({}, machineWith(4, { gpu: small }))).toEqual([2, 2048])
    expect(refusal({}, machineWith(1, { gpu: small }))).toContain('this machine has 1 GiB of memory available, and NVIDIA T400 has 3 GiB of memory free')
    expect(refusal({ gpuLayers: 'max' }, machineWith(4, { gpu: small }))).toContain('but NVIDIA T400 has 3 GiB of memory free')
  })

  it('says whether the processor has nothing to do but draw', () => {
    const isOnGpu = (request: Partial<CapacityRequest>, machine: Machine): boolean => chooseCapacity(llama8B, { ...automatic, ...request }, machine).isOnGpu
    const small = { name: 'NVIDIA T400', freeBytes: 3 * gibibyte }
    expect(isOnGpu({}, machineWith(16, { gpu }))).toBe(true)
    expect(isOnGpu({ gpuLayers: 'max' }, machineWith(16, { gpu }))).toBe(true)
    expect(isOnGpu({ gpu: 'vulkan' }, machineWith(16))).toBe(true)
    expect(isOnGpu({ gpu: 'off' }, machineWith(16, { gpu }))).toBe(false)
    expect(isOnGpu({ gpuLayers: 0 }, machineWith(16, { gpu }))).toBe(false)
    expect(isOnGpu({}, machineWith(16, { gpu: small }))).toBe(false)
    expect(isOnGpu({}, machineWith(16))).toBe(false)
  })

  it('checks nothing where nothing is known', () => {
    expect(chosen({ gpu: 'vulkan' }, machineWith(1))).toEqual([8, 8192])
  })
})

describe('the fake engine', () => {
  it('gets what it is asked for', () => {
    expect(chooseFakeCapacity(automatic, machineWith(0.1))).toEqual({ laneCount: 1, slotsPerLane: 8, contextSize: 4096, stepTokens: 512, threads: 4, isOnGpu: false, estimate: null })
    expect(chooseFakeCapacity({ ...automatic, slots: 64, lanes: 2, contextSize: 100_000 }, machineWith(0.1))).toMatchObject({ laneCount: 2, slotsPerLane: 32, contextSize: 100_000 })
  })
})

describe('embedding models', () => {
  /** The shape of BGE base. */
  const bert: ModelFile = {
    ...llama8B,
    path: '/m/bert.gguf',
    sizeBytes: 0.2 * gibibyte,
    architecture: 'bert',
    trainContextSize: 512,
    vocabularySize: 30_522,
    embeddingLength: 768,
    feedForwardLength: 3072,
    pooling: 'cls',
    kvBytesPerToken: 0
  }
  /** A reader of long texts with a large vocabulary: its logits take 8 GiB at 8192 tokens. */
  const long: ModelFile = { ...bert, trainContextSize: 8192, vocabularySize: 250_002 }
  const capacityOf = (model: ModelFile, request: Partial<CapacityRequest>, machine = machineWith(16)) => {
    const { laneCount, slotsPerLane, contextSize, stepTokens, threads } = chooseCapacity(model, { ...automatic, ...request }, machine)
    expect(slotsPerLane).toBe(1)
    expect(stepTokens).toBe(contextSize)
    return [laneCount, contextSize, threads]
  }

  it('have a lane with all threads, and as long an input as the model, up to 8192 tokens', () => {
    expect(capacityOf(bert, {})).toEqual([1, 512, 4])
    expect(capacityOf(bert, { threads: 2 })).toEqual([1, 512, 2])
    expect(capacityOf({ ...bert, trainContextSize: 32_768 }, {})).toEqual([1, 8192, 4])
    expect(capacityOf(bert, { lanes: 6 })).toEqual([6, 512, 6])
  })

  it('are not kept from loading by what is set for models that write text', () => {
    expect(capacityOf(bert, { contextSize: 8192, slots: 8, stepTokens: 64 })).toEqual([1, 512, 4])
    expect(capacityOf(bert, { contextSize: 128 })).toEqual([1, 128, 4])
  })

  it('give up length where memory is short', () => {
    expect(capacityOf(long, {}, machineWith(16))).toEqual([1, 8192, 4])
    expect(capacityOf(long, {}, machineWith(6))).toEqual([1, 4096, 4])
    expect(capacityOf(long, { lanes: 2 }, machineWith(6))).toEqual([2, 2048, 4])
    expect(refusal({}, machineWith(0.25), long)).toContain('use a smaller model')
    expect(refusal({ contextSize: 8192 }, machineWith(6), long)).toContain('lower --context-size')
  })

  it('take room beside answers', () => {
    const shape = { lanes: 1, slots: 1, contextSize: 8192, stepTokens: 512 }
    const plain = estimateMemory(llama8B, shape)
    const both = estimateMemory(llama8B, { ...shape, embeds: true })
    const kvBytes = 512 * (llama8B.kvBytesPerToken ?? 0)
    const logitBytes = 512 * llama8B.vocabularySize * 4
    expect(both.totalBytes - plain.totalBytes).toBeGreaterThan(kvBytes + logitBytes)
    expect(both.totalBytes).toBe(both.weightsBytes + both.cacheBytes + both.workBytes)
  })
})
