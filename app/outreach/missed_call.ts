import { sql } from 'kysely'
import type { Trx } from '../db/kysely.ts'
import { type Decision, decide } from './eligibility.ts'
import { readFactsOfAll } from './facts.ts'
import { countMissedCalls } from './leads.ts'
import { OFTEN, tellOfThirdCall } from './owner.ts'
import { quietUntil, schedule } from './schedule.ts'
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
  const leads = await countMissedCalls(trx, calls)
  const facts = await readFactsOfAll(
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
        ${decided.map(({ known }) => quietUntil(known))}::timestamptz[]
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
  await schedule(
    trx,
    recorded.flatMap(({ id, decision }) => (decision.state === 'scheduled' ? id : [])),
  )
  for (const { lead, decision } of recorded)
    if (lead && decision.state === 'cancelled')
      await sql`update leads set state = ${decision.reason} where id = ${lead.id}`.execute(trx)
  for (const { id, lead } of recorded)
    if (lead && lead.calls >= OFTEN) await tellOfThirdCall(trx, lead.id, id)
  return recorded.map(({ id, call: { tenantId }, decision }) => ({ id, tenantId, decision }))
}
