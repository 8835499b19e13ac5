import { pino } from 'pino'

/**
 * What of an error may be written down. Not `detail`, where Postgres quotes the row it refused: it
 * would put phone numbers into the log.
 */
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
 * One line of JSON per event, on stdout. main.ts sets the level (LOG_LEVEL). Ids only: phone numbers, message texts and tokens are never
 * handed to it, since not logging beats redacting by pattern.
 */
export const log = pino({ base: null, serializers: { err: describe } })
