/** The WhatsApp numbers that a tenant writes from. */
import { sql } from 'kysely'
import { z } from 'zod'
import { type Actor, audit, changedFields } from '../audit.ts'
import { appSecretOwner, encrypt, tokenOwner } from '../crypto.ts'
import { lockTenant } from '../db/locks.ts'
import type { Trx } from '../db/kysely.ts'
import { notFound, userError } from '../errors.ts'
import type { GraphAnswer } from '../whatsapp/account.ts'
import {
  type AskedNumber,
  displayNumberOf,
  storeAskedNumbers,
  storeGraphAnswer,
} from './accounts.ts'
import { accessToken, appSecret, phoneNumberId, phoneNumber, tenantId, wabaId } from './schema.ts'

export const connectionStateChange = z.object({
  tenantId,
  phoneNumberId,
  state: z.enum(['active', 'paused'], 'active or paused'),
})

/**
 * Pauses or resumes a WhatsApp number. While it is paused, its messages are held. They are checked every minute, and
 * dropped once they are too late.
 *
 * @throws UserError if the tenant has no such number
 */
export const setConnectionState = async (
  trx: Trx,
  actor: Actor,
  { tenantId, phoneNumberId, state }: z.infer<typeof connectionStateChange>,
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
  // A number that was paused after a WhatsApp error keeps its reason, which says what to do.
  if (before.state === state) return { changed: false }
  const after = { state, reason: state === 'paused' ? 'by_operator' : null }
  await trx
    .updateTable('whatsapp_connections')
    .set({ state, state_reason: after.reason })
    .where('id', '=', id)
    .execute()
  await audit(trx, actor, {
    tenantId,
    action: state === 'paused' ? 'connection.pause' : 'connection.resume',
    subject: `whatsapp_connections ${id}`,
    before,
    after,
  })
  return { changed: true }
}

/**
 * Stores what Graph told when a person asked about the numbers of a tenant.
 *
 * @returns whether it answered
 * @throws UserError if there is no such tenant
 */
export const checkConnections = async (
  trx: Trx,
  actor: Actor,
  tenantId: string,
  asked: readonly AskedNumber[],
): Promise<boolean> => {
  await lockTenant(trx, tenantId)
  const answers = (await storeAskedNumbers(trx, asked)).map(({ kind }) => kind)
  await audit(trx, actor, {
    tenantId,
    action: 'connection.check',
    subject: `tenants ${tenantId}`,
    before: null,
    after: { answers },
  })
  return answers.some(kind => kind !== 'unconfirmed')
}

/** The WhatsApp numbers of a tenant, oldest first. It does not read their access tokens. */
export const connectionsOf = (trx: Trx, tenantId: string) =>
  trx
    .selectFrom('whatsapp_connections')
    .select([
      'id as connectionId',
      'phone_number_id as phoneNumberId',
      'display_phone_number as displayNumber',
      'state',
      'state_reason as reason',
      'waba_id as wabaId',
      'confirmed_at as confirmedAt',
      'account_confirmed_at as accountConfirmedAt',
      'graph_refusal as graphRefusal',
      'event_at as eventAt',
      'wrong_signature_at as wrongSignatureAt',
      sql<boolean>`app_secret is not null`.as('hasAppSecret'),
      'created_at as createdAt',
    ])
    .where('tenant_id', '=', tenantId)
    .orderBy('id')
    .execute()

export const newConnection = z.object({
  tenantId,
  phoneNumberId,
  whatsappNumber: phoneNumber.optional(),
  wabaId: wabaId.optional(),
  accessToken,
  /** Of the connection's own Meta app. Absent = no change. */
  appSecret: appSecret.optional(),
})

const takenError = (phoneNumberId: string) =>
  userError(
    'connection_taken',
    `WhatsApp number ${phoneNumberId} belongs to another business already`,
    'phoneNumberId',
  )

/** @throws UserError if another tenant has this id */
export const knownConnection = async (trx: Trx, tenantId: string, phoneNumberId: string) => {
  const known = await trx
    .selectFrom('whatsapp_connections')
    .select(['tenant_id', 'display_phone_number', 'state', 'state_reason'])
    .where('phone_number_id', '=', phoneNumberId)
    .executeTakeFirst()
  if (known && known.tenant_id !== tenantId) throw takenError(phoneNumberId)
  return known
}

/** @throws UserError if Graph says clearly no */
const refuseClearNo = (answer: GraphAnswer | undefined, phoneNumberId: string): void => {
  if (answer?.kind !== 'refused') return
  throw answer.code === 190
    ? userError(
        'token_refused',
        'WhatsApp does not accept this access token (190): create a new one',
        'accessToken',
      )
    : userError(
        'number_refused',
        `WhatsApp knows no number ${phoneNumberId}, or this token may not use it (${answer.code})`,
        'phoneNumberId',
      )
}

/**
 * Connects a new WhatsApp number, or stores a new access token for a connected one and resumes it. Messages that were
 * held for the number are checked again within a minute.
 *
 * @param answer what Graph told about the number (askGraph), before this transaction. Absent = it was not asked
 * @throws UserError if there is no such tenant, if another tenant has this id, or if the id is new and the number
 * itself is missing
 */
export const connect = async (
  trx: Trx,
  actor: Actor,
  wanted: z.infer<typeof newConnection>,
  answer?: GraphAnswer,
): Promise<Connected> => {
  const { tenantId, phoneNumberId } = wanted
  await lockTenant(trx, tenantId)
  const known = await knownConnection(trx, tenantId, phoneNumberId)
  const displayNumber =
    wanted.whatsappNumber ?? known?.display_phone_number ?? displayNumberOf(answer)
  refuseClearNo(answer, phoneNumberId)
  if (!displayNumber)
    throw userError(
      'number_missing',
      'expected the telephone number, because this id is new',
      'whatsappNumber',
    )
  const stored = await trx
    .insertInto('whatsapp_connections')
    .values({
      tenant_id: tenantId,
      phone_number_id: phoneNumberId,
      display_phone_number: displayNumber,
      access_token: encrypt(wanted.accessToken, tokenOwner(tenantId)),
      app_secret: wanted.appSecret ? encrypt(wanted.appSecret, appSecretOwner(tenantId)) : null,
      waba_id: wanted.wabaId ?? null,
    })
    .onConflict(conflict =>
      conflict
        .constraint('whatsapp_connections_phone_number_id_key')
        .doUpdateSet(eb => ({
          display_phone_number: eb.ref('excluded.display_phone_number'),
          access_token: eb.ref('excluded.access_token'),
          app_secret: eb.fn.coalesce('excluded.app_secret', 'whatsapp_connections.app_secret'),
          waba_id: eb.fn.coalesce('excluded.waba_id', 'whatsapp_connections.waba_id'),
          state: 'active',
          state_reason: null,
          // They told about the token, and the account, before.
          confirmed_at: null,
          graph_refusal: null,
          account_confirmed_at: sql<Date | null>`case when excluded.waba_id <> whatsapp_connections.waba_id then null
            else whatsapp_connections.account_confirmed_at end`,
        }))
        // Another tenant may have connected the id since it was looked up.
        .where('whatsapp_connections.tenant_id', '=', tenantId),
    )
    .returning('id')
    .executeTakeFirst()
  if (!stored) throw takenError(phoneNumberId)
  const { id } = stored
  const retired = answer ? await storeGraphAnswer(trx, id, answer) : []
  const before = known
    ? {
        phoneNumberId,
        displayNumber: known.display_phone_number,
        state: known.state,
        reason: known.state_reason,
      }
    : {}
  const after = {
    phoneNumberId,
    displayNumber,
    state: 'active',
    reason: null,
    accessToken: 'new',
    ...(wanted.appSecret && { appSecret: 'new' }),
  }
  const changed = changedFields(before, after)
  await audit(trx, actor, {
    tenantId,
    action: known ? 'connection.set' : 'connection.add',
    subject: `whatsapp_connections ${id}`,
    before: known && changed ? changed.before : null,
    after: changed && changed.after,
  })
  for (const old of retired)
    await audit(trx, actor, {
      tenantId,
      action: 'connection.retire',
      subject: `whatsapp_connections ${id}`,
      before: { phoneNumberId: old },
      after: { phoneNumberId },
    })
  const { confirmed_at, waba_id } = await trx
    .selectFrom('whatsapp_connections')
    .select(['confirmed_at', 'waba_id'])
    .where('id', '=', id)
    .executeTakeFirstOrThrow()
  return {
    connectionId: id,
    isConfirmed: confirmed_at !== null && answer?.kind === 'confirmed',
    wabaId: waba_id,
    retired,
  }
}
export type Connected = {
  connectionId: string
  isConfirmed: boolean
  wabaId: string | null
  /** The ids that this number had before. */
  retired: string[]
}
