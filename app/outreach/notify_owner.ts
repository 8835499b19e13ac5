import { sql } from 'kysely'
import { addJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import { isExcluded } from './exclusions.ts'
import {
  isNews,
  NEWS_OCCASIONS,
  type NoticeText,
  repeatCallerNotice,
  type Seen,
  wroteNotice,
} from './notices.ts'

/**
 * Notifies the owner at once of something that a person did, once for each occasion. The notice has a row and a job of its
 * own, so its failure never affects the conversation. Its claim adds a link to the person's page. A person whose number is
 * excluded causes no notice.
 *
 * @param occasion unique within the tenant: `reply:<message>`, `callback:<message>`, `third_call:<missed call>`
 * @param text what happened; the notice puts the person's name and number before it
 */
export const notifyOwner = async (
  trx: Trx,
  leadId: string,
  occasion: string,
  text: NoticeText,
): Promise<void> => {
  const texts = sql`${JSON.stringify(text)}::jsonb`
  const { rows } = await sql<Notice>`
    insert into messages as m (tenant_id, lead_id, direction, kind, state, due_at, to_phone, text, occasion)
    select t.id, l.id, 'out', 'owner_notice', 'scheduled', now(), t.owner_phone,
           coalesce(${texts} ->> t.languages[1], ${text.he}), ${occasion}
    from leads l join tenants t on t.id = l.tenant_id
    where l.id = ${leadId} and t.owner_phone is not null
    on conflict (tenant_id, occasion) where occasion is not null do nothing
    returning id, tenant_id as "tenantId", (select phone from leads l where l.id = m.lead_id) as phone,
      exists (select from excluded_numbers x where x.tenant_id = m.tenant_id) as "mayBeExcluded"`.execute(
    trx,
  )
  const [notice] = rows
  if (!notice) return
  const { id, tenantId, phone, mayBeExcluded } = notice
  // Most businesses exclude no number, so that this costs no statement.
  if (mayBeExcluded && (await isExcluded(trx, tenantId, phone)))
    await trx.deleteFrom('messages').where('id', '=', id).execute()
  else await addJob(trx, 'owner_notice', id, { messageId: id }, { tenantId })
}
export type Notice = { id: string; tenantId: string; phone: string; mayBeExcluded: boolean }

/**
 * Notifies the owner that a person wrote, if that is news. The lead must be locked.
 *
 * @param wamid of the message
 */
export const notifyOfReply = async (
  trx: Trx,
  leadId: string,
  wamid: string,
  text: string | null,
): Promise<void> => {
  const { rows } = await sql<Seen>`
    select (select max(n.created_at) from messages n where n.lead_id = l.id and n.kind = 'owner_notice'
            and split_part(n.occasion, ':', 1) = any(${NEWS_OCCASIONS}::text[])) as "notifiedAt",
           l.read_at as "readAt",
           (select max(r.reached_until) from raw_cdrs r
            where r.tenant_id = l.tenant_id and r.reached_phone = l.phone) as "talkedAt",
           (select max(c.created_at) from lead_conversations c where c.lead_id = l.id) as "conversationAt"
    from leads l where l.id = ${leadId}`.execute(trx)
  const [seen] = rows
  if (seen && isNews(seen)) await notifyOwner(trx, leadId, `reply:${wamid}`, wroteNotice(text))
}

/** After how many calls within the repeat window the owner is notified. */
export const REPEAT_CALLER_THRESHOLD = 3

export type RepeatCalls = { calls: number; told: boolean }

/** Notifies the owner, once within the repeat window, that a caller whose missed call was just recorded keeps calling. */
export const notifyRepeatCaller = async (
  trx: Trx,
  leadId: string,
  missedCallId: string,
): Promise<void> => {
  const { rows } = await sql<RepeatCalls>`
    select
      (select count(*)::int from missed_calls m where m.lead_id = l.id and m.called_at > now() - t.repeat_window) as calls,
      exists (select from messages s where s.lead_id = l.id and s.occasion like 'third_call:%'
              and s.created_at > now() - t.repeat_window) as told
    from leads l join tenants t on t.id = l.tenant_id where l.id = ${leadId}`.execute(trx)
  const [row] = rows
  if (!row || row.told || row.calls < REPEAT_CALLER_THRESHOLD) return
  await notifyOwner(trx, leadId, `third_call:${missedCallId}`, repeatCallerNotice(row.calls))
}
