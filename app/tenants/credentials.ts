import { sql } from 'kysely'
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { type Actor, audit } from '../audit.ts'
import { config } from '../config.ts'
import { sha256 } from '../crypto.ts'
import type { Trx } from '../db/kysely.ts'
import { notFound, userError } from '../errors.ts'
import { tenantId, tokenId } from './schema.ts'
import { lockTenant } from './tenants.ts'

/** 16 MB and some 200 ms of one core for each try: what a small dyno can bear, five times over (OWASP's fourth choice). */
const COST = { N: 2 ** 14, r: 8, p: 5 }
const HASH_BYTES = 32
const SALT_BYTES = 16
const MEMORY = 64 * 1024 * 1024

/** Long enough that nobody guesses it over the wire, short enough that nobody hashes megabytes. */
export const password = z
  .string()
  .min(12, 'a password of at least 12 characters')
  .max(200, 'a password of at most 200 characters')

type Cost = typeof COST

const hash = (text: string, salt: Buffer, cost: Cost): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    // The same letters, however a keyboard composes them.
    scrypt(text.normalize('NFKC'), salt, HASH_BYTES, { ...cost, maxmem: MEMORY }, (error, key) => {
      if (error) reject(error)
      else resolve(key)
    })
  })

/** As it is kept in `tenants.ops_password`: the cost, a salt of its own, and the hash. */
export const hashPassword = async (text: string): Promise<string> => {
  const salt = randomBytes(SALT_BYTES)
  const key = await hash(text, salt, COST)
  return `scrypt:${COST.N}:${COST.r}:${COST.p}:${salt.toString('base64')}:${key.toString('base64')}`
}

/** Of nobody's password. Compared with when there is no such name, so that both take the same time. */
const NOBODYS = `scrypt:${COST.N}:${COST.r}:${COST.p}:${Buffer.alloc(SALT_BYTES).toString('base64')}:${Buffer.alloc(HASH_BYTES).toString('base64')}`

/**
 * @param stored what `hashPassword` made; null = nobody may sign in, which takes as long as a wrong password
 */
export const isPassword = async (text: string, stored: string | null): Promise<boolean> => {
  const [, N, r, p, salt = '', key = ''] = (stored ?? NOBODYS).split(':')
  const expected = Buffer.from(key, 'base64')
  const cost = { N: Number(N), r: Number(r), p: Number(p) }
  const found = await hash(text, Buffer.from(salt, 'base64'), cost)
  return timingSafeEqual(found, expected) && stored !== null
}

/** Null = nobody signs in as this business any more. */
export const newPassword = z.object({ tenantId, password: password.nullable() })

/** 120 random bits, in letters that are easily copied. */
export const generatePassword = (): string => randomBytes(15).toString('base64url')

/**
 * Sets or clears the password with which a business signs in to /ops.
 *
 * @returns whether there was anything to change
 */
export const setPassword = async (
  trx: Trx,
  signIn: Actor,
  wanted: z.infer<typeof newPassword>,
): Promise<{ changed: boolean }> => {
  const { tenantId } = wanted
  // Takes its time, so before anybody has to wait for this business.
  const hash = wanted.password === null ? null : await hashPassword(wanted.password)
  const tenant = await lockTenant(trx, tenantId)
  if (hash === null && tenant.ops_password === null) return { changed: false }
  await trx.updateTable('tenants').set({ ops_password: hash }).where('id', '=', tenantId).execute()
  await audit(trx, signIn, {
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
  `${config().PUBLIC_URL}/webhooks/voicenter/cdr?token=${webhookToken}`
