import { parentPort } from 'node:worker_threads'
import type { ChatWork } from './chat-work.ts'
import { Workshop } from './workshop.ts'

/** The main module of a thread that does the work of {@link ThreadCrew}. */
const workshop = new Workshop()
parentPort?.on('message', (work: ChatWork) => parentPort?.postMessage(workshop.do(work)))
