import { sql } from 'kysely'
import type { Trx } from '../db/kysely.ts'
import { decideAgain } from './decide_again.ts'
import { spellings } from '../phone.ts'
import { lockLead, stopChase } from './stop.ts'

/** Somebody of the business talked with this number (E.164), in a call that began at `at`. */
export type Reached = { tenantId: string; phone: string; at: Date }

/** As personReached, for many at once: most of them have nothing pending, and that is found out together. */
export const peopleReached = async (trx: Trx, reached: readonly Reached[]): Promise<void> => {
  const asked = reached.flatMap((one, n) =>
    spellings(one.phone).map(phone => ({ ...one, phone, n })),
  )
  if (asked.length === 0) return
  const people = sql`unnest(
    ${asked.map(({ n }) => n)}::int[],
    ${asked.map(({ tenantId }) => tenantId)}::bigint[],
    ${asked.map(({ phone }) => phone)}::text[],
    ${asked.map(({ at }) => at)}::timestamptz[]) as r (n, tenant_id, phone, at)`
  // Locked before it is looked whether there is anything to stop: something may just be becoming pending.
  const { rows: leads } = await sql`
    /* talked_with */
    select l.id from leads l where (l.tenant_id, l.phone) in (select r.tenant_id, r.phone from ${people})
    order by l.id for update`.execute(trx)
  if (leads.length === 0) return
  const { rows: chased } = await sql<{ n: number }>`
    /* chased */
    select distinct r.n from ${people}
    join leads l on l.tenant_id = r.tenant_id and l.phone = r.phone
    join missed_calls m on m.lead_id = l.id and m.called_at <= r.at
    where m.outreach_state = 'scheduled'
      or exists (select from lead_conversations c where c.missed_call_id = m.id and c.state = 'open')
    order by r.n`.execute(trx)
  for (const { n } of chased) {
    const one = reached[n]
    if (one) await personReached(trx, one.tenantId, one.phone, one.at)
  }
}

/**
 * Somebody of the business talked with a customer in a call that began at `at`: whatever was still to be
 * sent to her because of calls up to then is cancelled. What is being sent at this moment goes out, and
 * nothing follows it. Calls she made after that talk are decided again.
 *
 * @param phone the customer's number in E.164
 */
export const personReached = async (
  trx: Trx,
  tenantId: string,
  phone: string,
  at: Date,
): Promise<void> => {
  const leads = await trx
    .selectFrom('leads')
    .select('id')
    .where('tenant_id', '=', tenantId)
    .where('phone', 'in', spellings(phone))
    .orderBy('id')
    .forUpdate()
    .execute()
  for (const { id } of leads) {
    const calls = await trx
      .selectFrom('missed_calls')
      .select('id')
      .where('lead_id', '=', id)
      .where('called_at', '<=', at)
      .where(eb =>
        eb.or([
          eb('outreach_state', '=', 'scheduled'),
          eb.exists(
            eb
              .selectFrom('lead_conversations')
              .select('lead_conversations.id')
              .whereRef('lead_conversations.missed_call_id', '=', 'missed_calls.id')
              .where('lead_conversations.state', '=', 'open'),
          ),
        ]),
      )
      .execute()
    if (calls.length === 0) continue
    await stopChase(
      trx,
      id,
      'reached_by_phone',
      calls.map(call => call.id),
    )
    await decideAgain(trx, id, at)
  }
}

/**
 * A call that was recorded as missed turned out not to be: answered, or not a customer's call at all. Nothing
 * is sent because of it.
 */
export const callWasNotMissed = async (
  trx: Trx,
  tenantId: string,
  callId: string,
): Promise<void> => {
  const call = await trx
    .selectFrom('missed_calls')
    .select(['id', 'lead_id', 'called_at'])
    .where('tenant_id', '=', tenantId)
    .where('call_id', '=', callId)
    .executeTakeFirst()
  if (!call?.lead_id) return
  await lockLead(trx, call.lead_id)
  await stopChase(trx, call.lead_id, 'reached_by_phone', [call.id])
  await decideAgain(trx, call.lead_id, call.called_at)
}
