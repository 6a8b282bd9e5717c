import { join } from 'node:path'
import { createLlamaCppEngine } from '../../../src/engine/llama-cpp/llama-cpp-engine.ts'
import { describeEngine } from './engine-contract.ts'

const demo = join(import.meta.dirname, '../../../models/demo')
const ask = (text: string): string => `<|im_start|>user\n${text}<|im_end|>\n<|im_start|>assistant\n`

describeEngine('llama.cpp with the demo model', async (limits) => await createLlamaCppEngine({
  modelPath: join(demo, 'drawbridge-demo-q8_0.gguf'),
  draftModelPath: join(demo, 'demo-draft-q8_0.gguf'),
  gpu: 'off',
  gpuLayers: 'auto',
  threads: 2,
  ...limits
}), {
  prompts: [
    ask('Count from 1 to 30.'),
    ask('Who are you, and what can you do?'),
    ask('Tell me a story.'),
    ask('List five animals, please.')
  ],
  variedPrompt: ask('Tell me a story.'),
  answerTokens: 12,
  tieTolerance: 0.02,
  adapters: async () => [
    { path: join(demo, 'adapters/pirate.gguf'), prompt: ask('Hello! How are you?') },
    { path: join(demo, 'adapters/shout.gguf'), prompt: ask('Tell me about yourself.') }
  ]
})
