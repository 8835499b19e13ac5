/** The credentials of a tenant: its password for /ops, its webhook tokens, and its access to Voicenter's call log. */
import { sql } from 'kysely'
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { type Actor, audit, type AuditEntry } from '../audit.ts'
import { lockTenant } from '../db/locks.ts'
import { config } from '../config.ts'
import { callLogOwner, encrypt, sha256 } from '../crypto.ts'
import { addJob, removeJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import { notFound, userError } from '../errors.ts'
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

/** Null: the tenant can no longer sign in. */
export const passwordChange = z.object({ tenantId, password: password.nullable() })

/** 120 random bits. */
export const generatePassword = (): string => randomBytes(15).toString('base64url')

/** Sets or clears the password with which a tenant signs in to /ops. */
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

/** Voicenter's tokens: for the webhook for CDRs, and for the endpoint of the Pop-Up Screen. */
export const WEBHOOK_KINDS = ['cdr', 'popup'] as const
export type WebhookKind = (typeof WEBHOOK_KINDS)[number]
/** The kinds of tokens. A token opens only the endpoint of its kind. `api` = /api/v1. */
export const TOKEN_KINDS = [...WEBHOOK_KINDS, 'api'] as const
export type TokenKind = (typeof TOKEN_KINDS)[number]
export const newToken = z.object({
  tenantId,
  kind: z.enum(WEBHOOK_KINDS, 'cdr or popup').default('cdr'),
})

export const tenantToken = z.object({ tenantId, tokenId, force: z.boolean().default(false) })

/**
 * Adds a webhook token, which opens only the endpoint of its kind. The existing ones stay valid, so that no call is lost
 * until the new URL is entered at Voicenter.
 *
 * @returns the token, which cannot be read again: the database stores only its hash
 */
export const addToken = async (
  trx: Trx,
  actor: Actor,
  tenantId: string,
  kind: WebhookKind = 'cdr',
): Promise<{ tokenId: string; webhookToken: string }> => {
  const { tokenId, token } = await insertToken(trx, actor, tenantId, kind)
  return { tokenId, webhookToken: token }
}

/**
 * Adds a token for the API.
 *
 * @returns the token, which cannot be read again
 */
export const addApiToken = async (
  trx: Trx,
  actor: Actor,
  tenantId: string,
): Promise<{ tokenId: string; apiToken: string }> => {
  const { tokenId, token } = await insertToken(trx, actor, tenantId, 'api')
  return { tokenId, apiToken: token }
}

/** A token has 256 random bits, so its plain SHA-256 can be stored safely. */
const insertToken = async (trx: Trx, actor: Actor, tenantId: string, kind: TokenKind) => {
  await lockTenant(trx, tenantId)
  const token = randomBytes(32).toString('base64url')
  const { id } = await trx
    .insertInto('webhook_tokens')
    .values({ tenant_id: tenantId, kind, hash: sha256(token) })
    .returning('id')
    .executeTakeFirstOrThrow()
  await audit(trx, actor, {
    tenantId,
    action: kind === 'api' ? 'api_token.add' : 'webhook_token.add',
    subject: `webhook_tokens ${id}`,
    before: null,
    after: { state: 'valid', ...(kind === 'popup' && { kind }) },
  })
  return { tokenId: id, token }
}

/**
 * Revokes a webhook token. Requests with it are then answered 401.
 *
 * @returns whether it was valid before
 * @throws UserError if the tenant has no such token, or if it is the last valid one and `force` is not set
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
  const isLast =
    token.kind === 'cdr' && tokens.filter(one => one.kind === 'cdr' && !one.revokedAt).length === 1
  if (isLast && !token.revokedAt && !force)
    throw userError(
      'last_token',
      `webhook token ${tokenId} is the last valid one: without it Voicenter's deliveries are rejected, so add another token first`,
      'tokenId',
    )
  return { revoked: await revokeById(trx, actor, { tenantId, tokenId }, 'webhook_token.revoke') }
}

export const apiTokensFilter = z.object({ tenantId: tenantId.optional() })
export const apiTokenKey = apiTokensFilter.extend({ tokenId })

/** The API tokens of one tenant or of all, oldest first, without the tokens themselves. */
export const apiTokensOf = (trx: Trx, { tenantId }: z.infer<typeof apiTokensFilter>) =>
  trx
    .selectFrom('webhook_tokens')
    .select(['id as tokenId', 'tenant_id as tenantId'])
    .select(['created_at as createdAt', 'revoked_at as revokedAt'])
    .where('kind', '=', 'api')
    .$if(tenantId !== undefined, query => query.where('tenant_id', '=', tenantId ?? null))
    .orderBy('id')
    .execute()

/**
 * Revokes an API token. Requests with it are then answered 401.
 *
 * @returns whether it was valid before
 * @throws UserError if there is no such API token, or the tenant has none
 */
export const revokeApiToken = async (
  trx: Trx,
  actor: Actor,
  { tokenId, ...filter }: z.infer<typeof apiTokenKey>,
): Promise<{ tenantId: string; tokenId: string; revoked: boolean }> => {
  const token = (await apiTokensOf(trx, filter)).find(one => one.tokenId === tokenId)
  if (!token?.tenantId) throw notFound(`API token ${tokenId}`)
  const key = { tenantId: token.tenantId, tokenId }
  const revoked = await revokeById(trx, actor, key, 'api_token.revoke')
  return { ...key, revoked }
}

const revokeById = async (
  trx: Trx,
  actor: Actor,
  { tenantId, tokenId }: { tenantId: string; tokenId: string },
  action: AuditEntry['action'],
): Promise<boolean> => {
  const revoked = await trx
    .updateTable('webhook_tokens')
    .set({ revoked_at: sql<Date>`now()` })
    .where('id', '=', tokenId)
    .where('tenant_id', '=', tenantId)
    .where('revoked_at', 'is', null)
    .returning('id')
    .executeTakeFirst()
  if (!revoked) return false
  await audit(trx, actor, {
    tenantId,
    action,
    subject: `webhook_tokens ${tokenId}`,
    before: { state: 'valid' },
    after: { state: 'revoked' },
  })
  return true
}

/** The webhook tokens of a tenant, oldest first, without the tokens themselves. */
export const tokensOf = (trx: Trx, tenantId: string) =>
  trx
    .selectFrom('webhook_tokens')
    .select(['id as tokenId', 'kind', 'created_at as createdAt', 'revoked_at as revokedAt'])
    .where('tenant_id', '=', tenantId)
    .where('kind', 'in', WEBHOOK_KINDS)
    .orderBy('id')
    .execute()

/** The URL to enter in Voicenter's CPanel: under Integrations, CDR Notification, or for the Pop-Up Screen. */
export const webhookUrl = (webhookToken: string, kind: WebhookKind = 'cdr'): string =>
  `${config().PUBLIC_URL}/webhooks/voicenter/${kind}?token=${webhookToken}`

// The access to Voicenter's call log.

export const callLogInput = z.object({ tenantId })

export const grantAccessInput = callLogInput.extend({
  kind: z.enum(['code', 'bearer']),
  secret: z.string().regex(/^[\x21-\x7e]{1,8192}$/, 'printable characters without spaces'),
})

/**
 * Starts the hourly comparison with a tenant's call log, or changes the credential for it.
 *
 * The first check looks back one day, but not further than the first webhook: before it no call was lost. It looks back
 * at least ten minutes, so that a wrong credential is noticed at once.
 *
 * @throws UserError if there is no such tenant
 */
export const grantAccess = async (
  trx: Trx,
  actor: Actor,
  { tenantId, kind, secret }: z.infer<typeof grantAccessInput>,
): Promise<void> => {
  await lockTenant(trx, tenantId)
  const before = await kindOf(trx, tenantId)
  await sql`
    insert into call_log_access (tenant_id, kind, credential, watched_since, checked_until)
    select ${tenantId}, ${kind}, ${encrypt(secret, callLogOwner(tenantId))}, since, since
    from (
      select least(greatest(coalesce(min(received_at), now()), now() - interval '1 day'), now() - interval '10 minutes') as since
      from raw_cdrs where tenant_id = ${tenantId} and source = 'push'
    ) as first_webhook
    on conflict on constraint call_log_access_key do update set
      kind = excluded.kind, credential = excluded.credential, next_check_at = now(),
      last_error = null, failing_since = null`.execute(trx)
  await addJob(trx, 'call_log', tenantId, { tenantId }, { tenantId })
  await audit(trx, actor, {
    tenantId,
    action: 'call_log.set',
    subject: `call_log_access ${tenantId}`,
    before: before === null ? null : { kind: before, credential: 'before' },
    after: { kind, credential: 'new' },
  })
}

/**
 * Ends the comparison and deletes the credential. What was found stays.
 *
 * @throws UserError if there is no such tenant
 */
export const endAccess = async (trx: Trx, actor: Actor, tenantId: string): Promise<void> => {
  await lockTenant(trx, tenantId)
  const kind = await kindOf(trx, tenantId)
  if (kind === null) return
  await trx.deleteFrom('call_log_access').where('tenant_id', '=', tenantId).execute()
  await removeJob(trx, 'call_log', tenantId)
  await audit(trx, actor, {
    tenantId,
    action: 'call_log.end',
    subject: `call_log_access ${tenantId}`,
    before: { kind },
    after: null,
  })
}

/** The state of a tenant's access, for a person to read. Null = Ringback has no access to its call log. */
export const accessState = async (trx: Trx, tenantId: string) => {
  const { rows } = await sql<{
    kind: string
    checkedUntil: Date
    nextCheckAt: Date
    lastError: string | null
    calls: string
    lost: string
    lossPercent: string
  }>`
    select a.kind, a.checked_until as "checkedUntil", a.next_check_at as "nextCheckAt", a.last_error as "lastError",
           coalesce(w.calls, 0) as calls, coalesce(w.lost, 0) as lost, coalesce(w.loss_percent, 0) as "lossPercent"
    from call_log_access a left join webhook_loss() w on w.tenant_id = a.tenant_id
    where a.tenant_id = ${tenantId}`.execute(trx)
  return rows[0] ?? null
}

const kindOf = async (trx: Trx, tenantId: string): Promise<string | null> => {
  const access = trx.selectFrom('call_log_access').select('kind').where('tenant_id', '=', tenantId)
  return (await access.executeTakeFirst())?.kind ?? null
}
