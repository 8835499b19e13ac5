/** Errors of the API: application/problem+json (RFC 9457). */
import { z } from 'zod'
import { isTransient } from '../../db/retry.ts'
import { isUserError } from '../../errors.ts'

/** Every problem, by its code. */
export const PROBLEMS = {
  invalid_json: [400, 'The body is not JSON in UTF-8.'],
  missing_idempotency_key: [400, 'The header Idempotency-Key is missing.'],
  unauthorized: [401, 'The API token is missing, wrong or revoked.'],
  not_found: [404, 'It does not exist, or it belongs to another business.'],
  no_such_endpoint: [404, 'The API has no such path.'],
  method_not_allowed: [405, 'This path does not take this method.'],
  window_closed: [
    409,
    'The person last wrote more than 24 hours ago, or never. WhatsApp then takes no free text.',
  ],
  opted_out: [409, 'The person asked for no messages and has not written since.'],
  not_live: [409, 'The business is in trial mode (shadow) or paused.'],
  no_connection: [409, 'The business has no active WhatsApp number.'],
  opted_out_by_person: [
    409,
    "The person asked for no messages. Only the person's own START ends that.",
  ],
  not_waiting: [409, 'The message no longer waits to be sent.'],
  quiet: [409, 'It is a quiet time of the business. The message is sent when it ends.'],
  too_many_endpoints: [409, 'The business has ten webhooks. Remove one first.'],
  test_running: [409, 'A test of this webhook is on its way.'],
  body_too_large: [413, 'The body is too large.'],
  unsupported_media_type: [415, 'The body must be application/json in UTF-8, without compression.'],
  invalid_request: [422, 'The request is not valid.'],
  not_resolved: [422, 'The name in the URL has no address.'],
  forbidden_address: [422, 'The URL leads to an address that is not public.'],
  key_used: [422, 'This Idempotency-Key was used for another message.'],
  too_many_requests: [429, 'Too many requests.'],
  internal_error: [500, 'The program has failed.'],
  unavailable: [503, 'The program cannot answer now. Try again.'],
} as const satisfies Record<string, readonly [status: number, title: string]>
export type ProblemCode = keyof typeof PROBLEMS

const isCode = (code: string): code is ProblemCode => Object.hasOwn(PROBLEMS, code)
const CODES = Object.keys(PROBLEMS).filter(isCode)

export const problemSchema = z
  .object({
    type: z.string(),
    code: z.enum(CODES).describe('The stable name of the problem, for programs.'),
    title: z.string(),
    status: z.int().min(400).max(599),
    errors: z
      .array(
        z.object({
          detail: z.string().describe('What is expected.'),
          pointer: z.string().optional().describe('The field of the body, as a JSON pointer.'),
          parameter: z.string().optional().describe('The parameter or header.'),
        }),
      )
      .optional()
      .describe('The wrong fields.'),
  })
  .meta({ id: 'Problem', description: 'An error (RFC 9457).' })
type FieldError = NonNullable<z.infer<typeof problemSchema>['errors']>[number]

type ProblemError = Error & { problem: { code: ProblemCode; errors?: FieldError[]; wait?: number } }

/**
 * An error that ends a request.
 *
 * @param wait after how many seconds the client may try again
 */
export const problem = (
  code: ProblemCode,
  more: { errors?: FieldError[]; wait?: number } = {},
): ProblemError => Object.assign(new Error(PROBLEMS[code][1]), { problem: { code, ...more } })

const isProblem = (error: unknown): error is ProblemError =>
  error instanceof Error && 'problem' in error

/** The parts of a request. All but the body are parameters. */
const PARTS = ['id', 'query', 'key', 'body'] as const

/** A body of 100 kB may have thousands of unknown fields. */
const MAX_ERRORS = 20

const TYPES: Record<string, string> = {
  object: 'a JSON object',
  array: 'a list',
  string: 'a text',
  number: 'a number',
  boolean: 'true or false',
}

/** For a schema without a message of its own, which says what is expected. */
export const expectedType: z.core.$ZodErrorMap = issue =>
  issue.code === 'invalid_type' ? TYPES[issue.expected] : undefined

/** @param part the part of the request that was checked; null = the path of an issue begins with it */
export const invalidRequest = (
  { issues }: z.ZodError,
  part: (typeof PARTS)[number] | null,
): ProblemError => {
  const found = issues.flatMap(issue => {
    const [first, ...rest] = part === null ? issue.path : [part, ...issue.path]
    const names = issue.code === 'unrecognized_keys' ? issue.keys : [null]
    const detail = issue.code === 'unrecognized_keys' ? 'no such field' : issue.message
    return names.map(name => ({ first, path: [...rest, ...(name === null ? [] : [name])], detail }))
  })
  // No row has an id of another form.
  if (found.some(({ first }) => first === 'id')) return problem('not_found')
  if (found.some(({ first, detail }) => first === 'key' && detail === MISSING))
    return problem('missing_idempotency_key')
  const errors = found.slice(0, MAX_ERRORS).map(({ first, path, detail }) => {
    if (first === 'key') return { detail, parameter: 'Idempotency-Key' }
    return first === 'body'
      ? { detail, pointer: `#${path.map(name => `/${pointerName(name)}`).join('')}` }
      : { detail, parameter: path.map(String).join('.') }
  })
  const codes = new Set(issues.map(codeOf))
  const [code = 'invalid_request'] = codes.size === 1 ? codes : []
  return problem(code, { errors })
}

/** A schema may name the problem of an issue (`params.why`). */
const codeOf = (issue: z.core.$ZodIssue): ProblemCode => {
  const why: unknown = issue.code === 'custom' ? issue.params?.['why'] : null
  return typeof why === 'string' && isCode(why) ? why : 'invalid_request'
}

export const MISSING = 'a key'

/** As in RFC 6901, for the fragment of a URI. */
const pointerName = (name: PropertyKey): string =>
  encodeURIComponent(String(name).toWellFormed().replaceAll('~', '~0').replaceAll('/', '~1'))

/** Statuses that Express and raw_body.ts give to errors. */
const BY_STATUS: Record<number, ProblemCode> = {
  400: 'invalid_json',
  413: 'body_too_large',
  415: 'unsupported_media_type',
  503: 'unavailable',
}

const RETRY_SECONDS = 5

/**
 * The answer to any error. `isFault`: the program or its database failed, so the log needs the error with its stack. A
 * request that waited too long, or whose body was evicted from memory, is no fault: its client alone could fill the log.
 */
export const answerTo = (error: unknown) => {
  const { code, errors, wait } = describe(error)
  const [status, title] = PROBLEMS[code]
  return {
    status,
    isFault: status >= 500 && !isProblem(error) && !isRejection(error),
    wait: status === 503 ? RETRY_SECONDS : wait,
    body: { type: `urn:ringback:${code}`, code, title, status, ...(errors && { errors }) },
  }
}

/** Of raw_body.ts. */
const isRejection = (error: unknown): boolean => error instanceof Error && 'isRejection' in error

const describe = (error: unknown): ProblemError['problem'] => {
  if (isProblem(error)) return error.problem
  if (isUserError(error)) return { code: isCode(error.why) ? error.why : 'internal_error' }
  if (isTransient(error)) return { code: 'unavailable' }
  // A path that cannot be decoded, such as /leads/%.
  if (error instanceof URIError) return { code: 'not_found' }
  const status = error instanceof Error && 'status' in error ? Number(error.status) : 0
  return { code: BY_STATUS[status] ?? 'internal_error' }
}
