import { sql } from 'kysely'
import { addJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import { firstAllowed } from '../outreach/quiet_hours.ts'
import { alertText } from './words.ts'

/** What an owner is told of one kind of trouble: every alert of it of which he has not heard. */
type News = {
  tenantId: string
  kind: string
  alerts: string[]
  subjects: string[]
  lastWebhook: Date | null
  ownerPhone: string
  timezone: string
  quietWindows: string[]
  now: Date
}

/** So often an owner hears of one kind of trouble: thirty numbers that nobody knows are not thirty messages. */
const EVERY = sql`interval '1 day'`

/**
 * Tells owners by WhatsApp what concerns them and what they can do something about, each alert once. Whoever has no
 * phone here, is not live, or has no number left to be written from is not told; the operator is, in the log.
 */
export const tellOwners = async (trx: Trx): Promise<void> => {
  for (const news of await untold(trx)) {
    const [first] = news.alerts
    const text = alertText(news.kind, news)
    if (!first || !text) continue
    // Not in the night, and not on Shabbat: nothing of this is worth being woken for.
    const at = firstAllowed(news.now, news.quietWindows, news.timezone)
    const { id } = await trx
      .insertInto('messages')
      .values({
        tenant_id: news.tenantId,
        direction: 'out',
        kind: 'owner_notice',
        state: 'scheduled',
        due_at: at,
        to_phone: news.ownerPhone,
        text,
        occasion: `alert:${first}`,
      })
      .returning('id')
      .executeTakeFirstOrThrow()
    await addJob(trx, 'owner_notice', id, { messageId: id }, { at })
    await trx
      .updateTable('alerts')
      .set({ notified_at: sql<Date>`now()` })
      .where('id', 'in', news.alerts)
      .execute()
  }
}

const untold = async (trx: Trx): Promise<News[]> => {
  const { rows } = await sql<News>`
    select t.id as "tenantId", a.kind, array_agg(a.id::text order by a.id) as alerts,
           array_agg(a.subject order by a.id) as subjects,
           (select received_at from raw_cdrs where tenant_id = t.id and source = 'push'
            order by received_at desc limit 1) as "lastWebhook",
           t.owner_phone as "ownerPhone", t.timezone, t.quiet_windows as "quietWindows", now() as now
    from alerts a join tenants t on t.id = a.tenant_id
    where a.ended_at is null and a.notified_at is null
      and t.owner_phone is not null and t.mode = 'live'
      and exists (
        select from whatsapp_connections c
        left join whatsapp_templates w on w.whatsapp_connection_id = c.id and w.kind = 'owner_notice'
        where c.tenant_id = t.id and c.state = 'active' and w.state is distinct from 'paused')
      and not exists (
        select from alerts told
        where told.tenant_id = a.tenant_id and told.kind = a.kind and told.notified_at > now() - ${EVERY})
    group by t.id, a.kind
    order by t.id, a.kind`.execute(trx)
  return rows
}
