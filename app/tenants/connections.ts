import { sql } from 'kysely'
import { z } from 'zod'
import { type Actor, audit } from '../audit.ts'
import { encrypt, tokenOwner } from '../crypto.ts'
import type { Trx } from '../db/kysely.ts'
import { notFound, userError } from '../errors.ts'
import { mode, phoneNumberId, telephone, tenantId } from './schema.ts'
import { setTenant } from './settings.ts'
import { changedFields, lockTenant } from './tenants.ts'

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
  const changed = changedFields(before, after)
  await audit(trx, signIn, {
    tenantId,
    action: known ? 'connection.set' : 'connection.add',
    subject: `whatsapp_connections ${row.id}`,
    before: known && changed ? changed.before : null,
    after: changed && changed.after,
  })
  return row.id
}

/**
 * Lets a paused business go on as before: one that was paused in shadow must not begin to write to people.
 *
 * @returns what changed
 * @throws Mistake when it is not paused, or nothing is written of how it was before
 */
export const resumeTenant = async (trx: Trx, signIn: Actor, tenantId: string) => {
  const tenant = await lockTenant(trx, tenantId)
  if (tenant.mode !== 'paused')
    throw userError('not_paused', `tenant ${tenantId} is not paused, its mode is ${tenant.mode}`)
  const { rows } = await sql<{ before: string; after: string }>`
    select before ->> 'mode' as before, after ->> 'mode' as after from audit_log
    where tenant_id = ${tenantId} and action = 'tenant.set' and after ? 'mode' order by id desc limit 1`.execute(
    trx,
  )
  const { success, data } = mode.safeParse(rows[0]?.before)
  if (!success || rows[0]?.after !== 'paused')
    throw userError(
      'mode_before_unknown',
      `how tenant ${tenantId} was before is not known: set its mode to live or shadow`,
    )
  return setTenant(trx, signIn, { tenantId, mode: data })
}
