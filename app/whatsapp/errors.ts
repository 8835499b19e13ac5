/**
 * What to do about an error of the WhatsApp Cloud API. It depends on Meta's `code` and not on the HTTP status: rate limits
 * come with 400, and a missing permission with 500. An answer with a code is trusted: the message was not accepted.
 *
 * Codes and meanings are from Meta's "Error codes" page of the Cloud API. What to do about them is our own conclusion.
 */

/** Seconds to wait before each further try. After the last one, the message has failed. */
type Retry = { do: 'retry'; after: readonly number[] }

export type ErrorPolicy =
  | Retry
  /** This message cannot be sent; others can. */
  | { do: 'fail' }
  /** Nothing more to this person in this conversation. */
  | { do: 'stop_lead' }
  /** As stop_lead, for ever: the person does not want messages. */
  | { do: 'opt_out' }
  /** The template cannot be used for any person. */
  | { do: 'pause_template' }
  /** Nothing can be sent from this number until a person acts. */
  | { do: 'pause_connection'; subcode?: number }

const MINUTE = 60
const SOON: Retry = { do: 'retry', after: [30, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE] }
const FAIL: ErrorPolicy = { do: 'fail' }
const PAUSE_CONNECTION: ErrorPolicy = { do: 'pause_connection' }
const PAUSE_TEMPLATE: ErrorPolicy = { do: 'pause_template' }

const BY_CODE: ReadonlyMap<number, ErrorPolicy> = new Map<number, ErrorPolicy>([
  // Sign-in, permission, account, payment, number: nothing can be sent until a person acts.
  ...[0, 3, 10, 33, 104, 190, 368, 131005, 131031, 131037, 131042, 131045, 133010, 134011].map(
    code => [code, PAUSE_CONNECTION] as const,
  ),
  // Quality limits of the number. More tries make it worse.
  ...[131048, 131064].map(code => [code, PAUSE_CONNECTION] as const),
  // Limits of the app and of the account, over a rolling hour.
  ...[4, 80007].map(
    code => [code, { do: 'retry', after: [5 * MINUTE, 15 * MINUTE, 60 * MINUTE] }] as const,
  ),
  // Throughput of the number.
  [130429, { do: 'retry', after: [1, 2, 4, 8, 16, 32, 60] }],
  // Too many messages to one person. Meta's own schedule: 4^X seconds from X = 0.
  [131056, { do: 'retry', after: [1, 4, 16, 64, 256] }],
  // Maintenance, or an upgrade of the throughput: up to a minute.
  [131057, { do: 'retry', after: [20, 20, 30, 30, 30] }],
  // Down, overloaded, or "try again later".
  ...[2, 131000, 131016, 133004].map(code => [code, SOON] as const),
  // A fault of ours or of Meta's.
  [1, { do: 'retry', after: [30, 2 * MINUTE] }],
  // Not on WhatsApp, another country, or our own number. Or Meta's limit for each person, which lasts a day: a
  // reminder would come too soon.
  ...[131021, 131026, 130497, 131049].map(code => [code, { do: 'stop_lead' }] as const),
  // The person stopped marketing messages, or blocked the tenant.
  ...[131050, 130403].map(code => [code, { do: 'opt_out' }] as const),
  ...[132000, 132001, 132007, 132012, 132015, 132016, 132018, 131063].map(
    code => [code, PAUSE_TEMPLATE] as const,
  ),
  // A parameter is missing or wrong. It would be so for every person (see errorPolicy for the exceptions).
  ...[131008, 131009].map(code => [code, PAUSE_TEMPLATE] as const),
  // Only this message: the 24-hour window, an experiment, a value that is too long.
  ...[131047, 130472, 131062, 132005].map(code => [code, FAIL] as const),
  // A fault in our request, or a person who is not on the list of a test number (131030).
  ...[100, 131030, 131051, 135000].map(code => [code, FAIL] as const),
  // Codes of other parts of the API. They are listed since they too mean that the message was not accepted.
  ...[131052, 131053, 132068, 132069, 133000, 133005, 133006, 133008, 133009, 133015, 133016].map(
    code => [code, FAIL] as const,
  ),
  ...[131055, 134100, 134101, 134102].map(code => [code, FAIL] as const),
])

/** What an error says beside its code. */
export type ErrorText = { subcode?: number | undefined; details?: string | undefined }

/** Graph does not know the phone number id, or the token may not see it. */
const NO_SUCH_OBJECT = 33
const IS_NO_SUCH_OBJECT = /unsupported (get|post) request|object with id .* does not exist/i
const IS_PARAMETER = /param(eter)?s?\b|component|template|button/i
/** The parameter that names the person. A phone number may also be ours, or one within the template. */
const IS_RECIPIENT = /\brecipient\b|\b(param|parameter) *['"([]?to\b|['"([]to['")\]]/i
const IS_PHONE = /\bphone number\b(?! *id)/i
const IS_OTHER_PHONE = /component|template|button|\b(business|sender|from|your) phone/i
const isAboutRecipient = (details: string): boolean =>
  IS_RECIPIENT.test(details) || (IS_PHONE.test(details) && !IS_OTHER_PHONE.test(details))

/** Null = it is not known whether the message was accepted: an unlisted code with a 5xx. */
export const errorPolicy = (
  code: number,
  httpStatus: number,
  { subcode, details = '' }: ErrorText = {},
): ErrorPolicy | null => {
  if (code === 100 && (subcode === NO_SUCH_OBJECT || IS_NO_SUCH_OBJECT.test(details)))
    return { do: 'pause_connection', subcode: NO_SUCH_OBJECT }
  const isParameter = code === 131008 || code === 131009
  if ((isParameter || code === 100) && isAboutRecipient(details)) return FAIL
  if (code === 100 && IS_PARAMETER.test(details)) return PAUSE_TEMPLATE
  const listed = BY_CODE.get(code)
  if (listed) return listed
  if (code >= 200 && code <= 299) return PAUSE_CONNECTION
  if (httpStatus === 429) return BY_CODE.get(130429) ?? FAIL
  return httpStatus >= 500 ? null : FAIL
}

/** Codes about the person, not about the set-up: however many messages fail with them, others can be sent. */
export const ABOUT_PERSON: ReadonlySet<number> = new Set([
  131021, 131026, 131030, 131049, 131050, 130403, 130472, 130497,
])

/** Whether a code that fails only its own message pauses the connection when three people in a row get it. */
export const isAboutSetup = (code: number): boolean => !ABOUT_PERSON.has(code)
/** Meta's codes from 132000 on are about templates. */
export const isAboutTemplate = (code: number): boolean => code >= 132_000 && code < 133_000

/** For a request that certainly never arrived. */
export const NOT_ACCEPTED: ErrorPolicy = SOON
