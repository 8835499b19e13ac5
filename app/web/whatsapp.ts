import { timingSafeEqual } from 'node:crypto'
import { type RequestHandler, Router } from 'express'
import { sql } from 'kysely'
import { config } from '../config.ts'
import { webDb } from '../db/kysely.ts'
import { sha256 } from '../crypto.ts'
import { readJson } from '../json.ts'
import { failpoint } from '../failpoints.ts'
import { storeUpdates } from '../whatsapp/inbox.ts'
import { claimsSignature, isSigned } from '../whatsapp/signature.ts'
import { updatesIn } from '../whatsapp/webhook.ts'
import { withTimeout, STORE_TIMEOUT_MS } from '../errors.ts'
import { measured } from './metrics.ts'
import { wholeBody } from './whole_body.ts'

/**
 * /webhooks/whatsapp: what people write and what became of our messages, told by Meta. Signed; stored with
 * its jobs, and only then acknowledged. Only 200 counts there; anything else is sent again, for days.
 */
export const whatsapp = Router()

const PATH = '/webhooks/whatsapp'

/**
 * Meta sends up to 3 MB (Meta, "Webhooks: payload size"). Who it is is known only when the body is there, so
 * its room is apart from that of the call records: whoever fills it with rubbish keeps only Meta waiting,
 * and Meta comes again for days.
 */
const BODY = { limitMb: 4, roomMb: 8 }

/** Meta asks once, when the URL is entered in its dashboard. Without a token of ours nobody is answered. */
whatsapp.get(PATH, (req, res) => {
  const { 'hub.mode': mode, 'hub.verify_token': token, 'hub.challenge': challenge } = req.query
  const expected = config.WHATSAPP_VERIFY_TOKEN
  const known =
    typeof token === 'string' &&
    expected !== undefined &&
    timingSafeEqual(sha256(token), sha256(expected))
  if (mode === 'subscribe' && known && typeof challenge === 'string')
    // Never a page, whatever the challenge holds and whichever browser asks.
    res.type('text/plain').set('X-Content-Type-Options', 'nosniff').send(challenge)
  else res.status(403).type('text/plain').send('wrong verify token')
})

/** Nobody who does not even claim to have signed gets a byte of the body read. */
const claimSignature: RequestHandler = (req, res, next) => {
  if (config.WHATSAPP_APP_SECRET && claimsSignature(req.get('x-hub-signature-256'))) next()
  else res.status(401).json({ error: 'wrong signature' })
}

const receive: RequestHandler = async (req, res) => {
  const body = Buffer.isBuffer(req.body) ? req.body : Buffer.alloc(0)
  const secret = config.WHATSAPP_APP_SECRET
  if (!secret || !isSigned(body, req.get('x-hub-signature-256'), secret)) {
    res.status(401).json({ error: 'wrong signature' })
    return
  }
  failpoint('whatsapp:received')
  const json = readText(body)
  if ('wrong' in json)
    await withTimeout(
      STORE_TIMEOUT_MS,
      quarantine(body, json.wrong, req.get('content-type')?.slice(0, 200) ?? null),
    )
  else {
    const stored = storeUpdates(updatesIn(json.value))
    failpoint('whatsapp:storing')
    await withTimeout(STORE_TIMEOUT_MS, stored)
  }
  failpoint('whatsapp:stored')
  res.json({ status: 'stored' })
}

whatsapp.post(PATH, measured('whatsapp'), claimSignature, wholeBody(BODY), receive)

whatsapp.all(PATH, (_req, res) => {
  res.status(405).set('Allow', 'GET, HEAD, POST').json({ error: 'GET to verify, POST to deliver' })
})

/** Never a guess: what is not UTF-8 would be stored as other words than hers. */
const readText = (body: Buffer): ReturnType<typeof readJson> => {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(body)
  } catch {
    return { wrong: 'the body is not valid UTF-8' }
  }
  return readJson(text)
}

/** Signed, and yet not readable: ours to look at, and no use to Meta to send again. */
const quarantine = async (
  body: Buffer,
  reason: string,
  contentType: string | null,
): Promise<void> => {
  await sql`
    insert into rejected_deliveries as r (source, reason, content_type, body, body_hash)
    values ('whatsapp', ${reason}, ${contentType}, ${body}, ${sha256(body)})
    on conflict on constraint rejected_deliveries_same_body do update set deliveries = r.deliveries + 1`.execute(
    webDb,
  )
}
