import { type Kysely, sql } from 'kysely'
import type { DB } from '../db/generated.ts'
import { type Call, readStored } from './call.ts'
import { businessLine } from './leg.ts'

/**
 * The calls that have a record with one of these ids; usually one each. Records that came with an unbound token are
 * first given to the tenant whose line they name, or else to the one who has the rest of the call.
 */
export const callsWith = async (database: Kysely<DB>, callIds: string[]): Promise<Call[]> => {
  const read = async () => {
    const { rows } = await sql<Call & { hasNobodys: boolean }>`
      /* whose */
      select distinct r.tenant_id as "tenantId", r.root_call_id as "rootCallId",
        exists (select from raw_cdrs o where o.root_call_id = r.root_call_id and o.tenant_id is null) as "hasNobodys"
      from raw_cdrs r where r.call_id = any(${callIds}::text[])`.execute(database)
    return rows
  }
  let rows = await read()
  const roots = rows.filter(({ hasNobodys }) => hasNobodys).map(({ rootCallId }) => rootCallId)
  if (roots.length > 0) {
    await findTenants(database, [...new Set(roots)].toSorted())
    rows = await read()
  }
  return rows.map(({ tenantId, rootCallId }) => ({ tenantId, rootCallId }))
}

const findTenants = async (database: Kysely<DB>, roots: string[]): Promise<void> => {
  const nobodys = await database
    .selectFrom('raw_cdrs')
    .select(['id', 'payload'])
    .where('root_call_id', 'in', roots)
    .where('tenant_id', 'is', null)
    .orderBy('id')
    .execute()
  for (const { id, payload } of nobodys) {
    const line = payload && businessLine(readStored(payload))
    await sql`
      update raw_cdrs set tenant_id = coalesce(
        (select tenant_id from tenant_numbers where phone = ${line}),
        -- A number that several businesses write from tells nothing.
        (select min(tenant_id) from whatsapp_connections where display_phone_number = ${line} having count(distinct tenant_id) = 1))
      where id = ${id} and tenant_id is null`.execute(database)
  }
  // Only after all of them were looked at, for a transfer may come before the root that names the line.
  // And only among themselves: a call id that came with a bound token draws nobody else's records to it.
  await sql`
    update raw_cdrs r set tenant_id = (
      select min(o.tenant_id) from raw_cdrs o
      where o.root_call_id = r.root_call_id and o.token_tenant_id is null having count(distinct o.tenant_id) = 1)
    where r.root_call_id = any(${roots}::text[]) and r.tenant_id is null`.execute(database)
}
