import { byteText } from '../../src/models/byte-text.ts'
import { runBenchmark } from '../support/run-benchmark.ts'
import { help, parseOptions } from './options.ts'
import { presets } from './shape.ts'
import { matrixTypes } from './tensor-type.ts'
import { writeAdapter, writeModel, type WrittenModel } from './write-model.ts'

await runBenchmark(async (signal) => {
  const options = parseOptions(process.argv.slice(2))
  if (options === null) {
    console.log(help)
    return
  }
  const { size, type, file, seed, contextSize, adapterRank } = options
  const shape = presets[size]
  const startedAt = performance.now()
  const { parameterCount, sizeBytes } = await named(file, adapterRank === null
    ? writeModel(file, { shape, type: matrixTypes[type], seed, contextSize, name: `Random ${size}` }, signal)
    : writeAdapter(file, { shape, rank: adapterRank, seed, name: `Random ${size} ${seed}` }, signal))
  const seconds = (performance.now() - startedAt) / 1000
  console.log(`${file} · ${parameterCount.toLocaleString('en-US')} parameters · ${adapterRank === null ? type : `f16, rank ${adapterRank}`} · ` +
    `${byteText(sizeBytes)} (${sizeBytes.toLocaleString('en-US')} bytes) · ${seconds.toFixed(1)} s`)
  console.log('Its answers mean nothing and do not end by themselves: bound them with max_tokens, and set ignore_eos when you measure.')
})

/** Has errors of the file system name the flag. */
async function named (file: string, writing: Promise<WrittenModel>): Promise<WrittenModel> {
  try {
    return await writing
  } catch (error) {
    if (!(error instanceof Error) || !('syscall' in error)) throw error
    throw new Error(`--out is "${file}", which cannot be written: ${error.message}`, { cause: error })
  }
}
