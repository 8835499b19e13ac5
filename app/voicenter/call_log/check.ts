/** Compares a tenant's call log with the webhooks that arrived, and ingests the calls that are missing. */
import { type RawBuilder, sql } from 'kysely'
import { z } from 'zod'
import { callLogOwner, decrypt, sha256Hex } from '../../crypto.ts'
import { addJob, jobSpec } from '../../db/jobs.ts'
import { db, type Trx } from '../../db/kysely.ts'
import { retryOnConflict } from '../../db/retry.ts'
import { log } from '../../log.ts'
import { ingest } from '../ingest.ts'
import { type CallLogOptions, callsBetween } from './client.ts'
import { type Answer, type Failure, type LogEntry, readEntry, windowOf } from './entries.ts'

/**
 * One check: compares, ingests missing calls, and schedules the next check. A failure of Voicenter is written into
 * the row and tried again later. Safe to run twice, also at the same time.
 *
 * @param options see callsBetween
 */
export const checkCallLog = async (tenantId: string, options: CallLogOptions): Promise<void> => {
  const access = await readAccess(tenantId)
  if (!access?.isDue) return
  const window = windowOf(access, access.now)
  const result = await compare(access, window, options)
  await db.transaction().execute(async trx => {
    if ('why' in result) await recordFailure(trx, tenantId, result)
    else await recordCheck(trx, tenantId, window, result)
  })
  if ('why' in result) log.warn({ tenantId, why: result.why }, 'call log not compared')
  else if (result.missing) log.warn({ tenantId, ...result }, 'webhooks were lost')
  else log.debug({ tenantId, ...result }, 'call log compared')
}

const accessKind = z.enum(['code', 'bearer'])

/** `credential` is encrypted. `now` is the time of the database. */
const readAccess = async (tenantId: string) => {
  const row = await db
    .selectFrom('call_log_access')
    .select(['kind', 'credential', 'watched_since', 'checked_until'])
    .select([sql<boolean>`next_check_at <= now()`.as('is_due'), sql<Date>`now()`.as('now')])
    .where('tenant_id', '=', tenantId)
    .executeTakeFirst()
  return (
    row && {
      tenantId,
      kind: accessKind.parse(row.kind),
      credential: row.credential,
      watchedSince: row.watched_since,
      checkedUntil: row.checked_until,
      isDue: row.is_due,
      now: row.now,
    }
  )
}
type Access = NonNullable<Awaited<ReturnType<typeof readAccess>>>
type CheckWindow = ReturnType<typeof windowOf>

const compare = async (
  { tenantId, kind, credential }: Access,
  window: CheckWindow,
  options: CallLogOptions,
): Promise<Counts | Failure> => {
  try {
    const secret = decrypt(credential, callLogOwner(tenantId))
    const answers = callsBetween({ kind, secret }, window, options)
    return await compareWithLog(tenantId, answers, window.until)
  } catch (err) {
    // The job must not fail: after its last attempt, no job would schedule the next check.
    log.error({ err, tenantId }, 'call log not compared')
    return { kind: 'failed', why: 'unexpected_error', retrySoon: true }
  }
}

/** The calls in the log, those that did not arrive by webhook, and of those the ones that could be ingested. */
export type Counts = { inLog: number; missing: number; takenIn: number }

/** The number of calls in one query. A webhook that arrives meanwhile must be answered in time. */
const BATCH = 500

/**
 * Compares the entries of the log with the stored CDRs, and ingests missing calls as if the tenant had sent it.
 * Entries that cannot be read are kept in `rejected_deliveries`.
 *
 * A call that arrived by webhook is left alone. For a call that is known only from the log, further entries are
 * ingested when they appear: the entry of a queue, then the entry of the agent who answered.
 *
 * @param until the end of the window
 */
export const compareWithLog = async (
  tenantId: string,
  answers: AsyncIterable<Answer>,
  until: Date,
): Promise<Counts | Failure> => {
  const seen = new Set<string>()
  const counts = { inLog: 0, missing: 0, takenIn: 0 }
  for await (const answer of answers) {
    if (answer.kind === 'failed') return answer
    const entries = answer.records.map(record => withHash(readEntry(record, until)))
    const calls = [...Map.groupBy(entries, ({ callId, hash }) => callId ?? hash)]
    for (let start = 0; start < calls.length; start += BATCH) {
      const batch = calls.slice(start, start + BATCH)
      const known = await findKnown(
        tenantId,
        batch.flatMap(([, entries]) => entries),
      )
      const missing = batch.map(([id, entries]) => ({
        id,
        entries: known.pushed.has(id) ? [] : entries.filter(({ hash }) => !known.stored.has(hash)),
      }))
      const elements = missing.flatMap(({ entries }) => entries.map(({ element }) => element))
      if (elements.length)
        await ingest({ tenantId, source: 'call_log' }, elements, 'application/json', db)
      for (const { id, entries } of missing) {
        // Two halves of a window share one second, so both may return the same call.
        if (seen.has(id)) continue
        seen.add(id)
        counts.inLog++
        if (known.recovered.has(id) || entries.length === 0) continue
        counts.missing++
        if (entries.some(({ element }) => 'record' in element)) counts.takenIn++
      }
    }
  }
  return counts
}

type HashedEntry = LogEntry & { hash: string }

const withHash = (entry: LogEntry): HashedEntry => ({
  ...entry,
  hash: sha256Hex(entry.element.bytes),
})

/**
 * Of these entries: the calls that arrived by webhook, the calls known from the log, and the stored entries of the
 * log. A webhook with an unbound token counts for every tenant: an account with such a token has the calls of
 * several tenants in one log.
 */
const findKnown = async (tenantId: string, entries: HashedEntry[]) => {
  const callIds = entries.flatMap(({ callId }) => callId ?? [])
  const hashes = entries.map(({ hash }) => Buffer.from(hash, 'hex'))
  const { rows } = await sql<{ call_id: string | null; source: string; hash: string | null }>`
    select call_id, source, case when source = 'call_log' then encode(sha256(body), 'hex') end as hash
    from raw_cdrs
    where call_id = any(${callIds}::text[]) and (tenant_id = ${tenantId} or token_tenant_id is null)
    union all
    select null, source, encode(body_hash, 'hex')
    from rejected_deliveries
    where source = 'call_log' and tenant_id = ${tenantId} and body_hash = any(${hashes}::bytea[])`.execute(
    db,
  )
  const callsFrom = (source: string) =>
    new Set(rows.flatMap(row => (row.source === source ? (row.call_id ?? []) : [])))
  return {
    pushed: callsFrom('push'),
    recovered: callsFrom('call_log'),
    stored: new Set(rows.flatMap(({ hash }) => hash ?? [])),
  }
}

const NEXT_CHECK = {
  /** Often enough that a missing call is still worth a message: `oldest_call` is two hours by default. */
  in_turn: sql<Date>`now() + interval '1 hour'`,
  /** After this time an outage is usually over, and the webhooks of its last minutes have arrived or are lost. */
  soon: sql<Date>`now() + interval '10 minutes'`,
  /** After the pause that Voicenter asks for between two requests. */
  at_once: sql<Date>`now() + interval '5 seconds'`,
}

const recordCheck = async (
  trx: Trx,
  tenantId: string,
  { from, until, next }: CheckWindow,
  { inLog, missing, takenIn }: Counts,
): Promise<void> => {
  const isEnabled = await scheduleNext(trx, tenantId, NEXT_CHECK[next], {
    // A second run of the same check may finish later.
    checked_until: sql<Date>`greatest(checked_until, ${until}::timestamptz)`,
    last_error: null,
    failing_since: null,
  })
  if (!isEnabled) return
  await trx
    .insertInto('call_log_checks')
    .values({
      tenant_id: tenantId,
      from_at: from,
      until_at: until,
      in_log: inLog,
      missing,
      taken_in: takenIn,
    })
    .execute()
}

const recordFailure = async (
  trx: Trx,
  tenantId: string,
  { why, retrySoon }: Failure,
): Promise<void> => {
  await scheduleNext(trx, tenantId, retrySoon ? NEXT_CHECK.soon : NEXT_CHECK.in_turn, {
    last_error: why,
    failing_since: sql<Date>`coalesce(failing_since, now())`,
  })
}

/**
 * Writes the result of a check and adds the job of the next. If the next check was brought forward while this one ran,
 * it keeps its time: its reason may have occurred after this check's requests.
 *
 * @returns false if the comparison was ended meanwhile
 */
const scheduleNext = async (
  trx: Trx,
  tenantId: string,
  next: RawBuilder<Date>,
  changes: {
    checked_until?: RawBuilder<Date>
    last_error: string | null
    failing_since: RawBuilder<Date> | null
  },
): Promise<boolean> => {
  const access = await trx
    .updateTable('call_log_access')
    .set({
      ...changes,
      next_check_at: sql<Date>`case when next_check_at > now() then next_check_at else ${next} end`,
    })
    .where('tenant_id', '=', tenantId)
    .returning('tenant_id')
    .executeTakeFirst()
  if (!access) return false
  // The time is read in SQL: a JavaScript Date loses the microseconds, and the job would run too early.
  const at = sql<Date>`(select next_check_at from call_log_access where tenant_id = ${tenantId})`
  await addJob(trx, 'call_log', tenantId, { tenantId }, { tenantId, at })
  return true
}

/**
 * Brings every check forward. The worker calls this after the program or its database was unavailable: webhooks may
 * have failed meanwhile, and a caller should not wait for the hourly check. Calls enter the log minutes after their
 * end, and Voicenter may still send again what failed, so the check runs after ten minutes.
 *
 * @returns how many checks were brought forward
 */
export const scheduleChecks = async (): Promise<number> => {
  const job = jobSpec({
    task: 'call_log',
    entity: sql`tenant_id`,
    payload: sql`json_build_object('tenantId', tenant_id::text)`,
    tenant: sql`tenant_id`,
    at: sql`next_check_at`,
  })
  // The checks are spread over a minute, because each may read the calls of a day.
  const statement = sql<{ wanted: string }>`
    with soon as (
      update call_log_access set next_check_at = ${NEXT_CHECK.soon} + tenant_id % 60 * interval '1 second'
      where next_check_at > ${NEXT_CHECK.soon} + interval '1 minute'
      returning tenant_id, next_check_at
    ), jobs as (
      select count(*) as wanted, array_agg(${job} order by tenant_id) as specs
      from soon
    )
    select assert_all_queued(wanted, (select count(*) from graphile_worker.add_jobs(specs))) as wanted
    from jobs where wanted > 0`
  const { rows } = await retryOnConflict(() => statement.execute(db))
  return Number(rows[0]?.wanted ?? 0)
}
