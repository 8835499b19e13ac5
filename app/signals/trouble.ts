import { sql } from 'kysely'
import { db, type Trx } from '../db/kysely.ts'
import { log } from '../log.ts'
import { SILENT_FOR_MINUTES } from './silence.ts'
import { silentTenants } from './silent.ts'
import { tellOwners } from './tell.ts'

export type Kind =
  | 'webhooks_silent'
  | 'unmatched_number'
  | 'connection_paused'
  | 'template_paused'
  | 'call_log_failing'

const MINUTE = 60_000

type Raised = { id: string; tenantId: string | null; kind: Kind }

/** Two copies must not both look at once: what one has just ended the other would raise again. */
const TURN = 'signals trouble'
/** A check of the call log that fails is tried again by itself; after this somebody should know. */
const FAILING_FOR = sql`interval '3 hours'`
/** So many numbers of a business, or of nobody, are told of: whoever has our token may name any number. */
const NUMBERS = 100

/**
 * Looks once for everything that somebody should know of. What is wrong is raised once, in `alerts` and in the log,
 * and its owner told; what is no longer wrong ends.
 *
 * @param upForMs how long we and the database have not been away: our own silence is nobody else's
 */
export const lookForTrouble = async (upForMs: number): Promise<void> => {
  const raised = await db.transaction().execute(async trx => {
    const { rows: ours } = await sql`
      select where pg_try_advisory_xact_lock(hashtextextended(${TURN}, 0))`.execute(trx)
    if (ours.length === 0) return []
    const silent = await silentTenants(trx, upForMs > SILENT_FOR_MINUTES * MINUTE)
    await end(trx, silent)
    const alerts = await raise(trx, silent)
    await tellOwners(trx)
    return alerts
  })
  for (const { id, tenantId, kind } of raised)
    log.warn({ alertId: id, tenantId, kind }, 'something is wrong: see the table alerts')
}

/** Everything that is wrong at this moment. */
const troubles = (silent: string[]) => sql`(
  select id as tenant_id, 'webhooks_silent' as kind, 'tenants ' || id as subject
  from tenants where id = any(${silent}::bigint[])
union all
  select tenant_id, 'connection_paused', 'whatsapp_connections ' || id from whatsapp_connections where state = 'paused'
union all
  select c.tenant_id, 'template_paused', 'whatsapp_templates ' || c.id || ' ' || w.kind
  from whatsapp_templates w join whatsapp_connections c on c.id = w.whatsapp_connection_id where w.state = 'paused'
union all
  select tenant_id, 'call_log_failing', 'tenants ' || tenant_id
  from call_log_access where failing_since < now() - ${FAILING_FOR}
)`

const raise = async (trx: Trx, silent: string[]): Promise<Raised[]> => {
  const { rows } = await sql<Raised>`
    insert into alerts (tenant_id, kind, subject)
    select * from (${troubles(silent)} union all ${unmatchedNumbers}) as wrong
    on conflict do nothing
    returning id, tenant_id as "tenantId", kind`.execute(trx)
  return rows
}

/** From number to number along the index, however often each was dialled. */
const unmatchedNumbers = sql`(
  with recursive owners (id) as (select 0::bigint union all select id from tenants),
  numbers (owner, phone, count) as (
    select o.id, n.phone, 1 from owners o, lateral (
      select min(business_phone) as phone from raw_cdrs
      where verdict = 'unmatched_number' and coalesce(tenant_id, 0) = o.id) n
  union all
    select l.owner, n.phone, l.count + 1 from numbers l, lateral (
      select min(business_phone) as phone from raw_cdrs
      where verdict = 'unmatched_number' and coalesce(tenant_id, 0) = l.owner and business_phone > l.phone) n
    where l.phone is not null and l.count < ${NUMBERS}
  )
  select nullif(owner, 0), 'unmatched_number', phone from numbers where phone is not null
)`

/** A number is looked up by itself, since of very many not all are read above. */
const end = async (trx: Trx, silent: string[]): Promise<void> => {
  await sql`
    update alerts a set ended_at = now()
    where ended_at is null and not case kind
      when 'unmatched_number' then exists (
        select from raw_cdrs r
        where r.verdict = 'unmatched_number' and r.business_phone = a.subject
          and coalesce(r.tenant_id, 0) = coalesce(a.tenant_id, 0))
      else exists (
        select from ${troubles(silent)} as wrong
        where wrong.tenant_id = a.tenant_id and wrong.kind = a.kind and wrong.subject = a.subject)
      end`.execute(trx)
  // What was to be told in the morning is over by then, unless some of what it tells of is not.
  await sql`
    update messages m set state = 'cancelled', reason = 'over'
    where m.state = 'scheduled' and m.kind = 'owner_notice' and m.occasion like 'alert:%'
      and exists (
        select from alerts a where m.occasion = 'alert:' || a.id and a.ended_at is not null
        and not exists (
          select from alerts o where o.tenant_id = a.tenant_id and o.kind = a.kind and o.ended_at is null
          and o.notified_at = a.notified_at))`.execute(trx)
}
