import { describe, expect, it } from 'vitest'
import { type BuildMachine, checkBuildTools } from '../../../src/cli/native-build-tools.ts'

const versions: Record<string, string> = {
  git: 'git version 2.39.5', cmake: 'cmake version 3.25.1', 'c++': 'c++ (Debian 12.2.0-14) 12.2.0', make: 'GNU Make 4.3'
}

const check = (changes: Partial<BuildMachine> = {}, missing: readonly string[] = [], changed: Record<string, string> = {}) => checkBuildTools({
  platform: 'linux',
  versionLine: (program) => missing.includes(program) ? null : { ...versions, ...changed }[program] ?? null,
  namedCompiler: undefined,
  folder: '/app/node_modules/node-llama-cpp',
  isWritable: true,
  freeBytes: 2 ** 34,
  ...changes
})

describe('the tools for a native build', () => {
  it('are named with their versions', () => {
    expect(check()).toEqual({ found: ['git 2.39.5', 'cmake 3.25.1', 'c++ 12.2.0', 'make 4.3'], problems: [] })
  })

  it.each([
    ['git', 'git is not installed; the package brings the source as a git bundle (Debian and Ubuntu: apt-get install git).'],
    ['cmake', 'cmake is not installed, or does not run (Debian and Ubuntu: apt-get install cmake).'],
    ['c++', 'There is no C++ compiler (Debian and Ubuntu: apt-get install g++).'],
    ['make', 'There is neither make nor ninja (Debian and Ubuntu: apt-get install make).']
  ])('are missed when there is no %s', (program, sentence) => {
    expect(check({}, [program]).problems).toEqual([sentence])
  })

  it('may be others that do the same', () => {
    expect(check({}, ['c++', 'make'], { 'clang++': 'clang version 16.0.6', ninja: '1.11.1' })).toEqual({
      found: ['git 2.39.5', 'cmake 3.25.1', 'clang++ 16.0.6', 'ninja 1.11.1'], problems: []
    })
  })

  it('include the compiler that CXX names, and no other', () => {
    expect(check({ namedCompiler: 'icpx' }).problems).toEqual(['CXX is "icpx", which does not run.'])
    expect(check({ namedCompiler: 'icpx' }, [], { icpx: 'icpx 2025.1' }).problems).toEqual([])
  })

  it('must be new enough', () => {
    expect(check({}, [], { cmake: 'cmake version 3.18.4' }).problems).toEqual(['cmake is version 3.18, but must be at least 3.19.'])
    expect(check({}, [], { cmake: 'cmake version 4.0.1' }).problems).toEqual([])
  })

  it('need room, and a place to write to', () => {
    expect(check({ freeBytes: 2 ** 28 }).problems).toEqual([
      'There is 256 MiB of free space at /app/node_modules/node-llama-cpp, but the build takes up to 512 MiB.'
    ])
    expect(check({ isWritable: false }).problems).toEqual(['This user may not write to /app/node_modules/node-llama-cpp, where the build goes.'])
  })

  it('are left to cmake on Windows', () => {
    expect(check({ platform: 'win32' }, ['c++', 'make']).problems).toEqual([])
  })

  it('are all said at once', () => {
    expect(check({ platform: 'darwin' }, ['git', 'cmake', 'c++', 'make']).problems).toHaveLength(4)
  })
})
