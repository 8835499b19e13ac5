import type { Request, RequestHandler, Response } from 'express'
import { sql } from 'kysely'
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible'
import { batcher } from '../batcher.ts'
import { config } from '../config.ts'
import { sha256 } from '../crypto.ts'
import { webDb } from '../db/kysely.ts'
import { TOKEN_TIMEOUT_MS, withTimeout } from '../errors.ts'
import { log } from '../log.ts'
import type { DeliverySource } from '../voicenter/ingest.ts'

/** Wrong credentials a minute from one address before it hears 429. */
const FAILURES_A_MINUTE = 100
const failures = new RateLimiterMemory({ points: FAILURES_A_MINUTE, duration: 60 })

type Handler = RequestHandler<object, unknown, unknown, object, { sender: DeliverySource }>
type Asked = Request<object, unknown, unknown, object>

/**
 * Lets through who shows a token that is in `webhook_tokens`, before a byte of the body is read; the
 * sender is then in `res.locals.sender`. Everybody else hears 401 and leaves no trace in the database.
 *
 * Whose token was looked up within the last minute is not looked up again: whether it still is valid is asked by the very
 * statement that stores what came (`ingest`), and that is one question less. Whoever shows a revoked one may so keep us
 * reading a body for a minute, and nothing of it is stored.
 *
 * The token is looked up by its SHA-256, so what is compared tells nothing about the token. Failures
 * are counted after the look-up: a sender with the right token is never held up by those who share its
 * address.
 */
export const authenticate: Handler = async (req, res, next) => {
  const sender = await senderOf(req)
  if (sender) {
    res.locals.sender = sender
    next()
  } else await answerUnauthorized(req, res)
}

/** Whatever was wrong with what came, the next that shows this token is looked up. */
export const evictToken = ({ token = '' }: Partial<DeliverySource> = {}): void => {
  seen.delete(token)
}

export const answerUnauthorized = async (req: Asked, res: Response): Promise<void> => {
  const status = (await tooMany(req.ip ?? '')) ? 429 : 401
  if (status === 401) res.set('WWW-Authenticate', 'Basic realm="ringback"')
  else res.set('Retry-After', '60')
  res
    .status(status)
    .json({ Err: 1, Errdesc: status === 401 ? 'wrong or missing token' : 'too many wrong tokens' })
}

const tooMany = async (address: string): Promise<boolean> => {
  try {
    await failures.consume(address)
    return false
  } catch (error) {
    if (error instanceof RateLimiterRes) return true
    throw error
  }
}

const senderOf = async (req: Asked): Promise<DeliverySource | null> => {
  const tokens = tokensOf(req)
  const [token] = tokens
  if (token === undefined)
    return (await withTimeout(TOKEN_TIMEOUT_MS, openDoor())) ? { tenantId: null } : null
  // Two that differ: whoever sent this is not one of ours, or is misconfigured. Never guess.
  if (tokens.some(other => other !== token)) return null
  const hash = sha256(token).toString('hex')
  const known = seen.get(hash)
  if (known && performance.now() < known.until) return known.sender
  const sender = await lookUp(hash)
  // Those that are never shown again would stay.
  if (seen.size === MOST_SEEN) seen.clear()
  if (sender) seen.set(hash, { sender, until: performance.now() + SEEN_MS })
  return sender
}

/** Whose token was valid a moment ago, by its hash. */
const seen = new Map<string, { sender: DeliverySource; until: number }>()
const SEEN_MS = 60_000
const MOST_SEEN = 10_000

/** All that are asked for at the same moment in one question. */
const lookUp = batcher(
  async (names: string[]): Promise<(DeliverySource | null)[]> => {
    const { rows } = await sql<{ name: string; tenantId: string | null }>`
      /* tokens */
      select encode(hash, 'hex') as name, tenant_id as "tenantId" from webhook_tokens
      where hash in (select decode(name, 'hex') from unnest(${[...new Set(names)]}::text[]) as name)
        and revoked_at is null`.execute(webDb)
    const known = new Map(rows.map(({ name, tenantId }) => [name, { tenantId, token: name }]))
    return names.map(name => known.get(name) ?? null)
  },
  { most: 256, waiting: 2000, patienceMs: TOKEN_TIMEOUT_MS },
)

/** `?token=`, the password of Basic, or Bearer; Voicenter's page names only what fits into a URL. */
const tokensOf = (req: Asked): string[] => {
  // By hand: a request may come with a whole URL, of which URL cannot read everything that Node lets through.
  const [, search] = req.url.split(/\?(.*)/s)
  const query = new URLSearchParams(search).getAll('token')
  const [scheme = '', value = ''] = (req.get('authorization') ?? '').split(/ +(.*)/s)
  if (/^bearer$/i.test(scheme)) query.push(value)
  if (/^basic$/i.test(scheme))
    query.push(Buffer.from(value, 'base64').toString('utf8').split(/:(.*)/s)[1] ?? '')
  return query
}

/** On a developer's machine, before there is any token: come in. In production, never. */
const openDoor = async (): Promise<boolean> => {
  if (config().production) return false
  const anyToken = await webDb.selectFrom('webhook_tokens').select('id').limit(1).executeTakeFirst()
  if (!anyToken)
    log.warn(
      'accepted a delivery without a token, since there is none yet: npm run tenant -- add makes one',
    )
  return !anyToken
}
