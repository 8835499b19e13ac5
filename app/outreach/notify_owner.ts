import { sql } from 'kysely'
import { addJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'

/**
 * Tells the owner of something while it is warm: a first reply, a third call, a lead that stays silent. Once
 * per occasion; in a row and a job of its own, so that a failure never disturbs the conversation.
 *
 * @param occasion what it is about, unique within the tenant: `reply:<conversation>`
 * @param text what happened, to be read after the customer's name and number
 */
export const notifyOwner = async (
  trx: Trx,
  leadId: string,
  occasion: string,
  text: string,
): Promise<void> => {
  const { rows } = await sql<{ id: string }>`
    insert into messages (tenant_id, lead_id, direction, kind, state, due_at, to_phone, text, occasion)
    select t.id, l.id, 'out', 'owner_notice', 'scheduled', now(), t.owner_phone, ${text}, ${occasion}
    from leads l join tenants t on t.id = l.tenant_id
    where l.id = ${leadId} and t.owner_phone is not null
    on conflict (tenant_id, occasion) where occasion is not null do nothing
    returning id`.execute(trx)
  const [notice] = rows
  if (notice) await addJob(trx, 'owner_notice', notice.id, { messageId: notice.id })
}

/** How many calls within the repeat window make somebody worth a word to the owner. */
export const REPEAT_CALLER_THRESHOLD = 3

/** The caller whose missed call has just been recorded tries again and again: the owner should know. */
export const notifyRepeatCaller = async (
  trx: Trx,
  leadId: string,
  missedCallId: string,
): Promise<void> => {
  const { rows } = await sql<{ calls: number; told: boolean }>`
    select
      (select count(*)::int from missed_calls m where m.lead_id = l.id and m.called_at > now() - t.repeat_window) as calls,
      exists (select from messages s where s.lead_id = l.id and s.occasion like 'third_call:%'
              and s.created_at > now() - t.repeat_window) as told
    from leads l join tenants t on t.id = l.tenant_id where l.id = ${leadId}`.execute(trx)
  const [row] = rows
  if (row && row.calls >= REPEAT_CALLER_THRESHOLD && !row.told)
    await notifyOwner(
      trx,
      leadId,
      `third_call:${missedCallId}`,
      `התקשר/ה ${row.calls} פעמים ולא נענה/נענתה`,
    )
}
