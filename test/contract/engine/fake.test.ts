import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { createFakeEngine } from '../../../src/engine/fake/fake-engine.ts'
import { describeEngine } from './engine-contract.ts'

const folder = await mkdtemp(join(tmpdir(), 'drawbridge-fake-'))
afterAll(async () => { await rm(folder, { recursive: true }) })

const ask = (text: string): string => `<|im_start|>system\nYou are kind.<|im_end|>\n<|im_start|>user\n${text}<|im_end|>\n<|im_start|>assistant\n`

describeEngine('fake', async (limits) => createFakeEngine({ ...limits, threads: 2, draftAcceptance: 0.7 }), {
  prompts: [ask('the river'), ask('another garden'), ask('What now?'), ask('日本語 and 🌊')],
  variedPrompt: ask('a poem'),
  answerTokens: 6,
  tieTolerance: 0,
  adapters: async () => {
    const paths = ['one.gguf', 'two.gguf'].map((name) => join(folder, name))
    for (const path of paths) await writeFile(path, 'GGUF')
    return [{ path: paths[0]!, prompt: ask('hello') }, { path: paths[1]!, prompt: ask('good day') }]
  }
})
