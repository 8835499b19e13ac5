/** Deliveries that could not be read. They are kept so that the operator can see them. */
import { sql } from 'kysely'
import { RateLimiterMemory } from 'rate-limiter-flexible'
import { type Actor, audit } from './audit.ts'
import { sha256 } from './crypto.ts'
import type { Trx } from './db/kysely.ts'
import { notFound } from './errors.ts'
import { log } from './log.ts'

/**
 * Where CDRs came from. `tenantId`: the tenant of the credential, null for an unbound token. `source`: by webhook
 * (the default), or found in Voicenter's call log.
 */
export type CdrSource = { tenantId: string | null; source?: 'push' | 'call_log' }

/** A rejected CDR as it is stored. */
export type RejectedElement = { reason: string; body: Buffer | null; hash: Buffer }

/**
 * Each sender may fill one gigabyte a day with rejected CDRs. A CDR counts as its own size plus ten kilobytes.
 * That is 100,000 small CDRs or 200 of the largest. An honest sender stays far below this, even if all its CDRs
 * are rejected. A malicious sender cannot fill the disk.
 */
const DAILY_LIMIT = 1_000_000_000
const RECORD_WEIGHT = 10_000
const weights = new RateLimiterMemory({ points: DAILY_LIMIT, duration: 24 * 60 * 60 })

const keyOf = ({ tenantId, source = 'push' }: CdrSource) => `${source} ${tenantId ?? 'unbound'}`

/** Whether this sender's rejected CDRs are still kept. Above the limit they are only counted. */
export const isKept = async (sender: CdrSource): Promise<boolean> =>
  ((await weights.get(keyOf(sender)))?.consumedPoints ?? 0) < DAILY_LIMIT

/** Stands for a CDR that is only counted. All such CDRs of a day share one row, and `deliveries` counts them. */
export const onlyCounted = (): RejectedElement => {
  const reason = 'over the daily limit for rejected records: counted, not kept'
  const hash = sha256(`${reason} ${new Date().toISOString().slice(0, 10)}`)
  return { reason, body: null, hash }
}

/**
 * Adds to the sender's total of the day. Logs the first rejected CDR of the day, and when the limit is reached.
 *
 * @param rejected the CDRs that are new, at least one, and their bytes. A repeat takes no space.
 */
export const countRejected = async (
  sender: CdrSource,
  { records, bytes }: { records: number; bytes: number },
): Promise<void> => {
  const { tenantId, source = 'push' } = sender
  const weight = records * RECORD_WEIGHT + bytes
  const { consumedPoints } = await weights.penalty(keyOf(sender), weight)
  if (consumedPoints === weight)
    log.warn({ tenantId, source }, 'delivery rejected: the reason is in rejected_deliveries')
  if (consumedPoints >= DAILY_LIMIT && consumedPoints - weight < DAILY_LIMIT)
    log.error(
      { tenantId, source },
      'daily limit for rejected records reached: from now on they are counted, not kept',
    )
}

type Discard = {
  id: string
  /** Only deliveries that came with this tenant's credential. Null = any (the operator). */
  tenantId: string | null
  /** Also discard earlier deliveries of the same sender that were rejected for the same reason. */
  alike: boolean
}

/** A larger update would make others wait. The caller can discard the rest with another request. */
const MAX_DISCARDED = 10_000

/**
 * Discards a rejected delivery that someone has looked at: deletes its body. The row stays, so that the same delivery
 * is recognised when it comes again.
 *
 * @returns how many deliveries were discarded
 * @throws UserError if there is no such delivery, or it was discarded before
 */
export const discardDelivery = async (
  trx: Trx,
  actor: Actor,
  { id, tenantId, alike }: Discard,
): Promise<number> => {
  const delivery = await trx
    .selectFrom('rejected_deliveries')
    .select(['tenant_id', 'source', 'reason'])
    .where('id', '=', id)
    .where('discarded_at', 'is', null)
    .$if(tenantId !== null, query => query.where('tenant_id', '=', tenantId))
    .forUpdate()
    .executeTakeFirst()
  if (!delivery) throw notFound(`rejected delivery ${id}`)
  const { rows } = await sql`
    update rejected_deliveries set discarded_at = now(), body = null
    where id in (
      select id from rejected_deliveries
      where discarded_at is null and id <= ${id} and (id = ${id} or (
        reread_result is distinct from 'stored' and
        ${alike}::boolean and tenant_id is not distinct from ${delivery.tenant_id}::bigint
        and source = ${delivery.source} and reason = ${delivery.reason}))
      order by id desc limit ${MAX_DISCARDED} for update)
    returning id`.execute(trx)
  await audit(trx, actor, {
    tenantId: delivery.tenant_id,
    action: 'delivery.discard',
    subject: `rejected_deliveries ${id}`,
    before: { source: delivery.source, reason: delivery.reason },
    after: { discarded: rows.length },
  })
  return rows.length
}
