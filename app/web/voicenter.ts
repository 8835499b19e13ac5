import { type ErrorRequestHandler, type RequestHandler, type Response, Router } from 'express'
import { readDelivery } from '../voicenter/body.ts'
import { failpoint } from '../failpoints.ts'
import { type DeliverySource, ingest, NoLongerValid } from '../voicenter/ingest.ts'
import { answerUnauthorized, authenticate, evictToken } from './auth.ts'
import { measureAnswers } from './monitoring.ts'
import { bodyMemory, readRawBody } from './raw_body.ts'
import { takingTurns } from './turns.ts'

/**
 * POST /webhooks/voicenter/cdr: Voicenter sends a call record, minutes after the call. The CDR is stored with its job
 * and then acknowledged. Nothing is classified here. The end of this file lists the steps: check the token, read the
 * body, `receive`.
 *
 * Voicenter sends a CDR again unless the answer is 200 (its page "CDR Notification"). So the answer is 200 only after
 * the commit, and 503 if the CDR could not be stored.
 */
export const voicenter = Router()

const PATH = '/webhooks/voicenter/cdr'

/**
 * A CDR with an AI transcript is large, and a 413 loses it. Storing 5 MB takes 100 MB of memory, so there is room for
 * one such CDR at a time, or for thousands of ordinary ones. One tenant cannot take all of it. Addresses do not count
 * here: the CDRs of all tenants come from the few addresses of Voicenter.
 */
const LIMIT_MB = 5
const memory = bodyMemory({ roomMb: 8, senderMb: 6 })

const readCdrBody = readRawBody<{ sender: DeliverySource }>({
  limitMb: LIMIT_MB,
  shareOf: (_req, { locals: { sender } }) => ({
    memory,
    sender: senderName(sender),
  }),
})

/** A token that belongs to no tenant counts as a sender of its own. */
const senderName = ({ tenantId, tokenHash }: DeliverySource): string =>
  tenantId ?? tokenHash ?? 'no token'

const OK = { Err: 0, Errdesc: 'OK' }

/** Nearly every answer is this one. res.json() would compute its headers each time. */
const acknowledge = (res: Response): void => {
  res.writeHead(200, ACKNOWLEDGED).end(OK_TEXT)
}
const OK_TEXT = JSON.stringify(OK)
const ACKNOWLEDGED = {
  'Content-Type': 'application/json; charset=utf-8',
  'Content-Length': OK_TEXT.length,
}

type Handler = RequestHandler<object, unknown, unknown, object, { sender: DeliverySource }>

/** Reading such a body takes longer than a millisecond. */
const LARGE_BYTES = 64 * 1024
const takeTurn = takingTurns()

const receive: Handler = async (req, res) => {
  failpoint('cdr:received')
  const bytes = Buffer.isBuffer(req.body) ? req.body : Buffer.alloc(0)
  if (bytes.length < LARGE_BYTES) await handle(bytes, req, res)
  else await takeTurn(senderName(res.locals.sender), () => handle(bytes, req, res))
}

const handle = async (
  bytes: Buffer,
  req: Parameters<Handler>[0],
  res: Parameters<Handler>[1],
): Promise<void> => {
  const contentType = req.get('content-type')?.slice(0, 200) ?? null
  const { kind, elements } = readDelivery(bytes)
  const wrong = await store(res.locals.sender, elements, contentType)
  if (kind === 'xml_rpc') {
    res.status(415).json({
      Err: 1,
      Errdesc:
        'XML-RPC is not read here: in CPanel, Integrations, CDR Notification, choose POST-JSON or form-urlencoded',
    })
    return
  }
  // A caller waits in the IVR for this answer. 1 means: continue with the fallback layer.
  if (kind === 'ivr_layer') {
    res.json({ STATUS: 1 })
    return
  }
  if (wrong.length === 0) acknowledge(res)
  else res.status(400).json({ Err: 1, Errdesc: summary(wrong, elements.length) })
}

/** After any error the answer is 503, so that the sender tries again. */
const store = async (...delivery: Parameters<typeof ingest>): Promise<string[]> => {
  try {
    const stored = ingest(...delivery)
    failpoint('cdr:storing')
    const wrong = await stored
    failpoint('cdr:stored')
    return wrong
  } catch (cause) {
    throw Object.assign(new Error('delivery not stored', { cause }), { status: 503 })
  }
}

type OnError = ErrorRequestHandler<object, unknown, unknown, object, { sender?: DeliverySource }>

const onError: OnError = (error: unknown, req, res, next) => {
  evictToken(res.locals.sender)
  if (error instanceof Error && error.cause instanceof NoLongerValid) answerUnauthorized(req, res)
  else next(error)
}

/** Names each reason once, even if many elements have it. */
const summary = (wrong: string[], count: number): string =>
  count === 1
    ? wrong.join()
    : `${wrong.length} of ${count} records refused: ${[...new Set(wrong)].slice(0, 5).join(' | ')}`

voicenter.get(PATH, (_req, res) => {
  res.json(OK)
})
voicenter.post(
  PATH,
  measureAnswers('voicenter'),
  authenticate('cdr'),
  readCdrBody,
  receive,
  onError,
)
voicenter.all(PATH, (_req, res) => {
  res
    .status(405)
    .set('Allow', 'GET, HEAD, POST')
    .json({ Err: 1, Errdesc: 'POST a call record here' })
})
