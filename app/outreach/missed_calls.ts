import { sql } from 'kysely'
import { MAX_ATTEMPTS } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import { readContexts } from './contact_context.ts'
import { notifyRepeatCaller, REPEAT_CALLER_THRESHOLD } from './notify_owner.ts'
import { firstAllowed } from './quiet_hours.ts'
import { decide, type Decision, isTooOld, type OutreachSettings } from './rules.ts'
import { personOf, readPhone, spellings } from '../phone.ts'

/**
 * Splits what is to be done into groups that are done one after the other, and in each of which nobody occurs twice:
 * what follows from a person's second call depends on what followed from her first. Keeps the order for each person.
 *
 * @param peopleIn who is concerned by one of them; of those that concern nobody all are in the first group
 */
export const groupByPerson = <Item>(
  items: readonly Item[],
  peopleIn: (item: Item) => string[],
): Item[][] => {
  const groups: Item[][] = []
  const next = new Map<string, number>()
  for (const item of items) {
    const people = peopleIn(item)
    const turn = Math.max(0, ...people.map(person => next.get(person) ?? 0))
    ;(groups[turn] ??= []).push(item)
    for (const person of people) next.set(person, turn + 1)
  }
  return groups
}

/** Who called, and how often she has been missed in all. */
export type Lead = { id: string; calls: number }

/**
 * Counts each missed call with its caller's lead, which is made if she has none, and locks it.
 *
 * @returns each caller's lead; null of a withheld number, a word, a line of our own: they are nobody's
 */
export const upsertLeads = async (
  trx: Trx,
  calls: readonly MissedCall[],
): Promise<(Lead | null)[]> => {
  const callers = calls.flatMap(({ tenantId, caller }) => {
    const phone = readPhone(caller)
    return phone.kind === 'number' ? { tenantId, phone: phone.e164 } : []
  })
  // Nobody else counts any of these people meanwhile: the caller holds their locks. In one order all the same.
  const sorted = callers.toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
  const { rows } = await sql<Lead & { tenantId: string; phone: string }>`
    /* leads */
    insert into leads (tenant_id, phone, missed_call_count)
    select tenant_id, coalesce(
      (select l.phone from leads l where l.tenant_id = c.tenant_id and l.phone in (c.phone, c.other_spelling)
       -- Not by the index of ids, in which a plan that was made for few leads would look through all of them.
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
  const leads = new Map(rows.map(lead => [nameOf(lead), lead]))
  return calls.map(({ tenantId, caller }) => {
    const phone = readPhone(caller)
    return phone.kind === 'number'
      ? (leads.get(nameOf({ tenantId, phone: phone.e164 })) ?? null)
      : null
  })
}

const nameOf = ({ tenantId, phone }: { tenantId: string; phone: string }): string =>
  `${tenantId} ${personOf(phone)}`

/**
 * A first message is due when the database's now() plus the tenant's delay has come; where that falls into a quiet
 * window, at the window's end, which is what is told here.
 */
export const quietEnd = (facts: OutreachSettings & { now: Date }): Date | null => {
  const due = new Date(facts.now.getTime() + facts.outreachDelay)
  const allowed = firstAllowed(due, facts.quietWindows, facts.timezone)
  return allowed > due ? allowed : null
}

/** Adds the jobs of calls that have just been scheduled. A person whose last story has ended starts a new one. */
export const scheduleOutreach = async (trx: Trx, missedCallIds: string[]): Promise<void> => {
  if (missedCallIds.length === 0) return
  await sql`
    /* schedule */
    with call as (
      select * from missed_calls where id = any(${missedCallIds}::bigint[]) and caller_phone is not null
    ), renewed as (
      update leads set state = 'new' where id in (select lead_id from call)
    ), jobs as (
      select count(*) as wanted, array_agg(
        row('lead_outreach', json_build_object(
              'tenantId', tenant_id::text, 'missedCallId', id::text, 'callerPhone', caller_phone),
            null, outreach_due_at, ${MAX_ATTEMPTS.lead_outreach}::smallint, 'lead_outreach:' || id, null, null
        )::graphile_worker.job_spec order by id) as specs
      from call
    )
    select assert_all_queued(wanted, (select count(*) from graphile_worker.add_jobs(specs)))
    from jobs where wanted > 0`.execute(trx)
}

/** A call that was missed, as its records tell it. */
export type MissedCall = {
  tenantId: string
  /** The root's. */
  callId: string
  /** As the exchange wrote it. */
  caller: string | null
  businessPhone: string
  status: string
  calledAt: Date
}

/**
 * Records missed calls, counts each with its caller's lead, and decides whether she is to be
 * written to; if so, the message is due after the tenant's outreach_delay, and the job that will send
 * it is added in this very transaction.
 *
 * The caller must hold the locks of the calls and know that none of them is recorded, and no two may be of one person:
 * what is decided of the second depends on the first. The leads are locked here, by the statement that counts.
 *
 * @returns the rows' ids and the decisions
 */
export const recordMissedCalls = async (
  trx: Trx,
  calls: readonly MissedCall[],
): Promise<{ id: string; tenantId: string; decision: Decision }[]> => {
  if (calls.length === 0) return []
  const leads = await upsertLeads(trx, calls)
  const facts = await readContexts(
    trx,
    calls.map(call => ({ ...call, missedCallId: null })),
  )
  const decided = calls.map((call, i) => {
    const known = facts[i]
    if (!known) throw new Error('a call without its facts')
    const late = isTooOld(known.now, call.calledAt, known.oldestCall)
    return { call, known, lead: leads[i] ?? null, decision: decide({ ...known, late }) }
  })
  const { rows } = await sql<{ n: number; id: string }>`
    /* record */
    with call as (
      select * from unnest(
        ${calls.map(({ tenantId }) => tenantId)}::bigint[],
        ${decided.map(({ lead }) => lead?.id ?? null)}::bigint[],
        ${calls.map(({ callId }) => callId)}::text[],
        ${decided.map(({ known: { caller } }) => (caller.kind === 'number' ? caller.e164 : null))}::text[],
        ${calls.map(({ businessPhone }) => businessPhone)}::text[],
        ${calls.map(({ status }) => status)}::text[],
        ${calls.map(({ calledAt }) => calledAt)}::timestamptz[],
        ${decided.map(({ decision }) => decision.state)}::text[],
        ${decided.map(({ decision }) => decision.reason)}::text[],
        ${decided.map(({ known }) => quietEnd(known))}::timestamptz[]
      ) with ordinality as call (tenant_id, lead_id, call_id, caller_phone, business_phone, status, called_at,
                                 outreach_state, outreach_reason, quiet_until, n)
    ), recorded as (
      insert into missed_calls (tenant_id, lead_id, call_id, caller_phone, business_phone, status, called_at,
                                outreach_state, outreach_reason, outreach_due_at)
      select tenant_id, lead_id, call_id, caller_phone, business_phone, status, called_at, outreach_state, outreach_reason,
             case when outreach_state = 'scheduled' then coalesce(quiet_until, now() + t.outreach_delay) end
      from call join tenants t on t.id = tenant_id
      order by n
      returning id, tenant_id, call_id
    )
    select n::int, id from recorded join call using (tenant_id, call_id) order by n`.execute(trx)
  const recorded = rows.flatMap(({ n, id }) => {
    const one = decided[n - 1]
    return one ? { ...one, id } : []
  })
  await scheduleOutreach(
    trx,
    recorded.flatMap(({ id, decision }) => (decision.state === 'scheduled' ? id : [])),
  )
  for (const { lead, decision } of recorded)
    if (lead && decision.state === 'cancelled')
      await sql`update leads set state = ${decision.reason} where id = ${lead.id}`.execute(trx)
  for (const { id, lead } of recorded)
    if (lead && lead.calls >= REPEAT_CALLER_THRESHOLD) await notifyRepeatCaller(trx, lead.id, id)
  return recorded.map(({ id, call: { tenantId }, decision }) => ({ id, tenantId, decision }))
}
