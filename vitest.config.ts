import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

/**
 * Three projects, by what they need: `unit` is pure and runs from the sources; `contract` runs one shared suite per
 * interface against every implementation; `e2e` (with `test/fault`) starts the built server (`npm run build` first).
 *
 * Files run side by side, one to a core, and those of a worker share its modules, which saves a third of the time. No test measures
 * time, and no limit here says how fast anything is: they only keep a test that hangs from hanging for ever, on however busy a machine.
 */
export default defineConfig(({ mode }) => ({
  test: {
    projects: (['contract', 'e2e', 'unit'] as const).map((name) => ({
      test: {
        name,
        include: name === 'e2e' ? ['test/e2e/**/*.test.ts', 'test/fault/**/*.test.ts'] : [`test/${name}/**/*.test.ts`],
        setupFiles: ['test/support/fixed-seeds.ts'],
        env: { LONG_TESTS: mode === 'long' ? '1' : '' },
        pool: 'forks' as const,
        isolate: false,
        maxWorkers: availableParallelism(),
        testTimeout: mode === 'long' ? 3_600_000 : 300_000,
        hookTimeout: 300_000,
        expect: { poll: { timeout: 60_000, interval: 10 } },
        restoreMocks: true,
        unstubEnvs: true,
        unstubGlobals: true
      }
    }))
  }
}))
