import { type RawBuilder, sql } from 'kysely'
import { addJob } from '../../db/jobs.ts'
import { db, type Trx } from '../../db/kysely.ts'
import { log } from '../../log.ts'
import { decrypt } from '../../crypto.ts'
import { accessOf, type CallLogAccess, credentialOwner } from './access.ts'
import { callsBetween } from './client.ts'
import { compare, type Counts } from './compare.ts'
import { windowOf } from './window.ts'

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
    return await compare(tenantId, callsBetween({ kind, secret }, window, { signal }), window)
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
