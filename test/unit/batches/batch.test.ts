import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Batch, batchEndings, endingOf, isCancellable, nextStep, openStatuses } from '../../../src/batches/batch.ts'

type Progress = Parameters<typeof endingOf>[0]

const problems = [{ code: 'x', message: 'y', param: null, line: null }]
const progress = (changes: Partial<Progress> = {}): Progress => ({ status: 'in_progress', total: 3, completed: 1, failed: 1, expiresAt: 100, problems: null, ...changes })

describe('what comes next for a batch', () => {
  it.each<[string, Partial<Progress>, number, ReturnType<typeof nextStep>]>([
    ['that is new', { status: 'validating', total: 0, completed: 0, failed: 0 }, 99, 'validate'],
    ['that was never looked at in time', { status: 'validating', total: 0 }, 100, 'end'],
    ['with lines left', {}, 99, 'run'],
    ['without', { failed: 2 }, 99, 'end'],
    ['whose time is over', {}, 100, 'end'],
    ['that is stopped', { status: 'cancelling' }, 0, 'end'],
    ['whose files are written', { status: 'finalizing' }, 0, 'end']
  ])('%s', (_name, changes, now, step) => {
    expect(nextStep(progress(changes), now)).toBe(step)
  })

  it.each(batchEndings)('is nothing when it is %s', (status) => {
    expect(nextStep(progress({ status }), 1000)).toBeNull()
  })
})

describe('the end of a batch', () => {
  it.each<[string, Partial<Progress>, string]>([
    ['with all results', { failed: 2 }, 'completed'],
    ['with all of them failed', { completed: 0, failed: 3 }, 'completed'],
    ['with some missing', {}, 'expired'],
    ['that nobody looked at', { status: 'validating', total: 0, completed: 0, failed: 0 }, 'expired'],
    ['that something is wrong with', { problems }, 'failed'],
    ['that was stopped', { status: 'cancelling' }, 'cancelled'],
    ['that was stopped when something was wrong with it', { status: 'cancelling', problems }, 'cancelled']
  ])('%s', (_name, changes, ending) => {
    expect(endingOf(progress(changes))).toBe(ending)
  })

  it('comes, whatever happens, and only then is nothing left to do', () => {
    const batches = fc.record({
      status: fc.constantFrom(...openStatuses, ...batchEndings), total: fc.nat(5), completed: fc.nat(5), failed: fc.nat(5), expiresAt: fc.nat(10), problems: fc.constantFrom(null, problems)
    })
    fc.assert(fc.property(batches, fc.nat(10), (batch, now) => {
      const isEnded = (batchEndings as readonly string[]).includes(batch.status)
      const step = nextStep(batch, now)
      expect(step === null).toBe(isEnded)
      if (isEnded) return
      expect(batchEndings).toContain(endingOf(batch))
      // In the end it is always told that it is time to.
      expect(nextStep(batch, batch.expiresAt)).toBe('end')
      if (step === 'run') expect(batch.completed + batch.failed).toBeLessThan(batch.total)
    }))
  })
})

describe('a batch', () => {
  it('can be stopped until its files are written', () => {
    const all: Batch['status'][] = [...openStatuses, ...batchEndings]
    expect(all.filter((status) => isCancellable({ status }))).toEqual(['validating', 'in_progress'])
  })
})
