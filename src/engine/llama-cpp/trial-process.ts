import { baseAdapterSet } from '../../domain/adapter-set.ts'
import { asLaneId, asSequenceId, asSlotId, type Token } from '../../domain/ids.ts'
import { greedySampling } from '../../domain/sampling.ts'
import { silentLogger } from './engine-options.ts'
import { createLlamaCppEngine } from './llama-cpp-engine.ts'
import type { BuildTrial, BuildTrialResult } from './try-build.ts'

/*
 * The main module of a trial: see `tryBuild`. It says what came of it over the channel and exits.
 */

const question = '<|im_start|>user\nWho are you?<|im_end|>\n<|im_start|>assistant\n'
const answerTokens = 64

/** What is said before an abort is written at once. */
const logger = { ...silentLogger, error: (_: object, message: string): void => { process.stderr.write(`${message}\n`) } }

async function runTrial ({ source, gpu, modelPath, threads }: BuildTrial): Promise<BuildTrialResult> {
  await using engine = await createLlamaCppEngine({
    modelPath, gpu, gpuLayers: 'max', build: source, threads, laneCount: 1, slotsPerLane: 1, contextSize: 256, maxStepTokens: 128, logger
  })
  const { tokenizer } = engine
  const history = tokenizer.tokenize(question, { special: true })
  const promptLength = history.length
  const sample = { sampling: { ...greedySampling, ignoreEos: true }, history, promptLength }
  const slot = asSlotId(0)
  const step = async (id: number, keep: number, tokens: readonly Token[]): Promise<void> => {
    const [outcome] = await engine.step({
      id,
      lane: asLaneId(0),
      threads,
      adapters: baseAdapterSet,
      released: [],
      work: [{ slot, sequence: asSequenceId('trial'), keep, tokens, sample: { ...sample, index: history.length - promptLength } }]
    })
    if (outcome === undefined || 'error' in outcome) throw outcome?.error ?? new Error('the step had no outcome')
    if ('isCacheLost' in outcome || outcome.token === null) throw new Error('no token was drawn')
    history.push(outcome.token)
  }
  await step(0, 0, history.slice())
  const start = performance.now()
  for (let id = 1; id <= answerTokens; id++) await step(id, history.length - 1, history.slice(-1))
  const tokensPerSecond = answerTokens / (performance.now() - start) * 1000
  const bytes = history.slice(promptLength, promptLength + 16).map((token) => tokenizer.tokenBytes(token))
  return { build: engine.info.build, text: Buffer.concat(bytes).toString().split('\n', 1)[0] ?? '', tokensPerSecond }
}

const leave = (message: BuildTrialResult | { readonly error: string }, code: number): void => {
  process.send?.(message, undefined, undefined, () => process.exit(code))
}

// Nobody waits for the result any more.
process.once('disconnect', () => process.exit(1))
runTrial(JSON.parse(process.argv[2] ?? '{}') as BuildTrial).then(
  (result) => leave(result, 0),
  (error: unknown) => leave({ error: error instanceof Error ? error.message : String(error) }, 1)
)
