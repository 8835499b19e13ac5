import { sql } from 'kysely'
import { phoneHash } from '../crypto.ts'
import type { Trx } from '../db/kysely.ts'
import {
  type ContactContext,
  contactHistory,
  type History,
  type OutreachSettings,
} from './rules.ts'
import { identify } from '../phone.ts'

type Call = {
  tenantId: string
  /** As written by the exchange, or E.164. */
  caller: string | null
  calledAt: Date
  /** The call itself, once it has a row: its own pending message is no reason against it. */
  missedCallId: string | null
}

type Row = { n: number } & Omit<
  ContactContext,
  'late' | 'caller' | 'contacted' | 'reached' | 'replied'
> &
  History &
  OutreachSettings & { now: Date }
/** What `decide` needs to know, but for `late`, and beside it what the two forms of `late` need. */
export type Known = Omit<ContactContext, 'late'> & OutreachSettings & { now: Date }

/** What is known of one call. */
export const readContext = async (trx: Trx, call: Call): Promise<Known> => {
  const [facts] = await readContexts(trx, [call])
  if (!facts) throw new Error('one call, one answer')
  return facts
}

/**
 * What `decide` needs to know of each call, but for `late`, whose two forms need what is returned beside: the
 * database's time, and the tenant's limits in milliseconds. One statement, after the leads were locked:
 * whoever claims or cancels for one of these people waits for the same lock.
 */
export const readContexts = async (trx: Trx, calls: readonly Call[]): Promise<Known[]> => {
  const identified = calls.map(call => ({ ...call, ...identify(call.caller) }))
  const asked = identified.map(({ tenantId, phones, lines, missedCallId }, n) => ({
    n,
    tenant_id: tenantId,
    phones,
    lines,
    wa_ids: phones.map(phone => phone.slice(1)),
    hashes: phones.map(phone => phoneHash(phone).toString('hex')),
    missed_call_id: missedCallId,
  }))
  const { rows } = await sql<Row>`
    /* facts */
    select
      call.n,
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
      exists (select from tenant_numbers n where n.tenant_id = t.id and n.phone = any(call.lines))
        or exists (select from whatsapp_connections c
                   where c.tenant_id = t.id and c.display_phone_number = any(call.lines)) as "ownNumber",
      exists (select from opt_outs o where o.tenant_id = t.id and o.phone = any(call.phones))
        or exists (select from opt_outs o where o.tenant_id = t.id
                   and o.phone_hash = any(array(select decode(h, 'hex') from unnest(call.hashes) h))) as "optedOut",
      -- One that works, if there is one.
      (select c.state from whatsapp_connections c where c.tenant_id = t.id order by c.state limit 1) as connection,
      -- By a call that we know of, or by another phone, and somebody said so.
      greatest(
        (select max(r.called_at) from raw_cdrs r where r.tenant_id = t.id and r.reached_phone = any(call.phones)),
        (select max(l.called_back_at) from leads l where l.tenant_id = t.id and l.phone = any(call.phones))) as "talkedAt",
      (select max(s.created_at) from messages s where s.tenant_id = t.id and s.direction = 'in'
       and s.wa_id = any(call.wa_ids)) as "wroteAt",
      calls.sending or messages.sending as sending,
      calls."firstDueAt", messages."reminderDueAt", messages."sentAt"
    from jsonb_to_recordset(${JSON.stringify(asked)}::jsonb) as call (
        n int, tenant_id bigint, phones text[], lines text[], wa_ids text[], hashes text[], missed_call_id bigint)
    join tenants t on t.id = call.tenant_id,
      lateral (
        select coalesce(bool_or(m.outreach_state = 'sending'), false) as sending,
               max(m.outreach_due_at) filter (where m.outreach_state = 'scheduled') as "firstDueAt"
        from leads l join missed_calls m on m.lead_id = l.id
        where l.tenant_id = t.id and l.phone = any(call.phones)
          and m.outreach_state in ('scheduled', 'sending')
          and m.id is distinct from call.missed_call_id) as calls,
      lateral (
        select coalesce(bool_or(s.state = 'sending'), false) as sending,
               max(s.due_at) filter (where s.state = 'scheduled') as "reminderDueAt",
               max(s.claimed_at) filter (where s.state in ('accepted', 'sent', 'delivered', 'read', 'unknown')) as "sentAt"
        from leads l
        join lead_conversations c on c.lead_id = l.id
        join messages s on s.lead_conversation_id = c.id
        where l.tenant_id = t.id and l.phone = any(call.phones)
          and c.missed_call_id is distinct from call.missed_call_id
          and s.direction = 'out') as messages`.execute(trx)
  const found = new Map(rows.map(row => [row.n, row]))
  return identified.map(({ tenantId, caller, calledAt }, n) => {
    const row = found.get(n)
    if (!row) throw new Error(`tenant ${tenantId} is gone`)
    return { caller, ...row, ...contactHistory(row, calledAt, row.now, row) }
  })
}
