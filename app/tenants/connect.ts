import { sql } from 'kysely'
import { z } from 'zod'
import type { Trx } from '../db/kysely.ts'
import { seal, tokenOwner } from '../secrets.ts'
import { telephone } from './numbers.ts'

export const connection = z.object({
  tenantId: z.string().regex(/^\d+$/, 'the id of a business'),
  phoneNumberId: z.string().regex(/^\d+$/, "Meta's id of the number, digits only"),
  whatsappNumber: telephone.optional(),
  accessToken: z.string().min(1, 'an access token'),
})

/**
 * A new WhatsApp number for a business, or a new token for one it has, which then goes on if it was paused.
 * What waits for it is looked at again within a minute.
 *
 * @throws Error when there is no such business, the number is another's, or is new and not given
 */
export const connect = async (trx: Trx, wanted: z.infer<typeof connection>): Promise<string> => {
  const { tenantId, phoneNumberId } = wanted
  const tenant = await trx
    .selectFrom('tenants')
    .select('id')
    .where('id', '=', tenantId)
    .executeTakeFirst()
  if (!tenant) throw new Error(`there is no tenant ${tenantId}`)
  const known = await trx
    .selectFrom('whatsapp_connections')
    .select(['tenant_id', 'display_phone_number'])
    .where('phone_number_id', '=', phoneNumberId)
    .executeTakeFirst()
  if (known && known.tenant_id !== tenantId)
    throw new Error(`${phoneNumberId} is another business's number`)
  const displayNumber = wanted.whatsappNumber ?? known?.display_phone_number
  if (!displayNumber) throw new Error('--whatsapp-number: the number itself, since it is new here')
  const { rows } = await sql<{ id: string }>`
    insert into whatsapp_connections (tenant_id, display_phone_number, phone_number_id, access_token)
    values (${tenantId}, ${displayNumber}, ${phoneNumberId}, ${seal(wanted.accessToken, tokenOwner(tenantId))})
    on conflict on constraint whatsapp_connections_phone_number_id_key do update set
      display_phone_number = excluded.display_phone_number, access_token = excluded.access_token,
      state = 'active', state_reason = null
    returning id`.execute(trx)
  const [row] = rows
  if (!row) throw new Error('the connection was not stored')
  return row.id
}
