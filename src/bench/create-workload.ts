import type { BenchOptions } from './parse-options.ts'
import { datasetWorkload } from './workload/dataset.ts'
import { jsonWorkload } from './workload/json-workload.ts'
import { mixedWorkload, multiTurnWorkload, sharedPrefixWorkload, syntheticWorkload } from './workload/made-up.ts'
import { TextMaker, type TokenScale } from './workload/text-maker.ts'
import type { Workload } from './workload/workload.ts'

/** @throws StartupError for a dataset that cannot be used. */
export function createWorkload ({ workload, seed, textSeed, endpoint }: BenchOptions, scale: TokenScale): Workload {
  const texts = new TextMaker(scale)
  const { inputTokens, outputTokens, ignoresEnd } = workload
  const parts = { seed, textSeed, endpoint, texts, inputTokens, outputTokens, ignoresEnd }
  switch (workload.name) {
    case 'synthetic': return syntheticWorkload(parts)
    case 'shared-prefix': return sharedPrefixWorkload(parts, workload.prefixes, workload.prefixTokens)
    case 'multi-turn': return multiTurnWorkload(parts, workload.turns, workload.thinkMs)
    case 'mixed': return mixedWorkload(parts, {
      share: workload.longShare, inputTokens: workload.longInputTokens, outputTokens: workload.longOutputTokens
    })
    case 'json': return jsonWorkload(parts)
    case 'dataset': return datasetWorkload({ ...parts, file: workload.dataset ?? '' })
  }
}
