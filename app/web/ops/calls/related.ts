/** What else bears on a call: her wishes, her other calls, what was done by hand. */
import { sql } from 'kysely'
import type { Trx } from '../../../db/kysely.ts'
import { spellings } from '../../../phone.ts'
import { phoneHash } from '../../../crypto.ts'
import type { MissedCall, Root } from './facts.ts'

/** Her wish to be left alone, whenever she told it. */
export const optOutOf = async (trx: Trx, tenantId: string, phone: string) => {
  const phones = spellings(phone)
  const { rows } = await sql<{ at: Date; source: string }>`
    select created_at as at, source from opt_outs
    where tenant_id = ${tenantId}
      and (phone = any(${phones}::text[]) or phone_hash = any(${phones.map(phoneHash)}::bytea[]))
    order by created_at limit 1`.execute(trx)
  return rows[0] ?? null
}

/** The call in which somebody talked with her, if that is why nothing (more) was sent. */
export const talkWith = async (
  trx: Trx,
  { tenantId, rootCallId }: Root,
  phone: string,
  since: Date,
) => {
  const { rows } = await sql<{ id: string; at: Date }>`
    select id, called_at as at from raw_cdrs
    where tenant_id = ${tenantId} and reached_phone = any(${spellings(phone)}::text[])
      and called_at >= ${since} and root_call_id <> ${rootCallId}
    order by called_at limit 1`.execute(trx)
  return rows[0] ?? null
}

/** The call because of which she was being written to already. */
export const callBefore = async (trx: Trx, { id, leadId, calledAt }: MissedCall) => {
  const { rows } = await sql<{ id: string; at: Date }>`
    select m.id, m.called_at as at from missed_calls m
    where m.lead_id = ${leadId} and m.id <> ${id} and m.called_at <= ${calledAt}
      and m.outreach_state not in ('skipped', 'failed')
    order by m.called_at desc limit 1`.execute(trx)
  return rows[0] ?? null
}

/** What was done by hand, to the call or since then to the person. */
export const deedsTo = async (
  trx: Trx,
  subjects: string[],
  leadSubject: string,
  since: Date | null,
) => {
  const { rows } = await sql<{ at: Date; who: string; action: string }>`
    select at, who, action from audit_log
    where subject = any(${subjects}::text[]) or (subject = ${leadSubject} and at >= ${since}::timestamptz)
    order by id limit 50`.execute(trx)
  return rows
}
