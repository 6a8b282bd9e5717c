/**
 * How OpenMP's threads wait for each other in a process that runs a llama.cpp engine with OpenMP; whoever spawns the process
 * sets it, since the library reads it when it is loaded. Others take no notice.
 *
 * By default they spin, and as soon as another program has one's core, all others spin for as long as that takes, at
 * every barrier: on a busy machine of two cores two spinning threads gave clients 40 tokens/s where two sleeping ones gave
 * 1300. Sleeping costs a small model something on a quiet machine, which a calibration sees.
 */
export const waitPolicy = (environment: NodeJS.ProcessEnv): { readonly OMP_WAIT_POLICY: string } =>
  ({ OMP_WAIT_POLICY: environment['OMP_WAIT_POLICY'] ?? 'passive' })
