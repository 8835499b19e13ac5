import { sql } from 'kysely'
import { RateLimiterMemory } from 'rate-limiter-flexible'
import { type Actor, audit } from './audit.ts'
import { sha256 } from './crypto.ts'
import type { Trx } from './db/kysely.ts'
import { notFound } from './errors.ts'
import { log } from './log.ts'
import type { DeliverySource } from './voicenter/ingest.ts'

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

/**
 * How much of a sender's refused records is kept in a day: a gigabyte, of which each takes ten kilobytes and
 * its own size. That is 100,000 small ones, or 200 of the largest; an honest sender whose every record is
 * refused stays far below, and a malicious one does not fill the disk with rubbish.
 */
const A_DAY = 1_000_000_000
const EACH = 10_000
const weights = new RateLimiterMemory({ points: A_DAY, duration: 24 * 60 * 60 })

/** What is kept of a refused record. */
export type RejectedElement = { reason: string; body: Buffer | null; hash: Buffer }

/** Whether this sender's refused records are still kept, or by now only counted. */
export const isKept = async (sender: DeliverySource): Promise<boolean> =>
  ((await weights.get(sourceKey(sender)))?.consumedPoints ?? 0) < A_DAY

const sourceKey = ({ tenantId, source = 'push' }: DeliverySource) =>
  `${source} ${tenantId ?? 'unbound'}`

/** In place of what is not kept: all of a day go into one row, which says how many there were. */
export const onlyCounted = (): RejectedElement => {
  const reason = 'refused after more than a day’s share of refused records: counted, not kept'
  const hash = sha256(`${reason} ${new Date().toISOString().slice(0, 10)}`)
  return { reason, body: null, hash }
}

/**
 * Remembers what was kept of a sender, and tells the operator of the first in a day, and when it is enough.
 *
 * @param records how many are new, and their bytes; a repeat takes no room
 */
export const countRejected = async (
  sender: DeliverySource,
  { records, bytes }: { records: number; bytes: number },
): Promise<void> => {
  if (records === 0) return
  const { tenantId, source = 'push' } = sender
  const weight = records * EACH + bytes
  const { consumedPoints } = await weights.penalty(sourceKey(sender), weight)
  if (consumedPoints === weight)
    log.warn({ tenantId, source }, 'a delivery was refused: its reason is in rejected_deliveries')
  if (consumedPoints >= A_DAY && consumedPoints - weight < A_DAY)
    log.error(
      { tenantId, source },
      'too much was refused today: from now on it is counted and not kept',
    )
}
