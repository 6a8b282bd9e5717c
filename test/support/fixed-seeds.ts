import fc from 'fast-check'
import { beforeEach } from 'vitest'
import { isLongRun } from './long-run.ts'

// A change is not refused for what others find by chance: each test has a seed of its own, made of its name. The long run has new ones.
if (!isLongRun) beforeEach(({ task }) => { fc.configureGlobal({ seed: seedOf(task.fullTestName) }) })

/** FNV-1a. */
function seedOf (text: string): number {
  let hash = 0x811C9DC5
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193)
  return hash
}
