/** What `npm run replay` is asked. */
import { parseArgs } from 'node:util'
import { DateTime } from 'luxon'
import { z } from 'zod'
import { settings } from '../../app/tenants/settings.ts'
import { readSpan } from '../../app/tenants/schema.ts'
import { HELP } from './help.ts'

/** A moment on a clock that is known later. */
const when = z.string().transform((written, context) => {
  const ago = readSpan(written.replace(/ ago$/, ''))
  const iso = written.trim().replace(' ', 'T')
  if (ago === null && !DateTime.fromISO(iso).isValid) {
    context.addIssue('a moment such as 2026-07-01, "2026-07-01 14:00" or "30 days"')
    return z.NEVER
  }
  return (now: Date, timezone: string): Date =>
    ago === null
      ? DateTime.fromISO(iso, { zone: timezone }).toJSDate()
      : new Date(now.getTime() - ago * 1000)
})
export type When = z.infer<typeof when>

const yes = z.boolean().optional()
/** What may be asked for here is what may be set. */
const { shape } = settings
const asked = z.object({
  tenant: shape.tenantId.optional(),
  since: when.optional(),
  until: when.optional(),
  file: z.string().optional(),
  night: z
    .string()
    .default('21:00-08:00')
    .transform(window => [window])
    .pipe(shape.quietWindows.unwrap()),
  json: yes,
  apply: yes,
  delay: shape.outreachDelay,
  'repeat-window': shape.repeatWindow,
  'oldest-call': shape.oldestCall,
  quiet: shape.quietWindows,
  'no-quiet': yes,
  'missed-statuses': z
    .string()
    .transform(list => list.split(','))
    .pipe(shape.missedStatuses.unwrap())
    .optional(),
  'min-ring': shape.minRingSeconds,
  'contact-foreign': yes,
  'no-contact-foreign': yes,
  mode: shape.mode,
  connected: yes,
})
export type Asked = z.infer<typeof asked>

/** A wrong call: said in a line or two, without a stack. */
export const fail = (message: string): never => {
  console.error(`${message}\nSee: npm run replay -- --help`)
  process.exit(2)
}

/** What stands on the command line, by its names; ends the process where that is wrong, or was a call for help. */
export const readFlags = (args: string[]): Asked => {
  if (args.includes('--help') || args.includes('-h')) {
    console.log(HELP)
    process.exit()
  }
  const { data, error } = asked.safeParse(readValues(args))
  if (error)
    return fail(
      error.issues
        .map(({ path, message }) => `--${String(path[0])}: expected ${message}`)
        .join('\n'),
    )
  if (data.quiet && data['no-quiet']) fail('--quiet or --no-quiet, not both')
  if (data['contact-foreign'] && data['no-contact-foreign'])
    fail('--contact-foreign or --no-contact-foreign, not both')
  return data
}

const readValues = (args: string[]): Record<string, unknown> => {
  const text = { type: 'string' } as const
  const flag = { type: 'boolean' } as const
  try {
    return parseArgs({
      args,
      options: {
        tenant: text,
        since: text,
        until: text,
        file: text,
        night: text,
        json: flag,
        apply: flag,
        delay: text,
        'repeat-window': text,
        'oldest-call': text,
        quiet: { type: 'string', multiple: true },
        'no-quiet': flag,
        'missed-statuses': text,
        'min-ring': text,
        'contact-foreign': flag,
        'no-contact-foreign': flag,
        mode: text,
        connected: flag,
      },
    }).values
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error))
  }
}
