import { sql } from 'kysely'
import type { Trx } from '../db/kysely.ts'
import { notFound } from '../errors.ts'
import { accessState } from '../voicenter/call_log/client.ts'
import { connectionsOf } from './connection.ts'
import { tenantId as id } from './fields.ts'
import { inWords, readSettings } from './settings.ts'
import { templatesOf } from './template.ts'
import { tokensOf } from './token.ts'

export type TenantLine = {
  tenantId: string
  name: string
  mode: string
  numbers: string[]
  /** Null = it has no number to write from. */
  connection: 'active' | 'paused' | null
  lastWebhookAt: Date | null
  /** First messages that are due now or later. */
  waiting: number
}

const LAST_WEBHOOK = sql<Date | null>`
  (select max(r.received_at) from raw_cdrs r where r.tenant_id = t.id and r.source = 'push')`
const WAITING = sql<number>`
  (select count(*)::int from missed_calls k
   where k.tenant_id = t.id and k.outreach_state in ('scheduled', 'sending'))`

/** Every business in a line. */
export const listTenants = async (trx: Trx): Promise<TenantLine[]> => {
  const { rows } = await sql<TenantLine>`
    select t.id as "tenantId", t.name, t.mode,
           array(select n.phone from tenant_numbers n where n.tenant_id = t.id order by n.created_at, n.phone) as numbers,
           (select min(c.state) from whatsapp_connections c where c.tenant_id = t.id) as connection,
           ${LAST_WEBHOOK} as "lastWebhookAt", coalesce(w.waiting, 0) as waiting
    from tenants t
    -- Counted at once: one by one, each would read what waits of all of them.
    left join (
      select tenant_id, count(*)::int as waiting from missed_calls
      where outreach_state in ('scheduled', 'sending') group by 1) w on w.tenant_id = t.id
    order by t.id`.execute(trx)
  return rows
}

/**
 * Everything about one business, but for its secrets.
 *
 * @throws Mistake when there is no such business
 */
export const showTenant = async (trx: Trx, tenantId: string) => {
  if (!id.safeParse(tenantId).success) throw notFound(`tenant ${tenantId}`)
  const settings = inWords(await readSettings(trx, tenantId))
  const { rows } = await sql<{
    createdAt: Date
    hasPassword: boolean
    lastWebhookAt: Date | null
    waiting: number
    unknown: number
  }>`
    select t.created_at as "createdAt", t.ops_password is not null as "hasPassword",
           ${LAST_WEBHOOK} as "lastWebhookAt", ${WAITING} as waiting,
           (select count(*)::int from messages m where m.tenant_id = t.id and m.state = 'unknown') as unknown
    from tenants t where t.id = ${tenantId}`.execute(trx)
  const [facts] = rows
  if (!facts) throw notFound(`tenant ${tenantId}`)
  const numbers = await trx
    .selectFrom('tenant_numbers')
    .select(['phone', 'created_at as createdAt'])
    .where('tenant_id', '=', tenantId)
    .orderBy('created_at')
    .orderBy('phone')
    .execute()
  return {
    tenantId,
    ...settings,
    ...facts,
    numbers,
    connections: await connectionsOf(trx, tenantId),
    templates: await templatesOf(trx, tenantId),
    webhookTokens: await tokensOf(trx, tenantId),
    callLog: await accessState(trx, tenantId),
  }
}
export type TenantShown = Awaited<ReturnType<typeof showTenant>>
