import { expect, it } from 'vitest'
import { expectExactLedger } from '../support/expect-exact-ledger.ts'
import { runUnderKills } from '../support/usage-under-kills.ts'

/** 200 unless `SOAK_KILLS` says otherwise. */
const kills = Number(process.env['SOAK_KILLS'] ?? 200)

it(`a server that is killed ${kills} times under load has every complete answer in its ledger, once`, async () => {
  const seed = Number(process.env['SOAK_SEED'] ?? Date.now() % 2 ** 32)
  const run = await runUnderKills(kills, seed)
  const { received, complete, undelivered, cutOff } = run
  process.stdout.write(`${JSON.stringify({ seed, answers: received.length, rows: complete.length, rowsWithoutDelivery: undelivered.length, cutOff })}\n`)
  expectExactLedger(run)
  expect(cutOff).toBeGreaterThan(kills)
})
