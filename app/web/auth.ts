/** Checks the token of a Voicenter delivery before its body is read. */
import type { Request, RequestHandler, Response } from 'express'
import { sql } from 'kysely'
import { batcher } from '../batcher.ts'
import { config } from '../config.ts'
import { sha256Hex } from '../crypto.ts'
import { webDb } from '../db/kysely.ts'
import { TOKEN_TIMEOUT_MS, withTimeout } from '../errors.ts'
import { log } from '../log.ts'
import type { DeliverySource } from '../voicenter/ingest.ts'
import { addressCounter } from './addresses.ts'

/** With more wrong tokens a minute, an address is answered 429. */
const FAILURES_A_MINUTE = 100
const failures = addressCounter({ windowMs: 60_000 })

/** A token opens one endpoint (`webhook_tokens.kind`). */
type Kind = 'cdr' | 'popup' | 'api'
type Found = { sender: DeliverySource; kind: string }

/** Tokens that were valid within the last minute, by their hash. */
const recent = new Map<string, Found & { until: number }>()
const RECENT_MS = 60_000
const MAX_RECENT = 10_000

type Handler = RequestHandler<object, unknown, unknown, object, { sender: DeliverySource }>
type CdrRequest = Request<object, unknown, unknown, object>

/**
 * Lets a request with a valid webhook token of this kind pass, with its sender in `res.locals.sender`. Any other request is
 * answered 401, or 429 after many failures, and nothing of it is stored. Exception: `acceptsWithoutToken`.
 *
 * A token that was valid within the last minute is not looked up again, which saves a query: the statement that stores
 * the delivery (`ingest`) checks the token too. So a revoked token can make this process read a body for one more
 * minute, but nothing is stored.
 *
 * Failures are counted after the look-up, so a sender with a valid token is never limited because of others at the same
 * address.
 */
export const authenticate =
  (kind: 'cdr' | 'popup'): Handler =>
  async (req, res, next) => {
    const sender = await senderOf(req, kind)
    if (sender) {
      res.locals.sender = sender
      next()
    } else answerUnauthorized(req, res)
  }

/** After an error, the token is looked up again at its next request. */
export const evictToken = ({ tokenHash = '' }: Partial<DeliverySource> = {}): void => {
  recent.delete(tokenHash)
}

export const answerUnauthorized = (req: CdrRequest, res: Response): void => {
  const status = failures.add(req.ip) > FAILURES_A_MINUTE ? 429 : 401
  if (status === 401) res.set('WWW-Authenticate', 'Basic realm="ringback"')
  else res.set('Retry-After', '60')
  res
    .status(status)
    .json({ Err: 1, Errdesc: status === 401 ? 'wrong or missing token' : 'too many wrong tokens' })
}

/** The sender with the API token of a request, or null. The API takes it only as Bearer, because URLs are logged. */
export const apiSenderOf = async (req: Pick<CdrRequest, 'get'>): Promise<DeliverySource | null> => {
  const token = bearerOf(req)
  return token === undefined ? null : findSender(token, 'api')
}

const senderOf = async (req: CdrRequest, kind: 'cdr' | 'popup'): Promise<DeliverySource | null> => {
  const tokens = tokensOf(req)
  const [token] = tokens
  if (token === undefined)
    return kind === 'cdr' && (await withTimeout(TOKEN_TIMEOUT_MS, acceptsWithoutToken()))
      ? { tenantId: null }
      : null
  // Two different tokens: it is not clear which tenant is meant.
  if (tokens.some(other => other !== token)) return null
  return findSender(token, kind)
}

const findSender = async (token: string, kind: Kind): Promise<DeliverySource | null> => {
  // By its SHA-256, so the time of the comparison reveals nothing about the token.
  const hash = sha256Hex(token)
  const known = recent.get(hash)
  if (known && performance.now() < known.until) return known.kind === kind ? known.sender : null
  const found = await lookUp(hash)
  // Without this, the map would keep tokens that are never used again.
  if (recent.size === MAX_RECENT) recent.clear()
  if (found) recent.set(hash, { ...found, until: performance.now() + RECENT_MS })
  return found?.kind === kind ? found.sender : null
}

/** Looks up the tokens of all requests that arrive at the same moment, in one query. */
const lookUp = batcher(
  async (hashes: string[]): Promise<(Found | null)[]> => {
    const { rows } = await sql<{ hash: string; tenantId: string | null; kind: string }>`
      /* tokens */
      select encode(hash, 'hex') as hash, tenant_id as "tenantId", kind from webhook_tokens
      where hash in (select decode(hex, 'hex') from unnest(${[...new Set(hashes)]}::text[]) as hex)
        and revoked_at is null`.execute(webDb)
    const found = new Map(
      rows.map(({ hash, tenantId, kind }) => [
        hash,
        { sender: { tenantId, tokenHash: hash }, kind },
      ]),
    )
    return hashes.map(hash => found.get(hash) ?? null)
  },
  { most: 256, waiting: 2000, patienceMs: TOKEN_TIMEOUT_MS },
)

/** The tokens in `?token=`, in the Basic password and in Bearer. At Voicenter one can enter only a URL, so no header. */
const tokensOf = (req: CdrRequest): string[] => {
  // Node accepts absolute request targets that URL cannot parse, so the query is split off by hand.
  const query = req.url.indexOf('?')
  const tokens = query === -1 ? [] : new URLSearchParams(req.url.slice(query + 1)).getAll('token')
  const bearer = bearerOf(req)
  if (bearer !== undefined) tokens.push(bearer)
  const [scheme = '', value = ''] = authorizationOf(req)
  if (/^basic$/i.test(scheme))
    tokens.push(Buffer.from(value, 'base64').toString('utf8').split(/:(.*)/s)[1] ?? '')
  return tokens
}

const authorizationOf = (req: Pick<CdrRequest, 'get'>): string[] =>
  req.get('authorization')?.split(/ +(.*)/s) ?? []

const bearerOf = (req: Pick<CdrRequest, 'get'>): string | undefined => {
  const [scheme = '', value] = authorizationOf(req)
  return /^bearer$/i.test(scheme) ? value : undefined
}

/** Outside production, deliveries are accepted without a token until the first token exists. */
const acceptsWithoutToken = async (): Promise<boolean> => {
  if (config().production) return false
  const anyToken = await webDb.selectFrom('webhook_tokens').select('id').limit(1).executeTakeFirst()
  if (!anyToken)
    log.warn(
      'accepted a delivery without a token, because there is none yet: npm run tenant -- add creates one',
    )
  return !anyToken
}
