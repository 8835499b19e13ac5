/**
 * Who is signed in to /ops, and the links with which an owner signs in. A browser or a link holds a random token; the table
 * `sessions` holds its hash.
 */
import { randomBytes } from 'node:crypto'
import { type Kysely, sql } from 'kysely'
import { type Actor, audit } from '../audit.ts'
import { config } from '../config.ts'
import { credentialMac, sha256 } from '../crypto.ts'
import type { DB } from '../db/generated.ts'
import type { Trx } from '../db/kysely.ts'
import { lockTenant } from '../db/locks.ts'

/** Who signs in: the operator (null) or a tenant. */
export type Account = {
  tenantId: string | null
  /** The name of the tenant; null = the operator. */
  business: string | null
  /** OPS_PASSWORD, or the stored hash of the tenant's password. Null = the tenant has none. */
  credential: string | null
}

const SESSION_HOURS = 12
const REMEMBERED_HOURS = 30 * 24
/**
 * A new session beyond this number deletes the oldest one of the account with the same scope, so that sign-ins cannot fill the
 * table, and those by a link cannot end the others.
 */
const MAX_SESSIONS = 100

type Login = {
  /** The visitor asked to stay signed in on this device, or came from a link. */
  remembered: boolean
  /** Only to read and answer leads: the visitor came from a link. */
  leadsOnly?: boolean
}

/** @returns the token for the browser, and how long it is valid */
export const startSession = async (
  database: Kysely<DB>,
  account: Account,
  { remembered, leadsOnly = false }: Login,
): Promise<{ token: string; hours: number }> => {
  const { tenantId } = account
  const token = randomBytes(32).toString('base64url')
  const hours = remembered ? REMEMBERED_HOURS : SESSION_HOURS
  const scope = leadsOnly ? 'leads' : 'full'
  const oldest = database
    .selectFrom('sessions')
    .select('id')
    .where('tenant_id', tenantId === null ? 'is' : '=', tenantId)
    .where('kind', '=', 'session')
    .where('scope', '=', scope)
    .orderBy('id', 'desc')
    .offset(MAX_SESSIONS - 1)
  await database.deleteFrom('sessions').where('id', 'in', oldest).execute()
  await database
    .insertInto('sessions')
    .values({
      kind: 'session',
      hash: sha256(token),
      tenant_id: tenantId,
      scope,
      credential: credentialMac(account),
      expires_at: sql<Date>`now() + make_interval(hours => ${hours})`,
    })
    .execute()
  return { token, hours }
}

const TOKEN = /^[\w-]{43}$/

/**
 * The account of a session, with one read by its hash.
 *
 * @returns null if the session ended: it expired, was revoked, or the account has another password now
 */
export const findSession = async (
  database: Kysely<DB>,
  token: string,
): Promise<{ account: Account; leadsOnly: boolean } | null> => {
  if (!TOKEN.test(token)) return null
  const row = await database
    .selectFrom('sessions as s')
    .leftJoin('tenants as t', 't.id', 's.tenant_id')
    .select(['s.tenant_id', 's.scope', 's.credential', 't.name', 't.ops_password'])
    .where('s.hash', '=', sha256(token))
    .where('s.kind', '=', 'session')
    .where('s.revoked_at', 'is', null)
    .where('s.expires_at', '>', sql<Date>`now()`)
    .executeTakeFirst()
  if (!row) return null
  const account =
    row.tenant_id === null
      ? operatorAccount()
      : { tenantId: row.tenant_id, business: row.name, credential: row.ops_password }
  if (!account || !credentialMac(account).equals(row.credential)) return null
  return { account, leadsOnly: row.scope !== 'full' }
}

/** Null: without OPS_PASSWORD the operator cannot sign in. */
export const operatorAccount = (): Account | null => {
  const { OPS_PASSWORD } = config()
  return OPS_PASSWORD ? { tenantId: null, business: null, credential: OPS_PASSWORD } : null
}

export type Link = {
  account: Account & { tenantId: string }
  /** Null = it opens the list of people. */
  leadId: string | null
  /** Of the tenant. */
  language: string | null
  /** Why it is no longer valid. Null = it is valid. */
  ended: 'old' | 'revoked' | null
}

/**
 * The link with this token. Nothing is changed.
 *
 * @returns null if there is no such link, or if it ended so long ago that it was deleted
 */
export const findLink = async (database: Kysely<DB>, token: string): Promise<Link | null> => {
  if (!TOKEN.test(token)) return null
  const row = await database
    .selectFrom('sessions as s')
    .innerJoin('tenants as t', 't.id', 's.tenant_id')
    .leftJoin('leads as l', join =>
      join.onRef('l.id', '=', 's.lead_id').onRef('l.tenant_id', '=', 's.tenant_id'),
    )
    .select([
      't.id as tenantId',
      't.name as business',
      't.ops_password',
      't.languages',
      'l.id as leadId',
      's.credential',
      sql<boolean>`s.revoked_at is not null`.as('isRevoked'),
      sql<boolean>`s.expires_at <= now()`.as('isOld'),
    ])
    .where('s.hash', '=', sha256(token))
    .where('s.kind', '=', 'link')
    .executeTakeFirst()
  if (!row) return null
  const { tenantId, business, leadId, languages, isOld } = row
  const account = { tenantId, business, credential: row.ops_password }
  const isRevoked = row.isRevoked || !credentialMac(account).equals(row.credential)
  const ended = isRevoked ? 'revoked' : isOld ? 'old' : null
  return { account, leadId, language: languages[0] ?? null, ended }
}

/**
 * Signs a browser in for thirty days, to read and answer leads.
 *
 * @returns null if the link is not valid
 */
export const signInByLink = (
  database: Kysely<DB>,
  token: string,
): Promise<{ link: Link; session: Awaited<ReturnType<typeof startSession>> } | null> =>
  database.transaction().execute(async trx => {
    const found = await findLink(trx, token)
    if (!found) return null
    // All pages share one connection.
    await sql`set local lock_timeout = '1s'`.execute(trx)
    // Otherwise a session could begin while all sessions of the tenant are being ended.
    await lockTenant(trx, found.account.tenantId)
    const link = await findLink(trx, token)
    if (!link || link.ended !== null) return null
    return {
      link,
      session: await startSession(trx, link.account, { remembered: true, leadsOnly: true }),
    }
  })

/** Signs this browser out. */
export const endSession = async (database: Kysely<DB>, token: string): Promise<void> => {
  await database
    .updateTable('sessions')
    .set({ revoked_at: sql<Date>`now()` })
    .where('hash', '=', sha256(token))
    .where('revoked_at', 'is', null)
    .execute()
}

/** Revokes the links of a tenant and the sessions that began with one. */
export const revokeLinks = async (trx: Trx, tenantId: string): Promise<void> => {
  await trx
    .updateTable('sessions')
    .set({ revoked_at: sql<Date>`now()` })
    .where('tenant_id', '=', tenantId)
    .where('revoked_at', 'is', null)
    .where(eb => eb.or([eb('kind', '=', 'link'), eb('scope', '=', 'leads')]))
    .execute()
}

/**
 * Ends all sessions of a tenant and revokes all its links.
 *
 * @returns how many of each were still valid
 * @throws UserError if there is no such tenant
 */
export const signOutEverywhere = async (
  trx: Trx,
  actor: Actor,
  tenantId: string,
): Promise<{ sessions: number; links: number }> => {
  await lockTenant(trx, tenantId)
  const ended = await trx
    .updateTable('sessions')
    .set({ revoked_at: sql<Date>`now()` })
    .where('tenant_id', '=', tenantId)
    .where('revoked_at', 'is', null)
    .where('expires_at', '>', sql<Date>`now()`)
    .returning('kind')
    .execute()
  const links = ended.filter(({ kind }) => kind === 'link').length
  const counts = { sessions: ended.length - links, links }
  await audit(trx, actor, {
    tenantId,
    action: 'session.end',
    subject: `tenants ${tenantId}`,
    before: null,
    after: counts,
  })
  return counts
}
