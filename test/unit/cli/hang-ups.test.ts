import { EventEmitter } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { listenForHangUps } from '../../../src/cli/hang-ups.ts'

describe('hang-ups of a service', () => {
  it('that come before anybody handles them are handled once then', async () => {
    const source = new EventEmitter()
    const hangUps = listenForHangUps(source)
    source.emit('SIGHUP')
    source.emit('SIGHUP')
    let runs = 0
    hangUps.handle(async () => { runs++ })
    await setImmediate()
    expect(runs).toBe(1)
    source.emit('SIGHUP')
    await setImmediate()
    expect(runs).toBe(2)
  })

  it('are handled one after the other', async () => {
    const source = new EventEmitter()
    const hangUps = listenForHangUps(source)
    const open: (() => void)[] = []
    hangUps.handle(() => new Promise((resolve) => { open.push(resolve) }))
    for (let count = 0; count < 3; count++) source.emit('SIGHUP')
    await setImmediate()
    expect(open).toHaveLength(1)
    open[0]!()
    await setImmediate()
    expect(open).toHaveLength(2)
    open[1]!()
    await setImmediate()
    expect(open).toHaveLength(2)
  })

  it('are left to Node in the end', () => {
    const source = new EventEmitter()
    const hangUps = listenForHangUps(source)
    hangUps.dispose()
    expect(source.listenerCount('SIGHUP')).toBe(0)
  })
})
