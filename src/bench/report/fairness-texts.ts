import type { Fairness } from './bench-run.ts'

/** What Jain's index is taken of, in the order of reports. */
export const fairnessTexts: readonly { readonly key: keyof Fairness, readonly text: string }[] = [
  { key: 'output_tokens', text: 'output tokens per user' },
  { key: 'completed', text: 'the share of requests that were completed' },
  { key: 'ttft', text: 'mean TTFT' }
]
