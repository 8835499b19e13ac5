/** npm run replay: plays the same calls with the current settings and with changed ones. */
import { open } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import type { Trx } from '../../app/db/kysely.ts'
import { compare } from '../../app/replay/compare.ts'
import { readContacts, readRecordLines, readRules, storedRecords } from '../../app/replay/inputs.ts'
import {
  effectSpan,
  readingOf,
  type RuleChanges,
  type Rules,
  SECOND,
  newSimulation,
  type ReceivedCdr,
  replay,
} from '../../app/replay/simulate.ts'
import { type Flags, type Output, UsageError } from './flags.ts'

const PROGRESS_INTERVAL_MS = 1000

export type Report = Awaited<ReturnType<typeof makeReport>>

export const makeReport = async (trx: Trx, flags: Flags, output: Output) => {
  const { tenant: tenantId = '', file } = flags
  const rules = await readRules(trx, tenantId)
  const changed: Rules = { ...rules, ...changesOf(flags) }
  const now = new Date()
  const { timezone } = rules
  const since = flags.since?.(now, timezone) ?? null
  const until = flags.until?.(now, timezone) ?? now
  if (since && since >= until) throw new UsageError('--since: expected a time before --until')

  // Calls before and after the period are played too, because they affect those in it.
  const margin = Math.max(effectSpan(rules), effectSpan(changed))
  const from = new Date((since ?? new Date(0)).getTime() - margin)
  const to = new Date(Math.min(until.getTime() + margin, now.getTime()))
  const contacts = await readContacts(trx, tenantId, file ? new Date(0) : from)
  const before = newSimulation(rules, contacts)
  const after = newSimulation(changed, contacts)

  const wrongLines: string[] = []
  const cdrs = file
    ? await readFile(file, now, wrongLines, output, rules)
    : storedRecords(trx, tenantId, from, to, readingOf(rules))
  // It is unknown what came after the CDRs of a file, so all their messages are played.
  const end = file ? FAR_FUTURE : to
  const replayed = await replay(cdrs, [before, after], end, progress(output))
  const [night = ''] = flags.night
  const counts = (at: Date): boolean => (!since || at >= since) && at < until
  const comparison = compare(before, after, replayed.receivedAt, { counts, night })
  return { tenantId, file, since, until, night, rules, changed, replayed, wrongLines, comparison }
}

const FAR_FUTURE = new Date(Date.UTC(9999, 0))

const changesOf = (flags: Flags): RuleChanges => ({
  ...(flags.delay !== undefined && { outreachDelay: flags.delay * SECOND }),
  ...(flags['repeat-window'] !== undefined && { repeatWindow: flags['repeat-window'] * SECOND }),
  ...(flags['oldest-call'] !== undefined && { oldestCall: flags['oldest-call'] * SECOND }),
  ...(flags.quiet && { quietWindows: flags.quiet }),
  ...(flags['no-quiet'] && { quietWindows: [] }),
  ...(flags['reminder-quiet'] && { reminderQuietWindows: flags['reminder-quiet'] }),
  ...(flags['no-reminder-quiet'] && { reminderQuietWindows: [] }),
  ...(flags.location && { location: flags.location }),
  ...(flags['missed-statuses'] && { missedStatuses: flags['missed-statuses'] }),
  ...(flags['min-ring'] !== undefined && { minRingSeconds: flags['min-ring'] }),
  ...(flags['contact-foreign'] && { contactForeign: true }),
  ...(flags['no-contact-foreign'] && { contactForeign: false }),
  ...(flags.mode && { mode: flags.mode }),
  ...(flags.connected && { connected: true }),
})

const readFile = async (
  file: string,
  now: Date,
  wrongLines: string[],
  output: Output,
  rules: Rules,
): Promise<ReceivedCdr[]> => {
  const opened = await open(file).catch((error: Error) => {
    throw new Error(`--file: cannot be read (${error.message})`)
  })
  const lines = createInterface({ input: opened.createReadStream(), crlfDelay: Infinity })
  const onWrongLine = (line: number, why: string): void => {
    wrongLines.push(`line ${line}: ${why}`)
    output.error(`${file}, line ${line}: ${why}`)
  }
  return readRecordLines(lines, now, onWrongLine, readingOf(rules))
}

const progress = (output: Output) => {
  let printedAt = performance.now()
  return (records: number, at: Date): void => {
    if (performance.now() - printedAt < PROGRESS_INTERVAL_MS) return
    printedAt = performance.now()
    output.error(`${records} records, up to ${at.toISOString()}`)
  }
}
