import { wrapText } from '../config/wrap-text.ts'
import { definitions } from './report/definitions.ts'
import { benchOptions, type BenchOption } from './options.ts'

/** What `drawbridge bench --help` prints. */
export function benchHelp (): string {
  const options: readonly BenchOption[] = benchOptions
  const groups = [...new Set(options.map(({ group }) => group))].map((group) =>
    `${group}\n${options.filter((option) => option.group === group).map(describe).join('\n')}`)
  return `${introduction}\n${groups.join('\n\n')}\n\nWhat the figures mean\n${definitions.map(({ name, text }) => `  ${name}\n${wrapText(text)}`).join('\n')}\n`
}

const describe = ({ flag, placeholder, summary }: BenchOption): string =>
  `  --${flag}${placeholder === null ? '' : ` ${placeholder}`}\n${wrapText(`${summary}.`)}`

const introduction = `Puts load on an OpenAI-compatible server and measures what its users would feel.

Usage
  drawbridge bench [URL] [options]

Examples
  drawbridge bench
      Eight users at a time against http://127.0.0.1:8080/v1.
  drawbridge bench --concurrency auto --html report.html
      More and more users until the server gains nothing; with plots.
  drawbridge bench --rate 2,4,8,16 --duration 30s --goodput ttft:500 tpot:100
      Requests at random times; how many were answered in time at each rate?
  drawbridge bench http://127.0.0.1:8080/v1 --vs http://127.0.0.1:8081/v1 --html report.html
      Two servers in turn, on the same questions.
  drawbridge bench --workload shared-prefix --models base,pirate,french --model-mix zipf
      A long system prompt each, over several adapters.
`
