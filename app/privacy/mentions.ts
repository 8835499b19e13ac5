import { parsePhoneNumberFromString } from 'libphonenumber-js/max'

/** How somebody is known: numbers in E.164, and whatever else stands for her and nobody else, letter by letter. */
export type Names = { phones: readonly string[]; others: readonly string[] }

/** What people put between the digits of a number. */
const BETWEEN = String.raw`[\s().\/_+\p{Pd}]{0,4}`
/** The carriers' exit codes, and the common one. */
const EXIT = `(?:00|01[2-9])?`

/** A number as it is written after a country code. */
const partsOf = (e164: string): { country: string; subscriber: string } => {
  const israeli = /^\+972(\d+)$/.exec(e164)?.[1]
  if (israeli) return { country: '972', subscriber: israeli }
  const parsed = parsePhoneNumberFromString(e164)
  return parsed
    ? { country: parsed.countryCallingCode, subscriber: parsed.nationalNumber }
    : { country: '', subscriber: e164.slice(1) }
}

const formOf = (e164: string): string => {
  const { country, subscriber } = partsOf(e164)
  const abroad = `${EXIT}${country.split('').join(BETWEEN)}${BETWEEN}0?`
  const before =
    country === '972'
      ? // Without its 0 only what cannot be a date or a time: as telephone numbers are read everywhere here.
        `(?:${abroad}|0${/^[57]\d{8}$/.test(subscriber) ? '?' : ''})`
      : abroad
  return `${before}${BETWEEN}${subscriber.split('').join(BETWEEN)}`
}

/**
 * Whether a text names her: her number in any spelling, local or international, with whatever stands between its
 * digits, or any of her other names. A longer number that only contains hers is another one.
 */
export const mentions = ({ phones, others }: Names): ((written: string) => boolean) => {
  const number = new RegExp(`(?<!\\d)(?:${phones.map(formOf).join('|')})(?!\\d)`, 'u')
  return written =>
    [written, unescaped(written)].some(
      text =>
        (phones.length > 0 && number.test(plain(text))) || others.some(name => text.includes(name)),
    )
}

/** Digits of any script as ours, and without what cannot be seen. */
const plain = (text: string): string =>
  text
    .normalize('NFKC')
    .replace(/[\u0660-\u0669\u06f0-\u06f9]/g, digit => String(digit.charCodeAt(0) & 0xf))
    .replace(/\p{Cf}/gu, '')

/** As a form and JSON hide signs: %2D, \u002d. */
const unescaped = (text: string): string =>
  text
    .replace(/\\u([0-9a-f]{4})/gi, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    )
    .replace(/(?:%[0-9a-f]{2})+/gi, run =>
      Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8'),
    )

/** The text of a body whatever its encoding: in UTF-16 every other byte of a digit is NUL. */
export const readable = (bytes: Buffer): string =>
  new TextDecoder().decode(bytes).replaceAll('\0', '')

/**
 * Two regular expressions for Postgres that let through everything in which `mentions` might find somebody, and
 * hardly anything else: her digits in their order, with no other digit between them. One for text, and one for
 * the bytes of a body as encode(body, 'escape') writes them: \000 to \377 for what is not ASCII, \\ for \.
 */
export const sieve = ({ phones, others }: Names): { text: string; bytes: string } => {
  const subscribers = [...new Set(phones.map(phone => partsOf(phone).subscriber))]
  const names = others.map(name => name.replace(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`))
  const inOrder = (digit: (d: number) => string, between: string) => [
    ...subscribers.map(digits =>
      digits
        .split('')
        .map(d => digit(Number(d)))
        .join(between),
    ),
    ...names,
  ]
  return {
    text: inOrder(textDigit, String.raw`(?:\\u[0-9a-fA-F]{4}|%[0-9a-fA-F]{2}|[^0-9])*`).join('|'),
    bytes: inOrder(
      byteDigit,
      String.raw`(?:\\\\u[0-9a-fA-F]{4}|%[0-9a-fA-F]{2}|\\[0-7]{3}|[^0-9])*`,
    ).join('|'),
  }
}

/** Plain, full-width, Arabic-Indic and Persian, percent-encoded, escaped in JSON. */
const textDigit = (d: number): string =>
  `(?:[${d}${[0xff10, 0x0660, 0x06f0].map(zero => String.fromCharCode(zero + d)).join('')}]|%3${d}|\\\\u003${d})`
const byteDigit = (d: number): string =>
  `(?:${d}|${[0xff10, 0x0660, 0x06f0].map(zero => octal(String.fromCharCode(zero + d))).join('|')}|%3${d}|\\\\\\\\u003${d})`
const octal = (sign: string): string =>
  [...Buffer.from(sign)].map(byte => `\\\\${byte.toString(8)}`).join('')
