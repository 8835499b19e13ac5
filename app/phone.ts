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

/** Values that mean "none" in an export, a form, a log or a spreadsheet (#N/A, #REF!), and empty brackets. */
const PLACEHOLDER =
  /^(?:[-–—_.?()[\]{}<>"']+|[([{<"']*(?:null|nil|none|undefined|nan|n[./\\]?a\.?|empty|blank)[)\]}>"']*|\\n|#(?:n\/a|[a-z]+(?:\/0)?[!?]))$/i

/** Whether a value stands for "none". A zero is not such a value here: in a duration it is a number. */
export const isPlaceholder = (written: string): boolean => PLACEHOLDER.test(written.trim())

// Voicenter does not document how it writes a hidden caller. Phone systems write a word for it, with or without words
// such as "number" around it, in the language of the account.
const HIDDEN = words(`
  anonymous anonymus anonym anon restricted private unknown unavailable withheld hidden blocked confidential masked secret
  unidentified undisclosed unlisted unpublished suppressed invisible concealed prohibited prohib zero clir
  חסוי חסויה חסויים מוסתר מוסתרת נסתר נסתרת חסום חסומה פרטי פרטית אנונימי אנונימית סודי סודית מוגבל מוגבלת עלום עלומה
  מוצפן אפס סמוי סמויה אלמוני אלמונית
  скрыт скрыто скрытый неизвестен неизвестно неизвестный аноним анонимно анонимный засекречен засекреченный
  خاص خاصة محجوب محجوبة مجهول مجهولة مخفي مخفية`)
/** With NOT before them: "not available", "לא ידוע". */
const KNOWN = words(`
  available known identified shown disclosed provided presented given displayed screened
  ידוע ידועה מזוהה מזוהית זמין זמינה נמסר נמסרה מוכר מוכרת קיים קיימת מוצג מוצגת ניתן
  определен определён известен معروف معروفة متوفر`)
const NOT = words('not non no without לא בלתי ללא אין בלי не нет без غير بدون')
/** Words that say nothing: "private number", "no caller id", "שיחה חסויה". */
const FILLER = words(`
  number num call caller callers calling id cid callerid clid cli phone telephone line user name subscriber party by the is
  has their identity identification presentation pres display area incoming invalid
  מספר המספר ממספר מס שיחה השיחה נכנסת מתקשר מתקשרת המתקשר טלפון הטלפון נייד מזהה זיהוי לזיהוי חיוג מנוי קו לקוח שם
  номер номера абонент вызов звонок رقم الرقم متصل المتصل مكالمة`)
/** The keys of a phone: some systems send a word as the digits that spell it, such as 266696687 for ANONYMOUS. */
const KEYS = 'abc2def3ghi4jkl5mno6pqrs7tuv8wxyz9'
const SPELLED = new Set(
  ['anonymous', 'restricted', 'private', 'unknown', 'unavailable', 'withheld', 'blocked'].map(
    word =>
      word.replace(/[a-z]/g, letter => /\d/.exec(KEYS.slice(KEYS.indexOf(letter)))?.[0] ?? ''),
  ),
)

/** One of these words, for a regular expression. */
function words(list: string): string {
  return list.trim().replace(/\s+/g, '|')
}

/** Words that say "hidden" or "not", with any of the others: also as one word, since noCallerID has no spaces. */
const SAYS_HIDDEN = (() => {
  const any = `(?:${HIDDEN}|${KNOWN}|${NOT}|${FILLER})*`
  return new RegExp(`^${any}(?:${HIDDEN}|${NOT})${any}$`)
})()

/** Whether these words say that there is no number. `text` is in lower case. */
const saysHidden = (text: string): boolean => {
  if (isPlaceholder(text)) return true
  if (/^[-\d]*$/.test(text)) return text === '-1' || SPELLED.has(text)
  const letters = text.replace(/[^\p{L}\p{N}]+/gu, '')
  return /^outof(?:the)?(?:service)?area$/.test(letters) || SAYS_HIDDEN.test(letters)
}

const reversed = (text: string): string =>
  Array.from(text, letter => letter)
    .toReversed()
    .join('')

/** Some old systems send Hebrew from its last letter to its first. */
const isHidden = (text: string): boolean =>
  saysHidden(text) || (/\p{Script=Hebrew}/u.test(text) && saysHidden(reversed(text)))

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
  // Zeros behind the code of the mobiles.
  if (/^5?0+$/.test(national)) return { kind: 'withheld' }
  if (SERVICE.test(national)) return { kind: 'service', e164: `+972${national}` }
  return phone(/^[1-9]\d{7,8}$/.test(national) ? `+972${national}` : null)
}

const dialled = (digits: string, plus: boolean): Phone => {
  // Also zeros behind a country code or an area code.
  if (/^(?:972|05)?0+$/.test(digits)) return { kind: 'withheld' }
  if (digits.length <= 6) return digits ? { kind: 'short' } : { kind: 'other' }

  // No country code begins with 0: '+0501234567' is a local number with a plus in front.
  const abroad = plus && digits[0] !== '0' ? digits : /^00([1-9]\d*)$/.exec(digits)?.[1]
  const withCountry = abroad ?? digits
  if (withCountry.startsWith('972')) return israeli(withoutCountry(withCountry))
  if (abroad) return phone(/^\d{8,15}$/.test(abroad) ? (foreign(abroad) ?? `+${abroad}`) : null)
  // 011 is America's exit code, 012 to 019 are those of Israeli carriers. They were left in front of the number.
  const [, exited] = /^01[1-9](\d+)$/.exec(digits) ?? []
  if (exited?.startsWith('972')) return israeli(withoutCountry(exited))
  if (exited) return phone(foreign(exited))
  // A zero before the country code. No local number is that long.
  const [, zeroed] = /^0+(972\d{8,})$/.exec(digits) ?? []
  if (zeroed) return israeli(withoutCountry(zeroed))

  if (/^0[2-9]|^[57]\d{8}$/.test(digits) || SERVICE.test(digits)) return israeli(digits)

  // This is a guess, so it uses libphonenumber's strictest metadata. The default accepts far more.
  return phone(/^[1-9]\d{9,14}$/.test(digits) ? foreign(digits) : null)
}

/** What follows +972. The country code may be there twice. A landline that begins with 972 is shorter. */
const withoutCountry = (digits: string): string =>
  /^(?:972)+(0?[1-9]\d{7,8})$/.exec(digits)?.[1] ?? digits.slice(3)

/**
 * Reads any text in place of a number: local, international with or without a plus, a SIP address, a name with a number
 * in angle brackets, or nothing. Never throws. It does not search text with letters for digits: the name of a queue or a
 * SIP code may contain digits, and a message would go to another person.
 */
export const readPhone = (written: string | null | undefined): Phone => {
  const seen = visible(written ?? '')
  if (seen === '') return { kind: 'withheld' }
  if (seen.length > MAX_LENGTH) return { kind: 'text' }
  // Nearly every number is written like this. All that follows takes ten times as long.
  const [, plus, only = ''] = /^(\+?)(\d{7,15})$/.exec(seen) ?? []
  if (only && !SPELLED.has(only)) return dialled(only, plus === '+')

  const [, name = '', inBrackets] = NAMED.exec(plain(seen)) ?? []
  // A name that says "private" counts. "Unknown", "no name" and "N/A" say that there is no name, not that there is no number.
  if (inBrackets !== undefined && isHidden(unquoted(name)) && !isNameless(unquoted(name)))
    return { kind: 'withheld' }
  const address = unquoted(inBrackets ?? plain(seen))
    .replace(/^(?:sips?|tel):/, '')
    .replace(/[@;].*$/s, '')
    .replace(/^%2b/, '+')
    // A number that went through a spreadsheet.
    .replace(/^(\d{8,})\.0+$/, '$1')
    .trim()
  // Some systems number their hidden callers: Anonymous1, anonymous-2.
  const unnumbered = address.replace(/(?<=\p{L}[\s_-]?)\d{1,3}$/u, '')
  if (address === '' || NETWORK_CODE.test(address) || isHidden(unnumbered))
    return { kind: 'withheld' }
  if (/[\p{L}[\p{N}--[0-9]]]/v.test(address)) return { kind: 'text' }

  // Text from right to left may have the star at the other end.
  const star = address
    .replace(/[\s-]/g, '')
    .replace(/^\+?972(?=\*)/, '')
    .replace(/^(\d+)\*$/, '*$1')
  if (/^\*\d{3,6}$/.test(star)) return { kind: 'star', star }

  const digits = address.replace(/\D/g, '')
  if (SPELLED.has(digits)) return { kind: 'withheld' }
  // A feature code such as *43 or #31# is not part of the number after it.
  if (/[*#]/.test(address) && digits.length > 6) return { kind: 'other' }
  return dialled(digits, /^\D*\+/.test(address))
}

const isNameless = (name: string): boolean =>
  isPlaceholder(name) || /un(?:known|available)|name/.test(name)

/** The codes of the telephone network for "private" and "out of area". As a name they may be an initial. */
const NETWORK_CODE = /^[po]$/

/** A name, and the number in angle brackets. */
const NAMED = /^([^<>]*)<([^<>]+)>[^<>]*$/

const unquoted = (text: string): string => text.replace(/^[\s"'“”<]+|[\s"'“”>]+$/g, '')

/** The form in which a tenant's number is stored and compared: E.164, or a star number. Null if it is neither. */
export const lineOf = (written: string | null | undefined): string | null => {
  const line = readPhone(written)
  if (line.kind === 'star') return line.star
  return line.kind === 'number' || line.kind === 'service' ? line.e164 : null
}

/**
 * The line of the tenant that a CDR names. Unlike a caller, it is certainly a number in Israel: eight digits are a
 * landline that lost its zero, three to six are a star number without its star, and 01800 is 1-800 with a zero.
 */
export const dialledLine = (written: string | null | undefined): string | null => {
  const line = lineOf(written)
  if (line !== null) return line
  const text = plain(visible(written ?? ''))
  const address = unquoted(NAMED.exec(text)?.[2] ?? text)
  const digits = address
    .replace(/^(?:sips?|tel):/, '')
    .replace(/(?:\.0+|[@;].*)$/s, '')
    .replace(/[\s().\p{Pd}]/gu, '')
  if (/^[23489]\d{7}$/.test(digits)) return `+972${digits}`
  if (digits[0] === '0' && SERVICE.test(digits.slice(1))) return `+972${digits.slice(1)}`
  return /^[1-9]\d{2,5}$/.test(digits) ? `*${digits}` : null
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

/** Reads a caller, with the numbers under which a person or one of the tenant's lines may be stored. */
export const identify = (written: string | null | undefined) => {
  const caller = readPhone(written)
  // Without a number there is no lead, opt-out or answered call to find: an empty list matches nothing.
  const phones = caller.kind === 'number' ? spellings(caller.e164) : []
  // A line of the tenant may also be a service or a star number, which no person has.
  const line = lineOf(written)
  return { caller, phones, lines: line === null ? phones : [...phones, line] }
}

/** As people in Israel write it: `050-234-5678`. Foreign numbers stay in E.164. */
export const localNumber = (e164: string): string => {
  const [, area = '', a = '', b = ''] = /^\+972(5\d|7\d|[23489])(\d{3})(\d{4})$/.exec(e164) ?? []
  return area ? `0${area}-${a}-${b}` : e164
}
