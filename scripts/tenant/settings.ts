/** npm run tenant -- set, pause, resume */
import type { Console } from 'node:console'
import { CITY_NAMES } from '../../app/outreach/calendar.ts'
import { describeWarning, loadGoLiveWarnings } from '../../app/tenants/go_live.ts'
import { tenantOnly } from '../../app/tenants/schema.ts'
import { resumeTenant, setTenant, settingsChange } from '../../app/tenants/settings.ts'
import {
  BOOLEAN,
  check,
  type Command,
  COMMAND_LINE,
  fail,
  fieldsOf,
  inTransaction,
  readFlags,
  STRING,
  STRINGS,
} from './terminal.ts'

const SET_HELP = `Usage: npm run tenant -- set --tenant ID [changes]

Changes the settings of a business. Settings that are not named do not change. Write an interval as 2 minutes, 90s,
24h or 1 day. A changed interval applies to messages that are scheduled later.

  --tenant ID               the business
  --name NAME               the name that customers read in messages
  --mode MODE               live, shadow (decides everything, sends nothing) or paused. The mode at the time when a
                            pending message is due decides: paused and shadow skip it for good, live sends it. Warnings
                            on stderr say what speaks against live, such as no test message that arrived
  --owner-phone NUMBER      the phone that gets notices about leads; none = no notices
  --timezone ZONE           for quiet windows and times in messages, such as Asia/Jerusalem

  --outreach-delay TIME     from the missed call to the first message
  --reminder-1-after TIME   from the first message to the first reminder
  --reminder-2-after TIME   from the first message to the second reminder
  --unresponsive-after TIME from the second reminder until the lead is unresponsive
  --repeat-window TIME      another missed call this soon after the last message gets no new message
  --oldest-call TIME        a call that is older when its record arrives gets no message
  --grace TIME              a first message that is later than this is not sent
  --reminder-grace TIME     a reminder that is later than this is not sent

  --missed-statuses LIST    Voicenter's statuses that count as missed, separated by commas
  --min-ring-seconds N      a caller who hangs up sooner gets no message; 0 = every call counts
  --contact-foreign yes|no  whether foreign numbers get messages
  --holdout-percent N       the share of callers in the control group, 0 to 50: they get no message, so that the effect of
                            the messages can be measured (select * from recovery_lift()); 0 = no group
  --last-look on|off        ask Voicenter's Active Calls before each message whether the caller is on the line; needs
                            access to the call log (npm run tenant -- call-log)
  --quiet WINDOW            no message is sent in this window: 21:00-08:00, "fri 15:00-sat 20:30", shabbat or holidays;
                            repeat it for more windows. A message that is due in a window is sent at its end
  --no-quiet                no windows: first messages are sent at any time
  --reminder-quiet WINDOW   no reminder is sent in this window either; repeat it for more windows
                            (default: 21:00-08:00, shabbat and holidays)
  --no-reminder-quiet       reminders have no windows of their own
  --location PLACE          where the sun sets for shabbat and holidays: a city, or lat,lon such as 31.77,35.21
                            (default: Tel Aviv). Israel's days apply, also abroad. The cities:
                            ${CITY_NAMES.slice(0, 8).join(', ')},
                            ${CITY_NAMES.slice(8, 15).join(', ')},
                            ${CITY_NAMES.slice(15).join(', ')}

  --languages LIST          the languages in which the templates are submitted, separated by commas: he, en, ar, ru. The
                            first is used (default: he)
  --opening-hours HOURS     when the business is open: "sun-thu 09:00-18:00", "fri 09:00-13:00" or 09:00-18:00; repeat it
                            for more. For templates of open or closed hours (npm run tenant -- template)
  --no-opening-hours        the hours are not known, and no such template is used

  --json                    the last line of stdout is one JSON object: tenantId, before, after (changed settings)
  --help                    show this text`

export const set: Command = async (args, terminal) => {
  const flags = readFlags(args, SET_HELP, {
    tenant: STRING,
    name: STRING,
    mode: STRING,
    'owner-phone': STRING,
    timezone: STRING,
    'outreach-delay': STRING,
    'reminder-1-after': STRING,
    'reminder-2-after': STRING,
    'unresponsive-after': STRING,
    'repeat-window': STRING,
    'oldest-call': STRING,
    grace: STRING,
    'reminder-grace': STRING,
    'missed-statuses': STRING,
    'min-ring-seconds': STRING,
    'contact-foreign': STRING,
    'holdout-percent': STRING,
    'last-look': STRING,
    quiet: STRINGS,
    'no-quiet': BOOLEAN,
    'reminder-quiet': STRINGS,
    'no-reminder-quiet': BOOLEAN,
    location: STRING,
    languages: STRING,
    'opening-hours': STRINGS,
    'no-opening-hours': BOOLEAN,
    json: BOOLEAN,
  })
  if (flags.quiet && flags['no-quiet']) fail('--quiet or --no-quiet, not both')
  if (flags['reminder-quiet'] && flags['no-reminder-quiet'])
    fail('--reminder-quiet or --no-reminder-quiet, not both')
  if (flags['opening-hours'] && flags['no-opening-hours'])
    fail('--opening-hours or --no-opening-hours, not both')
  const changes = check(settingsChange, {
    ...fieldsOf(flags),
    tenantId: flags.tenant ?? '',
    ownerPhone: flags['owner-phone'] === 'none' ? null : flags['owner-phone'],
    missedStatuses: flags['missed-statuses']?.split(','),
    contactForeign: asBoolean(flags['contact-foreign'], 'yes', 'no'),
    lastLook: asBoolean(flags['last-look'], 'on', 'off'),
    languages: flags.languages?.split(',').map(language => language.trim()),
    openingHours: flags['no-opening-hours'] ? [] : flags['opening-hours'],
    quietWindows: flags['no-quiet'] ? [] : flags.quiet,
    reminderQuietWindows: flags['no-reminder-quiet'] ? [] : flags['reminder-quiet'],
  })
  if (Object.values(changes).filter(value => value !== undefined).length === 1)
    fail('expected a change, such as --mode live')
  const { changed, warnings } = await inTransaction(terminal, async trx => ({
    changed: await setTenant(trx, COMMAND_LINE, changes),
    warnings: changes.mode === 'live' ? await loadGoLiveWarnings(trx, changes.tenantId) : [],
  }))
  for (const warning of warnings) terminal.console.error(`warning: ${describeWarning(warning)}`)
  printChanges(terminal.console, changes.tenantId, changed, flags.json)
}

/** Other words stay as they are, and the check reports them. */
const asBoolean = (
  answer: string | undefined,
  yes: string,
  no: string,
): boolean | string | undefined => (answer === yes ? true : answer === no ? false : answer)

const PAUSE_HELP = `Usage: npm run tenant -- pause --tenant ID

Short for set --mode paused: calls are recorded and classified, but no message is sent. A message that is due while the
business is paused is skipped (tenant_paused) and not sent later. To hold messages instead, pause the connection.

  --tenant ID    the business
  --json         the last line of stdout is one JSON object: tenantId, before, after (changed settings)
  --help         show this text`

export const pause: Command = async (args, terminal) => {
  const flags = readFlags(args, PAUSE_HELP, { tenant: STRING, json: BOOLEAN })
  const changes = check(settingsChange, { tenantId: flags.tenant ?? '', mode: 'paused' })
  const changed = await inTransaction(terminal, trx => setTenant(trx, COMMAND_LINE, changes))
  printChanges(terminal.console, changes.tenantId, changed, flags.json)
}

const RESUME_HELP = `Usage: npm run tenant -- resume --tenant ID

Resumes a paused business in the mode that it had before, live or shadow. If this is not known, because the business was
paused by SQL or added as paused, use set --mode.

  --tenant ID    the business
  --json         the last line of stdout is one JSON object: tenantId, before, after (changed settings)
  --help         show this text`

export const resume: Command = async (args, terminal) => {
  const flags = readFlags(args, RESUME_HELP, { tenant: STRING, json: BOOLEAN })
  const { tenantId } = check(tenantOnly, { tenantId: flags.tenant ?? '' })
  const changed = await inTransaction(terminal, trx => resumeTenant(trx, COMMAND_LINE, tenantId))
  printChanges(terminal.console, tenantId, changed, flags.json)
}

const printChanges = (
  console: Console,
  tenantId: string,
  { before, after }: Awaited<ReturnType<typeof setTenant>>,
  json: boolean | undefined,
): void => {
  const old = new Map<string, unknown>(Object.entries(before))
  const lines = Object.entries(after).map(
    ([name, value]) => `  ${name}: ${JSON.stringify(old.get(name))} -> ${JSON.stringify(value)}`,
  )
  console.error(
    [`tenant ${tenantId}: ${lines.length ? 'changed' : 'nothing changed'}`, ...lines].join('\n'),
  )
  if (json) console.log(JSON.stringify({ tenantId, before, after }))
}
