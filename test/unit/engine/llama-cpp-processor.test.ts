import { describe, expect, it } from 'vitest'
import { describeProcessor, whyUnfit, type Processor } from '../../../src/engine/llama-cpp/processor.ts'

const cpuinfo = (text: string) => (file: string): string | null => file === '/proc/cpuinfo' ? text : null
const processor = (features: readonly string[], changes: Partial<Processor> = {}): Processor =>
  ({ architecture: 'x64', model: 'Cray-1', features, ...changes })

describe('describing a processor', () => {
  it('keeps the instruction sets of x86 and leaves out what kernels add and drop', () => {
    const { features } = describeProcessor(cpuinfo('processor\t: 0\nflags\t\t: fpu sse2 avx512_vnni lahf_lm hypervisor fma avx2 ibrs\n'), 'Cray-1')
    expect(features).toEqual(['avx2', 'avx512_vnni', 'fma', 'sse2'])
  })

  it('takes all that ARM lists', () => {
    expect(describeProcessor(cpuinfo('Features\t: fp asimd sve2\n'), '').features).toEqual(['asimd', 'fp', 'sve2'])
  })

  it('has the model where the system lists no features', () => {
    expect(describeProcessor(() => null, 'Apple M4')).toEqual({ architecture: process.arch, model: 'Apple M4', features: [] })
  })
})

describe('code that was compiled for another processor', () => {
  it('fits a processor that can do all that and more', () => {
    expect(whyUnfit(processor(['avx2']), processor(['avx2', 'avx512f'], { model: 'Cray-2' }))).toBeNull()
  })

  it('does not fit one that lacks something, which is named', () => {
    expect(whyUnfit(processor(['avx2', 'avx512f', 'fma']), processor(['avx2', 'fma'])))
      .toBe('it was made for a processor with avx512f, which this one does not have')
    expect(whyUnfit(processor(['a', 'b', 'c', 'd']), processor(['x']))).toContain('with a, b, c and more,')
  })

  it('does not fit another architecture', () => {
    expect(whyUnfit(processor([]), processor([], { architecture: 'arm64' }))).toBe('it was made for x64, and this is arm64')
  })

  it('needs the same model where nothing else is known', () => {
    expect(whyUnfit(processor([]), processor([]))).toBeNull()
    expect(whyUnfit(processor([]), processor([], { model: 'Cray-2' }))).toBe('it was made for a Cray-1, and this is a Cray-2')
  })
})
