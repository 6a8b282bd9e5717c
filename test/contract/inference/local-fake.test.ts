import { createFakeEngine } from '../../../src/engine/fake/fake-engine.ts'
import { LocalInference } from '../../../src/inference/local.ts'
import { fakePrompts } from './fake-prompts.ts'
import { describeInference } from './inference-contract.ts'

describeInference('in this process, fake engine', async ({ maxQueue, ...limits }) =>
  new LocalInference(createFakeEngine({ ...limits, stepMs: 2 }), { maxQueue }), { prompts: fakePrompts })
