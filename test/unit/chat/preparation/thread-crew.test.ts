import { afterEach, describe, expect, it, vi } from 'vitest'
import type { ChatWork, WorkReply } from '../../../../src/chat/preparation/chat-work.ts'
import { ThreadCrew, type ThreadCrewOptions, type WorkThread } from '../../../../src/chat/preparation/thread-crew.ts'
import { asTenantId } from '../../../../src/domain/ids.ts'

/** A thread that answers when the test says so. */
class ScriptedThread implements WorkThread {
  work: ChatWork | null = null
  isTerminated = false
  keepsProcessAlive = true
  readonly #listeners = new Map<string, (value: never) => void>()

  postMessage (work: ChatWork): void { this.work = work }
  on (event: string, listener: (value: never) => void): void { this.#listeners.set(event, listener) }
  ref (): void { this.keepsProcessAlive = true }
  unref (): void { this.keepsProcessAlive = false }
  async terminate (): Promise<void> {
    this.isTerminated = true
    this.emit('exit')
  }

  emit (event: string, value?: unknown): void { this.#listeners.get(event)?.(value as never) }

  answer (): void {
    const { work } = this
    this.work = null
    this.emit('message', { result: nameOf(work), learned: [] })
  }
}

const nameOf = (work: ChatWork | null): string | null => work?.kind === 'format' && work.format.kind === 'grammar' ? work.format.grammar : null

function createCrew (options: ThreadCrewOptions = {}) {
  const threads: ScriptedThread[] = []
  const crew = new ThreadCrew({ createThread: () => threads[threads.push(new ScriptedThread()) - 1]!, ...options })
  const doWork = (name: string, tenant: string, signal = new AbortController().signal): Promise<WorkReply> =>
    crew.do({ kind: 'format', format: { kind: 'grammar', grammar: name } }, { tenant: asTenantId(tenant), signal })
  const inHand = (): (string | null)[] => threads.filter(({ isTerminated }) => !isTerminated).map(({ work }) => nameOf(work))
  return { crew, threads, doWork, inHand }
}

afterEach(() => { vi.useRealTimers() })

describe('a crew of threads', () => {
  it('starts threads when they are needed, and uses them again', async () => {
    const { threads, doWork, inHand } = createCrew()
    expect(threads.length).toBe(0)
    const first = doWork('a', 'acme')
    expect(inHand()).toEqual(['a'])
    threads[0]!.answer()
    expect(await first).toEqual({ result: 'a', learned: [] })
    expect(threads[0]!.keepsProcessAlive).toBe(false)
    const second = doWork('b', 'acme')
    expect([inHand(), threads[0]!.keepsProcessAlive]).toEqual([['b'], true])
    threads[0]!.answer()
    await second
    expect(threads.length).toBe(1)
  })

  it('gives a tenant one thread, and the others their turn before its next', async () => {
    const { threads, doWork, inHand } = createCrew()
    const flood = Array.from({ length: 5 }, (_, index) => doWork(`flood ${index}`, 'flood'))
    expect(inHand()).toEqual(['flood 0'])
    const others = [doWork('a', 'a'), doWork('b', 'b')]
    expect(inHand()).toEqual(['flood 0', 'a'])
    threads[1]!.answer()
    expect(inHand()).toEqual(['flood 0', 'b'])
    threads[0]!.answer()
    expect(inHand()).toEqual(['flood 1', 'b'])
    const late = doWork('c', 'c')
    threads[0]!.answer()
    expect(inHand()).toEqual(['flood 2', 'b'])
    threads[0]!.answer()
    expect(inHand()).toEqual(['c', 'b'])
    threads[0]!.answer()
    threads[1]!.answer()
    for (let turn = 0; turn < 2; turn++) threads.find(({ work }) => work !== null)!.answer()
    expect((await Promise.all([...flood, ...others, late])).length).toBe(8)
  })

  it('takes so much and no more, of each and in all', async () => {
    const { crew, doWork } = createCrew({ mostWaiting: 4, mostWaitingPerTenant: 2 })
    // One of each is in hand at once, as far as there are threads.
    const taken = ['a', 'a', 'a', 'b', 'b', 'b'].map((tenant) => doWork('x', tenant))
    await expect(doWork('x', 'a')).rejects.toMatchObject({ code: 'queue_full' })
    await expect(doWork('x', 'c')).rejects.toMatchObject({ code: 'queue_full' })
    const ended = Promise.allSettled(taken)
    await crew.close()
    expect((await ended).map((each) => each.status === 'rejected' && each.reason.code)).toEqual(Array.from({ length: 6 }, () => 'server_draining'))
    await expect(doWork('x', 'd')).rejects.toMatchObject({ code: 'server_draining' })
  })

  it('forgets what nobody waits for any more', async () => {
    const { threads, doWork, inHand } = createCrew({ mostWaitingPerTenant: 1 })
    const leaving = new AbortController()
    const first = doWork('a', 'acme')
    const second = doWork('b', 'acme', leaving.signal)
    await expect(doWork('c', 'acme')).rejects.toMatchObject({ code: 'queue_full' })
    leaving.abort()
    await expect(second).rejects.toMatchObject({ code: 'request_aborted' })
    await expect(doWork('d', 'acme', leaving.signal)).rejects.toMatchObject({ code: 'request_aborted' })
    const third = doWork('c', 'acme')
    threads[0]!.answer()
    expect(inHand()).toEqual(['c'])
    threads[0]!.answer()
    await Promise.all([first, third])
  })

  it('ends a thread that takes too long, and goes on with another', async () => {
    vi.useFakeTimers()
    const { threads, doWork, inHand } = createCrew({ timeoutMs: 1000 })
    const slow = doWork('slow', 'acme')
    const next = doWork('next', 'acme')
    const ended = Promise.allSettled([slow])
    vi.advanceTimersByTime(999)
    expect(inHand()).toEqual(['slow'])
    vi.advanceTimersByTime(1)
    expect(await ended).toMatchObject([{ status: 'rejected', reason: { code: 'unsupported_value', message: expect.stringContaining('1 s') } }])
    expect(threads[0]!.isTerminated).toBe(true)
    expect(inHand()).toEqual(['next'])
    threads[1]!.answer()
    expect(await next).toMatchObject({ result: 'next' })
    vi.advanceTimersByTime(5000)
    expect(threads[1]!.isTerminated).toBe(false)
  })

  it('fails the request that a thread dies of, and no other', async () => {
    const { threads, doWork, inHand } = createCrew()
    const deadly = doWork('deadly', 'acme')
    const next = doWork('next', 'acme')
    threads[0]!.emit('error', new Error('out of memory'))
    await expect(deadly).rejects.toMatchObject({ code: 'internal_error', message: expect.stringContaining('out of memory') })
    expect(inHand()).toEqual(['next'])
    threads[1]!.emit('exit')
    await expect(next).rejects.toMatchObject({ code: 'internal_error' })
  })
})
