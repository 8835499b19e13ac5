/** The definition of an endpoint. The router, the OpenAPI document and the tests read the same definitions. */
import { z } from 'zod'
import type { Actor } from '../../audit.ts'
import type { Trx } from '../../db/kysely.ts'
import { expectedType, invalidRequest, MISSING, problem, type ProblemCode } from './problem.ts'

/** The tenant of the token, and the token as the actor in the audit log. */
export type Client = { tenantId: string; actor: Actor }

/** A part of a request as it was received, before it is checked. */
export type Received = Partial<Record<'id' | 'query' | 'key' | 'body', unknown>>

export type Definition<Request extends z.ZodObject, Answer extends z.ZodType> = {
  method: 'get' | 'post' | 'put' | 'delete'
  /** As in OpenAPI: /leads/{id} */
  path: string
  /** Its name in generated clients. */
  name: string
  summary: string
  description?: string
  /** The parts that it reads: any of `id`, `query`, `key` (Idempotency-Key) and `body`. */
  request: Request
  status?: 200 | 202
  answer: Answer
  /** The problems that only this endpoint has. */
  problems?: ProblemCode[]
  /** Waits for something outside. It runs before the transaction. */
  prepare?: (request: z.infer<Request>) => Promise<void>
  /** Runs in a transaction. A refusal is returned and not thrown where its row in the audit log must be committed. */
  act: (
    trx: Trx,
    client: Client,
    request: z.infer<Request>,
  ) => Promise<z.input<Answer> | { refused: ProblemCode }>
}

export type Route = Omit<Definition<z.ZodObject, z.ZodType>, 'act' | 'prepare' | 'status'> & {
  status: 200 | 202
  /** Does nothing for an invalid request: respond() refuses it. */
  prepare: (received: Received) => Promise<void>
  /** @throws problem of a request that is not valid */
  respond: (trx: Trx, client: Client, received: Received) => Promise<Answered>
}
export type Answered = { body: unknown } | { refused: ProblemCode }

const isRefused = (result: unknown): result is { refused: ProblemCode } =>
  typeof result === 'object' && result !== null && 'refused' in result

export const route = <Request extends z.ZodObject, Answer extends z.ZodType>({
  act,
  prepare,
  ...definition
}: Definition<Request, Answer>): Route => ({
  status: 200,
  ...definition,
  prepare: async received => {
    if (!prepare) return
    const request = definition.request.safeParse(received)
    if (request.success) await prepare(request.data)
  },
  respond: async (trx, client, received) => {
    const request = definition.request.safeParse(received, { error: expectedType })
    if (!request.success) throw invalidRequest(request.error, null)
    const result = await act(trx, client, request.data)
    // The program made the answer, so an error here is a fault of the program.
    return isRefused(result) ? result : { body: definition.answer.parse(result) }
  },
})

/** Checks a body together with the ids, by the schema that the page and the commands use. */
export const checked = <Schema extends z.ZodType>(
  schema: Schema,
  input: z.input<Schema>,
): z.output<Schema> => {
  const result = schema.safeParse(input, { error: expectedType })
  if (!result.success) throw invalidRequest(result.error, 'body')
  return result.data
}

// The parts of requests and answers.

export const id = z
  .string()
  .regex(/^[1-9]\d{0,17}$/, 'an id')
  .describe('The id, in decimal digits.')

/** An id in an answer. */
export const rowId = z.string().regex(/^[1-9]\d*$/)

/** A time in an answer: ISO 8601 in UTC. */
export const time = z
  .date()
  .transform(date => date.toISOString())
  .pipe(z.iso.datetime())

/** A time in a request, with its offset from UTC. A date is its midnight in UTC. */
export const moment = z
  .union(
    [z.iso.datetime({ offset: true }), z.iso.date()],
    'a time such as 2026-11-30T08:00:00Z, or a date',
  )
  .transform(written => new Date(written))
  // Its offset may move it there. ISO 8601 has four digits for the year, and an answer repeats some times.
  .refine(at => /^\d{4}-/.test(at.toISOString()), 'a time in the years 0000 to 9999, in UTC')

/** A text in a request. Postgres stores no NUL. */
export const plainText = (maxLength: number) =>
  z
    .string()
    .min(1, 'a text that is not empty')
    .max(maxLength, `at most ${maxLength} characters`)
    .refine(text => !text.includes('\0'), 'a text without NUL')

export const key = z
  .string(MISSING)
  .min(1, MISSING)
  .max(255, 'at most 255 characters')
  .describe(
    'Chosen by the client, a new one for each message. The same key with the same text again sends nothing, and returns the earlier message.',
  )

const LIMIT = 'a number from 1 to 200'

export const pageQuery = {
  limit: z.coerce
    .number(LIMIT)
    .int(LIMIT)
    .min(1, LIMIT)
    .max(200, LIMIT)
    .default(50)
    .describe('The most rows, from 1 to 200.'),
  cursor: z
    .string()
    .max(100, 'a next_cursor of this list')
    .optional()
    .describe(
      '`next_cursor` of the page before, with the same filters. Without it, the first page.',
    ),
}

export const pageOf = <Item extends z.ZodType>(item: Item) =>
  z.object({
    data: z.array(item),
    next_cursor: z
      .string()
      .nullable()
      .describe('The `cursor` of the next page; null = this is the last page.'),
  })

/** @throws problem */
export const invalidCursor = () =>
  problem('invalid_request', {
    errors: [{ detail: 'next_cursor of a page with the same filters', parameter: 'cursor' }],
  })
