import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { chooseDevice, type ChooseDeviceParts } from '../../../src/engine/llama-cpp/choose-device.ts'
import { silentLogger } from '../../../src/engine/llama-cpp/engine-options.ts'
import type { BuildSource, GpuKind } from '../../../src/engine/llama-cpp/native.ts'
import { TrialDeath } from '../../../src/engine/llama-cpp/try-build.ts'

const tooOld = new TrialDeath('CUDA error: the provided PTX was compiled with an unsupported toolchain.')

describe('choosing a device', () => {
  let folder: string
  let tried: string[]
  let warnings: string[]
  let failures: Partial<Record<GpuKind, Error>>
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'drawbridge-devices-'))
    tried = []
    warnings = []
    failures = {}
  })
  afterEach(() => { rmSync(folder, { recursive: true }) })

  const choose = async (
    options: Partial<Parameters<typeof chooseDevice>[0]> = {}, source: BuildSource = 'prebuilt', builds: ChooseDeviceParts['builds'] = []
  ) => await chooseDevice(
    { gpu: 'auto', trialModelPath: '/models/demo.gguf', cacheFolder: folder, ...options }, source,
    { ...silentLogger, warn: (_, message) => { warnings.push(message) } },
    {
      builds,
      findDevices: async () => ['cuda', 'vulkan', false],
      try: async ({ gpu }) => {
        tried.push(gpu)
        const failure = gpu === 'off' ? undefined : failures[gpu]
        if (failure !== undefined) throw failure
        return { build: 'x', text: 'y', tokensPerSecond: 1 }
      }
    }
  )

  it('takes the best one that works, and tries it once', async () => {
    expect([await choose(), await choose(), await choose({ gpu: 'cuda' })]).toEqual(['cuda', 'cuda', 'cuda'])
    expect([tried, warnings]).toEqual([['cuda'], []])
  })

  it('takes the next one where code for the best does not run, says why, and tries it again next time', async () => {
    failures = { cuda: tooOld }
    expect([await choose(), await choose()]).toEqual(['vulkan', 'vulkan'])
    expect(tried).toEqual(['cuda', 'vulkan', 'cuda'])
    expect(warnings[0]).toMatch(/^the GPU is not used: llama\.cpp's code for CUDA does not run here \(CUDA error: the provided PTX .*; --gpu off leaves it out$/)
    failures = {}
    expect(await choose()).toBe('cuda')
  })

  it('takes the CPU where code for none of them runs', async () => {
    failures = { cuda: tooOld, vulkan: new TrialDeath('its trial was ended by SIGABRT') }
    expect(await choose()).toBe('off')
    expect(warnings).toHaveLength(2)
  })

  it('does not let the bindings take one that does not run, though another one is not there', async () => {
    failures = { cuda: new Error('--gpu is cuda, but no CUDA device and driver were found'), vulkan: new TrialDeath('its trial was ended by SIGABRT') }
    expect(await choose()).toBe('off')
  })

  it('fails where it was asked for', async () => {
    failures = { cuda: tooOld }
    await expect(choose({ gpu: 'cuda' })).rejects.toMatchObject({
      code: 'engine_error',
      message: expect.stringMatching(/^--gpu is cuda, but llama\.cpp's code for CUDA does not run here: CUDA error: the provided PTX .*npm run build:native -- --gpu cuda/)
    })
    expect(warnings).toEqual([])
  })

  it.each([
    ['that says so itself', new Error('--gpu is cuda, but no CUDA device and driver were found')],
    ['that took too long', new Error('its trial took longer than 60 s')],
    ['for which the device was too full', new TrialDeath('CUDA error: out of memory')]
  ])('leaves it to the model to find out after a trial %s', async (_, failure) => {
    failures = { cuda: failure, vulkan: failure }
    expect([await choose(), await choose({ gpu: 'cuda' })]).toEqual(['auto', 'cuda'])
    expect(warnings).toEqual([])
  })

  it('tries nothing on the CPU, without a model, or what was compiled here', async () => {
    expect([await choose({ gpu: 'off' }), await choose({ trialModelPath: undefined }), await choose({ gpu: 'cuda' }, 'local')]).toEqual(['off', 'auto', 'cuda'])
    expect(await choose({}, 'either', [{ gpu: 'cuda', folder: '/builds/linux-x64-cuda', identity: '1', processor: null }])).toBe('cuda')
    expect(tried).toEqual([])
  })
})
