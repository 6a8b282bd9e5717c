import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { writeTinyEncoder } from '../../support/random-encoder.ts'
import { createTestHost } from '../../support/process-host.ts'
import { describeEmbeddingInference } from './embedding-contract.ts'

const folder = await mkdtemp(join(tmpdir(), 'drawbridge-encoders-'))
afterAll(async () => { await rm(folder, { recursive: true }) })

describeEmbeddingInference('in an engine process, tiny BERT', async ({ maxQueue, ...limits }) => {
  const modelPath = await writeTinyEncoder(folder, 'mean')
  const host = createTestHost({
    spec: { backend: 'llama-cpp', options: { ...limits, modelPath, gpu: 'off', gpuLayers: 'auto', threads: 2 } },
    scheduling: { maxQueue },
    threadPoolSize: limits.laneCount
  })
  await host.ready(new AbortController().signal)
  return host.inference
})
