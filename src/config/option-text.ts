import type { Option, OptionGroup } from './options.ts'
import { allowedWords, defaultText } from './option-schema.ts'
import { options, variableName } from './options.ts'

/** Longer lists of words are for the pages that explain them. */
const mostWords = 10

/** `--gpu off|cuda|…`, `--port N`, `--insecure-no-auth`. */
export function usageOf (option: Option): string {
  if (!option.hasFlag) return ''
  const words = allowedWords(option)
  const takesOnlyWords = option.kind === 'text' && words.length > 0
  if (takesOnlyWords && words.length > mostWords) return `--${option.flag} ${option.placeholder}`
  const value = takesOnlyWords ? words.join('|') : [...words, option.placeholder].filter((text) => text !== '').join('|')
  return value === '' ? `--${option.flag}` : `--${option.flag} ${value}`
}

/** The default in words: `auto (1)`, `8080`, `none`; empty for switches. */
export function defaultOf (option: Option): string {
  if (option.kind === 'switch') return ''
  const text = defaultText(option)
  if (option.defaultNote === undefined) return text ?? ''
  return text === null ? option.defaultNote : `${text} (${option.defaultNote})`
}

/** The options of each group, in the order of the list. */
export function optionGroups (): ReadonlyMap<OptionGroup, readonly Option[]> {
  const groups = new Map<OptionGroup, Option[]>()
  for (const option of options) groups.set(option.group, [...groups.get(option.group) ?? [], option])
  return groups
}

/** The table of options in Markdown, as it stands in the README and in `docs/configuration.md`. */
export function optionTable (group: OptionGroup): string {
  const rows = (optionGroups().get(group) ?? []).map((option) => {
    const usage = option.hasFlag ? escapeCell(`\`${usageOf(option)}\``) : ''
    const variable = option.hasVariable ? `\`${variableName(option)}\`` : ''
    const key = option.fileKey === null ? '' : `\`${option.fileKey}\``
    return `| ${usage} | ${escapeCell(option.summary)} | ${escapeCell(defaultOf(option))} | ${variable} | ${key} |`
  })
  return ['| Flag | Meaning | Default | Variable | Key in the file |', '| --- | --- | --- | --- | --- |', ...rows].join('\n')
}

/** Flags and meanings only, all groups but the fake engine's. */
export function shortOptionTable (): string {
  const rows = options.filter((option) => option.group !== 'Fake engine' && option.hasFlag).map((option) =>
    `| ${escapeCell(`\`${usageOf(option)}\``)} | ${escapeCell(option.summary)} | ${escapeCell(defaultOf(option))} |`)
  return ['| Flag | Meaning | Default |', '| --- | --- | --- |', ...rows].join('\n')
}

const escapeCell = (text: string): string => text.replaceAll('|', '\\|')
