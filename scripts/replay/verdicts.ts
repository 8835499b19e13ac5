/** npm run replay -- --verdicts: compares the stored verdicts with those that this version of the program gives. */
import { sql } from 'kysely'
import type { Trx } from '../../app/db/kysely.ts'
import { readContacts, readRules, storedRecords } from '../../app/replay/inputs.ts'
import { newSimulation, readingOf, replay } from '../../app/replay/simulate.ts'
import { type Flags, type Output, UsageError } from './flags.ts'

const ALLOWED = ['verdicts', 'tenant', 'since', 'until', 'json', 'night']
const MAX_EXAMPLES = 3

/** Calls whose verdict and reason change in the same way. */
type Change = { before: string; after: string; calls: number; examples: string[] }
export type VerdictReport = { calls: number; changed: number; changes: Change[] }

export const compareVerdicts = async (trx: Trx, flags: Flags): Promise<VerdictReport> => {
  const others = Object.keys(flags).filter(flag => !ALLOWED.includes(flag))
  if (others.length)
    throw new UsageError(
      `--verdicts uses the current settings of the business, so it does not go with --${others.join(', --')}`,
    )
  const tenantId = flags.tenant ?? ''
  const rules = await readRules(trx, tenantId)
  const now = new Date()
  const since = flags.since?.(now, rules.timezone) ?? new Date(0)
  const until = flags.until?.(now, rules.timezone) ?? now
  const simulation = newSimulation(rules, await readContacts(trx, tenantId, since))
  await replay(storedRecords(trx, tenantId, since, until, readingOf(rules)), [simulation], now)

  const { rows } = await sql<{ callId: string; verdict: string; reason: string }>`
    select root_call_id as "callId", min(verdict) as verdict, min(reason) as reason from raw_cdrs
    where tenant_id = ${tenantId} and received_at >= ${since} and received_at < ${until} and verdict is not null
    group by root_call_id order by min(id)`.execute(trx)
  const changes = new Map<string, Change>()
  for (const { callId, verdict, reason } of rows) {
    const outcome = simulation.outcomes.get(callId)
    const [before, after] = [`${verdict} ${reason}`, `${outcome?.verdict} ${outcome?.reason}`]
    if (!outcome || before === after) continue
    const change = changes.get(`${before} ${after}`) ?? { before, after, calls: 0, examples: [] }
    changes.set(`${before} ${after}`, change)
    change.calls++
    if (change.examples.length < MAX_EXAMPLES) change.examples.push(callId)
  }
  const sorted = [...changes.values()].toSorted((a, b) => b.calls - a.calls)
  const changed = sorted.reduce((sum, { calls }) => sum + calls, 0)
  return { calls: simulation.outcomes.size, changed, changes: sorted }
}

export const printVerdicts = (report: VerdictReport, flags: Flags, output: Output): void => {
  output.log(`${report.changed} of ${report.calls} calls would get another verdict or reason.`)
  for (const { before, after, calls, examples } of report.changes)
    output.log(
      `${String(calls).padStart(8)}  ${before} -> ${after}, such as ${examples.join(', ')}`,
    )
  if (flags.json) output.log(JSON.stringify(report))
}
