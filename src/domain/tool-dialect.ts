/** Formats in which models write calls of tools; `chat/dialects` has a file for each. */
export const toolDialects = [
  'hermes', 'llama', 'mistral', 'deepseek', 'granite', 'gemma', 'harmony', 'functionary',
  'qwen-coder', 'glm', 'minimax', 'kimi', 'cohere', 'nemotron', 'phi', 'lfm', 'pythonic',
  'generic'
] as const

export type ToolDialect = typeof toolDialects[number]
