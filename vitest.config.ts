import { defineConfig } from 'vitest/config'

/**
 * Four projects, by what they need: `unit` is pure and runs from the sources; `contract` runs one shared suite per
 * interface against every implementation; `e2e` and `fault` start the built server (`npm run build` first).
 * Whatever loads the real engine runs one file at a time: two engines on two cores only fight.
 */
export default defineConfig({
  test: {
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'], testTimeout: 60_000 } },
      {
        test: {
          name: 'contract',
          include: ['test/contract/**/*.test.ts'],
          pool: 'forks',
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 120_000
        }
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts', 'test/fault/**/*.test.ts'],
          pool: 'forks',
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 120_000
        }
      }
    ]
  }
})
