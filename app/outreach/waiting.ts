import { sql } from 'kysely'
import { sqlJobKey } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import type {
  ConversationReason,
  ConversationState,
  OutgoingKind,
  OutreachReason,
  OutreachState,
} from '../states.ts'
import type { PendingMessage } from './rules.ts'

// Two lists for the operator and the owner: the people who wait for a call back, and the messages that wait to be sent.
// The cursor of a row marks where the next page begins. It holds microseconds, since a Date holds only milliseconds.

/** A person who called or wrote, and with whom no person of the business has spoken since. */
export type Callback = {
  leadId: string
  phone: string
  name: string | null
  /** How many calls of theirs were missed, ever. */
  calls: number
  tenantId: string
  tenant: string
  timezone: string
  missedCallId: string
  calledAt: Date
  wroteAt: Date | null
  text: string | null
  outreachState: OutreachState
  outreachReason: OutreachReason
  conversationState: ConversationState | null
  conversationReason: ConversationReason | null
  cursor: string
}

/** Older calls are not listed. */
const LOOK_BACK = sql`interval '7 days'`

/** Of "l". Palestinian mobiles have two spellings, +970 and +972 (phone.ts). */
const OTHER_SPELLING = sql`case when l.phone ~ '^[+]97[02]5[69]'
  then overlay(l.phone placing translate(substr(l.phone, 4, 1), '02', '20') from 4 for 1) end`

/** Microseconds and the id of the missed call. */
export const CALLBACK_CURSOR = /^(\d{1,17})-(\d{1,18})$/

/**
 * Lists the people who wait for a call back, the last callers first. They wait whether or not a message was sent, until a
 * call with them is answered, the owner writes to them, or a person marks them as called back. People who opted out are
 * not listed, unless they called after that. Excluded people are never listed.
 *
 * @param before the cursor of the last row of the page before
 */
export const callbacks = async (
  trx: Trx,
  { tenantId, before, limit }: { tenantId: string | null; before: string | null; limit: number },
): Promise<Callback[]> => {
  const [, micros, id] = CALLBACK_CURSOR.exec(before ?? '') ?? []
  const { rows } = await sql<Callback>`
    select l.id as "leadId", l.phone, l.name, l.missed_call_count as calls, t.id as "tenantId", t.name as tenant, t.timezone,
           k.id as "missedCallId", k.called_at as "calledAt", wrote.at as "wroteAt", wrote.text,
           k.outreach_state as "outreachState", k.outreach_reason as "outreachReason",
           c.state as "conversationState", c.reason as "conversationReason",
           (extract(epoch from k.called_at) * 1000000)::bigint || '-' || k.id as cursor
    from missed_calls k
    join leads l on l.id = k.lead_id
    join tenants t on t.id = k.tenant_id
    left join lead_conversations c on c.missed_call_id = k.id
    left join lateral (
      select s.created_at as at, s.text from messages s
      where s.lead_id = l.id and s.direction = 'in' order by s.created_at desc limit 1) wrote on true
    cross join lateral (select greatest(k.called_at, wrote.at) as at) heard
    where k.called_at > now() - ${LOOK_BACK}
      ${tenantId === null ? sql`` : sql`and k.tenant_id = ${tenantId}`}
      ${
        micros && id
          ? sql`and (k.called_at, k.id) < (timestamptz 'epoch' + ${micros}::bigint * interval '1 microsecond', ${id}::bigint)`
          : sql``
      }
      and not exists (select from missed_calls n where n.lead_id = k.lead_id and (n.called_at, n.id) > (k.called_at, k.id))
      and (l.state <> 'opted_out' or (k.outreach_state = 'skipped' and k.outreach_reason = 'opted_out'))
      and not exists (
        select from excluded_numbers x
        -- A hash cannot be compared here, but the decision about the call has done so.
        where x.tenant_id = l.tenant_id and (x.phone in (l.phone, ${OTHER_SPELLING})
          or (x.phone is null and k.outreach_reason = 'excluded')))
      and 'owner_replied' not in (k.outreach_reason, coalesce(c.reason, ''))
      -- The only trace of a call that was not missed after all.
      and ('reached_by_phone' not in (k.outreach_reason, coalesce(c.reason, '')) or wrote.at > k.called_at)
      and not coalesce(l.called_back_at >= heard.at, false)
      and not exists (
        select from raw_cdrs r
        where r.tenant_id = k.tenant_id and r.reached_until >= heard.at
          and r.reached_phone in (l.phone, ${OTHER_SPELLING}))
    order by k.called_at desc, k.id desc
    limit ${limit}`.execute(trx)
  return rows
}

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

/** Microseconds; 0 for a missed call, 1 for a message; an id. */
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
             where n.tenant_id = t.id and n.state = 'active'), false) as "templatePaused",
           coalesce((select bool_and(exists (
               select from whatsapp_templates p where p.whatsapp_connection_id = n.id and p.kind <> 'owner_notice'
               and p.category = 'MARKETING' and not p.marketing_agreed))
             from whatsapp_connections n where n.tenant_id = t.id and n.state = 'active'), false) as "isMarketing",
           coalesce(case w.source when 0 then k.hold_reason else m.hold_reason end in ('in_call', 'after_call')
             and case w.source when 0 then k.hold_until else m.hold_until end > now(), false) as "isInCall",
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
