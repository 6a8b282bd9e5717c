/** What may hold letters that are no name of a rule: literals, classes, comments, numbers of repetitions. The last alternative is a name. */
const symbols = /"(?:\\[^]|[^"\\])*"|\[(?:\\[^]|[^\]\\])*\]|#[^\r\n]*|\{[^}]*\}|([a-zA-Z0-9-]+)/g

/**
 * A grammar all of whose rules have names that begin with the prefix, so that it can be a part of another one.
 * @param grammar GBNF that has been checked
 */
export const prefixedGrammar = (grammar: string, prefix: string): string =>
  grammar.replace(symbols, (symbol: string, name: string | undefined) => name === undefined ? symbol : `${prefix}${name}`)
