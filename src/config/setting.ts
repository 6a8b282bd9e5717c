import type { Option } from './options.ts'

/** What one place (the flags, the environment, the file) says about one option. */
export interface Setting {
  readonly option: Option
  /** As written: texts from flags and the environment, YAML values from a file. Never empty. */
  readonly values: readonly unknown[]
  /** The place by its own name, for messages: `--port`, `DRAWBRIDGE_PORT`, `port in drawbridge.yaml`. */
  readonly source: string
  /** What relative paths in the values are relative to; null is the working directory. */
  readonly directory: string | null
}

/** Settings by the option's flag. */
export type Settings = ReadonlyMap<string, Setting>
