/** Prints the result of a replay, as text or as JSON. */
import { DateTime } from 'luxon'
import type { CallResult, Change } from '../../app/replay/compare.ts'
import { type Rules, SECOND } from '../../app/replay/simulate.ts'
import { formatInterval } from '../../app/tenants/schema.ts'
import type { Report } from './what_if.ts'

/** The kinds of change that fit on a screen. */
const MAX_CHANGES = 12

const ASSUMED = [
  'Both columns use the settings of today. So the left column may differ from what was really sent.',
  'A call is decided when its record arrives, and again when its message is due. Nothing runs late.',
  'Every message is delivered. Replies and opt-outs come when they really came, and there are no others.',
  'A person who opted out and later in again counts as never opted out.',
  'The numbers that are excluded today count as excluded in the whole period.',
  'Actions by hand (cancelled messages, messages that the owner wrote) and paused connections are ignored.',
]

const span = (ms: number): string => formatInterval(ms / SECOND)
const list = (values: readonly string[]): string => values.join(', ') || 'none'

const describe = (rules: Rules): Record<string, string> => ({
  mode: rules.mode,
  delay: span(rules.outreachDelay),
  'repeat window': span(rules.repeatWindow),
  'oldest call': span(rules.oldestCall),
  'quiet windows': list(rules.quietWindows),
  'quiet windows of reminders': list(rules.reminderQuietWindows),
  location: rules.location,
  'missed statuses': list(rules.missedStatuses),
  'shortest ring': span(rules.minRingSeconds * SECOND),
  'foreign numbers': rules.contactForeign ? 'contacted' : 'not contacted',
  'WhatsApp number': rules.connected ? 'connected' : 'none',
})

/** The changed settings, for example from `2 minutes` to `5 minutes`. */
const changedSettings = ({
  rules,
  changed,
}: Report): { setting: string; before: string; after: string }[] => {
  const after = describe(changed)
  return Object.entries(describe(rules)).flatMap(([setting, before]) =>
    after[setting] === before ? [] : [{ setting, before, after: after[setting] ?? '' }],
  )
}

const number = (value: number): string => value.toLocaleString('en')
const signed = (value: number): string => (value > 0 ? `+${number(value)}` : number(value))
const row = (what: string, before: number, after: number): string =>
  `${what.padEnd(36)}${number(before).padStart(12)}${number(after).padStart(12)}${signed(after - before).padStart(12)}`

const rows = (before: Record<string, number>, after: Record<string, number>): string[] =>
  [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .toSorted()
    .map(what => row(`  ${what}`, before[what] ?? 0, after[what] ?? 0))

export const asText = (report: Report): string => {
  const { tenantId, file, since, until, night, rules, replayed, wrongLines, comparison } = report
  const { before, after } = comparison
  const clock = (at: Date) => DateTime.fromJSDate(at, { zone: rules.timezone })
  const day = (at: Date) => clock(at).toFormat('yyyy-MM-dd HH:mm')
  const settings = changedSettings(report)
  const lines = [
    `Tenant ${tenantId}, ${since ? day(since) : 'all'} to ${day(until)} (${rules.timezone})${file ? `, from ${file}` : ''}`,
    `${number(comparison.calls)} calls; ${number(replayed.records)} records were played, with those before and after`,
    ...(replayed.unreadable
      ? [`records that can no longer be read and are left out: ${number(replayed.unreadable)}`]
      : []),
    ...(wrongLines.length
      ? [`lines that could not be read and are left out: ${number(wrongLines.length)}`]
      : []),
    '',
    ...(settings.length
      ? settings.map(({ setting, before, after }) => `${setting}: ${before} -> ${after}`)
      : ['No setting is changed.']),
    '',
    `${''.padEnd(36)}${'current'.padStart(12)}${'changed'.padStart(12)}${'difference'.padStart(12)}`,
    row('missed calls', before.verdicts['missed'] ?? 0, after.verdicts['missed'] ?? 0),
    row('messages', before.messages.total, after.messages.total),
    row('  first messages', before.messages.initial, after.messages.initial),
    row('  first reminders', before.messages.reminder_1, after.messages.reminder_1),
    row('  second reminders', before.messages.reminder_2, after.messages.reminder_2),
    row(`  at night (${night})`, before.atNight, after.atNight),
    row('  to people who had opted out', before.toOptedOut, after.toOptedOut),
    '',
    `${signed(comparison.more)} messages added, ${number(comparison.fewer)} removed, ${number(comparison.moved)} at another time`,
    '',
    'Calls by verdict',
    ...rows(before.verdicts, after.verdicts),
    'Missed calls by outreach',
    ...rows(before.outreach, after.outreach),
    ...(comparison.changedCalls
      ? ['', `${number(comparison.changedCalls)} calls change, for example`]
      : []),
    ...comparison.changes.slice(0, MAX_CHANGES).flatMap(change => example(change, clock)),
    '',
    'Assumed:',
    ...ASSUMED.map(line => `- ${line}`),
  ]
  return lines.join('\n')
}

const example = (
  { before, after, calls, examples }: Change,
  clock: (at: Date) => DateTime,
): string[] => {
  const times = ({ messages }: CallResult) =>
    messages.map(({ at }) => clock(at).toFormat('dd.MM. HH:mm')).join(', ') || '-'
  return [
    `  ${number(calls)} x ${before} -> ${after}`,
    ...examples.map(
      ({ callId, before, after }) => `      ${callId}  ${times(before)} -> ${times(after)}`,
    ),
  ]
}

export const asJson = (report: Report) => {
  const { tenantId, since, until, night, rules, replayed, wrongLines, comparison } = report
  const { before, after, calls, more, fewer, moved, changedCalls, changes } = comparison
  return {
    tenantId,
    since,
    until,
    timezone: rules.timezone,
    records: replayed.records,
    unreadable: replayed.unreadable,
    wrongLines: wrongLines.length,
    calls,
    settings: changedSettings(report),
    night,
    before,
    after,
    difference: {
      missed: (after.verdicts['missed'] ?? 0) - (before.verdicts['missed'] ?? 0),
      messages: after.messages.total - before.messages.total,
      more,
      fewer,
      moved,
      atNight: after.atNight - before.atNight,
      toOptedOut: after.toOptedOut - before.toOptedOut,
    },
    changedCalls,
    changes,
    assumed: ASSUMED,
  }
}
