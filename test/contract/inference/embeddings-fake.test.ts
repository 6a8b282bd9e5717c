import { createFakeEngine } from '../../../src/engine/fake/fake-engine.ts'
import { LocalInference } from '../../../src/inference/local.ts'
import { createTestHost } from '../../support/process-host.ts'
import { describeEmbeddingInference } from './embedding-contract.ts'

const embedding = { embeddings: 'mean', canGenerate: false, stepMs: 0.5 } as const

describeEmbeddingInference('in this process, fake engine', async ({ maxQueue, ...limits }) =>
  new LocalInference(createFakeEngine({ ...limits, ...embedding }), { maxQueue }))

describeEmbeddingInference('in an engine process, fake engine', async ({ maxQueue, ...limits }) => {
  const host = createTestHost({ spec: { backend: 'fake', options: { ...limits, ...embedding } }, scheduling: { maxQueue } })
  await host.ready(new AbortController().signal)
  return host.inference
})
