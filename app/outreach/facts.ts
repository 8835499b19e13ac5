import { sql } from 'kysely'
import type { Trx } from '../db/kysely.ts'
import { phoneHash } from '../secrets.ts'
import type { Facts } from './eligibility.ts'
import { type History, whatPassed, type Wishes } from './history.ts'
import { identify } from './phone.ts'

type Call = {
  tenantId: string
  /** As written by the exchange, or E.164. */
  caller: string | null
  calledAt: Date
  /** The call itself, once it has a row: its own pending message is no reason against it. */
  missedCallId: string | null
}

type Row = Omit<Facts, 'late' | 'caller' | 'contacted' | 'reached' | 'replied'> &
  History &
  Wishes & { now: Date }
type Known = Omit<Facts, 'late'> & Wishes & { now: Date }

/**
 * What `decide` needs to know, but for `late`, whose two forms need what is returned beside: the
 * database's time, and the tenant's limits in milliseconds. One statement, after the lead was locked:
 * whoever claims or cancels for this person waits for the same lock.
 */
export const readFacts = async (trx: Trx, call: Call): Promise<Known> => {
  const { caller, phones, lines } = identify(call.caller)
  const { rows } = await sql<Row>`
    select
      now() as now,
      t.mode,
      t.contact_foreign as "contactForeign",
      t.timezone,
      t.quiet_windows as "quietWindows",
      (extract(epoch from t.outreach_delay) * 1000)::float8 as "outreachDelay",
      (extract(epoch from t.repeat_window) * 1000)::float8 as "repeatWindow",
      (extract(epoch from t.oldest_call) * 1000)::float8 as "oldestCall",
      (extract(epoch from t.grace) * 1000)::float8 as grace,
      (extract(epoch from t.reminder_grace) * 1000)::float8 as "reminderGrace",
      exists (select from tenant_numbers n where n.tenant_id = t.id and n.phone = any(${lines}::text[]))
        or exists (select from whatsapp_connections c
                   where c.tenant_id = t.id and c.display_phone_number = any(${lines}::text[])) as "ownNumber",
      exists (select from opt_outs o where o.tenant_id = t.id
              and (o.phone = any(${phones}::text[]) or o.phone_hash = any(${phones.map(phoneHash)}::bytea[]))) as "optedOut",
      -- One that works, if there is one.
      (select c.state from whatsapp_connections c where c.tenant_id = t.id order by c.state limit 1) as connection,
      -- By a call that we know of, or by another phone, and somebody said so.
      greatest(
        (select max(r.called_at) from raw_cdrs r where r.tenant_id = t.id and r.reached_phone = any(${phones}::text[])),
        (select max(l.called_back_at) from leads l where l.tenant_id = t.id and l.phone = any(${phones}::text[]))) as "talkedAt",
      (select max(s.created_at) from messages s where s.tenant_id = t.id and s.direction = 'in'
       and s.wa_id = any(${phones.map(phone => phone.slice(1))}::text[])) as "wroteAt",
      calls.sending or messages.sending as sending,
      calls."firstDueAt", messages."reminderDueAt", messages."sentAt"
    from tenants t,
      lateral (
        select coalesce(bool_or(m.outreach_state = 'sending'), false) as sending,
               max(m.outreach_due_at) filter (where m.outreach_state = 'scheduled') as "firstDueAt"
        from leads l join missed_calls m on m.lead_id = l.id
        where l.tenant_id = t.id and l.phone = any(${phones}::text[])
          and m.outreach_state in ('scheduled', 'sending')
          and m.id is distinct from ${call.missedCallId}::bigint) as calls,
      lateral (
        select coalesce(bool_or(s.state = 'sending'), false) as sending,
               max(s.due_at) filter (where s.state = 'scheduled') as "reminderDueAt",
               max(s.claimed_at) filter (where s.state in ('accepted', 'sent', 'delivered', 'read', 'unknown')) as "sentAt"
        from leads l
        join lead_conversations c on c.lead_id = l.id
        join messages s on s.lead_conversation_id = c.id
        where l.tenant_id = t.id and l.phone = any(${phones}::text[])
          and c.missed_call_id is distinct from ${call.missedCallId}::bigint
          and s.direction = 'out') as messages
    where t.id = ${call.tenantId}`.execute(trx)
  const [row] = rows
  if (!row) throw new Error(`tenant ${call.tenantId} is gone`)
  return { caller, ...row, ...whatPassed(row, call.calledAt, row.now, row) }
}
