import { sql } from 'kysely'
import { phoneHash } from '../crypto.ts'
import { planName, type Trx } from '../db/kysely.ts'
import type { OutreachState } from '../states.ts'
import {
  type ContactContext,
  contactHistory,
  type History,
  type OutreachSettings,
} from './rules.ts'
import { identify } from '../phone.ts'
import { type Line, lineFrom, type LiveEvent } from './line.ts'

type Call = {
  tenantId: string
  /** As Voicenter wrote it, or E.164. */
  caller: string | null
  calledAt: Date
  /** Its row, if there is one. The pending message of this call does not count as contact. */
  missedCallId: string | null
  /** A talk without a Hangup holds a reminder longer than a first message. */
  isReminder?: boolean
}

export type ContextRow = { n: number; now: Date } & Omit<
  ContactContext,
  'late' | 'caller' | 'contacted' | 'reached' | 'replied' | 'ownerReplied'
> &
  History &
  OutreachSettings & {
    liveEvents: (Omit<LiveEvent, 'receivedAt'> & { receivedAt: number })[]
    lastLook: boolean
    holdoutPercent: number
  }

/** What `decide` needs except `late`, with the time of the database and the settings from which `late` follows. */
export type KnownContext = Omit<ContactContext, 'late'> &
  OutreachSettings & {
    now: Date
    /** Whether the person is on the line, and the events that say so. */
    line: Line
    liveEvents: LiveEvent[]
    /** Only live events say that the person was reached. No CDR says it yet. */
    isReachedOnLine: boolean
    /** Active Calls should be asked before a message is sent. */
    lastLook: boolean
    /** The share of people in the control group. */
    holdoutPercent: number
  }

/**
 * The states of a first message that is not sent yet. They are a parameter: with constants Postgres may use the index of all
 * such messages, because that index was small when it made the plan.
 */
const PENDING: OutreachState[] = ['scheduled', 'sending']

/** The calls of one person cause far fewer events in a day. */
const MAX_LIVE_EVENTS = 200

export const readContext = async (trx: Trx, call: Call): Promise<KnownContext> => {
  const [context] = await readContexts(trx, [call])
  if (!context) throw new Error('one call has one context')
  return context
}

/**
 * Reads the context of each call with one statement. The caller has locked the leads. Live events and settings may still
 * change; the claim reads them again.
 */
export const readContexts = async (trx: Trx, calls: readonly Call[]): Promise<KnownContext[]> => {
  const identified = calls.map(call => ({ ...call, ...identify(call.caller) }))
  const asked = identified.map(({ tenantId, phones, lines, missedCallId, calledAt }, n) => ({
    n,
    tenant_id: tenantId,
    phones,
    lines,
    wa_ids: phones.map(phone => phone.slice(1)),
    hashes: [...new Set(lines)].map(phone => `\\x${phoneHash(phone).toString('hex')}`),
    missed_call_id: missedCallId,
    called_at: calledAt,
  }))
  const { rows } = await sql<ContextRow>`
    ${planName(trx, 'facts')}
    select
      call.n,
      now() as now,
      t.mode,
      t.contact_foreign as "contactForeign",
      t.timezone,
      t.location,
      t.holdout_percent as "holdoutPercent",
      t.quiet_windows as "quietWindows",
      t.reminder_quiet_windows as "reminderQuietWindows",
      (extract(epoch from t.outreach_delay) * 1000)::float8 as "outreachDelay",
      (extract(epoch from t.repeat_window) * 1000)::float8 as "repeatWindow",
      (extract(epoch from t.oldest_call) * 1000)::float8 as "oldestCall",
      (extract(epoch from t.grace) * 1000)::float8 as grace,
      (extract(epoch from t.reminder_grace) * 1000)::float8 as "reminderGrace",
      exists (select from tenant_numbers n where n.tenant_id = t.id and n.phone = any(call.lines))
        or exists (select from whatsapp_connections c
                   where c.tenant_id = t.id and c.display_phone_number = any(call.lines)) as "ownNumber",
      exists (select from excluded_numbers x where x.tenant_id = t.id and x.phone = any(call.lines))
        or exists (select from excluded_numbers x where x.tenant_id = t.id
                   and x.phone_hash = any(call.hashes)) as excluded,
      exists (select from opt_outs o where o.tenant_id = t.id and o.phone = any(call.phones))
        or exists (select from opt_outs o where o.tenant_id = t.id
                   and o.phone_hash = any(call.hashes)) as "optedOut",
      -- An active one, if there is one ('active' comes before 'paused').
      (select c.state from whatsapp_connections c where c.tenant_id = t.id order by c.state limit 1) as connection,
      -- In a call that has a CDR, or by another phone and marked by a person.
      greatest(
        (select max(r.reached_until) from raw_cdrs r where r.tenant_id = t.id and r.reached_phone = any(call.phones)),
        (select max(l.called_back_at) from leads l where l.tenant_id = t.id and l.phone = any(call.phones)),
        -- In a call on WhatsApp. An emptied event has no payload.
        (select max(to_timestamp((e.payload -> 'talk' ->> 'until')::float8)) from whatsapp_events e
         where e.tenant_id = t.id and e.outcome = 'reached' and e.received_at >= call.called_at
           and (e.payload -> 'talk' -> 'ids' ?| call.wa_ids
                or exists (select from lead_identities i where i.lead_id = any(known.ids)
                             and e.payload -> 'talk' -> 'ids' ? i.identity)))) as "reachedUntil",
      greatest(
        (select max(s.created_at) from messages s where s.tenant_id = t.id and s.direction = 'in'
         and s.wa_id = any(call.wa_ids)),
        -- A person who hides their number writes without it. Not "direction = 'in'": for an empty table Postgres may plan to
        -- read the whole index of such messages, and keep that plan.
        (select max(s.created_at) from messages s where s.lead_id = any(known.ids) and s.kind = 'inbound')) as "wroteAt",
      greatest(
        (select max(s.created_at) from messages s
         where s.lead_id = any(known.ids) and s.kind = 'manual' and s.state not in ('cancelled', 'skipped', 'failed')),
        -- In WhatsApp itself, before there was a lead.
        (select max(happened_at(e)) from whatsapp_events e
         where e.tenant_id = t.id and e.kind = 'echo' and e.outcome = 'unassigned'
           and ltrim(e.payload -> 'item' ->> 'to', '+') = any(call.wa_ids))) as "ownerWroteAt",
      (select coalesce(jsonb_agg(jsonb_build_object(
         'callId', v.call_id, 'extension', v.extension, 'phase', v.phase, 'answeredAt', v.answered_at,
         'isAnswered', v.is_answered, 'source', v.source, 'receivedAt', extract(epoch from v.received_at) * 1000)), '[]')
       from (select * from live_calls e
             where e.tenant_id = t.id and e.phone = any(call.phones) and e.received_at > now() - interval '1 day'
             order by e.received_at desc limit ${MAX_LIVE_EVENTS}) v) as "liveEvents",
      t.last_look and exists (select from call_log_access a where a.tenant_id = t.id) as "lastLook",
      calls.sending or messages.sending as sending,
      calls."firstDueAt", messages."reminderDueAt", messages."sentAt"
    from jsonb_to_recordset(${JSON.stringify(asked)}::jsonb) as call (
        n int, tenant_id bigint, phones text[], lines text[], wa_ids text[], hashes bytea[], missed_call_id bigint, called_at timestamptz)
    join tenants t on t.id = call.tenant_id,
      -- As an array, so that Postgres looks up the leads first, however small the tables were when it made the plan.
      lateral (
        select array(select l.id from leads l where l.tenant_id = t.id and l.phone = any(call.phones)) as ids) as people,
      -- WhatsApp has told that these leads have the number too.
      lateral (
        select people.ids || array(
          select i.lead_id from lead_identities i where i.tenant_id = t.id and i.identity = any(call.wa_ids)) as ids) as known,
      lateral (
        select coalesce(bool_or(m.outreach_state = 'sending'), false) as sending,
               max(m.outreach_due_at) filter (where m.outreach_state = 'scheduled') as "firstDueAt"
        from missed_calls m
        where m.lead_id = any(people.ids) and m.outreach_state = any(${PENDING}::text[])
          and m.id is distinct from call.missed_call_id) as calls,
      lateral (
        select coalesce(bool_or(s.state = 'sending'), false) as sending,
               max(s.due_at) filter (where s.state = 'scheduled') as "reminderDueAt",
               max(s.claimed_at) filter (where s.state in ('accepted', 'sent', 'delivered', 'read', 'unknown')) as "sentAt"
        from lead_conversations c
        join messages s on s.lead_conversation_id = c.id
        where c.lead_id = any(people.ids)
          and c.missed_call_id is distinct from call.missed_call_id
          and s.direction = 'out') as messages`.execute(trx)
  const found = new Map(rows.map(row => [row.n, row]))
  return identified.map(({ tenantId, caller, calledAt, isReminder }, n) => {
    const row = found.get(n)
    if (!row) throw new Error(`tenant ${tenantId} does not exist`)
    const liveEvents = row.liveEvents.map(event => ({
      ...event,
      receivedAt: new Date(event.receivedAt),
    }))
    const line = lineFrom(liveEvents, row.now, isReminder ? row.reminderGrace : row.grace)
    const known = contactHistory(row, calledAt, row.now, row)
    const isReachedOnLine =
      !known.reached && line.reachedUntil !== null && line.reachedUntil >= calledAt
    const history = isReachedOnLine
      ? contactHistory({ ...row, reachedUntil: line.reachedUntil }, calledAt, row.now, row)
      : known
    return { caller, ...row, line, liveEvents, isReachedOnLine, ...history }
  })
}
