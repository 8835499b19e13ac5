import { parsePhoneNumberFromString } from 'libphonenumber-js/max'

/**
 * A phone number, or the text that a phone system wrote instead of one. `e164` is '+' and digits, with one spelling for
 * each number, so that numbers can be compared. A number is not necessarily in use.
 */
export type Phone =
  | { kind: 'withheld' }
  /** Any number that can be dialled: mobile, landline or foreign. */
  | { kind: 'number'; e164: string }
  /** Israel's 1-800, 1-700, 1-599, 1-900 and the like, as +972 and the ten digits. */
  | { kind: 'service'; e164: string }
  /** A star number, such as '*2700'. */
  | { kind: 'star'; star: string }
  /** A SIP code, a name or other words. */
  | { kind: 'text' }
  /** At most six digits: an extension, 100, 2700. */
  | { kind: 'short' }
  | { kind: 'other' }

/** A number with all its decoration has half of this length. */
const MAX_LENGTH = 64

// Voicenter does not document how it writes a withheld caller. These are what phone systems write.
const WITHHELD = new Set([
  '-1',
  'anonymous',
  'restricted',
  'private',
  'unknown',
  'unavailable',
  'withheld',
  'חסוי',
  'מספר חסוי',
])

const ISRAELI_MOBILE = /^\+9725\d{8}$|^\+9705[69]\d{7}$/
const SERVICE = /^1[5789]\d{8}$/

/** \p{Cf} is invisible: the bidi marks that are copied from Hebrew screens, joiners, BOMs. */
const visible = (written: string): string => written.replace(/\p{Cf}/gu, '').trim()

/** NFKC converts full-width digits but not Arabic-Indic digits. */
const plain = (text: string): string =>
  text
    .normalize('NFKC')
    .replace(/[\u0660-\u0669\u06f0-\u06f9]/g, digit => String(digit.charCodeAt(0) & 0xf))
    .replace(/\s+/g, ' ')
    .trim()
    .toLowerCase()

const phone = (e164: string | null): Phone => (e164 ? { kind: 'number', e164 } : { kind: 'other' })

/** Reads digits that begin with a country code. Null if they are not a valid number outside +972. */
const foreign = (digits: string): string | null => {
  const parsed = parsePhoneNumberFromString(`+${digits}`)
  return parsed?.isValid() && parsed.countryCallingCode !== '972' ? parsed.number : null
}

/** Reads the digits after +972. Only their form is checked: libphonenumber rejects numbers that are in use. */
const israeli = (digits: string): Phone => {
  const national = digits.replace(/^0/, '') // as in +972-(0)50
  if (SERVICE.test(national)) return { kind: 'service', e164: `+972${national}` }
  return phone(/^[1-9]\d{7,8}$/.test(national) ? `+972${national}` : null)
}

const dialled = (digits: string, plus: boolean): Phone => {
  if (/^0+$/.test(digits)) return { kind: 'withheld' }
  if (digits.length <= 6) return digits ? { kind: 'short' } : { kind: 'other' }

  // No country code begins with 0: '+0501234567' is a local number with a plus in front.
  const abroad = plus && digits[0] !== '0' ? digits : /^00([1-9]\d*)$/.exec(digits)?.[1]
  const withCountry = abroad ?? digits
  if (withCountry.startsWith('972')) return israeli(withCountry.slice(3))
  if (abroad) return phone(/^\d{8,15}$/.test(abroad) ? (foreign(abroad) ?? `+${abroad}`) : null)
  // 012 to 019 are exit codes of Israeli carriers that were left in front of a foreign caller's number.
  if (/^01[2-9]/.test(digits)) return phone(foreign(digits.slice(3)))

  if (/^0[2-9]|^[57]\d{8}$/.test(digits) || SERVICE.test(digits)) return israeli(digits)

  // This is a guess, so it uses libphonenumber's strictest metadata. The default accepts far more.
  return phone(/^[1-9]\d{9,14}$/.test(digits) ? foreign(digits) : null)
}

/**
 * Reads any text in place of a number: local, international with or without a plus, a SIP address, or nothing. Never
 * throws. It does not search text with letters for digits: the name of a queue or a SIP code may contain digits, and a
 * message would go to another person.
 */
export const readPhone = (written: string | null | undefined): Phone => {
  const seen = visible(written ?? '')
  if (seen === '') return { kind: 'withheld' }
  if (seen.length > MAX_LENGTH) return { kind: 'text' }

  const address = plain(seen)
    .replace(/^(?:sips?|tel):/, '')
    .replace(/[@;].*$/s, '')
    .trim()
  if (WITHHELD.has(address)) return { kind: 'withheld' }
  if (/[\p{L}[\p{N}--[0-9]]]/v.test(address)) return { kind: 'text' }

  const star = address.replace(/[\s-]/g, '')
  if (/^\*\d{3,6}$/.test(star)) return { kind: 'star', star }

  const digits = address.replace(/\D/g, '')
  // A feature code such as *43 or #31# is not part of the number after it.
  if (/[*#]/.test(address) && digits.length > 6) return { kind: 'other' }
  return dialled(digits, /^\D*\+/.test(address))
}

/** The form in which a business's number is stored and compared: E.164, or a star number. Null if it is neither. */
export const lineOf = (written: string | null | undefined): string | null => {
  const line = readPhone(written)
  if (line.kind === 'star') return line.star
  return line.kind === 'number' || line.kind === 'service' ? line.e164 : null
}

/** Checks the form. libphonenumber's list of number ranges lags behind the carriers. */
export const isIsraeliMobile = (e164: string): boolean => ISRAELI_MOBILE.test(e164)

/** A foreign number that is valid according to libphonenumber's full metadata. */
export const isValidForeign = (e164: string): boolean =>
  !isIsraeliMobile(e164) && foreign(e164.slice(1)) === e164

/** Numbers with two spellings: WhatsApp or the phone system may use another spelling than the caller dialled. */
const TWO_SPELLINGS: readonly [RegExp, (subscriber: string) => string][] = [
  // Palestinian mobiles (056 and 059) are reached as +972 and as +970.
  [/^\+970(5[69]\d{7})$/, subscriber => `+972${subscriber}`],
  [/^\+972(5[69]\d{7})$/, subscriber => `+970${subscriber}`],
  // Brazil's ninth digit, Mexico's 1 and Argentina's 9 are optional.
  [/^\+55(\d{2}9\d{8})$/, subscriber => `+55${subscriber.slice(0, 2)}${subscriber.slice(3)}`],
  [/^\+55(\d{2}[6-9]\d{7})$/, subscriber => `+55${subscriber.slice(0, 2)}9${subscriber.slice(2)}`],
  [/^\+521(\d{10})$/, subscriber => `+52${subscriber}`],
  [/^\+52(\d{10})$/, subscriber => `+521${subscriber}`],
  [/^\+549(\d{10})$/, subscriber => `+54${subscriber}`],
  [/^\+54(\d{10})$/, subscriber => `+549${subscriber}`],
]

/** All E.164 spellings of one subscriber, the given one first. */
export const spellings = (e164: string): string[] => {
  for (const [form, other] of TWO_SPELLINGS) {
    const subscriber = form.exec(e164)?.[1]
    if (subscriber) return [e164, other(subscriber)]
  }
  return [e164]
}

/** The same name for all spellings of a number. */
export const personOf = (e164: string): string => spellings(e164).toSorted()[0] ?? e164

/** Reads a caller, with the numbers under which a person or one of the business's lines may be stored. */
export const identify = (written: string | null | undefined) => {
  const caller = readPhone(written)
  // Without a number there is no lead, opt-out or answered call to find: an empty list matches nothing.
  const phones = caller.kind === 'number' ? spellings(caller.e164) : []
  // A line of the business may also be a service or a star number, which no person has.
  const line = lineOf(written)
  return { caller, phones, lines: line === null ? phones : [...phones, line] }
}
