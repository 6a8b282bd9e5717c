import { StartupError } from '../domain/startup-error.ts'

export interface ListenAddress {
  readonly host: string
  readonly port: number
  /** Where the two come from, for example `--port` or `DRAWBRIDGE_PORT`. */
  readonly hostSource: string
  readonly portSource: string
}

/** Says why the server cannot listen; errors that have nothing to do with the address come back as they are. */
export function describeListenError (error: unknown, { host, port, hostSource, portSource }: ListenAddress): unknown {
  const refuse = (message: string): StartupError => new StartupError(message, { cause: error })
  switch ((error as NodeJS.ErrnoException).code) {
    case 'EADDRINUSE': return refuse(`${portSource} is ${port}, but another program listens there already; choose another port, or 0 for a free one`)
    case 'EACCES': return refuse(`${portSource} is ${port}, but this user may not listen there; ports from 1024 on are open to all users`)
    case 'EADDRNOTAVAIL': return refuse(`${hostSource} is "${host}", which is no address of this machine`)
    case 'ENOTFOUND':
    case 'EAI_AGAIN': return refuse(`${hostSource} is "${host}", a name that cannot be resolved to an address`)
    case 'EAFNOSUPPORT': return refuse(`${hostSource} is "${host}", but this machine has no network of that kind`)
    default: return error
  }
}
