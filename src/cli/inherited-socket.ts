import { StartupError } from '../domain/startup-error.ts'

/** Where a service manager puts the first of them: sd_listen_fds(3). */
const firstDescriptor = 3

/**
 * The descriptor of the socket that systemd listens on in this process' stead (socket activation); null where there is none. Connections wait in
 * it while no process takes them, and several processes may take them at a time.
 *
 * The variables that tell of it are removed: they are not for the processes that this one starts.
 * @throws StartupError when there are several
 */
export function inheritedSocket (environment: NodeJS.ProcessEnv, processId = process.pid): number | null {
  const { LISTEN_PID: forProcess, LISTEN_FDS: count } = environment
  for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES']) delete environment[name]
  if (forProcess !== String(processId) || count === undefined || count === '0') return null
  if (count !== '1') throw new StartupError(`The server listens on one socket, but systemd passes ${count}; one ListenStream= with a port takes IPv6 and IPv4`)
  return firstDescriptor
}
