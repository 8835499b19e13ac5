import { sql } from 'kysely'
import { addJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import { moveMessages } from '../db/transitions.ts'
import { localNumber } from '../phone.ts'
import { isExcluded } from './exclusions.ts'
import {
  type Collected,
  combine,
  shouldNotify,
  NEWS_OCCASIONS,
  type NoticeText,
  repeatCallerNotice,
  type Seen,
  wroteNotice,
} from './notices.ts'
import { talkedAt, THEIR_NUMBERS } from './talks.ts'

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
  // Most tenants exclude no number, so that this costs no statement.
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
    select n.at as "notifiedAt", l.read_at as "readAt", ${talkedAt(sql`n.at`)} as "talkedAt",
           (select max(c.created_at) from lead_conversations c where c.lead_id = l.id) as "conversationAt"
    from leads l
    cross join lateral (
      select max(created_at) as at from messages
      where lead_id = l.id and kind = 'owner_notice' and split_part(occasion, ':', 1) = any(${NEWS_OCCASIONS}::text[])
        -- The owner did not get these. With others, such as "collected", they do later.
        and state not in ('failed', 'cancelled') and (state <> 'skipped' or reason = 'collected')) n
    where l.id = ${leadId}`.execute(trx)
  const [seen] = rows
  if (seen && shouldNotify(seen))
    await notifyOwner(trx, leadId, `reply:${wamid}`, wroteNotice(text))
}

/** The occasion of the one notice that is sent for all that came during a quiet window. */
export const COLLECTED = 'collected:'

type Waiting = {
  id: string
  tenantId: string
  to: string | null
  leadId: string | null
  occasion: string | null
}

/**
 * Ends a notice that may not be sent until the end of Shabbat or a holiday. One notice, due then, is sent for all of them.
 *
 * @returns false if this notice must wait for itself: it is not about a person, it is that one notice, or that one has been
 * claimed
 */
export const collectNotice = async (trx: Trx, notice: Waiting, until: Date): Promise<boolean> => {
  const { id, tenantId, to, leadId, occasion } = notice
  if (leadId === null || occasion?.startsWith(COLLECTED)) return false
  const { rows } = await sql<{ id: string }>`
    insert into messages as m (tenant_id, direction, kind, state, due_at, to_phone, occasion)
    values (${tenantId}, 'out', 'owner_notice', 'scheduled', ${until}, ${to}, ${COLLECTED + until.toISOString()})
    on conflict (tenant_id, occasion) where occasion is not null
      -- Locks the row until this transaction ends, so its claim sees this notice.
      do update set to_phone = excluded.to_phone where m.state = 'scheduled'
    returning id`.execute(trx)
  const [one] = rows
  if (!one) return false
  await addJob(trx, 'owner_notice', one.id, { messageId: one.id }, { tenantId, at: until })
  await moveMessages(trx, 'skip', 'collected').set({ due_at: until }).where('id', '=', id).execute()
  return true
}

export type CollectedRow = Collected & { language: string | null }

/** Of the notices that waited, those that the owner has not dealt with meanwhile, as one. */
export const readCollected = async (
  trx: Trx,
  { id, tenantId, dueAt }: { id: string | null; tenantId: string; dueAt: Date },
): Promise<{ combined: ReturnType<typeof combine> }> => {
  const { rows } = await sql<CollectedRow>`
    select l.id as "leadId", l.name, l.phone, m.text, t.languages[1] as language
    from messages m join tenants t on t.id = m.tenant_id join leads l on l.id = m.lead_id
    where m.tenant_id = ${tenantId} and m.occasion is not null and m.kind = 'owner_notice'
      and m.state = 'skipped' and m.reason = 'collected'
      and m.due_at > (select created_at from messages where id = ${id}) and m.due_at <= ${dueAt}
      -- Retention and erasure empty texts.
      and m.text is not null
      and (l.read_at is null or l.read_at < m.created_at)
      and not exists (select from excluded_numbers x where x.tenant_id = m.tenant_id and x.phone in ${THEIR_NUMBERS})
    order by m.id`.execute(trx)
  const collected = rows.map(row => ({ ...row, phone: localNumber(row.phone) }))
  return { combined: combine(collected, rows[0]?.language ?? 'he') }
}

/** After how many calls within the repeat window the owner is notified. */
export const REPEAT_CALLER_THRESHOLD = 3

export type RepeatCalls = { calls: number; told: boolean }

/**
 * Notifies the owner, once within the repeat window, that a caller whose missed call was just recorded keeps calling. Only calls
 * since the last talk count.
 */
export const notifyRepeatCaller = async (
  trx: Trx,
  leadId: string,
  missedCallId: string,
): Promise<void> => {
  const { rows } = await sql<RepeatCalls>`
    select
      (select count(*)::int from missed_calls m
       where m.lead_id = l.id and m.called_at > greatest(now() - t.repeat_window, ${talkedAt(sql`now() - t.repeat_window`)})
         and (m.outreach_state, m.outreach_reason) <> ('cancelled', 'reached_by_phone')) as calls,
      exists (select from messages s where s.lead_id = l.id and s.occasion like 'third_call:%'
              and s.created_at > now() - t.repeat_window) as told
    from leads l join tenants t on t.id = l.tenant_id where l.id = ${leadId}`.execute(trx)
  const [row] = rows
  if (!row || row.told || row.calls < REPEAT_CALLER_THRESHOLD) return
  await notifyOwner(trx, leadId, `third_call:${missedCallId}`, repeatCallerNotice(row.calls))
}
