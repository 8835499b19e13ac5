/** The credentials of a business: its password for /ops, and its webhook tokens. */
import { sql } from 'kysely'
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { type Actor, audit } from '../audit.ts'
import { config } from '../config.ts'
import { sha256 } from '../crypto.ts'
import type { Trx } from '../db/kysely.ts'
import { notFound, userError } from '../errors.ts'
import { lockTenant } from './lock.ts'
import { tenantId, tokenId } from './schema.ts'

/** The fourth of OWASP's settings: 16 MB and about 200 ms of one core per attempt. A small dyno can run five at once. */
const COST = { N: 2 ** 14, r: 8, p: 5 }
const HASH_BYTES = 32
const SALT_BYTES = 16
const MEMORY = 64 * 1024 * 1024

/** Too long to guess over the network, and short enough that hashing it is cheap. */
export const password = z
  .string()
  .min(12, 'a password of at least 12 characters')
  .max(200, 'a password of at most 200 characters')

type Cost = typeof COST

const hash = (text: string, salt: Buffer, cost: Cost): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    // Keyboards compose the same letter in different ways.
    scrypt(text.normalize('NFKC'), salt, HASH_BYTES, { ...cost, maxmem: MEMORY }, (error, key) => {
      if (error) reject(error)
      else resolve(key)
    })
  })

/** The value of `tenants.ops_password`: the cost, a random salt and the hash. */
export const hashPassword = async (text: string): Promise<string> => {
  const salt = randomBytes(SALT_BYTES)
  const key = await hash(text, salt, COST)
  return `scrypt:${COST.N}:${COST.r}:${COST.p}:${salt.toString('base64')}:${key.toString('base64')}`
}

/** A hash that no password has. An unknown name is compared with it, so that it takes as long as a known name. */
const NO_PASSWORD = `scrypt:${COST.N}:${COST.r}:${COST.p}:${Buffer.alloc(SALT_BYTES).toString('base64')}:${Buffer.alloc(HASH_BYTES).toString('base64')}`

/** @param stored a result of `hashPassword`; null = the account has no password, which takes as long as a wrong one */
export const isPassword = async (text: string, stored: string | null): Promise<boolean> => {
  const [, N, r, p, salt = '', key = ''] = (stored ?? NO_PASSWORD).split(':')
  const expected = Buffer.from(key, 'base64')
  const cost = { N: Number(N), r: Number(r), p: Number(p) }
  const found = await hash(text, Buffer.from(salt, 'base64'), cost)
  return timingSafeEqual(found, expected) && stored !== null
}

/** Null: the business can no longer sign in. */
export const passwordChange = z.object({ tenantId, password: password.nullable() })

/** 120 random bits. */
export const generatePassword = (): string => randomBytes(15).toString('base64url')

/** Sets or clears the password with which a business signs in to /ops. */
export const setPassword = async (
  trx: Trx,
  actor: Actor,
  wanted: z.infer<typeof passwordChange>,
): Promise<{ changed: boolean }> => {
  const { tenantId } = wanted
  // Hashing is slow, so it happens before the lock is taken.
  const hash = wanted.password === null ? null : await hashPassword(wanted.password)
  const tenant = await lockTenant(trx, tenantId)
  if (hash === null && tenant.ops_password === null) return { changed: false }
  await trx.updateTable('tenants').set({ ops_password: hash }).where('id', '=', tenantId).execute()
  await audit(trx, actor, {
    tenantId,
    action: 'password.set',
    subject: `tenants ${tenantId}`,
    before: { password: tenant.ops_password === null ? 'none' : 'set' },
    after: { password: hash === null ? 'none' : 'set anew' },
  })
  return { changed: true }
}

export const tenantToken = z.object({ tenantId, tokenId, force: z.boolean().default(false) })

/**
 * Adds a webhook token. The existing ones stay valid, so that no call is lost until the new URL is entered at
 * Voicenter. A token has 256 random bits, so its plain SHA-256 can be stored safely.
 *
 * @returns the token, which cannot be read again: the database stores only its hash
 */
export const addToken = async (
  trx: Trx,
  actor: Actor,
  tenantId: string,
): Promise<{ tokenId: string; webhookToken: string }> => {
  await lockTenant(trx, tenantId)
  const webhookToken = randomBytes(32).toString('base64url')
  const { id } = await trx
    .insertInto('webhook_tokens')
    .values({ tenant_id: tenantId, hash: sha256(webhookToken) })
    .returning('id')
    .executeTakeFirstOrThrow()
  await audit(trx, actor, {
    tenantId,
    action: 'webhook_token.add',
    subject: `webhook_tokens ${id}`,
    before: null,
    after: { state: 'valid' },
  })
  return { tokenId: id, webhookToken }
}

/**
 * Revokes a webhook token. Requests with it are then answered 401.
 *
 * @returns whether it was valid before
 * @throws UserError if the business has no such token, or if it is the last valid one and `force` is not set
 */
export const revokeToken = async (
  trx: Trx,
  actor: Actor,
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
      `webhook token ${tokenId} is the last valid one: without it Voicenter's deliveries are rejected, so add another token first`,
      'tokenId',
    )
  await trx
    .updateTable('webhook_tokens')
    .set({ revoked_at: sql<Date>`now()` })
    .where('id', '=', tokenId)
    .where('tenant_id', '=', tenantId)
    .execute()
  await audit(trx, actor, {
    tenantId,
    action: 'webhook_token.revoke',
    subject: `webhook_tokens ${tokenId}`,
    before: { state: 'valid' },
    after: { state: 'revoked' },
  })
  return { revoked: true }
}

/** The tokens of a business, oldest first, without the tokens themselves. */
export const tokensOf = (trx: Trx, tenantId: string) =>
  trx
    .selectFrom('webhook_tokens')
    .select(['id as tokenId', 'created_at as createdAt', 'revoked_at as revokedAt'])
    .where('tenant_id', '=', tenantId)
    .orderBy('id')
    .execute()

/** The URL to enter in Voicenter's CPanel under Integrations, CDR Notification. */
export const webhookUrl = (webhookToken: string): string =>
  `${config().PUBLIC_URL}/webhooks/voicenter/cdr?token=${webhookToken}`
