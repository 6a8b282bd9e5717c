/**
 * What keeps the server from starting: one sentence for the person at the terminal, naming the flag, variable, key or
 * file at fault, the value and the limit. The command line prints the message without a stack and exits with 1. Clients
 * never see it; what they see is a `ServerError`.
 */
export class StartupError extends Error {
  constructor (message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'StartupError'
  }
}
