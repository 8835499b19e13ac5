import { pino } from 'pino'

/** The loggable parts of an error. Not `detail`, in which Postgres quotes the rejected row with its phone numbers. */
const describe = (error: unknown): unknown =>
  error instanceof Error
    ? {
        type: error.name,
        message: error.message,
        code: 'code' in error ? error.code : undefined,
        constraint: 'constraint' in error ? error.constraint : undefined,
        stack: error.stack,
        cause: error.cause === undefined ? undefined : describe(error.cause),
        errors: error instanceof AggregateError ? error.errors.map(describe) : undefined,
      }
    : { type: typeof error }

/**
 * Writes one line of JSON per event to stdout. main.ts sets the level (LOG_LEVEL). Log only ids, never phone numbers,
 * message texts or tokens, because redacting them by pattern is less reliable.
 */
export const log = pino({ base: null, serializers: { err: describe } })
