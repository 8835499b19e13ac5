import { parseArgs } from 'node:util'
import { DateTime } from 'luxon'
import { z } from 'zod'
import { parseInterval } from '../../app/tenants/schema.ts'
import { settingsChange } from '../../app/tenants/settings.ts'

export const HELP = `Usage: npm run replay -- --tenant ID --since TIME [options] [changed settings]
       npm run replay -- --tenant ID --file CALLS.ndjson [options] [changed settings]
       npm run replay -- --verdicts --tenant ID [--since TIME] [--until TIME]
       npm run replay -- --apply [--tenant ID] [--since TIME]

Plays the stored calls of a business twice, with its current settings and with changed settings, and prints
the difference. It uses the program's own rules, sends nothing and changes nothing.

  --tenant ID             the business
  --since TIME            count calls that arrived since 2026-07-01, "2026-07-01 14:00" or "30 days" ago
  --until TIME            count calls that arrived before this time (default: now)
  --file FILE             play records from a file, one JSON record per line, instead of the stored ones
  --night WINDOW          which messages count as "at night" (default 21:00-08:00)
  --json                  print one JSON object as the last line of stdout
  --help                  print this text

Changed settings. A setting that is not given stays as it is:
  --delay SPAN            the time until the first message: "2 minutes", 90s
  --repeat-window SPAN    after a message, send none for another call during this time: 24h
  --oldest-call SPAN      send no message for a call that was older than this when it was received
  --quiet WINDOW          send no messages during 21:00-08:00, "fri 15:00-sat 20:30", shabbat or holidays; may be
                          repeated
  --no-quiet              send messages at any time
  --reminder-quiet WINDOW also send no reminders during this window; may be repeated
  --no-reminder-quiet     reminders have no windows of their own
  --location PLACE        the city, or lat,lon, where the sun sets for shabbat and holidays
  --missed-statuses LIST  the statuses that count as missed, separated by commas
  --min-ring SECONDS      a caller who hangs up sooner has misdialled
  --contact-foreign       also write to foreign numbers; or --no-contact-foreign
  --mode MODE             live, shadow or paused
  --connected             as if the business had a WhatsApp number

  --verdicts              compare the stored verdicts with those that this version of the program gives, by reason.
                          Changes nothing
  --apply                 classify calls again that have no final verdict: never classified, unknown, or to a
                          number that no business had. Old calls get no message`

/** Where a command prints: the console, or an array in a test. */
export type Output = Pick<Console, 'log' | 'error'>

export class UsageError extends Error {}

/** A time that depends on the current time and the tenant's time zone, which are known later. */
const time = z.string().transform((written, context) => {
  const ago = parseInterval(written.replace(/ ago$/, ''))
  const iso = written.trim().replace(' ', 'T')
  if (ago === null && !DateTime.fromISO(iso).isValid) {
    context.addIssue('a time such as 2026-07-01, "2026-07-01 14:00" or "30 days"')
    return z.NEVER
  }
  return (now: Date, timezone: string): Date =>
    ago === null
      ? DateTime.fromISO(iso, { zone: timezone }).toJSDate()
      : new Date(now.getTime() - ago * 1000)
})

const boolean = z.boolean().optional()
/** A changed setting accepts what `npm run tenant -- set` accepts. */
const { shape } = settingsChange
const flags = z.object({
  tenant: shape.tenantId.optional(),
  since: time.optional(),
  until: time.optional(),
  file: z.string().optional(),
  night: z
    .string()
    .default('21:00-08:00')
    .transform(window => [window])
    .pipe(shape.quietWindows.unwrap()),
  json: boolean,
  apply: boolean,
  verdicts: boolean,
  delay: shape.outreachDelay,
  'repeat-window': shape.repeatWindow,
  'oldest-call': shape.oldestCall,
  quiet: shape.quietWindows,
  'no-quiet': boolean,
  'reminder-quiet': shape.reminderQuietWindows,
  'no-reminder-quiet': boolean,
  location: shape.location,
  'missed-statuses': z
    .string()
    .transform(list => list.split(','))
    .pipe(shape.missedStatuses.unwrap())
    .optional(),
  'min-ring': shape.minRingSeconds,
  'contact-foreign': boolean,
  'no-contact-foreign': boolean,
  mode: shape.mode,
  connected: boolean,
})
export type Flags = z.infer<typeof flags>

const REPEATED = ['quiet', 'reminder-quiet']
const BOOLEANS = [
  'json',
  'apply',
  'verdicts',
  'no-quiet',
  'no-reminder-quiet',
  'contact-foreign',
  'no-contact-foreign',
  'connected',
]

/** @throws UsageError */
export const readFlags = (args: string[]): Flags => {
  const { data, error } = flags.safeParse(parse(args))
  if (error)
    throw new UsageError(
      error.issues
        .map(({ path, message }) => `--${String(path[0])}: expected ${message}`)
        .join('\n'),
    )
  for (const name of ['quiet', 'reminder-quiet', 'contact-foreign'] as const)
    if (data[name] && data[`no-${name}`])
      throw new UsageError(`--${name} or --no-${name}, not both`)
  if (!data.apply && !data.tenant) throw new UsageError('--tenant: expected the id of a business')
  if (!data.apply && !data.verdicts && !data.since && !data.file)
    throw new UsageError('--since: expected a time such as "30 days", or --file with records')
  return data
}

const parse = (args: string[]): Record<string, unknown> => {
  const options = Object.keys(flags.shape).map(name => {
    const type = BOOLEANS.includes(name) ? 'boolean' : 'string'
    return [name, { type, multiple: REPEATED.includes(name) }] as const
  })
  try {
    return parseArgs({ args, options: Object.fromEntries(options) }).values
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}
