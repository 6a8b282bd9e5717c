import { gbnfClass, gbnfRepeat } from './gbnf-text.ts'
import type { GrammarRules } from './grammar-rules.ts'

/** What a JSON string holds as it is: no quote, no backslash, no control character, no half of a surrogate pair. */
export const plainInJson = [[0x20, 0x21], [0x23, 0x5b], [0x5d, 0xd7ff], [0xe000, 0x10ffff]] as const

/** Behind a comma and a colon there may be one blank, and nowhere else: so no answer can go on for ever with blanks. */
export const blank = '" "?'
export const comma = `"," ${blank}`
export const colon = `":" ${blank}`

const quote = '"\\""'

/**
 * A character of a JSON string: as it is, or in any escape. Two `\u` escapes of a surrogate pair are one character, as JSON
 * Schema counts them; half of a pair is none.
 */
const characterRule = (rules: GrammarRules): string => rules.share('char', () => {
  const hex = '[0-9a-fA-F]'
  const unit = `( [0-9a-cA-CefEF] ${hex}{3} | [dD] [0-7] ${hex}{2} )`
  const pair = `[dD] [89abAB] ${hex}{2} "\\\\u" [dD] [c-fC-F] ${hex}{2}`
  return `${gbnfClass(plainInJson)} | "\\\\" ( ["\\\\/bfnrt] | "u" ( ${unit} | ${pair} ) )`
})

/** @param most Infinity for no limit; in characters, as is `least` */
export function jsonString (rules: GrammarRules, least = 0, most = Infinity): string {
  return rules.share('string', () => `${quote} ${gbnfRepeat(characterRule(rules), least, most)} ${quote}`, `string ${least} ${most}`)
}

/** So many digits stay what they are when they are read as a double. */
export const exactDigits = 15

export const jsonInteger = (rules: GrammarRules): string =>
  rules.share('integer', () => `"-"? ( "0" | [1-9] [0-9]{0,${exactDigits - 1}} )`)

/** All that a double is printed as, and nothing that is read as infinite. */
export const jsonNumber = (rules: GrammarRules): string =>
  rules.share('number', () => '"-"? ( "0" | [1-9] [0-9]{0,20} ) ( "." [0-9]{1,24} )? ( [eE] ( "-" [0-9]{1,3} | "+"? [0-9]{1,2} ) )?')

export const jsonBoolean = '"true" | "false"'
export const jsonNull = '"null"'

export const jsonObject = (rules: GrammarRules): string => rules.share('object', () => {
  const member = `${jsonString(rules)} ${colon} ${jsonValue(rules)}`
  return `"{" ( ${member} ( ${comma} ${member} )* )? "}"`
})

export const jsonArray = (rules: GrammarRules): string => rules.share('array', () =>
  `"[" ( ${jsonValue(rules)} ( ${comma} ${jsonValue(rules)} )* )? "]"`)

export const jsonValue = (rules: GrammarRules): string => rules.share('value', () =>
  [jsonObject(rules), jsonArray(rules), jsonString(rules), jsonNumber(rules), jsonBoolean, jsonNull].join(' | '))
