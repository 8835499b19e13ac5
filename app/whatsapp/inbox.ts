import { sql } from 'kysely'
import { MAX_ATTEMPTS } from '../db/jobs.ts'
import { webDb } from '../db/kysely.ts'
import { retryOnConflict } from '../db/retry.ts'
import { dedupe } from '../batcher.ts'
import { sha256 } from '../crypto.ts'
import { canonical, storable } from '../json.ts'
import { statusKey, type Update } from './webhook.ts'

/** By which an update is known: Meta repeats. */
const contentKey = (phoneNumberId: string | null, key: string): Buffer =>
  sha256(`${phoneNumberId} ${key}`)

/** By which a report on a message is known, also once retention has emptied it. */
export const reportKey = (phoneNumberId: string, wamid: string, status: string): Buffer =>
  contentKey(phoneNumberId, statusKey(wamid, status))

/**
 * Stores the updates of one POST together with their jobs: one statement, one commit. What Meta sends again
 * is counted and adds no job. An update belongs to the tenant whose number it names; of a number that
 * is nobody's it is kept without one.
 */
export const storeUpdates = async (updates: Update[]): Promise<void> => {
  const rows = dedupe(
    updates.map(update => {
      const json = canonical(update.payload)
      return {
        ...update,
        json,
        hash: contentKey(update.phoneNumberId, update.key ?? `${update.field} ${json}`),
      }
    }),
    ({ hash }) => hash.toString('hex'),
  )
  const statement = sql`
    with stored as (
      insert into whatsapp_events as e (tenant_id, phone_number_id, waba_id, field, kind, payload, content_key, deliveries)
      select c.tenant_id, u.phone_number_id, u.waba_id, u.field, u.kind, u.payload::jsonb, u.content_key, u.deliveries
      from unnest(
        ${rows.map(row => row.phoneNumberId && storable(row.phoneNumberId))}::text[],
        ${rows.map(row => row.wabaId && storable(row.wabaId))}::text[],
        ${rows.map(row => storable(row.field))}::text[],
        ${rows.map(row => row.kind)}::text[],
        ${rows.map(row => row.json)}::text[],
        ${rows.map(row => row.hash)}::bytea[],
        ${rows.map(row => row.deliveries)}::int[]
      ) with ordinality as u (phone_number_id, waba_id, field, kind, payload, content_key, deliveries, n)
      left join whatsapp_connections c on c.phone_number_id = u.phone_number_id
      order by u.n
      on conflict on constraint whatsapp_events_once do update set deliveries = e.deliveries + excluded.deliveries
      returning e.id, e.xmax = 0 as is_new
    ), jobs as (
      select count(*) as wanted, array_agg(
        row('whatsapp_event', json_build_object('eventId', id::text), null, null, ${MAX_ATTEMPTS.whatsapp_event}::smallint,
            'whatsapp_event:' || id, null, null)::graphile_worker.job_spec order by id) as specs
      from stored where is_new
    )
    select assert_all_queued(wanted, (select count(*) from graphile_worker.add_jobs(specs)))
    from jobs where wanted > 0`
  await retryOnConflict(() => statement.execute(webDb))
}
