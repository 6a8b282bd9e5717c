import { createFakeEngine } from '../../src/engine/fake/fake-engine.ts'
import { LocalInference } from '../../src/inference/local.ts'
import { buildTestApp, listen } from './test-app.ts'
import { createTestHost } from './test-host.ts'

/** A listening server whose model, `embedder`, makes vectors and nothing else. */
export async function startFakeEmbedder (): Promise<{ readonly origin: string, readonly size: number } & AsyncDisposable> {
  const engine = createFakeEngine({ embeddings: 'mean', canGenerate: false, contextSize: 128 })
  const inference = new LocalInference(engine, { maxQueue: 16 })
  const { app } = await buildTestApp([createTestHost(inference, { id: 'embedder' })])
  const { origin } = await listen(app)
  return {
    origin,
    size: engine.info.embedding?.size ?? 0,
    [Symbol.asyncDispose]: async () => {
      app.server.closeAllConnections()
      await app.close()
      await inference[Symbol.asyncDispose]()
    }
  }
}
