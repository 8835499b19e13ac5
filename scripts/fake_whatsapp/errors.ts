/** The errors of the Graph API, as answers and as webhooks carry them. */
import { randomBytes } from 'node:crypto'

/**
 * Error codes by their HTTP status (Meta, error codes page, December 2025). All other codes answer 400, also those
 * for which Meta names no status. The table is not imported from the program: a fake that shares the
 * table of its client would repeat the client's errors.
 */
const CODES: Record<number, number[]> = {
  401: [0, 190],
  403: [10, 368, 130497, 131005, 131031],
  404: [132001],
  500: [3, 131000, 131016, 131045, 131057, 133000, 134102],
  503: [2, 133004],
}

const httpStatusOf = (code: number): number => {
  // The codes from 200 to 299 all mean "permission missing or removed".
  if (code >= 200 && code <= 299) return 403
  return Number(Object.keys(CODES).find(status => CODES[Number(status)]?.includes(code)) ?? 400)
}

/** An error answer of the Graph API. Its texts are not those of Meta: the program reads only the code. */
export class GraphError extends Error {
  readonly code: number
  readonly httpStatus: number
  readonly subcode: number | undefined

  constructor(code: number, details = '', httpStatus = httpStatusOf(code), subcode?: number) {
    super(details)
    this.code = code
    this.httpStatus = httpStatus
    this.subcode = subcode
  }

  body() {
    return {
      error: {
        message: `(#${this.code}) ${this.message}`,
        error_user_msg: this.message,
        type: 'OAuthException',
        code: this.code,
        ...(this.subcode !== undefined && { error_subcode: this.subcode }),
        error_data: { messaging_product: 'whatsapp', details: this.message },
        fbtrace_id: randomBytes(8).toString('hex'),
      },
    }
  }
}

/** For an id that does not exist, or that the token may not see. */
export const noSuchObject = (id: string): GraphError =>
  new GraphError(
    100,
    `Unsupported request. Object with ID '${id}' does not exist, cannot be loaded due to missing permissions`,
    400,
    33,
  )

/** The same error in a webhook: in `errors[]` of a status, a message or a value. */
export const webhookError = (code: number) => ({
  code,
  title: `Error ${code}`,
  message: `Error ${code}`,
  error_data: { details: `Error ${code}` },
  href: 'https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/',
})
