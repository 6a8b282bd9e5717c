import type { PromptSegment } from '../inference/inference.ts'
import { ServerError } from '../domain/errors.ts'

/**
 * Keeps users' text from becoming control tokens on its way through a chat template.
 *
 * A template sees users' strings and glues them to its own text, so afterwards nobody can tell whose `<|im_end|>` it was.
 * Therefore every control text in a user's string is wrapped in a pair of marks before rendering and cut out as a segment
 * of its own afterwards. All other text stays as it was, so that a template's own tests and trims still work and benign
 * text is tokenized exactly as the model's authors do.
 *
 * That leaves control texts that come about only in the template: from two neighbouring strings, or when a template
 * removes what was between the halves. They are found by a second rendering in which every character of a user's string
 * that could begin or end a control text is wrapped too. When both renderings hold the same control texts, the first one
 * is right; otherwise the second one, in which nothing of a user's can begin or end one, is used instead.
 */
export interface UserTextGuard {
  /**
   * @param texts every string of the request that the template will see
   * @param render renders the template with each string passed through `mark`
   * @throws ServerError `invalid_value` when the texts use up all characters that could serve as marks, or would need too many of them
   */
  render (texts: readonly string[], render: (mark: (text: string) => string) => string): readonly PromptSegment[]
}

type Mark = (text: string) => string

/**
 * Characters in users' strings that could begin or end a control text. Each gets a pair of marks, and V8 needs some hundred bytes to put
 * them there; what it cannot hold ends the process.
 */
const mostEdges = 1_000_000
/** Pieces of users' and of the template's text. Each is an object that goes to another thread or process. */
const mostSegments = 32_768

interface Marks {
  readonly open: string
  readonly close: string
  /** Stands for a user's text where only the template's is looked at. */
  readonly gap: string
}

/** Unicode's noncharacters for internal use, then the private use area: [first, last]. */
const markRanges = [[0xfdd0, 0xfdef], [0xe000, 0xf8ff]] as const
const markCandidates = /[\uFDD0-\uFDEF\uE000-\uF8FF]/g

const escapePattern = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')

function chooseMarks (texts: readonly string[]): Marks {
  const taken = new Set<string>()
  for (const text of texts) {
    for (const match of text.matchAll(markCandidates)) taken.add(match[0])
  }
  const free: string[] = []
  for (const [first, last] of markRanges) {
    for (let code = first; code <= last; code++) {
      const mark = String.fromCharCode(code)
      if (!taken.has(mark)) free.push(mark)
      const [open, close, gap] = free
      if (open !== undefined && close !== undefined && gap !== undefined) return { open, close, gap }
    }
  }
  throw new ServerError('invalid_value', 'The messages use every private-use character of Unicode\'s basic plane; leave some out', { param: 'messages' })
}

/**
 * @param controlTexts literal texts of the model's control tokens
 * @param templateSource its characters are not used as marks
 */
export function createUserTextGuard (controlTexts: readonly string[], templateSource: string): UserTextGuard {
  const literals = [...new Set(controlTexts)].filter((text) => text !== '').sort((a, b) => b.length - a.length)
  if (literals.length === 0) {
    return { render: (_texts, render) => [{ text: render((text) => text), origin: 'template' }] }
  }

  const anyLiteral = literals.map(escapePattern).join('|')
  const literalPattern = new RegExp(anyLiteral, 'gu')
  const anyLiteralPattern = new RegExp(anyLiteral, 'u')
  const edgeCharacters = [...new Set(literals.flatMap((text) => [[...text].at(0) ?? '', [...text].at(-1) ?? '']))]
  const anyEdge = edgeCharacters.map(escapePattern).join('|')
  const edgePattern = new RegExp(anyEdge, 'u')
  const edges = new Set(edgeCharacters.map((character) => character.codePointAt(0)))
  // The first visible character is matched before what precedes it is looked at: the other way round, every character of a
  // long run of spaces would look back over all of it.
  const heavyPattern = new RegExp(`${anyLiteral}|${anyEdge}|\\S(?<=^\\s*\\S)|\\S(?=\\s*$)`, 'gu')

  function checkEdges (texts: readonly string[]): void {
    let count = 0
    for (const text of texts) {
      for (let index = 0; index < text.length; index++) if (edges.has(text.codePointAt(index))) count++
    }
    if (count > mostEdges) {
      throw new ServerError('invalid_value', `The messages have ${count} characters that could be part of a control token; the limit is ${mostEdges}`, { param: 'messages' })
    }
  }

  /** Whether the text could have a part in a control text. */
  const isRisky = (text: string): boolean => {
    if (edgePattern.test(text)) return true
    const core = text.trim()
    return core !== '' && literals.some((literal) => literal.includes(core))
  }

  // A mark without its partner is what a template left of a pair; what it enclosed is then read as template text, and
  // comparing the renderings tells whether that matters. So are two marks of different pairs, between which a template wrote
  // a control text: a pair holds one and nothing else.
  const markPattern = ({ open, close }: Marks): RegExp => new RegExp(`${open}([^${open}${close}]*)${close}|[${open}${close}]`, 'gu')
  const isOfUser = (text: string): boolean => text.match(literalPattern)?.[0].length === text.length || !anyLiteralPattern.test(text)

  function segmentsOf (rendered: string, marks: Marks): PromptSegment[] {
    const segments: PromptSegment[] = []
    const push = (text: string, origin: PromptSegment['origin']): void => {
      if (text === '') return
      const last = segments.at(-1)
      if (last?.origin === origin) segments[segments.length - 1] = { text: last.text + text, origin }
      else if (segments.push({ text, origin }) > mostSegments) {
        throw new ServerError('invalid_value', `The messages hold texts of control tokens too often; the prompt may consist of ${mostSegments} pieces`, { param: 'messages' })
      }
    }
    let position = 0
    for (const match of rendered.matchAll(markPattern(marks))) {
      push(rendered.slice(position, match.index), 'template')
      const text = match[1] ?? ''
      push(text, isOfUser(text) ? 'user' : 'template')
      position = match.index + match[0].length
    }
    push(rendered.slice(position), 'template')
    return segments
  }

  /** The control texts in template text, in order. Single characters, of which a text may have a million, are cut out all at once. */
  function controlsOf (rendered: string, marks: Marks): readonly string[] {
    const { open, close, gap } = marks
    const ofTemplate = rendered
      .replace(new RegExp(`${open}[^${open}${close}]${close}`, 'gu'), gap)
      .replace(markPattern(marks), (_marked, text = '') => isOfUser(text) ? (text === '' ? '' : gap) : text)
    return ofTemplate.match(literalPattern) ?? []
  }

  return {
    render (texts, render) {
      if (!texts.some(isRisky)) return [{ text: render((text) => text), origin: 'template' }]

      checkEdges(texts)
      const marks = chooseMarks([...texts, templateSource])
      const wrap = (pattern: RegExp): Mark => (text) => text.replace(pattern, `${marks.open}$&${marks.close}`)
      const light = render(wrap(literalPattern))
      const heavy = render(wrap(heavyPattern))
      const lightControls = controlsOf(light, marks)
      const heavyControls = controlsOf(heavy, marks)
      const isSame = lightControls.length === heavyControls.length && lightControls.every((text, index) => text === heavyControls[index])
      return segmentsOf(isSame ? light : heavy, marks)
    }
  }
}
