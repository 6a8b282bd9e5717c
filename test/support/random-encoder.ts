import { join } from 'node:path'
import type { Pooling } from '../../src/domain/pooling.ts'
import { matrixTypes } from '../../bench/model/tensor-type.ts'
import { writeEncoder } from '../../bench/model/write-model.ts'

/** Numbers of the tiny encoder's vectors, and the tokens that an input of it may have. */
export const encoderWidth = 64
export const encoderContextSize = 128

/** Writes a tiny BERT with random weights; its path. The vectors of the same texts differ, as those of a trained one do. */
export async function writeTinyEncoder (folder: string, pooling: Pooling): Promise<string> {
  const file = join(folder, `tiny-${pooling}.gguf`)
  await writeEncoder(file, {
    shape: { width: encoderWidth, layerCount: 2, headCount: 4, feedForwardWidth: 128, vocabularySize: 600 },
    type: matrixTypes.f16,
    pooling,
    contextSize: encoderContextSize,
    name: `Tiny ${pooling} encoder`,
    seed: 7
  }, new AbortController().signal)
  return file
}
