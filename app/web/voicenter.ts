import { type ErrorRequestHandler, type RequestHandler, type Response, Router } from 'express'
import { type BodyElement, readBody } from '../voicenter/parse.ts'
import { failpoint } from '../failpoints.ts'
import { type DeliverySource, ingest, NoLongerValid } from '../voicenter/ingest.ts'
import { measured } from './metrics.ts'
import { authenticate, evictToken, answerUnauthorized } from './auth.ts'
import { readRawBody } from './raw_body.ts'

/**
 * POST /webhooks/voicenter/cdr: Voicenter tells us of a call, minutes after its end. The record is
 * stored together with its job, and only then do we answer; nothing is decided here.
 *
 * 200 acknowledges; whatever else is sent again (Voicenter's "CDR Notification" page). So there is no
 * 200 before the commit, and 503 while we cannot store.
 */
export const voicenter = Router()

const PATH = '/webhooks/voicenter/cdr'

/**
 * A record with its AI transcript is large, and a 413 loses it for good. Storing five megabytes takes a
 * hundred of memory, so there is room for one such at a time, or for thousands of ordinary ones.
 */
const BODY = { limitMb: 5, roomMb: 8 }

const OK = { Err: 0, Errdesc: 'OK' }

/** What nearly every answer is, without what Express looks up and works out anew for each. */
const acknowledge = (res: Response): void => {
  res.writeHead(200, ACKNOWLEDGED).end(OK_TEXT)
}
const OK_TEXT = JSON.stringify(OK)
const ACKNOWLEDGED = {
  'Content-Type': 'application/json; charset=utf-8',
  'Content-Length': OK_TEXT.length,
}

type Handler = RequestHandler<object, unknown, unknown, object, { sender: DeliverySource }>

const receive: Handler = async (req, res) => {
  failpoint('cdr:received')
  const bytes = Buffer.isBuffer(req.body) ? req.body : Buffer.alloc(0)
  const contentType = req.get('content-type')?.slice(0, 200) ?? null
  const body = readBody(bytes)
  if ('xmlRpc' in body) {
    await store(res.locals.sender, [{ bytes, wrong: 'XML-RPC' }], contentType)
    res.status(415).json({
      Err: 1,
      Errdesc:
        'XML-RPC is not read here: in CPanel, Integrations, CDR Notification, choose POST-JSON or form-urlencoded',
    })
    return
  }
  const elements = 'wrong' in body ? [{ bytes, wrong: body.wrong }] : body.elements
  if (isIvrLayer(elements)) {
    await store(
      res.locals.sender,
      [{ bytes, wrong: 'IVR_LAYER_INPUT: an External Layer points here' }],
      contentType,
    )
    // The caller waits in the IVR for this answer: 1 sends her on to the fallback layer.
    res.json({ STATUS: 1 })
    return
  }
  const wrong = await store(res.locals.sender, elements, contentType)
  if (wrong.length === 0) acknowledge(res)
  else res.status(400).json({ Err: 1, Errdesc: summary(wrong, elements.length) })
}

/** Whatever keeps it from being stored, the sender is to come again. */
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

const onError: OnError = async (error: unknown, req, res, next) => {
  evictToken(res.locals.sender)
  if (error instanceof Error && error.cause instanceof NoLongerValid)
    await answerUnauthorized(req, res)
  else next(error)
}

/** It comes alone: one in an array would take the other records with it. */
const isIvrLayer = ([element, ...others]: readonly BodyElement[]): boolean =>
  element !== undefined &&
  others.length === 0 &&
  'record' in element &&
  element.record['METHOD'] === 'IVR_LAYER_INPUT'

/** One sentence per kind of fault, however many elements have it. */
const summary = (wrong: string[], all: number): string =>
  all === 1
    ? wrong.join()
    : `${wrong.length} of ${all} records refused: ${[...new Set(wrong)].slice(0, 5).join(' | ')}`

voicenter.get(PATH, (_req, res) => {
  res.json(OK)
})
voicenter.post(PATH, measured('voicenter'), authenticate, readRawBody(BODY), receive, onError)
voicenter.all(PATH, (_req, res) => {
  res
    .status(405)
    .set('Allow', 'GET, HEAD, POST')
    .json({ Err: 1, Errdesc: 'POST a call record here' })
})
