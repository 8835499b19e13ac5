import { sql } from 'kysely'
import type { Trx } from '../db/kysely.ts'
import type { PendingMessage } from './rules.ts'

/** A message that is still to go out. */
export type UpcomingMessage = PendingMessage & {
  kind: 'initial' | 'reminder_1' | 'reminder_2' | 'owner_notice' | 'opt_out_confirmation'
  /** Of a first message the missed call's, of any other its own. */
  id: string
  tenantId: string
  tenant: string
  timezone: string
  missedCallId: string | null
  /** The first record of the call, by which a page knows it. */
  recordId: string | null
  phone: string | null
  name: string | null
  /** Where this one stands in the list. */
  cursor: string
}

/** A moment to the microsecond, which a Date does not hold; missed call or message; an id. */
export const UPCOMING_CURSOR = /^(\d{1,17})-([01])-(\d{1,18})$/

/**
 * What is due when, the most overdue first, with what it may be waiting for.
 *
 * @param after the cursor of the last one seen
 */
export const upcoming = async (
  trx: Trx,
  { tenantId, after, limit }: { tenantId: string | null; after: string | null; limit: number },
): Promise<UpcomingMessage[]> => {
  const [, micros = '0', source = '0', id = '0'] = UPCOMING_CURSOR.exec(after ?? '') ?? []
  const last = sql`(timestamptz 'epoch' + ${micros}::bigint * interval '1 microsecond', ${source}::int, ${id}::bigint)`
  const own = tenantId === null ? sql`` : sql`and tenant_id = ${tenantId}`
  const { rows } = await sql<UpcomingMessage>`
    with waiting as (
      (select outreach_due_at as due_at, 0 as source, id, tenant_id from missed_calls
       where outreach_state = 'scheduled' ${own} and (outreach_due_at, 0, id) > ${last}
       order by outreach_due_at, id limit ${limit})
      union all
      -- A first message that is tried again has a row here too; the missed call's says when.
      (select due_at, 1, id, tenant_id from messages
       where state = 'scheduled' and kind <> 'initial' ${own} and (due_at, 1, id) > ${last}
       order by due_at, id limit ${limit})
      order by due_at, source, id limit ${limit}
    )
    select w.id, w.due_at as "dueAt", now() as now, coalesce(m.kind, 'initial') as kind,
           t.id as "tenantId", t.name as tenant, t.timezone, t.mode, t.quiet_windows as "quietWindows",
           k.id as "missedCallId", (select min(r.id) from raw_cdrs r where r.tenant_id = k.tenant_id and r.root_call_id = k.call_id) as "recordId",
           coalesce(l.phone, m.to_phone) as phone, l.name,
           (extract(epoch from w.due_at) * 1000000)::bigint || '-' || w.source || '-' || w.id as cursor,
           -- One that works, if there is one.
           (select n.state from whatsapp_connections n where n.tenant_id = t.id order by n.state limit 1) as connection,
           coalesce((select bool_and(p.state is not distinct from 'paused') from whatsapp_connections n
             left join whatsapp_templates p on p.whatsapp_connection_id = n.id and p.kind = coalesce(m.kind, 'initial')
             where n.tenant_id = t.id and n.state = 'active'), false) as "templatePaused",
           b.state as "before", coalesce(j.attempts >= j.max_attempts and j.locked_at is null, false) as "jobDead"
    from waiting w
    join tenants t on t.id = w.tenant_id
    left join messages m on w.source = 1 and m.id = w.id
    left join lead_conversations c on c.id = m.lead_conversation_id
    left join missed_calls k on k.id = case w.source when 0 then w.id else c.missed_call_id end
    left join leads l on l.id = coalesce(k.lead_id, m.lead_id)
    left join lateral (
      select b.state from messages b
      where b.lead_conversation_id = c.id and b.kind < m.kind and b.state not in ('cancelled', 'skipped', 'shadow')
      order by b.kind desc limit 1) b on m.kind in ('reminder_1', 'reminder_2')
    left join graphile_worker.jobs j on j.key = case
      when w.source = 0 then 'lead_outreach:' || w.id
      when m.kind in ('reminder_1', 'reminder_2') then 'lead_reminder:' || c.id || ':' || right(m.kind, 1)
      else m.kind || ':' || w.id end
    order by w.due_at, w.source, w.id`.execute(trx)
  return rows
}
