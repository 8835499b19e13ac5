import { sql } from 'kysely'
import { z } from 'zod'
import { audit, type Actor } from '../audit.ts'
import type { Trx } from '../db/kysely.ts'
import { userError } from '../errors.ts'
import { encrypt, tokenOwner } from '../crypto.ts'
import { difference, lockTenant } from './change.ts'
import { phoneNumberId, tenantId } from './fields.ts'
import { telephone } from './numbers.ts'

export const connection = z.object({
  tenantId,
  phoneNumberId,
  whatsappNumber: telephone.optional(),
  accessToken: z.string().trim().min(1, 'an access token'),
})

/**
 * A new WhatsApp number for a business, or a new token for one it has, which then goes on if it was paused.
 * What waits for it is looked at again within a minute.
 *
 * @throws Mistake when there is no such business, the number is another's, or is new and not given
 */
export const connect = async (
  trx: Trx,
  signIn: Actor,
  wanted: z.infer<typeof connection>,
): Promise<string> => {
  const { tenantId, phoneNumberId } = wanted
  await lockTenant(trx, tenantId)
  const known = await trx
    .selectFrom('whatsapp_connections')
    .select(['tenant_id', 'display_phone_number', 'state', 'state_reason'])
    .where('phone_number_id', '=', phoneNumberId)
    .executeTakeFirst()
  if (known && known.tenant_id !== tenantId)
    throw userError(
      'connection_taken',
      `${phoneNumberId} is another business's number`,
      'phoneNumberId',
    )
  const displayNumber = wanted.whatsappNumber ?? known?.display_phone_number
  if (!displayNumber)
    throw userError('number_missing', 'the number itself, since it is new here', 'whatsappNumber')
  const { rows } = await sql<{ id: string }>`
    insert into whatsapp_connections (tenant_id, display_phone_number, phone_number_id, access_token)
    values (${tenantId}, ${displayNumber}, ${phoneNumberId}, ${encrypt(wanted.accessToken, tokenOwner(tenantId))})
    on conflict on constraint whatsapp_connections_phone_number_id_key do update set
      display_phone_number = excluded.display_phone_number, access_token = excluded.access_token,
      state = 'active', state_reason = null
    returning id`.execute(trx)
  const [row] = rows
  if (!row) throw new Error('the connection was not stored')
  const before = known
    ? {
        phoneNumberId,
        displayNumber: known.display_phone_number,
        state: known.state,
        reason: known.state_reason,
      }
    : {}
  const after = { phoneNumberId, displayNumber, state: 'active', reason: null, accessToken: 'new' }
  const changed = difference(before, after)
  await audit(trx, signIn, {
    tenantId,
    action: known ? 'connection.set' : 'connection.add',
    subject: `whatsapp_connections ${row.id}`,
    before: known && changed ? changed.before : null,
    after: changed && changed.after,
  })
  return row.id
}
