import { sql } from 'kysely'
import { addJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import { type Decision, decide } from './eligibility.ts'
import { readFacts } from './facts.ts'
import type { Wishes } from './history.ts'
import { tellOfThirdCall } from './owner.ts'
import { readPhone, spellings } from './phone.ts'
import { afterQuiet } from './quiet.ts'
import { isTooOld } from './timing.ts'

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
 * Records a missed call once, counts it with its caller's lead, and decides whether she is to be
 * written to; if so, the message is due after the tenant's outreach_delay, and the job that will send
 * it is added in this very transaction. Safe to run twice: the second time changes nothing.
 *
 * The caller must hold the lock of the call. The lead is locked here, by the statement that counts.
 *
 * @returns the row's id and the decision; null if the call was recorded before
 */
export const recordMissedCall = async (
  trx: Trx,
  call: MissedCall,
): Promise<{ id: string; decision: Decision } | null> => {
  const known = await trx
    .selectFrom('missed_calls')
    .select('id')
    .where('tenant_id', '=', call.tenantId)
    .where('call_id', '=', call.callId)
    .executeTakeFirst()
  if (known) return null

  const leadId = await countMissedCall(trx, call)
  const facts = await readFacts(trx, { ...call, missedCallId: null })
  const decision = decide({ ...facts, late: isTooOld(facts.now, call.calledAt, facts.oldestCall) })
  const recorded = await trx
    .insertInto('missed_calls')
    .values({
      tenant_id: call.tenantId,
      lead_id: leadId,
      call_id: call.callId,
      caller_phone: facts.caller.kind === 'number' ? facts.caller.e164 : null,
      business_phone: call.businessPhone,
      status: call.status,
      called_at: call.calledAt,
      ...outreach(decision, call.tenantId, facts),
    })
    .returning(['id', 'tenant_id', 'lead_id', 'caller_phone', 'outreach_state'])
    .executeTakeFirstOrThrow()
  await addOutreachJob(trx, recorded)
  if (leadId && decision.state === 'cancelled')
    await trx
      .updateTable('leads')
      .set({ state: decision.reason })
      .where('id', '=', leadId)
      .execute()
  if (leadId) await tellOfThirdCall(trx, leadId, recorded.id)
  return { id: recorded.id, decision }
}

/**
 * Decides again about calls that were skipped because another message to the same person was pending,
 * when that message has been cancelled. Only those that began after `since`, when somebody talked with
 * her. The caller must hold the lead's lock.
 */
export const decideAgain = async (trx: Trx, leadId: string, since: Date): Promise<void> => {
  const skipped = await trx
    .selectFrom('missed_calls')
    .select(['id', 'tenant_id', 'caller_phone', 'called_at'])
    .where('lead_id', '=', leadId)
    .where('outreach_state', '=', 'skipped')
    .where('outreach_reason', '=', 'already_contacted')
    .where('called_at', '>', since)
    .orderBy('called_at')
    .execute()
  // In order and one by one: the first that is scheduled is the reason why the next is not.
  for (const call of skipped) {
    const facts = await readFacts(trx, {
      tenantId: call.tenant_id,
      caller: call.caller_phone,
      calledAt: call.called_at,
      missedCallId: call.id,
    })
    const decision = decide({
      ...facts,
      late: isTooOld(facts.now, call.called_at, facts.oldestCall),
    })
    // Otherwise what is written there stays true: she had been contacted when this call came.
    if (decision.state !== 'scheduled') continue
    const decided = await trx
      .updateTable('missed_calls')
      .set(outreach(decision, call.tenant_id, facts))
      .where('id', '=', call.id)
      .returning(['id', 'tenant_id', 'lead_id', 'caller_phone', 'outreach_state'])
      .executeTakeFirstOrThrow()
    await addOutreachJob(trx, decided)
  }
}

/**
 * The columns a decision fills. The due moment is the database's now() plus the tenant's delay; where
 * that falls into a quiet window, the window's end.
 */
const outreach = ({ state, reason }: Decision, tenantId: string, facts: Wishes & { now: Date }) => {
  const due = new Date(facts.now.getTime() + facts.outreachDelay)
  const allowed = afterQuiet(due, facts.quietWindows, facts.timezone)
  const dueAt =
    allowed > due
      ? allowed
      : sql<Date>`now() + (select outreach_delay from tenants where id = ${tenantId})`
  return {
    outreach_state: state,
    outreach_reason: reason,
    outreach_due_at: state === 'scheduled' ? dueAt : null,
  }
}

type Decided = {
  id: string
  tenant_id: string
  lead_id: string | null
  caller_phone: string | null
  outreach_state: string
}

const addOutreachJob = async (trx: Trx, call: Decided): Promise<void> => {
  if (call.outreach_state !== 'scheduled' || !call.caller_phone) return
  // A person whose last story has ended starts a new one.
  await trx.updateTable('leads').set({ state: 'new' }).where('id', '=', call.lead_id).execute()
  await addJob(
    trx,
    'lead_outreach',
    call.id,
    { tenantId: call.tenant_id, missedCallId: call.id, callerPhone: call.caller_phone },
    { at: sql<Date>`(select outreach_due_at from missed_calls where id = ${call.id})` },
  )
}

/** Nobody's lead: a withheld number, a word, a line of our own. */
const countMissedCall = async (
  trx: Trx,
  { tenantId, caller }: MissedCall,
): Promise<string | null> => {
  const phone = readPhone(caller)
  if (phone.kind !== 'number') return null
  const { rows } = await sql<{ id: string }>`
    insert into leads (tenant_id, phone, missed_call_count)
    select ${tenantId}, coalesce(
      (select l.phone from leads l where l.tenant_id = ${tenantId} and l.phone = any(${spellings(phone.e164)}::text[])
       order by l.id limit 1), ${phone.e164}), 1
    where not exists (select from tenant_numbers n where n.tenant_id = ${tenantId} and n.phone = ${phone.e164})
      and not exists (select from whatsapp_connections c where c.tenant_id = ${tenantId} and c.display_phone_number = ${phone.e164})
    on conflict on constraint leads_one_per_person
      do update set missed_call_count = leads.missed_call_count + 1
    returning id`.execute(trx)
  return rows[0]?.id ?? null
}
