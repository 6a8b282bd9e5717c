/** Whether this is `npm run test:long`, which tries more cases, and others in every run. */
export const isLongRun = process.env['LONG_TESTS'] === '1'

/** How many random cases a test tries: so many, and ten times as many in the long run. */
export const runs = (count: number): number => isLongRun ? 10 * count : count
