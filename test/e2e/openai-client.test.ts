import { startDemoServer } from '../support/contract-servers.ts'
import { describeOpenAiContract } from '../support/openai-client-suite.ts'

describeOpenAiContract('the demo model', startDemoServer)
