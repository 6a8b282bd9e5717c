/** Of a lane on a GPU: one draws while the other copies logits. */
const gpuLaneThreads = 2

/**
 * What `UV_THREADPOOL_SIZE` must be in a process that runs a llama.cpp engine; whoever spawns the process sets it, since
 * libuv reads it once.
 *
 * Decodes and draws are jobs of libuv's thread pool. llama.cpp's CPU backend (the prebuilt ones have no OpenMP) starts its
 * own threads from the pool thread that runs the decode, and each hop of a lane's decodes to another pool thread costs
 * more than the decode of a small model: with the default of 4, one lane ran at a twentieth to a third of its speed. One
 * pool thread per lane is the least that lets all lanes decode at the same time, and the most that does not invite hops.
 *
 * A GPU does not care which thread waits for it, and decodes so fast that draws take longer: each looks at the whole vocabulary, on the
 * processor. The bindings copy the logits of one draw of a context at a time, so that two threads draw as fast as fifteen, of which each
 * begins with cold caches.
 *
 * @param cores that this process may use
 */
export function threadPoolSize (laneCount: number, { isOnGpu, cores }: { readonly isOnGpu: boolean, readonly cores: number }): number {
  return Math.max(1, laneCount, isOnGpu ? Math.min(gpuLaneThreads * laneCount, cores - 1) : 1)
}

/**
 * Whether the pool of this process runs its jobs one after the other, in the order in which they were asked for.
 * @param environment what the process was started with
 */
export const runsJobsInOrder = (environment: NodeJS.ProcessEnv): boolean => environment['UV_THREADPOOL_SIZE'] === '1'
