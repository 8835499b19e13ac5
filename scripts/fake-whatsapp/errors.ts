import { randomBytes } from 'node:crypto'

/**
 * The Graph API's error codes with the HTTP status each of them comes with (Meta, error codes
 * page, December 2025) and a short title. Codes whose status Meta never printed answer 400.
 *
 * This table is written on its own, not taken from the code under test: a fake that borrows the
 * client's table would confirm the client's mistakes.
 */
const table: Record<number, readonly [httpStatus: number, title: string]> = {
  0: [401, 'AuthException'],
  1: [400, 'API Unknown'],
  2: [503, 'API Service'],
  3: [500, 'API Method'],
  4: [400, 'API Too Many Calls'],
  10: [403, 'API Permission Denied'],
  33: [400, 'Parameter value is not valid'],
  100: [400, 'Invalid parameter'],
  104: [400, 'Access token required'],
  190: [401, 'Access token has expired'],
  368: [403, 'Temporarily blocked for policies violations'],
  2500: [400, 'Unknown path components'],
  80007: [400, 'Rate limit issues'],
  130403: [400, 'User blocked by business'],
  130429: [400, 'Rate limit hit'],
  130472: [400, "User's number is part of an experiment"],
  130497: [403, 'Business account is restricted from messaging users in this country'],
  131000: [500, 'Something went wrong'],
  131005: [403, 'Access denied'],
  131008: [400, 'Required parameter is missing'],
  131009: [400, 'Parameter value is not valid'],
  131016: [500, 'Service unavailable'],
  131021: [400, 'Recipient cannot be sender'],
  131026: [400, 'Message undeliverable'],
  131030: [400, 'Recipient phone number not in allowed list'],
  131031: [403, 'Account has been locked'],
  131037: [400, 'Display name approval is needed'],
  131042: [400, 'Business eligibility payment issue'],
  131045: [500, 'Incorrect certificate'],
  131047: [400, 'Re-engagement message'],
  131048: [400, 'Spam rate limit hit'],
  131049: [400, 'Message not delivered to keep a healthy ecosystem'],
  131050: [400, 'User has stopped marketing messages'],
  131051: [400, 'Unsupported message type'],
  131052: [400, 'Media download error'],
  131053: [400, 'Media upload error'],
  131055: [400, 'Method not allowed'],
  131056: [400, 'Pair rate limit hit'],
  131057: [500, 'Account in maintenance mode'],
  131062: [400, 'Business-scoped user id not usable'],
  131063: [400, 'Marketing messages are switched off'],
  131064: [400, 'Limited after template misclassification'],
  132000: [400, 'Number of parameters does not match'],
  132001: [404, 'Template name does not exist in the translation'],
  132005: [400, 'Translated text too long'],
  132007: [400, 'Template content policy violated'],
  132012: [400, 'Parameter format does not match'],
  132015: [400, 'Template is paused'],
  132016: [400, 'Template is disabled'],
  132018: [400, 'Template parameter problem'],
  132068: [400, 'Flow is blocked'],
  132069: [400, 'Flow is throttled'],
  133000: [500, 'Incomplete deregistration'],
  133004: [503, 'Server temporarily unavailable'],
  133005: [400, 'Two-step verification PIN mismatch'],
  133006: [400, 'Phone number needs verification'],
  133008: [400, 'Too many PIN guesses'],
  133009: [400, 'PIN guessed too fast'],
  133010: [400, 'Phone number not registered'],
  133015: [400, 'Wait before registering again'],
  133016: [400, 'Registration rate limit'],
  134011: [400, 'Payments terms not accepted'],
  134100: [400, 'Only marketing messages are supported'],
  134101: [400, 'Template is still being synced'],
  134102: [500, 'Template is unavailable'],
  135000: [400, 'Generic user error'],
}

/** 200 to 299 are all "permission missing or removed", so they share one entry. */
const entryOf = (code: number) =>
  table[code] ?? (code >= 200 && code <= 299 ? ([403, 'API Permission'] as const) : undefined)

/** The HTTP status Meta answers with for a code; 400 for a code that Meta does not list. */
export const httpStatusOf = (code: number): number => entryOf(code)?.[0] ?? 400

const titleOf = (code: number) => entryOf(code)?.[1] ?? 'Unlisted error'

/** An error answer's body, as the Graph API words it. */
export const envelope = (code: number, details: string = titleOf(code)) => ({
  error: {
    message: `(#${code}) ${titleOf(code)}`,
    type: 'OAuthException',
    code,
    error_data: { messaging_product: 'whatsapp', details },
    fbtrace_id: randomBytes(8).toString('hex'),
  },
})

/** The same error as webhooks carry it: in `errors[]` of a status, a message or a whole value. */
export const webhookError = (code: number, details: string = titleOf(code)) => ({
  code,
  title: titleOf(code),
  message: titleOf(code),
  error_data: { details },
  href: 'https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/',
})
