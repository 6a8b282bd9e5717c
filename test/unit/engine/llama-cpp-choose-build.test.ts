import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { chooseBuild, type ChooseBuildParts } from '../../../src/engine/llama-cpp/choose-build.ts'
import { silentLogger } from '../../../src/engine/llama-cpp/engine-options.ts'
import { findLocalBuilds, localBuildFolder, noteProcessor } from '../../../src/engine/llama-cpp/local-builds.ts'
import type { Processor } from '../../../src/engine/llama-cpp/processor.ts'
import { type BuildTrial, TrialDeath, tryBuild } from '../../../src/engine/llama-cpp/try-build.ts'

const processor: Processor = { architecture: 'x64', model: 'Cray-1', features: ['avx2'] }

let folder: string
beforeEach(() => { folder = mkdtempSync(path.join(tmpdir(), 'drawbridge-builds-')) })
afterEach(() => { rmSync(folder, { recursive: true }) })

/** What node-llama-cpp leaves behind, with a text in place of the library. */
function placeBuild (gpu: false | 'cuda' = false, library = 'library'): string {
  const build = localBuildFolder(gpu, path.join(folder, 'localBuilds'))
  mkdirSync(path.join(build, 'Release'), { recursive: true })
  writeFileSync(path.join(build, 'Release', '_nlcBuildMetadata.json'), '{}')
  writeFileSync(path.join(build, 'Release', 'llama-addon.node'), library)
  writeFileSync(path.join(build, 'buildDone.status'), '')
  return build
}

const localBuilds = () => findLocalBuilds(path.join(folder, 'localBuilds'))

describe('local builds', () => {
  it('are found when they are finished, with the processor they were made for', () => {
    expect(localBuilds()).toEqual([])
    const build = placeBuild()
    expect(localBuilds()).toMatchObject([{ gpu: false, folder: build, processor: null }])
    noteProcessor(build, processor)
    expect(localBuilds()).toMatchObject([{ processor }])
    rmSync(path.join(build, 'buildDone.status'))
    expect(localBuilds()).toEqual([])
  })

  it('are others after they were compiled again', () => {
    placeBuild()
    const [first] = localBuilds()
    placeBuild(false, 'another library')
    expect(localBuilds()[0]?.identity).not.toBe(first?.identity)
  })
})

describe('choosing a build', () => {
  let trialCount: number
  let warnings: string[]
  let failure: Error | null
  beforeEach(() => {
    trialCount = 0
    warnings = []
    failure = null
  })

  const choose = async (
    options: Partial<Parameters<typeof chooseBuild>[0]> = {}, parts: Partial<ChooseBuildParts> = {}
  ) => await chooseBuild(
    { build: 'auto', gpu: 'off', trialModelPath: '/models/demo.gguf', cacheFolder: path.join(folder, 'cache'), ...options },
    { ...silentLogger, warn: (_, message) => { warnings.push(message) } },
    {
      builds: localBuilds(),
      processor,
      try: async () => {
        trialCount++
        if (failure !== null) throw failure
        return { build: 'x', text: 'y', tokensPerSecond: 1 }
      },
      ...parts
    }
  )

  it('takes the prebuilt one where there is no other, without a word', async () => {
    expect(await choose()).toBe('prebuilt')
    expect(warnings).toEqual([])
  })

  it('takes a local one that works, and tries it once', async () => {
    placeBuild()
    expect([await choose(), await choose()]).toEqual(['either', 'either'])
    expect(trialCount).toBe(1)
  })

  it('tries it again when it was compiled again, or another processor runs it', async () => {
    placeBuild()
    await choose()
    placeBuild(false, 'another library')
    await choose()
    expect(trialCount).toBe(2)
    await choose({}, { processor: { ...processor, model: 'Cray-2' } })
    expect(trialCount).toBe(3)
  })

  it('tries it every time where nothing can be remembered', async () => {
    placeBuild()
    writeFileSync(path.join(folder, 'cache'), 'a file where the folder would be')
    expect([await choose(), await choose({ cacheFolder: null })]).toEqual(['either', 'either'])
    expect(trialCount).toBe(2)
  })

  it('says why a local one that does not work is left out, and does not hold it against it next time', async () => {
    placeBuild()
    failure = new Error('its trial was ended by SIGILL')
    expect(await choose()).toBe('prebuilt')
    expect(warnings).toEqual([expect.stringContaining('is not used, because its trial was ended by SIGILL;')])
    failure = null
    expect(await choose()).toBe('either')
  })

  it('does not even try one that was made for another processor', async () => {
    noteProcessor(placeBuild(), { ...processor, features: ['avx2', 'avx512f'] })
    expect(await choose()).toBe('prebuilt')
    expect(trialCount).toBe(0)
    expect(warnings).toEqual([expect.stringContaining('made for a processor with avx512f')])
  })

  it('looks only at those that the device could bring up', async () => {
    placeBuild('cuda')
    expect(await choose({ gpu: 'off' })).toBe('prebuilt')
    expect(trialCount).toBe(0)
    expect(await choose({ gpu: 'auto' })).toBe('either')
    expect(await choose({ gpu: 'cuda' })).toBe('either')
  })

  it('does what it is told otherwise', async () => {
    placeBuild()
    expect([await choose({ build: 'prebuilt' }), await choose({ build: undefined }), await choose({ build: 'local' })]).toEqual(['prebuilt', 'prebuilt', 'local'])
    expect(trialCount).toBe(0)
  })

  it('leaves no drafts in the cache', async () => {
    placeBuild()
    await choose()
    expect(readdirSync(path.join(folder, 'cache', 'native-build'))).toEqual([expect.stringMatching(/^[0-9a-f]{16}\.json$/)])
  })
})

describe('a trial', () => {
  const trial: BuildTrial = { source: 'local', gpu: 'off', modelPath: '/models/demo.gguf', threads: 1 }
  const run = async (script: string, timeoutMs = 30_000) => {
    const entry = path.join(folder, 'trial.mjs')
    writeFileSync(entry, script)
    return await tryBuild(trial, { entry, timeoutMs })
  }

  it('gives what the process says', async () => {
    const result = { build: 'b', text: 't', tokensPerSecond: 5 }
    expect(await run(`process.send(${JSON.stringify(result)}, () => process.exit(0))`)).toEqual(result)
  })

  it('hands the trial to the process', async () => {
    expect(await run('const { UV_THREADPOOL_SIZE: pool, OMP_WAIT_POLICY: policy } = process.env; process.send({ build: process.argv[2], text: [pool, policy].join(" ") }, () => process.exit(0))'))
      .toMatchObject({ build: JSON.stringify(trial), text: `1 ${process.env['OMP_WAIT_POLICY'] ?? 'passive'}` })
  })

  it.runIf(process.platform !== 'win32')('survives an illegal instruction', async () => {
    await expect(run("process.kill(process.pid, 'SIGILL'); setInterval(() => {}, 1000)")).rejects.toThrow('its trial was ended by SIGILL')
  })

  it('fails with the reason that the process gave, or that the linker wrote', async () => {
    await expect(run("process.send({ error: 'no such build' }, () => process.exit(1))")).rejects.toThrow('no such build')
    await expect(run("console.error('hint\\nError: libgomp.so.1: cannot open shared object file'); process.exit(1)")).rejects.toThrow('libgomp.so.1: cannot open')
    await expect(run('process.exit(3)')).rejects.toThrow('its trial ended with exit code 3')
  })

  it('tells a death from a refusal', async () => {
    await expect(run("process.send({ error: 'no such device' }, () => process.exit(1))")).rejects.not.toBeInstanceOf(TrialDeath)
    await expect(run("console.error('/home/ci/ggml-cuda.cu:108: CUDA error\\nCUDA error: no kernel image\\nggml_abort'); process.abort()"))
      .rejects.toEqual(new TrialDeath('CUDA error: no kernel image'))
    await expect(run("console.error('/home/ci/ggml-cuda.cu:108: CUDA error'); process.abort()")).rejects.toEqual(new TrialDeath('ggml-cuda.cu:108: CUDA error'))
  })

  it('does not count when the process dies after it', async () => {
    await expect(run("process.send({ build: 'b', text: 't', tokensPerSecond: 5 }, () => process.exit(1))")).rejects.toThrow('exit code 1')
  })

  it('ends a process that hangs', async () => {
    const mark = path.join(folder, 'mark')
    await expect(run(`import fs from 'node:fs'; setInterval(() => fs.writeFileSync(${JSON.stringify(mark)}, ''), 1)`, 300)).rejects.toThrow('took longer than 0.3 s')
    rmSync(mark, { force: true })
    // Whoever still ran would write it again.
    await new Promise((resolve) => setTimeout(resolve, 100))
    rmSync(mark, { force: true })
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(existsSync(mark)).toBe(false)
  })
})
