import { z } from 'zod'
import type { FactMemory } from './fact-memory.ts'
import type { BuildTrial, tryBuild } from './try-build.ts'

const verdictSchema = z.object({ tokensPerSecond: z.number() })

/**
 * Tries a build, unless a trial of this kind and key went well before. One that fails is not remembered.
 * @param key everything that the outcome depends on, as plain data
 * @throws what `tryBuild` throws
 */
export async function tryOnce (memory: FactMemory, kind: string, key: object, trial: BuildTrial, tryIt: typeof tryBuild): Promise<void> {
  if (memory.recall(kind, key, verdictSchema) !== null) return
  const { tokensPerSecond } = await tryIt(trial)
  memory.remember(kind, key, { tokensPerSecond })
}
