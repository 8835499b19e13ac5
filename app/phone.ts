import { parsePhoneNumberFromString } from 'libphonenumber-js/max'

/**
 * What a telephone system wrote in a number's place. `e164` is '+' and digits, one spelling per
 * number, so two of them can be compared; it says nothing about whether the number is in use.
 */
export type Phone =
  | { kind: 'withheld' }
  /** Any number that can be dialled: mobiles, landlines, foreign ones. */
  | { kind: 'number'; e164: string }
  /** Israel's 1-800, 1-700, 1-599, 1-900 and the like, as +972 and the ten digits. */
  | { kind: 'service'; e164: string }
  /** A star number, such as '*2700'. */
  | { kind: 'star'; star: string }
  /** A SIP code, a name, words. */
  | { kind: 'text' }
  /** Six digits or fewer: an extension, 100, 2700. */
  | { kind: 'short' }
  | { kind: 'other' }

/** The longest text worth reading. A number with every decoration is half of this. */
const LONGEST = 64

// No Voicenter source says what a withheld caller looks like. These are what exchanges write.
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

/** \p{Cf} is what cannot be seen: the bidi marks that Hebrew screens copy along, joiners, BOMs. */
const visible = (written: string): string => written.replace(/\p{Cf}/gu, '').trim()

/** NFKC makes full-width digits plain ones, but leaves Arabic-Indic digits as they are. */
const plain = (text: string): string =>
  text
    .normalize('NFKC')
    .replace(/[\u0660-\u0669\u06f0-\u06f9]/g, digit => String(digit.charCodeAt(0) & 0xf))
    .replace(/\s+/g, ' ')
    .trim()
    .toLowerCase()

const phone = (e164: string | null): Phone => (e164 ? { kind: 'number', e164 } : { kind: 'other' })

/** `digits` with their country code, if they are a valid number outside +972. */
const foreign = (digits: string): string | null => {
  const parsed = parsePhoneNumberFromString(`+${digits}`)
  return parsed?.isValid() && parsed.countryCallingCode !== '972' ? parsed.number : null
}

/** `digits` that follow +972. Their form is enough: libphonenumber refuses numbers that are in use. */
const israeli = (digits: string): Phone => {
  const national = digits.replace(/^0/, '') // as in +972-(0)50
  if (SERVICE.test(national)) return { kind: 'service', e164: `+972${national}` }
  return phone(/^[1-9]\d{7,8}$/.test(national) ? `+972${national}` : null)
}

const dialled = (digits: string, plus: boolean): Phone => {
  if (/^0+$/.test(digits)) return { kind: 'withheld' }
  if (digits.length <= 6) return digits ? { kind: 'short' } : { kind: 'other' }

  // No country code begins with 0: '+0501234567' is a local number that was given a plus.
  const abroad = plus && digits[0] !== '0' ? digits : /^00([1-9]\d*)$/.exec(digits)?.[1]
  const withCountry = abroad ?? digits
  if (withCountry.startsWith('972')) return israeli(withCountry.slice(3))
  if (abroad) return phone(/^\d{8,15}$/.test(abroad) ? (foreign(abroad) ?? `+${abroad}`) : null)
  // 012 to 019 are the exit codes of Israel's carriers, left standing before a foreign caller.
  if (/^01[2-9]/.test(digits)) return phone(foreign(digits.slice(3)))

  if (/^0[2-9]|^[57]\d{8}$/.test(digits) || SERVICE.test(digits)) return israeli(digits)

  // A guess, so only with the strictest metadata: the default ones accept far more.
  return phone(/^[1-9]\d{9,14}$/.test(digits) ? foreign(digits) : null)
}

/**
 * Reads whatever stands where a number belongs: local, international with or without a plus, a SIP
 * address, nothing. Never throws. Text with letters in it is never searched for digits: a queue's
 * name or a SIP code may contain some, and a message would go to a stranger.
 */
export const readPhone = (written: string | null | undefined): Phone => {
  const seen = visible(written ?? '')
  if (seen === '') return { kind: 'withheld' }
  if (seen.length > LONGEST) return { kind: 'text' }

  const address = plain(seen)
    .replace(/^(?:sips?|tel):/, '')
    .replace(/[@;].*$/s, '')
    .trim()
  if (WITHHELD.has(address)) return { kind: 'withheld' }
  if (/[\p{L}[\p{N}--[0-9]]]/v.test(address)) return { kind: 'text' }

  const star = address.replace(/[\s-]/g, '')
  if (/^\*\d{3,6}$/.test(star)) return { kind: 'star', star }

  const digits = address.replace(/\D/g, '')
  // Feature codes such as *43 and #31# are not part of the number that follows them.
  if (/[*#]/.test(address) && digits.length > 6) return { kind: 'other' }
  return dialled(digits, /^\D*\+/.test(address))
}

/** How a business line is stored and compared: E.164, or the star number as it is; null if neither. */
export const lineOf = (written: string | null | undefined): string | null => {
  const line = readPhone(written)
  if (line.kind === 'star') return line.star
  return line.kind === 'number' || line.kind === 'service' ? line.e164 : null
}

/** By form, not by libphonenumber, whose list of number ranges lags behind the carriers. */
export const isIsraeliMobile = (e164: string): boolean => ISRAELI_MOBILE.test(e164)

/** A number of another country that libphonenumber's full metadata know to be possible there. */
export const isValidForeign = (e164: string): boolean =>
  !isIsraeliMobile(e164) && foreign(e164.slice(1)) === e164

/** One subscriber, two spellings: what WhatsApp or the exchange says may differ from what was dialled. */
const TWO_SPELLINGS: readonly [RegExp, (subscriber: string) => string][] = [
  // Palestinian mobiles, 056 and 059, are reached as +972 and as +970.
  [/^\+970(5[69]\d{7})$/, subscriber => `+972${subscriber}`],
  [/^\+972(5[69]\d{7})$/, subscriber => `+970${subscriber}`],
  // Brazil's ninth digit, Mexico's 1 and Argentina's 9 come and go.
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

/** One name for one subscriber, whichever way her number is written. */
export const personOf = (e164: string): string => spellings(e164).toSorted()[0] ?? e164

/** Who calls, and under which names she, or a line of our own, may be known. */
export const identify = (written: string | null | undefined) => {
  const caller = readPhone(written)
  // Nobody's number is nobody's lead, opt-out or answered call: empty lists match nothing.
  const phones = caller.kind === 'number' ? spellings(caller.e164) : []
  // A line of our own may also be a service or a star number, which is nobody's.
  const line = lineOf(written)
  return { caller, phones, lines: line === null ? phones : [...phones, line] }
}
