/** Calls with so many CDRs that not all are read for each new one: the ids of those that decide are stored. */
import { sql } from 'kysely'
import type { Trx } from '../db/kysely.ts'
import type { Call } from '../db/locks.ts'
import { byStart, completeLegs, decidingLegs, type Verdict } from './classify.ts'
import { IS_WAITING, MAX_NEW } from './join_calls.ts'
import {
  type StoredLeg,
  type StoredCall,
  type ClassifiedCall,
  type Row,
  COLUMNS,
  storedCall,
  storedLeg,
  isEmptied,
  byId,
  ERASED,
  type TenantRules,
  writeVerdicts,
} from './stored_calls.ts'

/** How many CDRs of a large call are in memory at once. */
const PAGE = 500

/**
 * Reads the CDRs that decide the verdict on a large call, and its next new ones.
 *
 * @param some of its CDRs, which are enough if it has no tenant (verdictOfLarge)
 */
export const readLargeCall = async (
  trx: Trx,
  call: Call,
  recorded: StoredCall['recorded'],
  some: readonly Row[],
  rules: TenantRules,
): Promise<StoredCall> => {
  const { tenantId, rootCallId } = call
  const known = tenantId === null ? some.map(({ id }) => id) : await readDeciding(trx, call, rules)
  const deciding = known ?? (await selectDeciding(trx, call, rules))
  const { rows } = await sql<Row>`
    select ${COLUMNS} from (
      (select * from raw_cdrs where id = any(${deciding}::bigint[]))
      union all
      (select * from raw_cdrs
       where root_call_id = ${rootCallId} and tenant_id is not distinct from ${tenantId}::bigint and ${IS_WAITING}
       limit ${MAX_NEW})
    ) r
    order by r.id`.execute(trx)
  return storedCall({ call, recorded, large: { isReread: known === null } }, rows, rules)
}

/** Null: the call was not large yet, or the rules have changed since. */
const readDeciding = async (
  trx: Trx,
  { tenantId, rootCallId }: Call,
  { hash }: TenantRules,
): Promise<string[] | null> => {
  const { rows } = await sql<{ deciding: string[] }>`
    select deciding from large_calls
    where tenant_id = ${tenantId} and root_call_id = ${rootCallId} and rules_hash = ${hash}`.execute(
    trx,
  )
  return rows[0]?.deciding ?? null
}

/** Selects the CDRs that decide the verdict from all that are classified. */
const selectDeciding = async (trx: Trx, call: Call, rules: TenantRules): Promise<string[]> => {
  let deciding: StoredLeg[] = []
  const emptied: Row[] = []
  for await (const rows of classifiedRecords(trx, call)) {
    emptied.push(...rows.filter(isEmptied))
    // One of them shows that the call is redacted.
    emptied.sort((a, b) => Number(b.reason === ERASED) - Number(a.reason === ERASED)).splice(1)
    const legs = rows.flatMap(row => storedLeg(row, rules) ?? [])
    deciding = decidingLegs(byStart([...deciding, ...legs].toSorted(byId)), rules)
  }
  const ids = (emptied.length > 0 ? emptied : deciding).map(({ id }) => id)
  await saveDeciding(trx, call, rules, ids)
  return ids
}

const saveDeciding = async (
  trx: Trx,
  { tenantId, rootCallId }: Call,
  { hash }: TenantRules,
  ids: readonly string[],
): Promise<void> => {
  if (tenantId === null) return
  await sql`
    insert into large_calls (tenant_id, root_call_id, deciding, rules_hash)
    values (${tenantId}, ${rootCallId}, ${ids}::bigint[], ${hash})
    on conflict on constraint large_calls_once
      do update set deciding = excluded.deciding, rules_hash = excluded.rules_hash`.execute(trx)
}

/** The CDRs of a call that have a verdict, page by page. */
async function* classifiedRecords(trx: Trx, { tenantId, rootCallId }: Call): AsyncGenerator<Row[]> {
  await sql`
    declare classified no scroll cursor for
    select ${COLUMNS} from raw_cdrs r
    where r.root_call_id = ${rootCallId} and r.tenant_id is not distinct from ${tenantId}::bigint
      and r.verdict is not null`.execute(trx)
  for (;;) {
    const { rows } = await sql<Row>`fetch ${sql.lit(PAGE)} from classified`.execute(trx)
    if (rows.length === 0) break
    yield rows
  }
  await sql`close classified`.execute(trx)
}

/**
 * The reason of the verdict on a large call stays the one that was found first: otherwise each new CDR could change it,
 * and all the others would be written again. Nothing follows from the verdict on a call without a tenant, so it is the same
 * for all that are large.
 */
export const verdictOfLarge = (
  { call: { tenantId }, legs, large }: StoredCall,
  verdict: Verdict<StoredLeg>,
): Verdict<StoredLeg> => {
  if (large && tenantId === null) return { verdict: 'unmatched_number', reason: 'number_dialled' }
  const earlier = legs.find(({ verdictSoFar }) => verdictSoFar)?.verdictSoFar
  const isSame = earlier?.verdict === verdict.verdict && earlier.reason !== 'waiting_for_root'
  return large && !large.isReread && isSame ? { ...verdict, reason: earlier.reason } : verdict
}

/** Writes a new verdict on the other CDRs of a large call, and which of all its CDRs decide. */
export const writeLargeCall = async (
  trx: Trx,
  { call, legs, large, verdict: { verdict, reason } }: ClassifiedCall,
  rules: TenantRules,
): Promise<void> => {
  if (!large) return
  const isChanged = legs.some(
    ({ verdictSoFar }) =>
      verdictSoFar && (verdictSoFar.verdict !== verdict || verdictSoFar.reason !== reason),
  )
  if (large.isReread || isChanged)
    for await (const rows of classifiedRecords(trx, call)) {
      const records = rows.flatMap(row => storedLeg(row, rules) ?? [])
      await writeVerdicts(
        trx,
        completeLegs(records, rules.isOwnLine, legs).map(leg => ({ ...leg, verdict, reason })),
      )
    }
  await saveDeciding(
    trx,
    call,
    rules,
    decidingLegs(legs, rules).map(({ id }) => id),
  )
}
