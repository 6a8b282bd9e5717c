import { describe, expect, it } from 'vitest'
import { EventLog } from '../../../../src/http/responses/event-log.ts'
import { neverAborted } from '../../../support/generation.ts'

async function readAll (log: EventLog, after: number, signal: AbortSignal = neverAborted): Promise<string> {
  let text = ''
  for await (const events of log.read(after, signal)) text += events
  return text
}

describe('a log of events', () => {
  it('is read from any place, by several, while it is written', async () => {
    const log = new EventLog()
    log.append('0')
    const readers = [readAll(log, -1), readAll(log, 0), readAll(log, 3)]
    for (const event of ['1', '2', '3', '4']) {
      log.append(event)
      await Promise.resolve()
    }
    log.end()
    expect(await Promise.all(readers)).toEqual(['01234', '1234', '4'])
    expect(await readAll(log, 1)).toBe('234')
    expect(await readAll(log, 9)).toBe('')
  })

  it('is over where it is made of what was stored', async () => {
    const events = Array.from({ length: 200 }, (_, index) => `${index},`)
    expect(await readAll(new EventLog(events), 99)).toBe(events.slice(100).join(''))
  })

  it('lets go of a reader that leaves', async () => {
    const leaving = new AbortController()
    const log = new EventLog()
    log.append('0')
    const reading = readAll(log, -1, leaving.signal)
    await Promise.resolve()
    leaving.abort()
    expect(await reading).toBe('0')
  })
})
