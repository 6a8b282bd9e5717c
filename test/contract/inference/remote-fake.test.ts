import { createTestHost } from '../../support/process-host.ts'
import { fakePrompts } from './fake-prompts.ts'
import { describeInference } from './inference-contract.ts'

describeInference('in an engine process, fake engine', async ({ maxQueue, ...limits }) => {
  const host = createTestHost({ spec: { backend: 'fake', options: { ...limits, stepMs: 2 } }, scheduling: { maxQueue } })
  await host.ready(new AbortController().signal)
  return host.inference
}, { prompts: fakePrompts })
