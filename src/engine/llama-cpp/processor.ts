import { cpus } from 'node:os'

/** A processor, as far as it decides whether it can run code that was compiled for another. */
export interface Processor {
  /** `process.arch`. */
  readonly architecture: string
  /** For people, and to tell processors apart where `features` says nothing. */
  readonly model: string
  /** Names of instruction sets as Linux has them, sorted; empty where the system does not list them. */
  readonly features: readonly string[]
}

/** On x86 Linux lists hundreds of flags, most of which no compiler turns into code; kernels add and drop those at will. */
const instructionSet = /^(avx\w*|amx\w*|fma\w*|sse\w*|ssse3|bmi\d|abm|popcnt|movbe|f16c|gfni|vaes|aes|pclmulqdq|vpclmulqdq|sha\w*|adx)$/

/** @param readText the text of a file, or null where there is none. */
export function describeProcessor (readText: (file: string) => string | null, model = cpus()[0]?.model.trim() ?? ''): Processor {
  const text = readText('/proc/cpuinfo') ?? ''
  const x86 = /^flags\s*:(.*)$/m.exec(text)?.[1]
  const arm = /^Features\s*:(.*)$/m.exec(text)?.[1]
  const words = (x86 ?? arm ?? '').split(/\s+/).filter((word) => word !== '')
  const features = x86 === undefined ? words : words.filter((word) => instructionSet.test(word))
  return { architecture: process.arch, model, features: [...new Set(features)].sort() }
}

/**
 * Why code compiled for one processor may not run on another, as the end of a sentence; null when nothing speaks
 * against it.
 */
export function whyUnfit (compiledFor: Processor, here: Processor): string | null {
  if (compiledFor.architecture !== here.architecture) return `it was made for ${compiledFor.architecture}, and this is ${here.architecture}`
  const missing = compiledFor.features.filter((feature) => !here.features.includes(feature))
  if (here.features.length > 0 && missing.length > 0) {
    return `it was made for a processor with ${missing.slice(0, 3).join(', ')}${missing.length > 3 ? ' and more' : ''}, which this one does not have`
  }
  if (compiledFor.features.length === 0 && compiledFor.model !== here.model) {
    return `it was made for a ${compiledFor.model}, and this is a ${here.model}`
  }
  return null
}
