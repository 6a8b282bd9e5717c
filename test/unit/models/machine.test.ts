import { describe, expect, it } from 'vitest'
import { availableMemory } from '../../../src/models/available-memory.ts'
import { countComputeThreads, countOpenMpThreads } from '../../../src/models/compute-threads.ts'
import { inspectMachine, parseNvidiaMemory } from '../../../src/models/machine.ts'

const gibibyte = 1024 ** 3
const linux = { platform: 'linux', totalBytes: 16 * gibibyte, freeBytes: gibibyte }

const filesOf = (files: Readonly<Record<string, string>>) => (file: string): string | null => files[file] ?? null
const meminfo = { '/proc/meminfo': 'MemTotal:       16777216 kB\nMemFree:         1048576 kB\nMemAvailable:    8388608 kB\n' }

describe('available memory', () => {
  it("is the kernel's estimate on Linux, not what is free", () => {
    expect(availableMemory(filesOf(meminfo), linux)).toEqual({ availableBytes: 8 * gibibyte, memoryLimit: 'machine' })
  })

  it('is what is free where there is no estimate, and a share of all on macOS', () => {
    expect(availableMemory(filesOf({}), { ...linux, platform: 'win32' }).availableBytes).toBe(gibibyte)
    expect(availableMemory(filesOf({}), { ...linux, platform: 'darwin' }).availableBytes).toBe(12 * gibibyte)
  })

  it('is what a version 2 control group leaves, its page cache not counted', () => {
    const files = {
      ...meminfo,
      '/proc/self/cgroup': '0::/\n',
      '/sys/fs/cgroup/memory.max': `${4 * gibibyte}\n`,
      '/sys/fs/cgroup/memory.current': `${3 * gibibyte}\n`,
      '/sys/fs/cgroup/memory.stat': `anon ${gibibyte}\ninactive_file ${gibibyte}\nactive_file ${gibibyte}\n`
    }
    expect(availableMemory(filesOf(files), linux)).toEqual({ availableBytes: 3 * gibibyte, memoryLimit: 'container' })
  })

  it('is what the strictest group above leaves', () => {
    const files = {
      ...meminfo,
      '/proc/self/cgroup': '0::/system.slice/drawbridge.service\n',
      '/sys/fs/cgroup/system.slice/drawbridge.service/memory.max': 'max\n',
      '/sys/fs/cgroup/system.slice/drawbridge.service/memory.current': '1\n',
      '/sys/fs/cgroup/system.slice/memory.max': `${2 * gibibyte}\n`,
      '/sys/fs/cgroup/system.slice/memory.current': `${gibibyte}\n`
    }
    expect(availableMemory(filesOf(files), linux)).toEqual({ availableBytes: gibibyte, memoryLimit: 'container' })
  })

  it('is what a version 1 control group leaves, and unlimited groups do not count', () => {
    const group = (limit: number) => ({
      ...meminfo,
      '/proc/self/cgroup': '5:cpu,cpuacct:/docker/a\n4:memory:/docker/a\n',
      '/sys/fs/cgroup/memory/memory.limit_in_bytes': String(limit),
      '/sys/fs/cgroup/memory/memory.usage_in_bytes': String(gibibyte),
      '/sys/fs/cgroup/memory/memory.stat': `total_inactive_file ${gibibyte / 2}\ntotal_active_file 0\n`
    })
    expect(availableMemory(filesOf(group(2 * gibibyte)), linux)).toEqual({ availableBytes: 1.5 * gibibyte, memoryLimit: 'container' })
    expect(availableMemory(filesOf(group(9_223_372_036_854_771_712)), linux).memoryLimit).toBe('machine')
  })
})

describe('compute threads', () => {
  const siblings = (lists: readonly string[]) => Object.fromEntries(lists.map((list, cpu) =>
    [`/sys/devices/system/cpu/cpu${cpu}/topology/thread_siblings_list`, `${list}\n`]))
  const fourCores = siblings(['0,4', '1,5', '2,6', '3,7', '0,4', '1,5', '2,6', '3,7'])
  const status = (allowed: string) => ({ '/proc/self/status': `Name:\tnode\nCpus_allowed_list:\t${allowed}\n` })

  it('are the physical cores, less one where no hyperthreads are left over', () => {
    expect(countComputeThreads(filesOf({ ...fourCores, ...status('0-7') }), 8, 'x64')).toBe(4)
    expect(countComputeThreads(filesOf({ ...siblings(['0', '1']), ...status('0-1') }), 2, 'x64')).toBe(1)
  })

  it('are all physical cores where none needs to be left over', () => {
    expect(countOpenMpThreads(filesOf({ ...siblings(['0', '1']), ...status('0-1') }), 2, 'x64')).toBe(2)
    expect(countOpenMpThreads(filesOf({ ...fourCores, ...status('0-7') }), 8, 'x64')).toBe(4)
    const quota = { ...fourCores, ...status('0-7'), '/proc/self/cgroup': '0::/\n' }
    expect(countOpenMpThreads(filesOf({ ...quota, '/sys/fs/cgroup/cpu.max': '250000 100000\n' }), 8, 'x64')).toBe(2)
    expect(countOpenMpThreads(filesOf({ ...quota, '/sys/fs/cgroup/cpu.max': '50000 100000\n' }), 8, 'x64')).toBe(1)
  })

  it('are those that the process may run on', () => {
    expect(countComputeThreads(filesOf({ ...fourCores, ...status('0,4,1') }), 3, 'x64')).toBe(2)
  })

  it('stay within the CPU quota of the control group, but never below one', () => {
    const files = { ...fourCores, ...status('0-7'), '/proc/self/cgroup': '0::/\n' }
    expect(countComputeThreads(filesOf({ ...files, '/sys/fs/cgroup/cpu.max': '250000 100000\n' }), 8, 'x64')).toBe(1)
    expect(countComputeThreads(filesOf({ ...files, '/sys/fs/cgroup/cpu.max': '50000 100000\n' }), 8, 'x64')).toBe(1)
    expect(countComputeThreads(filesOf({ ...files, '/sys/fs/cgroup/cpu.max': 'max 100000\n' }), 8, 'x64')).toBe(4)
    expect(countComputeThreads(filesOf({ ...files, '/proc/self/cgroup': '2:cpu,cpuacct:/a\n', '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '300000', '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000' }), 8, 'x64')).toBe(2)
  })

  it('are guessed from the architecture where nothing tells', () => {
    expect(countComputeThreads(filesOf({}), 8, 'x64')).toBe(4)
    expect(countComputeThreads(filesOf({}), 8, 'arm64')).toBe(7)
    expect(countComputeThreads(filesOf({}), 1, 'x64')).toBe(1)
  })
})

describe('NVIDIA GPUs', () => {
  it('are read from nvidia-smi', () => {
    expect(parseNvidiaMemory('NVIDIA H200, 142345\n')).toEqual({ name: 'NVIDIA H200', freeBytes: 142_345 * 1024 ** 2 })
    expect(parseNvidiaMemory('NVIDIA L4, 1000\nNVIDIA L4, 2000\n')).toEqual({ name: '2 × NVIDIA L4', freeBytes: 3000 * 1024 ** 2 })
    expect(parseNvidiaMemory('No devices were found\n')).toBeNull()
  })
})

describe('this machine', () => {
  it('has memory and a core', async () => {
    const machine = await inspectMachine({ withGpu: false })
    expect(machine.availableBytes).toBeGreaterThan(0)
    expect(machine.computeThreads).toBeGreaterThanOrEqual(1)
    expect(machine.openMpThreads).toBeGreaterThanOrEqual(machine.computeThreads)
    expect(machine.gpu).toBeNull()
  })
})
