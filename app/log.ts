import { pino } from 'pino'
import { z } from 'zod'

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

const LEVELS: Record<string, string> = { 40: 'warning: ', 50: 'error: ', 60: 'fatal: ' }

/** A line of the log for a person: "10:05:03 warning: the text role=web". */
export const readable = (line: string): string => {
  const { level, time, msg, err, ...fields } = entry.parse(JSON.parse(line))
  const rest = Object.entries(fields).map(([name, value]) => ` ${name}=${JSON.stringify(value)}`)
  // A warning is nothing that a person must trace.
  const why = err && `: ${(level >= 50 && err.stack) || (err.message ?? err.type)}`
  return `${new Date(time).toTimeString().slice(0, 8)} ${LEVELS[level] ?? ''}${msg}${rest.join('')}${why ?? ''}`
}

const entry = z.looseObject({
  level: z.number(),
  time: z.number(),
  msg: z.string().default(''),
  err: z
    .object({ type: z.string(), message: z.string().optional(), stack: z.string().optional() })
    .optional(),
})

/**
 * Writes one line of JSON per event to stdout, and on a terminal a readable one. main.ts sets the level (LOG_LEVEL). Log only ids, never phone numbers,
 * message texts or tokens, because redacting them by pattern is less reliable.
 */
export const log = pino(
  { base: null, serializers: { err: describe } },
  process.stdout.isTTY ? { write: line => process.stdout.write(`${readable(line)}\n`) } : undefined,
)
