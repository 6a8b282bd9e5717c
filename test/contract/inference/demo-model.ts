import { join } from 'node:path'

export const demoEngineOptions = {
  modelPath: join(import.meta.dirname, '../../../models/demo/drawbridge-demo-q8_0.gguf'),
  gpu: 'off',
  gpuLayers: 'auto',
  // On a busy machine two threads would wait for each other at every barrier.
  threads: 1
} as const

export const demoPrompts: readonly string[] = [
  'Tell me a story.', 'Count from 1 to 30.', 'Who are you, and what can you do?', 'List five animals, please.',
  'Tell me about the sea.'
].map((question) => '<|im_start|>system\nYou are a helpful assistant, and you answer in full and friendly sentences.<|im_end|>\n' +
  `<|im_start|>user\n${question}<|im_end|>\n<|im_start|>assistant\n`)
