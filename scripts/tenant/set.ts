import { check, COMMAND_LINE, fail, readFlags, withDatabase } from './terminal.ts'
import { settings, setTenant } from '../../app/tenants/settings.ts'

const HELP = `Usage: npm run tenant -- set --tenant ID [what to change]

Changes what a business has set; what is not named stays. Times are written 2 minutes, 90s, 24h, 1 day.
A change of a time affects what is scheduled after it.

  --tenant ID               the business
  --name NAME               the name customers read in the message
  --mode MODE               live, shadow (decides everything, sends nothing) or paused. What waits is decided
                            again when it is due: paused or in shadow it is skipped, for good; live it goes out
  --owner-phone NUMBER      whom to tell about warm leads; none = nobody
  --timezone ZONE           of the quiet windows and of the times in messages, such as Asia/Jerusalem

  --outreach-delay TIME     from the missed call to the first message
  --reminder-1-after TIME   from the first message to the first reminder
  --reminder-2-after TIME   and to the second
  --unresponsive-after TIME from the second reminder to giving up
  --repeat-window TIME      for so long after the last message, another missed call brings no new one
  --oldest-call TIME        a call that began longer ago when we hear of it is not answered
  --grace TIME              a first message this late is not sent any more
  --reminder-grace TIME     nor a reminder this late

  --missed-statuses LIST    Voicenter's statuses that count as missed, separated by commas
  --min-ring-seconds N      a caller who hung up sooner has misdialled; 0 = every ring counts
  --contact-foreign yes|no  whether foreign numbers are written to
  --quiet WINDOW            nobody is written to then: 21:00-08:00, or "fri 15:00-sat 20:30"; repeat for more than
                            one. What comes due in it waits for its end
  --no-quiet                no such windows

  --json                    the last line of stdout is one JSON object: tenantId, and of what changed before, after
  --help                    this text`

const FLAGS = {
  tenantId: '--tenant',
  name: '--name',
  mode: '--mode',
  ownerPhone: '--owner-phone',
  timezone: '--timezone',
  outreachDelay: '--outreach-delay',
  reminder1After: '--reminder-1-after',
  reminder2After: '--reminder-2-after',
  unresponsiveAfter: '--unresponsive-after',
  repeatWindow: '--repeat-window',
  oldestCall: '--oldest-call',
  grace: '--grace',
  reminderGrace: '--reminder-grace',
  missedStatuses: '--missed-statuses',
  minRingSeconds: '--min-ring-seconds',
  contactForeign: '--contact-foreign',
  quietWindows: '--quiet',
}

export const run = async (args: string[]): Promise<void> => {
  const flags = readFlags(args, HELP, {
    tenant: { type: 'string' },
    name: { type: 'string' },
    mode: { type: 'string' },
    'owner-phone': { type: 'string' },
    timezone: { type: 'string' },
    'outreach-delay': { type: 'string' },
    'reminder-1-after': { type: 'string' },
    'reminder-2-after': { type: 'string' },
    'unresponsive-after': { type: 'string' },
    'repeat-window': { type: 'string' },
    'oldest-call': { type: 'string' },
    grace: { type: 'string' },
    'reminder-grace': { type: 'string' },
    'missed-statuses': { type: 'string' },
    'min-ring-seconds': { type: 'string' },
    'contact-foreign': { type: 'string' },
    quiet: { type: 'string', multiple: true },
    'no-quiet': { type: 'boolean' },
    json: { type: 'boolean' },
  })
  if (flags.quiet && flags['no-quiet']) fail('--quiet or --no-quiet, not both')
  const wanted = check(
    settings,
    {
      tenantId: flags.tenant ?? '',
      name: flags.name,
      mode: flags.mode,
      ownerPhone: flags['owner-phone'] === 'none' ? null : flags['owner-phone'],
      timezone: flags.timezone,
      outreachDelay: flags['outreach-delay'],
      reminder1After: flags['reminder-1-after'],
      reminder2After: flags['reminder-2-after'],
      unresponsiveAfter: flags['unresponsive-after'],
      repeatWindow: flags['repeat-window'],
      oldestCall: flags['oldest-call'],
      grace: flags.grace,
      reminderGrace: flags['reminder-grace'],
      missedStatuses: flags['missed-statuses']?.split(','),
      minRingSeconds: flags['min-ring-seconds'],
      contactForeign: yesOrNo(flags['contact-foreign']),
      quietWindows: flags['no-quiet'] ? [] : flags.quiet,
    },
    FLAGS,
  )
  if (Object.values(wanted).filter(value => value !== undefined).length === 1)
    fail('what to change about it, such as --mode live')
  await withDatabase(
    trx => setTenant(trx, COMMAND_LINE, wanted),
    changed => tellChanged(wanted.tenantId, changed, flags.json),
    FLAGS,
  )
}

type Changed = { before: Record<string, unknown>; after: Record<string, unknown> }

/** What a command has changed about a business. */
export const tellChanged = (
  tenantId: string,
  { before, after }: Changed,
  json: boolean | undefined,
): void => {
  const lines = Object.keys(after).map(
    name => `  ${name}: ${JSON.stringify(before[name])} -> ${JSON.stringify(after[name])}`,
  )
  console.error(
    [`tenant ${tenantId}: ${lines.length ? 'changed' : 'nothing changed'}`, ...lines].join('\n'),
  )
  if (json) console.log(JSON.stringify({ tenantId, before, after }))
}

/** What is neither stays as it is, for the check to complain about. */
const yesOrNo = (written: string | undefined): boolean | string | undefined =>
  written === 'yes' ? true : written === 'no' ? false : written
