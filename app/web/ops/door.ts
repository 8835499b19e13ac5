import type { Request, RequestHandler } from 'express'
import { config } from '../../config.ts'
import { refuse } from './refuse.ts'

const LOOPBACK = /^(127\.\d+\.\d+\.\d+|::1|::ffff:127\.\d+\.\d+\.\d+)$/
const LOCAL_NAME = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/i
const FORWARDED = [
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-real-ip',
  'forwarded',
  'via',
]

/**
 * Whether it comes from this very machine. A proxy on the same machine does too, but says for whom, or, as nginx
 * when nobody told it to, speaks HTTP/1.0; and a page of another site that has its name point here cannot help
 * telling that name.
 */
export const isLocal = (req: Request): boolean =>
  LOOPBACK.test(req.socket.remoteAddress ?? '') &&
  req.httpVersion !== '1.0' &&
  LOCAL_NAME.test(req.get('host') ?? '') &&
  FORWARDED.every(name => req.get(name) === undefined)

/** Without OPS_PASSWORD only this machine comes in; in production, passwords come over TLS or not at all. */
export const door: RequestHandler = (req, _res, next) => {
  if (isLocal(req)) return next()
  if (!config().OPS_PASSWORD)
    return refuse(403, 'Set OPS_PASSWORD: without it, this answers on loopback only.')
  if (config().production && !req.secure) return refuse(403, 'Only over https.')
  next()
}

/** What is on the pages is nobody else's, and nothing on them comes from elsewhere or is shown elsewhere. */
export const headers: RequestHandler = (req, res, next) => {
  res.set({
    'Content-Security-Policy':
      "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    'Cache-Control': 'no-store',
    'Referrer-Policy': 'same-origin',
    'X-Content-Type-Options': 'nosniff',
    'Cross-Origin-Opener-Policy': 'same-origin',
    ...(req.secure && { 'Strict-Transport-Security': 'max-age=31536000' }),
  })
  next()
}
