/**
 * Mixes a 32-bit seed with a 32-bit number into another well-distributed 32-bit seed (the finalizer of MurmurHash3, by
 * Austin Appleby, public domain). Used wherever one seed must give many independent ones: choices of a request, positions
 * of an answer, the fake engine's tokens, the simulator's streams.
 */
export function mixSeed (seed: number, salt: number): number {
  let hash = (seed ^ Math.imul(salt + 0x9e37_79b9, 0x85eb_ca6b)) >>> 0
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
