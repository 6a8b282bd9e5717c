import { byteText } from '../models/byte-text.ts'

/** What the checks ask of the machine. */
export interface BuildMachine {
  readonly platform: NodeJS.Platform
  /** First line of what a program prints with `--version`; null where it does not run. */
  readonly versionLine: (program: string) => string | null
  /** The C++ compiler that the user named, if any (`CXX`). */
  readonly namedCompiler: string | undefined
  readonly folder: string
  readonly isWritable: boolean
  readonly freeBytes: number
}

/** Sources, objects and the result, with something to spare. */
const neededBytes = 512 * 1024 ** 2
const neededCmake = [3, 19] as const

/**
 * Whether llama.cpp can be compiled here.
 * @returns what was found, in words; and what is missing, one sentence for each.
 */
export function checkBuildTools (machine: BuildMachine): { readonly found: readonly string[], readonly problems: readonly string[] } {
  const found: string[] = []
  const problems: string[] = []
  const need = (programs: readonly string[], problem: string): string | null => {
    for (const program of programs) {
      const line = machine.versionLine(program)
      if (line === null) continue
      found.push(`${program} ${/\d+(\.\d+)+/.exec(line)?.[0] ?? ''}`.trim())
      return line
    }
    problems.push(problem)
    return null
  }

  need(['git'], `git is not installed; the package brings the source as a git bundle${hint(machine, 'git')}.`)
  const cmake = need(['cmake'], `cmake is not installed, or does not run${hint(machine, 'cmake')}.`)
  const [, major, minor] = /(\d+)\.(\d+)/.exec(cmake ?? '') ?? []
  if (cmake !== null && (Number(major) < neededCmake[0] || (Number(major) === neededCmake[0] && Number(minor) < neededCmake[1]))) {
    problems.push(`cmake is version ${major}.${minor}, but must be at least ${neededCmake.join('.')}.`)
  }
  // Visual Studio's tools are not on the path; cmake finds them itself.
  if (machine.platform !== 'win32') {
    const { namedCompiler } = machine
    need(namedCompiler === undefined ? ['c++', 'g++', 'clang++'] : [namedCompiler],
      namedCompiler === undefined
        ? `There is no C++ compiler${hint(machine, 'g++')}.`
        : `CXX is "${namedCompiler}", which does not run.`)
    need(['ninja', 'make'], `There is neither make nor ninja${hint(machine, 'make')}.`)
  }
  if (!machine.isWritable) problems.push(`This user may not write to ${machine.folder}, where the build goes.`)
  if (machine.freeBytes < neededBytes) {
    problems.push(`There is ${byteText(machine.freeBytes)} of free space at ${machine.folder}, but the build takes up to ${byteText(neededBytes)}.`)
  }
  return { found, problems }
}

function hint ({ platform }: BuildMachine, debianPackage: string): string {
  if (platform === 'linux') return ` (Debian and Ubuntu: apt-get install ${debianPackage})`
  return platform === 'darwin' ? ' (macOS: xcode-select --install; brew install cmake)' : ''
}
