import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { z } from 'zod'
import { audit, type Actor } from '../audit.ts'
import { config } from '../config.ts'
import type { Trx } from '../db/kysely.ts'
import { notFound, userError } from '../errors.ts'
import { sha256 } from '../crypto.ts'
import { lockTenant } from './change.ts'
import { tenantId, tokenId } from './fields.ts'

export const tenantToken = z.object({ tenantId, tokenId, force: z.boolean().default(false) })

/**
 * One more webhook token for a business: 256 random bits, so that its plain hash gives nothing away. The ones
 * it has stay valid, so that no call is lost until Voicenter knows the new URL.
 *
 * @returns the token too, for the only time: the database keeps its hash
 */
export const addToken = async (
  trx: Trx,
  signIn: Actor,
  tenantId: string,
): Promise<{ tokenId: string; webhookToken: string }> => {
  await lockTenant(trx, tenantId)
  const webhookToken = randomBytes(32).toString('base64url')
  const { id } = await trx
    .insertInto('webhook_tokens')
    .values({ tenant_id: tenantId, hash: sha256(webhookToken) })
    .returning('id')
    .executeTakeFirstOrThrow()
  await audit(trx, signIn, {
    tenantId,
    action: 'webhook_token.add',
    subject: `webhook_tokens ${id}`,
    before: null,
    after: { state: 'valid' },
  })
  return { tokenId: id, webhookToken }
}

/**
 * Whoever still shows this token hears 401 from now on.
 *
 * @returns whether it was valid until now
 * @throws Mistake when it is not the business's; and, unless forced, when it is its last valid one
 */
export const revokeToken = async (
  trx: Trx,
  signIn: Actor,
  { tenantId, tokenId, force = false }: z.input<typeof tenantToken>,
): Promise<{ revoked: boolean }> => {
  await lockTenant(trx, tenantId)
  const tokens = await tokensOf(trx, tenantId)
  const token = tokens.find(one => one.tokenId === tokenId)
  if (!token) throw notFound(`webhook token ${tokenId} of tenant ${tenantId}`)
  if (token.revokedAt) return { revoked: false }
  const isLast = tokens.filter(one => !one.revokedAt).length === 1
  if (isLast && !force)
    throw userError(
      'last_token',
      `webhook token ${tokenId} is the last valid one, without it Voicenter's calls are turned away: add another first`,
      'tokenId',
    )
  await trx
    .updateTable('webhook_tokens')
    .set({ revoked_at: sql<Date>`now()` })
    .where('id', '=', tokenId)
    .where('tenant_id', '=', tenantId)
    .execute()
  await audit(trx, signIn, {
    tenantId,
    action: 'webhook_token.revoke',
    subject: `webhook_tokens ${tokenId}`,
    before: { state: 'valid' },
    after: { state: 'revoked' },
  })
  return { revoked: true }
}

/** The tokens of a business, the oldest first. What they are nobody knows any more. */
export const tokensOf = (trx: Trx, tenantId: string) =>
  trx
    .selectFrom('webhook_tokens')
    .select(['id as tokenId', 'created_at as createdAt', 'revoked_at as revokedAt'])
    .where('tenant_id', '=', tenantId)
    .orderBy('id')
    .execute()

/** What is entered in Voicenter's CPanel: Integrations, CDR Notification. */
export const webhookUrl = (webhookToken: string): string =>
  `${config.PUBLIC_URL}/webhooks/voicenter/cdr?token=${webhookToken}`
