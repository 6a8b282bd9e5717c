import { defineConfig } from 'vitest/config'

/** Long runs, apart from `npm test`: `npm run test:soak`, for `SOAK_MINUTES` (5 unless set). */
export default defineConfig({
  test: {
    include: ['test/soak/**/*.test.ts'],
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 24 * 60 * 60 * 1000,
    hookTimeout: 60_000
  }
})
