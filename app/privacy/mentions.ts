/** Whether a text names a person, whatever the spelling of their number. */
import { parsePhoneNumberFromString } from 'libphonenumber-js/max'

/** The numbers of a person in E.164, and other ids that stand only for this person. */
export type Names = { phones: readonly string[]; others: readonly string[] }

/** What people write between the digits of a number. */
const BETWEEN = String.raw`[\s().\/_+\p{Pd}]{0,4}`
/** The exit codes of the Israeli carriers, and 00. */
const EXIT = `(?:00|01[2-9])?`

/** Splits a number into its country code and the rest. */
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
      ? // Without the leading 0, only forms that cannot be a date or a time. app/phone.ts has the same rule.
        `(?:${abroad}|0${/^[57]\d{8}$/.test(subscriber) ? '?' : ''})`
      : abroad
  return `${before}${BETWEEN}${subscriber.split('').join(BETWEEN)}`
}

/**
 * Whether a text contains one of the numbers, local or international, with separators between the digits, or one of the
 * other ids. A longer number that contains these digits is a different number.
 */
export const mentions = ({ phones, others }: Names): ((written: string) => boolean) => {
  const number = new RegExp(`(?<!\\d)(?:${phones.map(formOf).join('|')})(?!\\d)`, 'u')
  return written =>
    [written, unescaped(written)].some(
      text =>
        (phones.length > 0 && number.test(plain(text))) || others.some(name => text.includes(name)),
    )
}

/** Converts digits of other scripts, and removes invisible characters. */
const plain = (text: string): string =>
  text
    .normalize('NFKC')
    .replace(/[\u0660-\u0669\u06f0-\u06f9]/g, digit => String(digit.charCodeAt(0) & 0xf))
    .replace(/\p{Cf}/gu, '')

/** Decodes what forms and JSON escape: %2D, \u002d. */
const unescaped = (text: string): string =>
  text
    .replace(/\\u([0-9a-f]{4})/gi, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    )
    .replace(/(?:%[0-9a-f]{2})+/gi, run =>
      Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8'),
    )

/** The text of a body in UTF-8 or UTF-16. In UTF-16 every second byte of a digit is NUL. */
export const readable = (bytes: Buffer): string =>
  new TextDecoder().decode(bytes).replaceAll('\0', '')

/**
 * Two regular expressions for Postgres that match every text in which `mentions` could find the person, and few others:
 * the digits in order, with no other digit between them. `text` is for text. `bytes` is for a body as
 * encode(body, 'escape') writes it: \000 to \377 for bytes that are not ASCII, and \\ for \.
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

/** A digit: plain, full-width, Arabic-Indic, Persian, percent-encoded, or escaped in JSON. */
const textDigit = (d: number): string =>
  `(?:[${d}${[0xff10, 0x0660, 0x06f0].map(zero => String.fromCharCode(zero + d)).join('')}]|%3${d}|\\\\u003${d})`
const byteDigit = (d: number): string =>
  `(?:${d}|${[0xff10, 0x0660, 0x06f0].map(zero => octal(String.fromCharCode(zero + d))).join('|')}|%3${d}|\\\\\\\\u003${d})`
const octal = (digit: string): string =>
  [...Buffer.from(digit)].map(byte => `\\\\${byte.toString(8)}`).join('')
