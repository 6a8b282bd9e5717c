import type { Option } from '../config/options.ts'
import { defaultOf, optionGroups, usageOf } from '../config/option-text.ts'
import { wrapText } from '../config/wrap-text.ts'

/** What `drawbridge --help` prints. */
export function helpText (version: string): string {
  const groups = [...optionGroups()].map(([group, members]) =>
    `${group}${notes[group] ?? ''}\n${members.filter(({ hasFlag }) => hasFlag).map(describeOption).join('\n')}`)
  return `${introduction(version)}\n${groups.join('\n\n')}\n\n${ending}`
}

function describeOption (option: Option): string {
  const usage = `  ${option.short === undefined ? '' : `-${option.short}, `}${usageOf(option)}`
  const fallback = defaultOf(option)
  const text = `${option.summary}.${fallback === '' ? '' : ` Default: ${fallback}.`}`.replaceAll('`', '')
  return `${usage}\n${wrapText(text)}`
}

const notes: Partial<Record<string, string>> = {
  'Fake engine': ' (with --model fake: made-up text at a set speed, to measure the server and try clients)'
}

const introduction = (version: string): string => `Drawbridge ${version}: an OpenAI-compatible server for GGUF models.

Usage
  drawbridge [serve] [options]
  drawbridge check [options]           What a server with these options would find; starts nothing
  drawbridge bench [URL] [options]     (drawbridge bench --help)
  drawbridge adapters COMMAND          (drawbridge adapters --help)
  drawbridge keys COMMAND              (drawbridge keys --help)
  drawbridge build-native [options]    (drawbridge build-native --help)

Examples
  drawbridge
      Serve the demo model on http://127.0.0.1:8080/v1.
  drawbridge --model ./qwen3-4b-q4_k_m.gguf --alias qwen
      Serve your own model; clients ask for "qwen".
  drawbridge --model ./qwen3-4b-q4_k_m.gguf --slots 8 --context-size 4096
      Eight answers at a time, each of at most 4096 tokens with its prompt.
  drawbridge --host 0.0.0.0 --api-key-file keys.txt
      Serve the network; clients send one of the keys in the file.
  drawbridge --config drawbridge.yaml --print-config
      Show what a file, the environment and the flags come to.
`

const ending = `Options are also environment variables (--max-queue is DRAWBRIDGE_MAX_QUEUE) and keys of the YAML file
(maxQueue; docs/configuration.md lists them). A flag beats the environment, and the environment beats
the file. Times are milliseconds or have a unit (500ms, 30s, 10m); sizes are bytes or have one (64KiB,
32MiB).
`
