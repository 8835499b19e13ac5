import { sql } from 'kysely'
import { jobSpec } from '../db/jobs.ts'
import { planName, type Trx } from '../db/kysely.ts'
import { moveLead } from '../db/transitions.ts'
import { personOf, readPhone, spellings } from '../phone.ts'
import { HOLDS, LEAD_TRANSITIONS } from '../states.ts'
import { type KnownContext, readContexts } from './contact_context.ts'
import { heldBy } from './line.ts'
import { awaitConfirmation } from './live_calls.ts'
import { notifyRepeatCaller, REPEAT_CALLER_THRESHOLD } from './notify_owner.ts'
import { firstAllowed, quietTimesOf } from './quiet_hours.ts'
import { decide, type Decision, isTooOld } from './rules.ts'

/**
 * Splits items into groups in which no person occurs twice. The groups must be handled one after the other, since the
 * decision about a person's second call depends on the first. The order is kept for each person.
 *
 * @param peopleIn the people that an item is about; items without people are in the first group
 */
export const groupByPerson = <Item>(
  items: readonly Item[],
  peopleIn: (item: Item) => string[],
): Item[][] => {
  const groups: Item[][] = []
  const next = new Map<string, number>()
  for (const item of items) {
    const people = peopleIn(item)
    const group = Math.max(0, ...people.map(person => next.get(person) ?? 0))
    ;(groups[group] ??= []).push(item)
    for (const person of people) next.set(person, group + 1)
  }
  return groups
}

/** A missed call, as its CDRs or an event of WhatsApp describe it. */
export type MissedCall = {
  tenantId: string
  source?: 'voicenter' | 'whatsapp'
  /** Of the root call, or WhatsApp's id. */
  callId: string
  /** As Voicenter wrote it. */
  caller: string | null
  businessPhone: string
  status: string
  calledAt: Date
}

/** The caller, and how many calls of theirs were missed in all. */
export type Lead = { id: string; calls: number }
export type LeadRow = Lead & { tenantId: string; phone: string }

/**
 * Counts each missed call at its caller's lead, which is inserted if there is none, and locks the lead.
 *
 * @returns the lead of each call; null for a withheld number, text that is no number, and a number of the tenant
 */
export const upsertLeads = async (
  trx: Trx,
  calls: readonly MissedCall[],
): Promise<(Lead | null)[]> => {
  const callers = calls.flatMap(({ tenantId, caller }) => {
    const phone = readPhone(caller)
    return phone.kind === 'number' ? { tenantId, phone: phone.e164 } : []
  })
  // Sorted, so that all transactions lock the rows in one order. The locks on these people (lockPeople) would be enough.
  const sorted = callers.toSorted((a, b) => (personKey(a) < personKey(b) ? -1 : 1))
  const { rows } = await sql<LeadRow>`
    ${planName(trx, 'leads')}
    insert into leads (tenant_id, phone, missed_call_count)
    select tenant_id, coalesce(
      (select l.phone from leads l where l.tenant_id = c.tenant_id and l.phone in (c.phone, c.other_spelling)
       -- "+ 0" keeps Postgres from using the index of ids: a plan made for few leads would read all of them.
       order by l.id + 0 limit 1), c.phone), 1
    from unnest(
      ${sorted.map(({ tenantId }) => tenantId)}::bigint[],
      ${sorted.map(({ phone }) => phone)}::text[],
      ${sorted.map(({ phone }) => spellings(phone)[1] ?? phone)}::text[]
    ) as c (tenant_id, phone, other_spelling)
    where not exists (select from tenant_numbers n where n.tenant_id = c.tenant_id and n.phone = c.phone)
      and not exists (select from whatsapp_connections w where w.tenant_id = c.tenant_id and w.display_phone_number = c.phone)
    on conflict on constraint leads_one_per_person
      do update set missed_call_count = leads.missed_call_count + 1
    returning id, missed_call_count as calls, tenant_id as "tenantId", phone`.execute(trx)
  const leads = new Map(rows.map(lead => [personKey(lead), lead]))
  return calls.map(({ tenantId, caller }) => {
    const phone = readPhone(caller)
    return phone.kind === 'number'
      ? (leads.get(personKey({ tenantId, phone: phone.e164 })) ?? null)
      : null
  })
}

const personKey = ({ tenantId, phone }: { tenantId: string; phone: string }): string =>
  `${tenantId} ${personOf(phone)}`

/**
 * A first message is due after the tenant's delay, by the clock of the database. If that is in a quiet window, it is due
 * when the window ends, and this function returns that time. Otherwise it returns null.
 */
export const quietEnd = (context: KnownContext): Date | null => {
  const { caller } = context
  const due = afterDelay(context)
  const person = caller.kind === 'number' ? caller.e164 : undefined
  const allowed = firstAllowed(due, quietTimesOf('initial', context), person)
  return allowed > due ? allowed : null
}

const afterDelay = ({ now, outreachDelay }: KnownContext): Date =>
  new Date(now.getTime() + outreachDelay)

/** Adds the jobs of missed calls that were just scheduled, and sets the state of their leads to `new`. */
export const scheduleOutreach = async (trx: Trx, missedCallIds: string[]): Promise<void> => {
  if (missedCallIds.length === 0) return
  const job = jobSpec({
    task: 'lead_outreach',
    entity: sql`id`,
    payload: sql`json_build_object('tenantId', tenant_id::text, 'missedCallId', id::text, 'callerPhone', caller_phone)`,
    tenant: sql`tenant_id`,
    at: sql`coalesce(hold_until, outreach_due_at)`,
  })
  await sql`
    ${planName(trx, 'schedule')}
    with call as (
      select * from missed_calls where id = any(${missedCallIds}::bigint[]) and caller_phone is not null
    ), renewed as (
      update leads set state = ${LEAD_TRANSITIONS.scheduled.to}
      -- Most have it already: an update that changes nothing writes the row again.
      where id = any(array(select lead_id from call)) and state <> ${LEAD_TRANSITIONS.scheduled.to}
    ), jobs as (
      select count(*) as wanted, array_agg(${job} order by id) as specs from call
    )
    select assert_all_queued(wanted, (select count(*) from graphile_worker.add_jobs(specs)))
    from jobs where wanted > 0`.execute(trx)
}

/**
 * The missed call `m` names no customer: its CDRs hid the caller, or showed a line of the tenant, an extension or a text.
 * Another CDR may name the customer.
 */
export const NAMES_NO_CUSTOMER = sql<boolean>`(m.lead_id is null
  and (m.outreach_state, m.outreach_reason) in (('skipped', 'withheld_number'), ('skipped', 'own_number'), ('skipped', 'not_mobile')))`

export type RecordedRow = { id: string; tenantId: string; callId: string }

/**
 * Records missed calls, counts each at its caller's lead, and decides whether to write to the caller. If so, the message
 * is due after the tenant's outreach_delay, and its job is added in this transaction.
 *
 * Before this, lock the calls and the people. No call may be recorded already with its customer, and no two may be of the
 * same person. The leads are locked here, by the statement that counts.
 *
 * @returns the ids of the rows and the decisions
 */
export const recordMissedCalls = async (
  trx: Trx,
  calls: readonly MissedCall[],
): Promise<{ id: string; tenantId: string; decision: Decision }[]> => {
  if (calls.length === 0) return []
  const leads = await upsertLeads(trx, calls)
  const contexts = await readContexts(
    trx,
    calls.map(call => ({ ...call, missedCallId: null })),
  )
  const decided = calls.map((call, i) => {
    const context = contexts[i]
    if (!context) throw new Error('a call without its context')
    const late = isTooOld(context.now, call.calledAt, context.oldestCall)
    const decision = decide({ ...context, late })
    const hold =
      decision.state === 'scheduled'
        ? heldBy(context.line, quietEnd(context) ?? afterDelay(context), context.now)
        : null
    return { call, context, lead: leads[i] ?? null, decision, hold }
  })
  const { rows } = await sql<RecordedRow>`
    ${planName(trx, 'record')}
    insert into missed_calls as m (tenant_id, lead_id, source, call_id, caller_phone, business_phone, status, called_at,
                              outreach_state, outreach_reason, outreach_due_at, hold_until, hold_reason)
    select tenant_id, lead_id, source, call_id, caller_phone, business_phone, status, called_at, outreach_state,
           outreach_reason,
           case when outreach_state = 'scheduled' then coalesce(quiet_until, now() + t.outreach_delay) end,
           hold_until, hold_reason
    from unnest(
      ${calls.map(({ tenantId }) => tenantId)}::bigint[],
      ${decided.map(({ lead }) => lead?.id ?? null)}::bigint[],
      ${calls.map(({ callId }) => callId)}::text[],
      ${decided.map(({ context: { caller } }) => (caller.kind === 'number' ? caller.e164 : null))}::text[],
      ${calls.map(({ businessPhone }) => businessPhone)}::text[],
      ${calls.map(({ status }) => status)}::text[],
      ${calls.map(({ calledAt }) => calledAt)}::timestamptz[],
      ${decided.map(({ decision }) => decision.state)}::text[],
      ${decided.map(({ decision, hold }) => (hold?.why === 'in_call' ? HOLDS[hold.why] : decision.reason))}::text[],
      ${decided.map(({ context }) => quietEnd(context))}::timestamptz[],
      ${decided.map(({ hold }) => hold?.until ?? null)}::timestamptz[],
      ${decided.map(({ hold }) => hold?.why ?? null)}::text[],
      ${calls.map(({ source = 'voicenter' }) => source)}::text[]
    ) with ordinality as call (tenant_id, lead_id, call_id, caller_phone, business_phone, status, called_at,
                               outreach_state, outreach_reason, quiet_until, hold_until, hold_reason, source, n)
    join tenants t on t.id = tenant_id
    order by n
    -- The first CDR did not name the customer, and another one may.
    on conflict on constraint missed_calls_once do update
      set (lead_id, caller_phone, business_phone, status, called_at, outreach_state, outreach_reason, outreach_due_at,
           hold_until, hold_reason) =
          (excluded.lead_id, excluded.caller_phone, excluded.business_phone, excluded.status, excluded.called_at,
           excluded.outreach_state, excluded.outreach_reason, excluded.outreach_due_at,
           excluded.hold_until, excluded.hold_reason)
      where ${NAMES_NO_CUSTOMER}
    returning m.id, m.tenant_id as "tenantId", m.call_id as "callId"`.execute(trx)
  const ids = new Map(rows.map(({ id, tenantId, callId }) => [`${tenantId} ${callId}`, id]))
  const recorded = decided.flatMap(one => {
    const id = ids.get(`${one.call.tenantId} ${one.call.callId}`)
    return id === undefined ? [] : { ...one, id }
  })
  await scheduleOutreach(
    trx,
    recorded.flatMap(({ id, decision }) => (decision.state === 'scheduled' ? id : [])),
  )
  // The caller has replied or has been reached since this call. Their lead shows it.
  for (const { lead, decision } of recorded)
    if (lead && decision.state === 'cancelled' && decision.reason !== 'owner_replied')
      await moveLead(
        trx,
        lead.id,
        decision.reason === 'replied' ? 'already_replied' : 'already_reached',
      )
  for (const { call, context, lead, decision } of recorded)
    if (lead && decision.state === 'cancelled' && context.isReachedOnLine)
      await awaitConfirmation(trx, call.tenantId, lead.id, context.caller)
  for (const { id, lead } of recorded)
    if (lead && lead.calls >= REPEAT_CALLER_THRESHOLD) await notifyRepeatCaller(trx, lead.id, id)
  return recorded.map(({ id, call: { tenantId }, decision }) => ({ id, tenantId, decision }))
}
