import { threadPoolSize } from '../../../src/engine/llama-cpp/thread-pool-size.ts'
import { createTestHost } from '../../support/process-host.ts'
import { demoEngineOptions, demoPrompts } from './demo-model.ts'
import { describeInference } from './inference-contract.ts'

describeInference('in an engine process, demo model', async ({ maxQueue, ...limits }) => {
  const host = createTestHost({
    spec: { backend: 'llama-cpp', options: { ...demoEngineOptions, ...limits } },
    threadPoolSize: threadPoolSize(limits.laneCount, { isOnGpu: false, cores: 1 }),
    scheduling: { maxQueue }
  })
  await host.ready(new AbortController().signal)
  return host.inference
}, { prompts: demoPrompts })
