import { z } from 'zod'
import { audit, type Actor } from '../audit.ts'
import type { Trx } from '../db/kysely.ts'
import { notFound } from '../errors.ts'
import { lockTenant } from './change.ts'
import { phoneNumberId, tenantId } from './fields.ts'

export const connectionState = z.object({
  tenantId,
  phoneNumberId,
  state: z.enum(['active', 'paused'], 'active or paused'),
})

/**
 * Holds what would go out through a WhatsApp number, or lets it go on, also after WhatsApp itself had made us
 * pause. What waits is looked at every minute, and given up once it is too late.
 *
 * @throws Mistake when it is not a number of that business
 */
export const setConnectionState = async (
  trx: Trx,
  signIn: Actor,
  { tenantId, phoneNumberId, state }: z.infer<typeof connectionState>,
): Promise<{ changed: boolean }> => {
  await lockTenant(trx, tenantId)
  const connection = await trx
    .selectFrom('whatsapp_connections')
    .select(['id', 'state', 'state_reason as reason'])
    .where('tenant_id', '=', tenantId)
    .where('phone_number_id', '=', phoneNumberId)
    .forUpdate()
    .executeTakeFirst()
  if (!connection) throw notFound(`WhatsApp number ${phoneNumberId} of tenant ${tenantId}`)
  const { id, ...before } = connection
  // One that WhatsApp has made us pause keeps the reason, which says what to do about it.
  if (before.state === state) return { changed: false }
  const after = { state, reason: state === 'paused' ? 'by_operator' : null }
  await trx
    .updateTable('whatsapp_connections')
    .set({ state, state_reason: after.reason })
    .where('id', '=', id)
    .execute()
  await audit(trx, signIn, {
    tenantId,
    action: state === 'paused' ? 'connection.pause' : 'connection.resume',
    subject: `whatsapp_connections ${id}`,
    before,
    after,
  })
  return { changed: true }
}

/** The WhatsApp numbers of a business, the oldest first; never their tokens. */
export const connectionsOf = (trx: Trx, tenantId: string) =>
  trx
    .selectFrom('whatsapp_connections')
    .select([
      'id as connectionId',
      'phone_number_id as phoneNumberId',
      'display_phone_number as displayNumber',
      'state',
      'state_reason as reason',
      'created_at as createdAt',
    ])
    .where('tenant_id', '=', tenantId)
    .orderBy('id')
    .execute()
