import { Worker } from 'node:worker_threads'
import { compiledModule } from '../../domain/compiled-module.ts'
import { ServerError } from '../../domain/errors.ts'
import type { TenantId } from '../../domain/ids.ts'
import type { ChatWork, WorkReply } from './chat-work.ts'
import type { Crew, WorkOrder } from './preparation.ts'

/** As much of a thread as the crew uses. */
export interface WorkThread {
  postMessage (work: ChatWork): void
  on (event: 'message', listener: (reply: WorkReply) => void): unknown
  on (event: 'error', listener: (error: Error) => void): unknown
  on (event: 'exit', listener: () => void): unknown
  ref (): void
  unref (): void
  terminate (): Promise<unknown>
}

export interface ThreadCrewOptions {
  readonly createThread?: () => WorkThread
  /** At least 2, so that whoever has sent something slow does not keep the others from theirs. */
  readonly threads?: number
  readonly mostWaiting?: number
  readonly mostWaitingPerTenant?: number
  /** A thread that takes longer for one piece of work is ended. */
  readonly timeoutMs?: number
}

interface Job {
  readonly work: ChatWork
  readonly tenant: TenantId
  readonly resolve: (reply: WorkReply) => void
  readonly reject: (error: ServerError) => void
}

interface Member {
  readonly thread: WorkThread
  job: Job | null
  timer: NodeJS.Timeout | null
}

/** Far above what a grammar or a prompt takes; more is a leak, which as a rule ends the thread and not the server. */
const resourceLimits = { maxOldGenerationSizeMb: 1024 }

const createWorker = (): WorkThread => new Worker(compiledModule('chat/preparation/preparation-thread'), { resourceLimits })

/**
 * Threads that do what would keep requests waiting. A tenant has one of them at a time, and tenants take turns, so that nobody waits for
 * all that another one has sent. Threads are started when they are first needed, and replaced when they die.
 */
export class ThreadCrew implements Crew {
  readonly #options: Required<ThreadCrewOptions>
  readonly #members = new Set<Member>()
  /** What waits, by tenant. Whose turn it was goes to the end. */
  readonly #waiting = new Map<TenantId, Job[]>()
  #waitingCount = 0
  #isClosed = false

  constructor (options: ThreadCrewOptions = {}) {
    this.#options = { createThread: createWorker, threads: 2, mostWaiting: 256, mostWaitingPerTenant: 64, timeoutMs: 20_000, ...options }
  }

  do (work: ChatWork, { tenant, signal }: WorkOrder): Promise<WorkReply> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) throw new ServerError('server_draining', 'The server is shutting down')
      if (signal.aborted) throw gone()
      const jobs = this.#waiting.get(tenant) ?? []
      const { mostWaiting, mostWaitingPerTenant } = this.#options
      if (this.#waitingCount >= mostWaiting || jobs.length >= mostWaitingPerTenant) {
        throw new ServerError('queue_full', `${jobs.length} of your large requests wait to be read, and ${this.#waitingCount} in all; the limits are ${mostWaitingPerTenant} and ${mostWaiting}`)
      }
      const leave = (): void => {
        const index = jobs.indexOf(job)
        if (index === -1) return
        this.#take(tenant, jobs, index)
        reject(gone())
      }
      const job: Job = {
        work,
        tenant,
        resolve: (reply) => {
          signal.removeEventListener('abort', leave)
          resolve(reply)
        },
        reject: (error) => {
          signal.removeEventListener('abort', leave)
          reject(error)
        }
      }
      signal.addEventListener('abort', leave, { once: true })
      jobs.push(job)
      this.#waiting.set(tenant, jobs)
      this.#waitingCount++
      this.#dispatch()
    })
  }

  async close (): Promise<void> {
    this.#isClosed = true
    const jobs = [...[...this.#waiting.values()].flat(), ...[...this.#members].flatMap(({ job }) => job ?? [])]
    this.#waiting.clear()
    this.#waitingCount = 0
    for (const job of jobs) job.reject(new ServerError('server_draining', 'The server is shutting down'))
    const members = [...this.#members]
    for (const member of members) this.#remove(member)
    await Promise.all(members.map(async ({ thread }) => await thread.terminate()))
  }

  #take (tenant: TenantId, jobs: Job[], index: number): Job {
    this.#waiting.delete(tenant)
    const [job] = jobs.splice(index, 1)
    if (jobs.length > 0) this.#waiting.set(tenant, jobs)
    this.#waitingCount--
    return job!
  }

  /** The next job, of a tenant who has none in hand. */
  #next (): Job | null {
    const busy = new Set([...this.#members].map(({ job }) => job?.tenant))
    for (const [tenant, jobs] of this.#waiting) if (!busy.has(tenant)) return this.#take(tenant, jobs, 0)
    return null
  }

  #dispatch (): void {
    for (;;) {
      const idle = [...this.#members].find(({ job }) => job === null)
      if (idle === undefined && this.#members.size >= this.#options.threads) return
      const job = this.#next()
      if (job === null) return
      this.#start(idle ?? this.#hire(), job)
    }
  }

  #hire (): Member {
    const member: Member = { thread: this.#options.createThread(), job: null, timer: null }
    this.#members.add(member)
    member.thread.on('message', (reply) => {
      const { job } = member
      this.#finish(member)
      job?.resolve(reply)
      this.#dispatch()
    })
    // Out of memory, or a fault in this program: the request fails, the next one gets another thread.
    member.thread.on('error', (error) => this.#lose(member, new ServerError('internal_error', `The thread that worked on this request has died: ${error.message}`, { cause: error })))
    member.thread.on('exit', () => this.#lose(member, new ServerError('internal_error', 'The thread that worked on this request has ended')))
    return member
  }

  #start (member: Member, job: Job): void {
    const { timeoutMs } = this.#options
    member.job = job
    member.timer = setTimeout(() => {
      this.#lose(member, new ServerError('unsupported_value', `To read this request takes more than ${timeoutMs / 1000} s; ask for less at once`))
    }, timeoutMs)
    member.thread.ref()
    member.thread.postMessage(job.work)
  }

  #finish (member: Member): void {
    if (member.timer !== null) clearTimeout(member.timer)
    member.timer = null
    member.job = null
    // An idle thread keeps no process alive.
    member.thread.unref()
  }

  #lose (member: Member, error: ServerError): void {
    if (!this.#members.has(member)) return
    const { job } = member
    this.#remove(member)
    member.thread.terminate().catch(() => {})
    job?.reject(error)
    this.#dispatch()
  }

  #remove (member: Member): void {
    this.#finish(member)
    this.#members.delete(member)
  }
}

const gone = (): ServerError => new ServerError('request_aborted', 'The client has gone')
