/** npm run replay: the same calls under the settings of now and under changed ones. */
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { compare } from '../../app/replay/compare.ts'
import { recordsOf, readKnown, readRules, storedRecords } from '../../app/replay/stored.ts'
import {
  type Heard,
  replay,
  type Changes,
  reachOf,
  type Rules,
  SECOND,
  newSimulation,
} from '../../app/replay/simulate.ts'
import type { Trx } from '../../app/db/kysely.ts'
import { type Asked, fail } from './flags.ts'
import { patiently } from './patiently.ts'
import { asJson, asText } from './print.ts'

/** How often it says how far it is. */
const TELL_EVERY_MS = 1000

export const run = async (asked: Asked): Promise<void> => {
  const report = await patiently(trx => whatIf(trx, asked))
  console.log(asText(report))
  if (asked.json) console.log(JSON.stringify(asJson(report)))
}

export type Report = Awaited<ReturnType<typeof whatIf>>

const whatIf = async (trx: Trx, asked: Asked) => {
  const { tenant: tenantId = '', file } = asked
  const rules = await readRules(trx, tenantId)
  const changed: Rules = { ...rules, ...changesIn(asked) }
  const now = new Date()
  const { timezone } = rules
  const since = asked.since?.(now, timezone) ?? null
  const until = asked.until?.(now, timezone) ?? now
  if (since && since >= until) fail('--since: expected a moment before --until')

  // What happened before plays its part, and what follows takes its time.
  const around = Math.max(reachOf(rules), reachOf(changed))
  const from = new Date((since ?? new Date(0)).getTime() - around)
  const end = new Date(Math.min(until.getTime() + around, now.getTime()))
  const known = await readKnown(trx, tenantId, file ? new Date(0) : from)
  const before = newSimulation(rules, known)
  const after = newSimulation(changed, known)

  const wrongLines: string[] = []
  const heard = file
    ? await readFile(file, now, wrongLines)
    : storedRecords(trx, tenantId, from, end)
  // Of a file nobody knows what came after it: everything takes its course.
  const replayed = await replay(heard, [before, after], file ? FAR_AWAY : end, progress())
  const [night = ''] = asked.night ?? []
  const counts = (at: Date): boolean => (!since || at >= since) && at < until
  const comparison = compare(before, after, replayed.heardAt, { counts, night })
  return { tenantId, file, since, until, night, rules, changed, replayed, wrongLines, comparison }
}

/** Later than anything that is ever due. */
const FAR_AWAY = new Date(Date.UTC(9999, 0))

const changesIn = (asked: Asked): Changes => ({
  ...(asked.delay !== undefined && { outreachDelay: asked.delay * SECOND }),
  ...(asked['repeat-window'] !== undefined && { repeatWindow: asked['repeat-window'] * SECOND }),
  ...(asked['oldest-call'] !== undefined && { oldestCall: asked['oldest-call'] * SECOND }),
  ...(asked.quiet && { quietWindows: asked.quiet }),
  ...(asked['no-quiet'] && { quietWindows: [] }),
  ...(asked['missed-statuses'] && { missedStatuses: asked['missed-statuses'] }),
  ...(asked['min-ring'] !== undefined && { minRingSeconds: asked['min-ring'] }),
  ...(asked['contact-foreign'] && { contactForeign: true }),
  ...(asked['no-contact-foreign'] && { contactForeign: false }),
  ...(asked.mode && { mode: asked.mode }),
  ...(asked.connected && { connected: true }),
})

const readFile = async (file: string, now: Date, wrongLines: string[]): Promise<Heard[]> => {
  const lines = createInterface({ input: createReadStream(file), crlfDelay: Infinity })
  return recordsOf(lines, now, (line, why) => {
    wrongLines.push(`line ${line}: ${why}`)
    console.error(`${file}, line ${line}: ${why}`)
  })
}

/** On long work. */
const progress = () => {
  let told = performance.now()
  return (records: number, at: Date): void => {
    if (performance.now() - told < TELL_EVERY_MS) return
    told = performance.now()
    console.error(`${records} records, up to ${at.toISOString()}`)
  }
}
