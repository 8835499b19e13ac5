/** Events that stop a conversation and may come at any time. */
import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import { type Business, db, fake } from './ringback.ts'
import { connectionOf } from './steps.ts'
import { messageEvent } from '../../app/whatsapp/webhook.ts'
import { handleInbound, recordOwnerReply } from '../../app/replies/inbound.ts'
import { cancelForReached } from '../../app/outreach/cancel.ts'
export const INTRUSIONS = ['reply', 'stop', 'answered', 'owner', 'operator'] as const
export type Intrusion = (typeof INTRUSIONS)[number]

/** The reason that each event stores. */
export const REASON: Record<Intrusion, string> = {
  reply: 'replied',
  stop: 'opted_out',
  answered: 'reached_by_phone',
  owner: 'owner_replied',
  operator: 'by_operator',
}

/**
 * Each in one transaction, as in its task.
 *
 * @returns whether it stopped the conversation: an operator may find nothing to cancel
 */
export const intrude = async (
  shop: Business,
  { phone, missedCallId }: { phone: string; missedCallId: string },
  what: Intrusion,
): Promise<boolean> => {
  const { tenantId } = shop
  const connection = await connectionOf(shop)
  const waId = phone.slice(1)
  return db.transaction().execute(async trx => {
    if (what === 'operator') {
      const { rows } = await sql<{ result: string }>`
        select cancel_outreach(${missedCallId}) as result`.execute(trx)
      return rows[0]?.result !== 'nothing to cancel'
    }
    if (what === 'owner')
      await recordOwnerReply(trx, connection, {
        item: { id: randomUUID(), to: waId },
        contacts: [],
      })
    else if (what === 'answered') {
      const id = randomUUID()
      const at = new Date()
      await sql`
        insert into raw_cdrs (tenant_id, call_id, root_call_id, content_hash, reached_phone, called_at, reached_until,
                              verdict, reason)
        values (${tenantId}, ${id}, ${id}, sha256(${id}::bytea), ${phone}, ${at}, ${at}, 'answered', 'person')`.execute(
        trx,
      )
      await cancelForReached(trx, { tenantId, phone, until: at })
    } else {
      fake.openWindow({ phone, phoneNumberId: shop.phoneNumberId })
      const body = what === 'stop' ? 'הסר' : 'אני כאן'
      const item = { id: `wamid.${randomUUID()}`, from: waId, type: 'text', text: { body } }
      await handleInbound(trx, connection, messageEvent.parse({ contacts: [], item }))
    }
    return true
  })
}
