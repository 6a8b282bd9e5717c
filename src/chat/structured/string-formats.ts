const hour = '(?:[01]\\d|2[0-3])'
const time = `${hour}:[0-5]\\d:[0-5]\\d(?:\\.\\d{1,9})?(?:Z|[+-]${hour}:[0-5]\\d)`
const leapYear = '(?:\\d\\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)'
const date = `(?:\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|02-(?:0[1-9]|1\\d|2[0-8]))|${leapYear}-02-29)`
const label = '[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?'
/** Of any length, as mail addresses are checked nearly everywhere: counting to 63 takes hundreds of rules. */
const mailLabel = '[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?'
const byte = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)'
const mailbox = '[a-zA-Z0-9!#$%&\'*+/=?^_`{|}~-]+'

const count = '\\d{1,9}'
const days = `(?:${count}Y(?:${count}M)?(?:${count}D)?|${count}M(?:${count}D)?|${count}D)`
const hours = `T(?:${count}H(?:${count}M)?(?:${count}S)?|${count}M(?:${count}S)?|${count}S)`

const group = '[0-9a-fA-F]{1,4}'
/** Up to so many groups on each side of the `::`. */
const shortened = Array.from({ length: 7 }, (_, before) => before === 0
  ? `:(?:(?::${group}){1,7}|:)`
  : `(?:${group}:){${before}}(?:(?::${group}){1,${7 - before}}|:)`)

/**
 * Formats as regular expressions for the whole string. All texts that they match are of the format; docs/structured-output.md says
 * which they leave out.
 */
export const stringFormats: Readonly<Record<string, string>> = {
  date,
  time,
  'date-time': `${date}T${time}`,
  duration: `P(?:${count}W|${days}(?:${hours})?|${hours})`,
  uuid: '[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}',
  ipv4: `(?:${byte}\\.){3}${byte}`,
  ipv6: `(?:(?:${group}:){7}(?:${group}|:)|${shortened.join('|')})`,
  hostname: `${label}(?:\\.${label}){0,2}`,
  email: `${mailbox}(?:\\.${mailbox})*@(?:${mailLabel}\\.)+${mailLabel}`
}
