import { describe, expect, it } from 'vitest'
import { ScriptedServer } from '../../../bench/known-answer/scripted-server.ts'
import { BenchServer } from '../../../src/bench/bench-server.ts'
import { createWorkload } from '../../../src/bench/create-workload.ts'
import { parseOptions } from '../../../src/bench/parse-options.ts'
import type { BenchRun } from '../../../src/bench/report/bench-run.ts'
import { BenchRunner } from '../../../src/bench/run-bench.ts'

async function bench (...argv: readonly string[]): Promise<readonly BenchRun[]> {
  await using server = await ScriptedServer.start(() => ({ ttftMs: 0, gapMs: 0, tokens: 2 }))
  const command = parseOptions([server.url, '--model', 'm', '--requests', '6', ...argv], {})
  if (command.type !== 'run') throw new Error('These are no options of a run')
  const { signal } = new AbortController()
  using target = await BenchServer.connect(command.options.servers[0]!, command.options, signal)
  const workload = createWorkload(command.options, { tokensPerWord: 1, overheadTokens: 0 })
  const observer = { onRunStart: () => {}, onProgress: () => {}, onRunEnd: () => {} }
  return await new BenchRunner([target], command.options, workload, 0, observer, signal).run()
}

/** When requests were meant to be sent, in microseconds since the run began. */
const momentsOf = ({ start_times: sent, queue_times: late }: BenchRun): readonly number[] =>
  sent.map((time, index) => Math.round((time - late[index]!) * 1e6))

describe('the moments of arrival', () => {
  it('differ from repetition to repetition, and are those of the last time', async () => {
    const [first, second] = (await bench('--rate', '2000', '--repetitions', '2')).map(momentsOf)
    expect(first).toHaveLength(6)
    expect(second).not.toEqual(first)
    expect((await bench('--rate', '2000', '--repetitions', '2')).map(momentsOf)).toEqual([first, second])
  })

  it('differ in their rate alone within a sweep', async () => {
    const [slow, fast] = (await bench('--rate', '1000,2000')).map(momentsOf)
    expect(fast?.map((time) => Math.abs(time * 2 - slow![fast.indexOf(time)]!) <= 2)).toEqual(Array(6).fill(true))
  })

  it('come from the seed', async () => {
    const [[one], [two]] = [await bench('--rate', '2000', '--seed', '1'), await bench('--rate', '2000', '--seed', '2')]
    expect(momentsOf(one!)).not.toEqual(momentsOf(two!))
  })
})
