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
  | { do: 'pause_connection' }

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
  // The person stopped marketing messages, or blocked the business.
  ...[131050, 130403].map(code => [code, { do: 'opt_out' }] as const),
  ...[132000, 132001, 132007, 132012, 132015, 132016, 132018, 131063].map(
    code => [code, PAUSE_TEMPLATE] as const,
  ),
  // Only this message: the 24-hour window, an experiment, a value that is too long.
  ...[131047, 130472, 131062, 132005].map(code => [code, FAIL] as const),
  // A fault in our request.
  ...[100, 131008, 131009, 131030, 131051, 135000].map(code => [code, FAIL] as const),
  // Codes of other parts of the API. They are listed since they too mean that the message was not accepted.
  ...[131052, 131053, 132068, 132069, 133000, 133005, 133006, 133008, 133009, 133015, 133016].map(
    code => [code, FAIL] as const,
  ),
  ...[131055, 134100, 134101, 134102].map(code => [code, FAIL] as const),
])

/** Null = it is not known whether the message was accepted: an unlisted code with a 5xx. */
export const errorPolicy = (code: number, httpStatus: number): ErrorPolicy | null => {
  const listed = BY_CODE.get(code)
  if (listed) return listed
  if (code >= 200 && code <= 299) return PAUSE_CONNECTION
  if (httpStatus === 429) return BY_CODE.get(130429) ?? FAIL
  return httpStatus >= 500 ? null : FAIL
}

/** For a request that certainly never arrived. */
export const NOT_ACCEPTED: ErrorPolicy = SOON

/** Node's error codes for a request whose body was not read by the other side. */
const NEVER_ARRIVED = new Set(
  `ENOTFOUND EAI_AGAIN ECONNREFUSED ENETUNREACH EHOSTUNREACH UND_ERR_CONNECT_TIMEOUT
   DEPTH_ZERO_SELF_SIGNED_CERT SELF_SIGNED_CERT_IN_CHAIN UNABLE_TO_VERIFY_LEAF_SIGNATURE CERT_HAS_EXPIRED
   ERR_SSL_WRONG_VERSION_NUMBER ERR_TLS_CERT_ALTNAME_INVALID UNABLE_TO_GET_ISSUER_CERT_LOCALLY`.split(
    /\s+/,
  ),
)

/** Whether fetch failed before the request can have been accepted. After any other error it may have been. */
export const neverArrived = (error: unknown): boolean => {
  const cause = error instanceof Error ? error.cause : undefined
  if (cause instanceof AggregateError)
    return (
      cause.errors.length > 0 &&
      cause.errors.every(inner => neverArrived(new Error('', { cause: inner })))
    )
  return cause instanceof Error && 'code' in cause && NEVER_ARRIVED.has(String(cause.code))
}
