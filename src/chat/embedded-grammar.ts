/** What may hold letters that are no name of a rule: literals, classes, comments, numbers of repetitions. The last alternative is a name. */
const symbols = /"(?:\\[^]|[^"\\])*"|\[(?:\\[^]|[^\]\\])*\]|#[^\r\n]*|\{[^}]*\}|([a-zA-Z0-9-]+)/g

const prefix = 'format-'

/** The name of an embedded grammar's root. */
export const embeddedRoot = `${prefix}root`

/**
 * A grammar as a part of another one: its root and what both call by the same name have other names. The rest stays, since grammars are
 * large.
 * @param grammar GBNF that has been checked
 * @param taken names in the other one
 */
export const embeddedGrammar = (grammar: string, taken: { has (name: string): boolean }): string =>
  grammar.replace(symbols, (symbol: string, name: string | undefined) =>
    name !== undefined && (name === 'root' || name.startsWith(prefix) || taken.has(name)) ? `${prefix}${name}` : symbol)
