import type { AdapterFile } from '../engine/engine.ts'
import type { AdapterDefinition } from './adapter-status.ts'

/** What an adapter's files say of it. */
export interface AdapterFacts {
  /** What the user gave: one GGUF file, or a folder as PEFT saves it. */
  readonly format: 'gguf' | 'peft'
  /** `general.name`, or null where the files have none. */
  readonly name: string | null
  /** Of the base model it belongs to, as GGUF names architectures; null where the files do not say. */
  readonly architecture: string | null
  /** The highest of its matrices. */
  readonly rank: number
  readonly alpha: number
  /** Matrices of the base that it changes. */
  readonly targetCount: number
  /** What it takes in memory, near enough: its tensors. */
  readonly sizeBytes: number
}

/** An adapter that an engine can load. */
export interface PreparedAdapter {
  readonly facts: AdapterFacts
  /** A GGUF file: the one that was given, or one in the folder that was made of it. */
  readonly file: AdapterFile
}

export interface AdapterLimits {
  /** Highest rank of any of its matrices. */
  readonly maxRank: number
  /** Largest file, or sum of the files of a folder. */
  readonly maxSizeBytes: number
}

export interface PrepareAdapterOptions {
  /** The base model's GGUF files, the first one first. */
  readonly modelPaths: readonly string[]
  readonly limits: AdapterLimits
  /** Where files that are made of others are put. The caller removes them. */
  readonly folder: string
  readonly signal: AbortSignal
}

/**
 * Checks an adapter against its base model, and makes a GGUF file of a PEFT folder, in JavaScript alone: no native code has seen
 * the files when it settles.
 * @param path a GGUF file or a PEFT folder
 * @throws ServerError `invalid_adapter`, with a reason that says what is wrong with the file and what was expected
 */
export type PrepareAdapter = (path: string, options: PrepareAdapterOptions) => Promise<PreparedAdapter>

/** Brings what a reference names into a folder, or says where it is. A file of the user's is copied: what is checked is what is loaded. */
export type FetchAdapter = (definition: Pick<AdapterDefinition, 'reference' | 'origin'>, options: {
  readonly folder: string
  readonly signal: AbortSignal
}) => Promise<string>
