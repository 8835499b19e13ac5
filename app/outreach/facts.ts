import { sql } from 'kysely'
import type { Trx } from '../db/kysely.ts'
import { phoneHash } from '../secrets.ts'
import type { Facts } from './eligibility.ts'
import { lineOf, readPhone, spellings } from './phone.ts'

type Call = {
  tenantId: string
  /** As written by the exchange, or E.164. */
  caller: string | null
  calledAt: Date
  /** The call itself, once it has a row: its own pending message is no reason against it. */
  missedCallId: string | null
}

/** What the tenant wants, spans in milliseconds. */
export type Wishes = {
  timezone: string
  quietWindows: string[]
  outreachDelay: number
  oldestCall: number
  grace: number
  reminderGrace: number
}

type Row = Omit<Facts, 'late' | 'caller'> & Wishes & { now: Date }

/**
 * What `decide` needs to know, but for `late`, whose two forms need what is returned beside: the
 * database's time, and the tenant's limits in milliseconds. One statement, after the lead was locked:
 * whoever claims or cancels for this person waits for the same lock.
 */
export const readFacts = async (trx: Trx, call: Call): Promise<Row & Pick<Facts, 'caller'>> => {
  const caller = readPhone(call.caller)
  // Nobody's number is nobody's lead, opt-out or answered call: empty lists match nothing.
  const phones = caller.kind === 'number' ? spellings(caller.e164) : []
  // A line of our own may also be a service or a star number, which is nobody's.
  const lines = [...phones, lineOf(call.caller)]
  const { rows } = await sql<Row>`
    select
      now() as now,
      t.mode,
      t.contact_foreign as "contactForeign",
      t.timezone,
      t.quiet_windows as "quietWindows",
      (extract(epoch from t.outreach_delay) * 1000)::float8 as "outreachDelay",
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
      exists (select from raw_cdrs r where r.tenant_id = t.id
              and r.reached_phone = any(${phones}::text[]) and r.called_at >= ${call.calledAt}) as reached,
      exists (select from messages s where s.tenant_id = t.id and s.direction = 'in'
              and s.wa_id = any(${phones.map(phone => phone.slice(1))}::text[])
              and s.created_at >= ${call.calledAt}) as replied,
      exists (select from leads l join missed_calls m on m.lead_id = l.id
              where l.tenant_id = t.id and l.phone = any(${phones}::text[])
              and m.id is distinct from ${call.missedCallId}::bigint
              and (m.outreach_state = 'sending'
                   or m.outreach_state = 'scheduled' and m.outreach_due_at + t.grace > now()))
        or exists (select from leads l
                   join lead_conversations c on c.lead_id = l.id
                   join messages s on s.lead_conversation_id = c.id
                   where l.tenant_id = t.id and l.phone = any(${phones}::text[])
                   and c.missed_call_id is distinct from ${call.missedCallId}::bigint
                   and s.direction = 'out'
                   and (s.state = 'sending'
                        or s.state = 'scheduled' and s.due_at + t.reminder_grace > now()
                        or s.state in ('accepted', 'sent', 'delivered', 'read', 'unknown')
                           and s.claimed_at > now() - t.repeat_window)) as contacted
    from tenants t where t.id = ${call.tenantId}`.execute(trx)
  const [row] = rows
  if (!row) throw new Error(`tenant ${call.tenantId} is gone`)
  return { caller, ...row }
}
