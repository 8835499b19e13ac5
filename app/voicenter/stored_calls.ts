/** The stored CDRs of calls: reads them under a tenant's rules, and writes their verdicts. */
import { sql } from 'kysely'
import { sha256 } from '../crypto.ts'
import { planName, type Trx } from '../db/kysely.ts'
import type { Call } from '../db/locks.ts'
import {
  legOf,
  type ClassifyRules,
  completeLegs,
  type Leg,
  READING_VERSION,
  ROOT_WAIT_SECONDS,
  type TenantReading,
  usesNumberOf,
  type Verdict,
} from './classify.ts'
import { readStored, type StoredCdr } from './parse.ts'
import { DEFAULT_TIMEZONE } from './time.ts'

/** A CDR of a call, and the verdict that it has already. */
export type StoredLeg = Leg & {
  id: string
  verdictSoFar: { verdict: string; reason: string } | null
}

export type StoredCall = {
  call: Call
  /** The CDRs of the call, sorted by start. Of a large call: those that decide, and the next new ones. */
  legs: StoredLeg[]
  /** When the first of its CDRs arrived. */
  receivedAt: Date
  /** Its CDRs have waited long enough for a root that has not arrived. */
  hasWaited: boolean
  /** What `missed_calls` says about the call already; null if it is not there. */
  recorded: Recorded | null
  /** Not null: retention or an erasure has emptied some of its CDRs. */
  redacted: RedactedCall | null
  /** It is large. `isReread`: all of its CDRs were read, because it was not known as large, or the rules changed. */
  large: { isReread: boolean } | null
}
/** `namesNoCustomer`: as NAMES_NO_CUSTOMER (app/outreach/missed_calls.ts). */
export type Recorded = { namesNoCustomer: boolean }
export type ClassifiedCall = StoredCall & { verdict: Verdict<StoredLeg> }

export type Row = StoredCdr & {
  id: string
  receivedAt: Date
  hasWaited: boolean
  verdict: string | null
  reason: string | null
}
export type RowOfCall = Row & { n: number; recorded: Recorded | null }

/** A large payload stays on the disk, unless it is asked for. */
export const COLUMNS = sql`r.id, r.facts, case when r.facts is null then r.payload end as payload, r.received_at as "receivedAt",
  r.received_at <= now() - make_interval(secs => ${ROOT_WAIT_SECONDS}) as "hasWaited", r.verdict, r.reason`

export const storedCall = (
  { call, recorded, large }: Pick<StoredCall, 'call' | 'recorded' | 'large'>,
  rows: readonly Row[],
  rules: TenantRules,
): StoredCall => {
  const legs = rows.flatMap(row => storedLeg(row, rules) ?? [])
  const receivedAt = new Date(Math.min(...rows.map(row => row.receivedAt.getTime())))
  return {
    call,
    legs: completeLegs(legs, rules.isOwnLine),
    receivedAt,
    hasWaited: rows.some(({ hasWaited }) => hasWaited),
    recorded,
    redacted: legs.length < rows.length ? redactedCall(rows) : null,
    large,
  }
}

/** Null for a CDR that was emptied. */
export const storedLeg = (row: Row, reading: TenantReading): StoredLeg | null => {
  const { id, receivedAt, verdict, reason } = row
  if (isEmptied(row)) return null
  const verdictSoFar = verdict !== null && reason !== null ? { verdict, reason } : null
  return { ...legOf(readStored(row), receivedAt, reading), id, verdictSoFar }
}

export const isEmptied = ({ facts, payload }: Row): boolean => facts === null && payload === null

export const rootDeadline = (receivedAt: Date): Date =>
  new Date(receivedAt.getTime() + ROOT_WAIT_SECONDS * 1000)

/** In the order of arrival. */
export const byId = (a: { id: string }, b: { id: string }): number =>
  a.id.length - b.id.length || (a.id < b.id ? -1 : 1)

/** The reason of a CDR that was emptied because its person was erased. */
export const ERASED = 'erased'

export type RedactedCall = { verdict: string; reason: string; ids: string[] }

/** The verdict that a redacted call has, and its CDRs that are not emptied. */
const redactedCall = (rows: readonly Row[]): RedactedCall => {
  const emptied = rows.filter(isEmptied)
  const { verdict, reason } = emptied.find(row => row.reason === ERASED) ?? emptied[0] ?? {}
  const ids = rows.flatMap(row => (isEmptied(row) ? [] : row.id))
  return { verdict: verdict ?? 'unknown', reason: reason ?? ERASED, ids }
}

/** The CDRs that are written and have effects: all, but of a large call only the new ones. */
export const newLegsOf = ({ legs, large }: StoredCall): StoredLeg[] =>
  large ? legs.filter(({ verdictSoFar }) => !verdictSoFar) : legs

/** `hash` differs if any of these differ. */
export type TenantRules = ClassifyRules<Leg> &
  TenantReading & {
    hash: string
    /** The numbers that no call was classified for yet. */
    unseen: readonly string[]
  }
export type RulesOf = (tenantId: string | null) => TenantRules

/** For calls whose tenant is unknown: no number belongs to them. */
const UNASSIGNED_RULES: TenantRules = {
  missedStatuses: [],
  minRingSeconds: 0,
  isOurs: () => false,
  isOwnLine: () => false,
  timezone: DEFAULT_TIMEZONE,
  hash: '',
  unseen: [],
}

export const readTenantRules = async (trx: Trx, calls: readonly Call[]): Promise<RulesOf> => {
  const tenants = [...new Set(calls.flatMap(({ tenantId }) => tenantId ?? []))]
  const { rows } = await sql<{
    id: string
    timezone: string
    statuses: string[]
    ring: number
    lines: string[]
    unseen: string[]
  }>`
    ${planName(trx, 'settings')}
    select t.id, t.timezone, t.missed_statuses as statuses, t.min_ring_seconds as ring, array(
      select n.phone from tenant_numbers n where n.tenant_id = t.id
      union select c.display_phone_number from whatsapp_connections c where c.tenant_id = t.id order by 1) as lines,
      array(select n.phone from tenant_numbers n where n.tenant_id = t.id and n.seen_at is null) as unseen
    from tenants t where t.id = any(${tenants}::bigint[])`.execute(trx)
  const rules = new Map(
    rows.map(({ id, timezone, statuses, ring, lines, unseen }): [string, TenantRules] => {
      const known = new Set(lines)
      const isOurs = usesNumberOf(known)
      const isOwnLine = (e164: string): boolean => known.has(e164)
      const hash = sha256(
        JSON.stringify([READING_VERSION, timezone, statuses, ring, lines]),
      ).toString('hex')
      const reading = { timezone, missedStatuses: statuses, minRingSeconds: ring }
      return [id, { ...reading, isOurs, isOwnLine, hash, unseen }]
    }),
  )
  return tenantId => (tenantId ? rules.get(tenantId) : null) ?? UNASSIGNED_RULES
}

type ClassifiedLeg = StoredLeg & { verdict: string; reason: string }

/** Writes the verdict of the call on each of these CDRs, and the values that were read from the CDR itself. */
export const writeVerdicts = async (trx: Trx, rows: readonly ClassifiedLeg[]): Promise<void> => {
  const ids = rows.map(row => row.id)
  await sql`
    ${planName(trx, 'verdicts')}
    update raw_cdrs r
    set verdict = leg.verdict, reason = leg.reason, called_at = leg.called_at, clock = leg.clock,
        business_phone = leg.business_phone, customer_phone = leg.customer_phone, reached_phone = leg.reached_phone,
        reached_until = leg.reached_until
    from unnest(
      ${ids}::bigint[],
      ${rows.map(row => row.verdict)}::text[],
      ${rows.map(row => row.reason)}::text[],
      ${rows.map(row => row.calledAt)}::timestamptz[],
      ${rows.map(row => row.clock)}::text[],
      ${rows.map(row => row.businessPhone)}::text[],
      ${rows.map(row => row.customerPhone)}::text[],
      ${rows.map(row => row.reachedPhone)}::text[],
      ${rows.map(row => (row.reachedPhone ? row.reachedUntil : null))}::timestamptz[]
    ) as leg (id, verdict, reason, called_at, clock, business_phone, customer_phone, reached_phone, reached_until)
    where r.id = leg.id
      -- Or a plan that was made for a small table would read all of it, and look for each of its rows among these.
      and r.id = any(${ids}::bigint[])`.execute(trx)
}

/** The first call of a customer to a number shows that the number is right (app/tenants/checklist.ts). */
export const markNumbersSeen = async (
  trx: Trx,
  calls: readonly ClassifiedCall[],
  rulesOf: RulesOf,
): Promise<void> => {
  const seen = new Set(
    calls.flatMap(({ call, legs, verdict }) => {
      if (!['missed', 'answered'].includes(verdict.verdict)) return []
      const { unseen } = rulesOf(call.tenantId)
      return legs.flatMap(({ businessPhone }) =>
        businessPhone !== null && unseen.includes(businessPhone) ? businessPhone : [],
      )
    }),
  )
  if (seen.size === 0) return
  // Another transaction may be writing the same.
  await sql`
    update tenant_numbers set seen_at = now() where phone in (
      select phone from tenant_numbers where phone = any(${[...seen]}::text[]) and seen_at is null
      for update skip locked)`.execute(trx)
}
