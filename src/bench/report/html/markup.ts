/** Text that is already HTML or SVG. */
export class Markup {
  readonly text: string

  constructor (text: string) { this.text = text }
}

/** What goes between tags or into a quoted attribute. Null and false leave nothing. */
export type Content = Markup | string | number | null | false | readonly Content[]

/**
 * Markup with everything put into it escaped, in elements and in quoted attributes alike, except for other markup. Numbers
 * are meant as coordinates: they get two decimals at most, and 0 stands in for what is not finite.
 */
export function html (parts: TemplateStringsArray, ...contents: readonly Content[]): Markup {
  let text = parts[0] ?? ''
  contents.forEach((content, index) => { text += toText(content) + (parts[index + 1] ?? '') })
  return new Markup(text)
}

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', '\'': '&#39;' }

/**
 * Control characters and halves of surrogate pairs, which no XML may have, become U+FFFD; and so do the characters that
 * turn the direction of text, with which a name could make the text after it read otherwise.
 */
export function escapeHtml (text: string): string {
  return text.toWellFormed()
    // eslint-disable-next-line no-control-regex
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\u202a-\u202e\u2066-\u2069\ufffe\uffff]/g, '\ufffd')
    .replace(/[&<>"']/g, (character) => entities[character] ?? '')
}

function toText (content: Content): string {
  if (content instanceof Markup) return content.text
  if (typeof content === 'string') return escapeHtml(content)
  if (typeof content === 'number') return Number.isFinite(content) ? String(Math.round(content * 100) / 100) : '0'
  if (Array.isArray(content)) return content.map(toText).join('')
  return ''
}
