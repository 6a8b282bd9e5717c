import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { StartupError } from '../../../src/domain/startup-error.ts'
import { findModel, modelIdOf } from '../../../src/models/model-source.ts'

let directory = ''
beforeAll(() => { directory = mkdtempSync(path.join(tmpdir(), 'drawbridge-source-')) })
afterAll(() => { rmSync(directory, { recursive: true }) })

function folderOf (name: string, files: readonly string[]): string {
  const folder = path.join(directory, name)
  mkdirSync(folder, { recursive: true })
  for (const file of files) writeFileSync(path.join(folder, file), '')
  return folder
}

function refusal (ref: string): string {
  try {
    findModel(ref)
  } catch (error) {
    expect(error).toBeInstanceOf(StartupError)
    return (error as StartupError).message
  }
  throw new Error(`${ref} was found`)
}

describe('finding a model', () => {
  it('knows demo and fake', () => {
    const demo = findModel('demo')
    expect(demo).toMatchObject({ type: 'file', id: 'drawbridge-demo', root: 'demo' })
    expect(demo.type === 'file' && existsSync(demo.paths[0])).toBe(true)
    expect(findModel('fake')).toEqual({ type: 'fake', id: 'fake', root: 'fake' })
  })

  it('resolves relative paths and the home folder', () => {
    const folder = folderOf('paths', ['chat-q4.gguf'])
    const file = path.join(folder, 'chat-q4.gguf')
    expect(findModel(path.relative(process.cwd(), file))).toEqual({ type: 'file', id: 'chat-q4', root: file, paths: [file] })
    expect(refusal('~/no-such-model.gguf')).toBe(`The model file ~/no-such-model.gguf (${homedir()}/no-such-model.gguf) cannot be read: it does not exist`)
  })

  it('takes the only model of a folder, and does not guess among several', () => {
    const only = folderOf('only', ['README.md', 'chat.gguf', 'mmproj-chat.gguf'])
    expect(findModel(only)).toMatchObject({ id: 'chat', paths: [path.join(only, 'chat.gguf')] })
    const several = folderOf('several', ['b.gguf', 'a.gguf'])
    expect(refusal(several)).toBe(`The model folder ${several} has 2 .gguf files in it; give the path of one: a.gguf, b.gguf`)
    const none = folderOf('none', ['weights.bin'])
    expect(refusal(none)).toBe(`The model folder ${none} has no .gguf file in it`)
  })

  it('finds all parts of a split model by any of them, or by their folder', () => {
    const parts = ['big-00001-of-00003.gguf', 'big-00002-of-00003.gguf', 'big-00003-of-00003.gguf']
    const folder = folderOf('split', parts)
    const paths = parts.map((part) => path.join(folder, part))
    for (const ref of [...paths, folder]) expect(findModel(ref)).toEqual({ type: 'file', id: 'big', root: paths[0], paths })
  })

  it('names missing parts', () => {
    const folder = folderOf('torn', ['big-00001-of-00003.gguf', 'big-00003-of-00003.gguf'])
    expect(refusal(path.join(folder, 'big-00001-of-00003.gguf')))
      .toBe('The model big is split into 3 files, and one is missing: big-00002-of-00003.gguf')
  })

  it('says that it does not download', () => {
    for (const ref of ['https://example.com/a.gguf', 'hf:owner/repo:Q4_K_M']) expect(refusal(ref)).toContain('does not do; download it and give the file')
  })

  it('points at a file that only lacks the ending', () => {
    const folder = folderOf('ending', ['chat.gguf'])
    expect(refusal(path.join(folder, 'chat'))).toMatch(/it does not exist; chat\.gguf is beside it$/)
  })
})

describe("a model's name", () => {
  it.each([
    ['/m/Qwen3-4B-Q4_K_M.gguf', 'Qwen3-4B-Q4_K_M'],
    ['/m/big-00001-of-00003.gguf', 'big'],
    ['/m/CHAT.GGUF', 'CHAT'],
    ['/m/weights.bin', 'weights.bin'],
    ['/m/.gguf', '.gguf']
  ])('%s is called %s', (file, id) => { expect(modelIdOf(file)).toBe(id) })
})
