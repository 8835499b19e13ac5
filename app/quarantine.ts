import { sql } from 'kysely'
import { audit, type Actor } from './audit.ts'
import type { Trx } from './db/kysely.ts'
import { notFound } from './errors.ts'

/** More at once would keep others waiting; what is left is there to be discarded again. */
const AT_ONCE = 10_000

type Wanted = {
  id: string
  /** Whose sign-in it is: only what came with this business's own credential. Null = the operator's, of anybody. */
  tenantId: string | null
  /** Also what came before it from the same sender, and was refused for the same reason. */
  alike: boolean
}

/**
 * Puts a refused delivery aside: somebody has seen it. Its body goes; its row stays, so that the same delivery is
 * known when it comes again.
 *
 * @returns how many were put aside
 * @throws Mistake when there is none, or it was put aside before
 */
export const discardDelivery = async (
  trx: Trx,
  signIn: Actor,
  { id, tenantId, alike }: Wanted,
): Promise<number> => {
  const given = await trx
    .selectFrom('rejected_deliveries')
    .select(['tenant_id', 'source', 'reason'])
    .where('id', '=', id)
    .where('discarded_at', 'is', null)
    .$if(tenantId !== null, query => query.where('tenant_id', '=', tenantId))
    .forUpdate()
    .executeTakeFirst()
  if (!given) throw notFound(`refused delivery ${id}`)
  const { rows } = await sql`
    update rejected_deliveries set discarded_at = now(), body = null
    where id in (
      select id from rejected_deliveries
      where discarded_at is null and id <= ${id} and (id = ${id} or (
        ${alike}::boolean and tenant_id is not distinct from ${given.tenant_id}::bigint
        and source = ${given.source} and reason = ${given.reason}))
      order by id desc limit ${AT_ONCE} for update)
    returning id`.execute(trx)
  await audit(trx, signIn, {
    tenantId: given.tenant_id,
    action: 'delivery.discard',
    subject: `rejected_deliveries ${id}`,
    before: { source: given.source, reason: given.reason },
    after: { discarded: rows.length },
  })
  return rows.length
}
