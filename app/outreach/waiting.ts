import { sql } from 'kysely'
import { sqlJobKey } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import type { OutgoingKind } from '../states.ts'
import type { PendingMessage } from './rules.ts'

// The messages that wait to be sent. The cursor of a row marks where the next page begins. It holds microseconds, since a
// Date holds only milliseconds.

/** A message that waits to be sent. */
export type UpcomingMessage = PendingMessage & {
  kind: OutgoingKind
  /** For a first message the id of the missed call, else of the message. */
  id: string
  tenantId: string
  tenant: string
  timezone: string
  missedCallId: string | null
  name: string | null
  cursor: string
}

/** A time in microseconds; 0 for a missed call, 1 for a message; an id. */
export const UPCOMING_CURSOR = /^(\d{1,17})-([01])-(\d{1,18})$/

/**
 * Lists pending messages with what each may wait for, the most overdue first.
 *
 * @param after the cursor of the last row of the page before
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
      -- The row of a missed call says when its first message is due, also if it is tried again.
      (select due_at, 1, id, tenant_id from messages
       where state = 'scheduled' and kind <> 'initial' ${own} and (due_at, 1, id) > ${last}
       order by due_at, id limit ${limit})
      order by due_at, source, id limit ${limit}
    )
    select w.id, w.due_at as "dueAt", now() as now, coalesce(m.kind, 'initial') as kind,
           t.id as "tenantId", t.name as tenant, t.timezone, t.mode, t.location,
           t.quiet_windows as "quietWindows", t.reminder_quiet_windows as "reminderQuietWindows",
           k.id as "missedCallId",
           coalesce(l.phone, m.to_phone) as phone, l.name,
           (extract(epoch from w.due_at) * 1000000)::bigint || '-' || w.source || '-' || w.id as cursor,
           -- An active one, if there is one ('active' comes before 'paused').
           (select n.state from whatsapp_connections n where n.tenant_id = t.id order by n.state limit 1) as connection,
           coalesce((select bool_and(p.state is not distinct from 'paused') from whatsapp_connections n
             left join whatsapp_templates p on p.whatsapp_connection_id = n.id and p.kind = coalesce(m.kind, 'initial')
               and p.dialled_number is null and p.hours is null
             where n.tenant_id = t.id and n.state = 'active'), false) as "templatePaused",
           coalesce((select bool_and(exists (
               select from whatsapp_templates p where p.whatsapp_connection_id = n.id and p.kind <> 'owner_notice'
               and p.category = 'MARKETING' and not p.marketing_agreed))
             from whatsapp_connections n where n.tenant_id = t.id and n.state = 'active'), false) as "isMarketing",
           coalesce(case w.source when 0 then k.hold_reason else m.hold_reason end in ('in_call', 'after_call')
             and case w.source when 0 then k.hold_until else m.hold_until end > now(), false) as "isInCall",
           exists (select from whatsapp_events e
             where num_nulls(e.outcome) = 1 and e.person_ids @> array[substr(coalesce(l.phone, m.to_phone), 2)]
               and e.tenant_id = t.id) as "isUnread",
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
      when w.source = 0 then ${sqlJobKey('lead_outreach', sql`w.id`)}
      when m.kind in ('reminder_1', 'reminder_2') then ${sqlJobKey('lead_reminder', sql`c.id || ':' || right(m.kind, 1)`)}
      else m.kind || ':' || w.id end
    order by w.due_at, w.source, w.id`.execute(trx)
  return rows
}
