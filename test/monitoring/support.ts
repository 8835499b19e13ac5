/** Helpers for tests of metrics and alerts. */
import { sql } from 'kysely'
import { type Business, db } from '../support/ringback.ts'

/** Every metric in the answer of /metrics: `name{label="value"}` and its value. */
export const figuresIn = (text: string): Map<string, number> =>
  new Map(
    text
      .split('\n')
      .filter(line => line && !line.startsWith('#'))
      .map(line => {
        const cut = line.lastIndexOf(' ')
        return [line.slice(0, cut), Number(line.slice(cut + 1))]
      }),
  )

/** [kind, subject, whether the owner was notified, whether it has ended] of each alert of a business, in order. */
export const alertsOf = async ({ tenantId }: Pick<Business, 'tenantId'>) => {
  const rows = await db
    .selectFrom('alerts')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .orderBy('id')
    .execute()
  return rows.map(({ kind, subject, notified_at, ended_at }) => [
    kind,
    subject,
    notified_at !== null,
    ended_at !== null,
  ])
}

/**
 * Adds answered calls that arrived by webhook.
 *
 * @param times how long ago each came, as Postgres writes it: '1 week 2 hours'
 */
export const callsCame = async ({ tenantId }: Business, times: string[]): Promise<void> => {
  await sql`
    insert into raw_cdrs (token_tenant_id, tenant_id, call_id, root_call_id, payload, content_hash, received_at, verdict, reason)
    select ${tenantId}::bigint, ${tenantId}::bigint, id, id, '{}', sha256(id::bytea), now() - ago, 'answered', 'agent'
    from unnest(${times}::interval[]) ago, lateral (select gen_random_uuid() || ago::text as id) i`.execute(
    db,
  )
}
