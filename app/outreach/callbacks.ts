import { sql } from 'kysely'
import { type Actor, audit } from '../audit.ts'
import type { Trx } from '../db/kysely.ts'
import { notFound } from '../errors.ts'
import { cancelPending } from './cancel.ts'

/** Somebody who called or wrote, and with whom nobody of the business has talked since. */
export type Callback = {
  leadId: string
  phone: string
  name: string | null
  /** How often she was missed, ever. */
  calls: number
  tenantId: string
  tenant: string
  timezone: string
  /** The first record of the call, by which a page knows it. */
  recordId: string
  calledAt: Date
  wroteAt: Date | null
  text: string | null
  outreachState: string
  outreachReason: string
  conversationState: string | null
  conversationReason: string | null
  /** Where this one stands in the list. */
  cursor: string
}

/** After a week nobody waits any more. */
const LOOK_BACK = sql`interval '7 days'`

/** A moment to the microsecond, which a Date does not hold, and an id. */
export const CALLBACK_CURSOR = /^(\d{1,17})-(\d{1,18})$/

/**
 * Who waits for a call back, those who called last first. She does whether or not a message went out to her, until
 * a call with her is answered, the owner writes to her by hand, or somebody says that it is done. Not those who
 * asked to be left alone, unless they called after that.
 *
 * @param before the cursor of the last one seen
 */
export const callbacks = async (
  trx: Trx,
  { tenantId, before, limit }: { tenantId: string | null; before: string | null; limit: number },
): Promise<Callback[]> => {
  const [, micros, id] = CALLBACK_CURSOR.exec(before ?? '') ?? []
  const { rows } = await sql<Callback>`
    select l.id as "leadId", l.phone, l.name, l.missed_call_count as calls, t.id as "tenantId", t.name as tenant, t.timezone,
           (select min(r.id) from raw_cdrs r where r.tenant_id = k.tenant_id and r.root_call_id = k.call_id) as "recordId", k.called_at as "calledAt", wrote.at as "wroteAt", wrote.text,
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
      and 'owner_replied' not in (k.outreach_reason, coalesce(c.reason, ''))
      -- A call that turned out not to be missed leaves no other trace.
      and ('reached_by_phone' not in (k.outreach_reason, coalesce(c.reason, '')) or wrote.at > k.called_at)
      and not coalesce(l.called_back_at >= heard.at, false)
      and not exists (
        select from raw_cdrs r
        where r.tenant_id = k.tenant_id and r.called_at >= heard.at
          -- Palestinian mobiles are known as +970 and as +972 (phone.ts).
          and r.reached_phone in (l.phone, case when l.phone ~ '^[+]97[02]5[69]'
            then overlay(l.phone placing translate(substr(l.phone, 4, 1), '02', '20') from 4 for 1) end))
    order by k.called_at desc, k.id desc
    limit ${limit}`.execute(trx)
  return rows
}

/**
 * "I have talked with her", by a phone that Voicenter knows nothing of: as if it had told us. Nothing more is sent
 * to her because of her calls up to now, and she waits no longer.
 *
 * @returns her number, to be shown
 * @throws Mistake when she is not this business's
 */
export const markCalledBack = async (
  trx: Trx,
  signIn: Actor,
  { tenantId, leadId }: { tenantId: string; leadId: string },
): Promise<{ phone: string }> => {
  const found = await trx
    .selectFrom('leads')
    .select(['phone', 'state', 'called_back_at'])
    .where('id', '=', leadId)
    .where('tenant_id', '=', tenantId)
    // As everything that claims or cancels.
    .forUpdate()
    .executeTakeFirst()
  if (!found) throw notFound(`lead ${leadId} of tenant ${tenantId}`)
  // The log of what was done holds no number.
  const { phone, ...before } = found
  await cancelPending(trx, leadId, 'reached_by_phone')
  const after = await trx
    .updateTable('leads')
    .set({ called_back_at: sql<Date>`now()` })
    .where('id', '=', leadId)
    .returning(['state', 'called_back_at'])
    .executeTakeFirstOrThrow()
  await audit(trx, signIn, {
    tenantId,
    action: 'lead.called_back',
    subject: `leads ${leadId}`,
    before,
    after,
  })
  return { phone }
}
