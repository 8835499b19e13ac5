import { type RawBuilder, sql } from 'kysely'
import { decrypt, sha256 } from '../../crypto.ts'
import { addJob, MAX_ATTEMPTS } from '../../db/jobs.ts'
import { db, type Trx } from '../../db/kysely.ts'
import { retryOnConflict } from '../../db/retry.ts'
import { log } from '../../log.ts'
import { accessOf, type CallLogAccess, callsBetween, credentialOwner } from './client.ts'
import { type Answer, type Logged, readLogged, type Window, windowOf } from './entries.ts'
import { ingest } from '../ingest.ts'

/** Of the calls in the log: how many had not come by webhook, and how many of those could be taken in. */
export type Counts = { inLog: number; missing: number; takenIn: number }
type Failed = Extract<Answer, { kind: 'failed' }>

/** How many calls are looked up at once. In between others have their turn: a webhook is answered in time. */
const AT_ONCE = 500

/**
 * Compares what the log holds with what has come, and takes in what is missing through the door that webhooks
 * come through, with the tenant as its sender. What cannot be read is kept in `rejected_deliveries`.
 *
 * A call of which a webhook came is left alone. Of one that is known only from here, further records are
 * taken in as the log gets them: a queue's, then the agent's who answered out of it.
 */
export const compareWithLog = async (
  tenantId: string,
  answers: AsyncIterable<Answer>,
  { until }: Pick<Window, 'until'>,
): Promise<Counts | Failed> => {
  const seen = new Set<string>()
  const counts = { inLog: 0, missing: 0, takenIn: 0 }
  for await (const answer of answers) {
    if (answer.kind === 'failed') return answer
    const calls = Map.groupBy(
      answer.records.map(record => withHash(readLogged(record, until))),
      ({ callId, hash }) => callId ?? hash,
    )
    const ids = [...calls.keys()]
    for (let start = 0; start < ids.length; start += AT_ONCE) {
      const some = ids
        .slice(start, start + AT_ONCE)
        .map(id => ({ id, logged: calls.get(id) ?? [] }))
      const known = await lookUp(
        tenantId,
        some.flatMap(({ logged }) => logged),
      )
      const fresh = some.map(({ id, logged }) => ({
        id,
        logged: known.pushed.has(id) ? [] : logged.filter(({ hash }) => !known.stored.has(hash)),
      }))
      const elements = fresh.flatMap(({ logged }) => logged.map(({ element }) => element))
      if (elements.length)
        await ingest({ tenantId, source: 'call_log' }, elements, 'application/json', db)
      for (const { id, logged } of fresh) {
        // The halves of a window meet at a second, which both bring.
        if (seen.has(id)) continue
        seen.add(id)
        counts.inLog++
        if (known.recovered.has(id) || logged.length === 0) continue
        counts.missing++
        if (logged.some(({ element }) => 'record' in element)) counts.takenIn++
      }
    }
  }
  return counts
}

type Hashed = Logged & { hash: string }

const withHash = (logged: Logged): Hashed => ({
  ...logged,
  hash: sha256(logged.element.bytes).toString('hex'),
})

/**
 * What we have of these: calls of which a webhook came, calls known from the log, and single records of it.
 * A webhook with an unbound token counts whoever's number it named: such an account has the calls of several
 * businesses in its one log.
 */
const lookUp = async (tenantId: string, logged: Hashed[]) => {
  const callIds = logged.flatMap(({ callId }) => callId ?? [])
  const hashes = logged.map(({ hash }) => Buffer.from(hash, 'hex'))
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
  const callsOf = (source: string) =>
    new Set(rows.flatMap(row => (row.source === source ? (row.call_id ?? []) : [])))
  return {
    pushed: callsOf('push'),
    recovered: callsOf('call_log'),
    stored: new Set(rows.flatMap(({ hash }) => hash ?? [])),
  }
}

const NEXT = {
  /** Often enough that a call found missing is still worth a message: `oldest_call` is two hours by default. */
  in_turn: sql<Date>`now() + interval '1 hour'`,
  /** A disturbance is over by then, and the webhooks of its last minutes have come, or are lost. */
  soon: sql<Date>`now() + interval '10 minutes'`,
  /** After the pause that Voicenter asks for between two requests. */
  at_once: sql<Date>`now() + interval '5 seconds'`,
}

/**
 * One check of a tenant's call log: compares, takes in what is missing, and sets the time of the next. Whatever
 * goes wrong with Voicenter is written into the row and tried again later. Safe to run twice, and at once.
 *
 * @param signal ends it between two requests
 */
export const checkCallLog = async (tenantId: string, signal: AbortSignal): Promise<void> => {
  const access = await accessOf(tenantId)
  if (!access?.isDue) return
  const window = windowOf(access, access.now)
  const result = await compared(access, window, signal)
  await db.transaction().execute(async trx => {
    if ('why' in result) await recordFailure(trx, tenantId, result)
    else await recordCheck(trx, tenantId, window, result)
  })
  if ('why' in result) log.warn({ tenantId, why: result.why }, 'call log not compared')
  else if (result.missing) log.warn({ tenantId, ...result }, 'webhooks were lost')
  else log.debug({ tenantId, ...result }, 'call log compared')
}

const compared = async (
  access: CallLogAccess,
  window: ReturnType<typeof windowOf>,
  signal: AbortSignal,
): Promise<Counts | { why: string; passing: boolean }> => {
  const { tenantId, kind, sealed } = access
  try {
    const secret = decrypt(sealed, credentialOwner(tenantId))
    return await compareWithLog(
      tenantId,
      callsBetween({ kind, secret }, window, { signal }),
      window,
    )
  } catch (err) {
    // A job that is tried to its end never comes again, and this one must.
    log.error({ err, tenantId }, 'call log not compared')
    return { why: 'unexpected_error', passing: true }
  }
}

const recordCheck = async (
  trx: Trx,
  tenantId: string,
  { from, until, next }: ReturnType<typeof windowOf>,
  { inLog, missing, takenIn }: Counts,
): Promise<void> => {
  const isOn = await setNext(trx, tenantId, NEXT[next], {
    // A second run of the same check may have been slower.
    checked_until: sql<Date>`greatest(checked_until, ${until}::timestamptz)`,
    last_error: null,
    failing_since: null,
  })
  if (!isOn) return
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
  { why, passing }: { why: string; passing: boolean },
): Promise<void> => {
  await setNext(trx, tenantId, passing ? NEXT.soon : NEXT.in_turn, {
    last_error: why,
    failing_since: sql<Date>`coalesce(failing_since, now())`,
  })
}

/**
 * Writes what came of a check, and adds the job of the next. One that was brought forward while this one ran
 * stays where it is: what it is for may have happened since this one asked.
 *
 * @returns whether the log is still to be compared
 */
const setNext = async (
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
  // Read in SQL: a Date has lost its microseconds, and the job would come before its time.
  const at = sql<Date>`(select next_check_at from call_log_access where tenant_id = ${tenantId})`
  await addJob(trx, 'call_log', tenantId, { tenantId }, { at })
  return true
}

/** A call enters the log minutes after its end, and Voicenter may still bring by itself what we did not take. */
const SOON = sql`interval '10 minutes'`

/**
 * Brings every check of a call log forward. To be called when we were away, the program or its database:
 * webhooks may have come to a closed door, and an hour is long for somebody who waits for an answer.
 *
 * @returns how many were brought forward
 */
export const scheduleChecks = async (): Promise<number> => {
  // Not all in one moment: each may bring a day's calls.
  const statement = sql<{ wanted: string }>`
    with soon as (
      update call_log_access set next_check_at = now() + ${SOON} + tenant_id % 60 * interval '1 second'
      where next_check_at > now() + ${SOON} + interval '1 minute'
      returning tenant_id, next_check_at
    ), jobs as (
      select count(*) as wanted, array_agg(
        row('call_log', json_build_object('tenantId', tenant_id::text), null, next_check_at,
            ${MAX_ATTEMPTS.call_log}::smallint, 'call_log:' || tenant_id, null, null)::graphile_worker.job_spec
        order by tenant_id) as specs
      from soon
    )
    select assert_all_queued(wanted, (select count(*) from graphile_worker.add_jobs(specs))) as wanted
    from jobs where wanted > 0`
  const { rows } = await retryOnConflict(() => statement.execute(db))
  return Number(rows[0]?.wanted ?? 0)
}
