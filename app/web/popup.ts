import { type ErrorRequestHandler, type RequestHandler, Router } from 'express'
import { RateLimiterMemory } from 'rate-limiter-flexible'
import { config } from '../config.ts'
import { withTimeout } from '../errors.ts'
import { failpoint } from '../failpoints.ts'
import type { JsonObject } from '../json.ts'
import { log } from '../log.ts'
import { type KnownPerson, type PopupEvent, storePopup } from '../outreach/live_calls.ts'
import type { DeliverySource } from '../voicenter/ingest.ts'
import { readPopup } from '../voicenter/live.ts'
import { readBody } from '../voicenter/body.ts'
import { answerUnauthorized, authenticate, evictToken } from './auth.ts'
import { measureAnswers } from './monitoring.ts'
import { bodyMemory, readRawBody } from './raw_body.ts'

/**
 * /webhooks/voicenter/popup: Voicenter's Pop-Up Screen reports, while a call lasts, that a phone of the tenant rings,
 * talks or hangs up. The event is stored, and the answer tells the agent's screen who the person is.
 *
 * An agent's screen must not break: after any fault of ours the answer is 200 without a name.
 */
export const popup = Router()

const PATH = '/webhooks/voicenter/popup'

const memory = bodyMemory({ roomMb: 2, senderMb: 1 })
const readEventBody = readRawBody<Locals>({
  // An event has about a kilobyte.
  limitMb: 0.1,
  shareOf: (_req, { locals: { sender } }) => ({ memory, sender: sender.tokenHash ?? '' }),
})
/** Voicenter waits three seconds. A later answer would be of no use on the screen. */
const ANSWER_WITHIN_MS = 400

const UNKNOWN = { STATUS: 'OK', TOTAL: 0 }

/** A token that agents' browsers know must not fill the database. A thousand busy phones send less. */
const EVENTS_AN_HOUR = 250_000
const events = new RateLimiterMemory({ points: EVENTS_AN_HOUR, duration: 3600 })

/** `until`: when the answer must be sent, by the clock of this process. */
type Locals = { sender: DeliverySource; until: number }
type Handler = RequestHandler<object, unknown, unknown, object, Locals>

/** The request may come from Voicenter's extension in the agent's browser, whose id is not documented. */
const allowExtension: RequestHandler = (req, res, next) => {
  const origin = req.get('origin') ?? ''
  res.vary('Origin')
  if (/^chrome-extension:\/\/[\w-]+$/.test(origin))
    res.set({
      'Access-Control-Allow-Origin': origin,
      'Access-Control-Allow-Methods': 'GET, POST',
      'Access-Control-Allow-Headers': req.get('access-control-request-headers') ?? 'Content-Type',
      'Access-Control-Max-Age': '86400',
    })
  next()
}

/** A look-up of the token may take longer than the answer may. */
const admit: Handler = async (req, res, next) => {
  res.locals.until = performance.now() + ANSWER_WITHIN_MS
  await withTimeout(ANSWER_WITHIN_MS, Promise.resolve(authenticate('popup')(req, res, next)))
}

const receive: Handler = async (req, res) => {
  failpoint('popup:received')
  const { tokenHash = '' } = res.locals.sender
  const reported = readPopup(recordIn(req))
  if (!reported || reported.numbers.length === 0 || (await hasTooMany(tokenHash))) {
    res.json(UNKNOWN)
    return
  }
  const { numbers, leg, extension, answeredAt, isAnswered } = reported
  const event: PopupEvent = { tokenHash, numbers, leg, extension, answeredAt, isAnswered }
  const stored = storePopup(event)
  // The event is stored even if that takes longer than the answer may.
  stored.catch((err: unknown) => log.error({ err }, 'a pop-up event was not stored'))
  const person = await withTimeout(Math.max(0, res.locals.until - performance.now()), stored)
  failpoint('popup:stored')
  if (person === 'wrong token') {
    evictToken(res.locals.sender)
    answerUnauthorized(req, res)
  } else res.json(person ? screenOf(person) : UNKNOWN)
}

const recordIn = ({ method, url, body }: Parameters<Handler>[0]): JsonObject => {
  if (method === 'GET') return Object.fromEntries(new URLSearchParams(url.split(/\?(.*)/s)[1]))
  const parsed = readBody(Buffer.isBuffer(body) ? body : Buffer.alloc(0))
  const [element] = 'elements' in parsed ? parsed.elements : []
  return element && 'record' in element ? element.record : {}
}

const hasTooMany = async (tokenHash: string): Promise<boolean> => {
  try {
    await events.consume(tokenHash)
    return false
  } catch {
    return true
  }
}

const MAX_TEXT = 120

/** What the agent's screen shows. */
const screenOf = (person: KnownPerson) => ({
  STATUS: 'OK',
  TOTAL: 1,
  CLIENTNAME: person.name ?? person.phone,
  COMPANY: historyOf(person),
  URL: `${config().PUBLIC_URL}/ops/leads/${person.leadId}`,
})

const TEXTS = {
  en: {
    missedToday: (count: number) =>
      count === 1 ? '1 missed call today' : `${count} missed calls today`,
    missed: (when: string) => `last missed call ${when}`,
    wrote: (when: string) => `wrote ${when}`,
  },
  he: {
    missedToday: (count: number) =>
      count === 1 ? 'שיחה אחת שלא נענתה היום' : `${count} שיחות שלא נענו היום`,
    missed: (when: string) => `שיחה אחרונה שלא נענתה: ${when}`,
    wrote: (when: string) => `כתב/ה ${when}`,
  },
}

/** "2 missed calls today; wrote 10:12: ..." in the language of the tenant. */
export const historyOf = (person: KnownPerson): string => {
  const { language, timezone, now, missedToday, lastMissedAt, wroteAt, text } = person
  const texts = language.startsWith('en') ? TEXTS.en : TEXTS.he
  const when = (at: Date) => whenIn(at, now, timezone)
  const line = (text ?? '').replace(/\s+/g, ' ').trim()
  const shown = line.length > MAX_TEXT ? `${line.slice(0, MAX_TEXT).toWellFormed()}…` : line
  return [
    missedToday > 0
      ? texts.missedToday(missedToday)
      : lastMissedAt && texts.missed(when(lastMissedAt)),
    wroteAt && `${texts.wrote(when(wroteAt))}${shown && `: ${shown}`}`,
  ]
    .filter(Boolean)
    .join('; ')
}

/** 10:12 today, or 29/11 10:12. */
const whenIn = (at: Date, now: Date, timeZone: string): string => {
  const day = new Intl.DateTimeFormat('en-GB', { timeZone, day: '2-digit', month: '2-digit' })
  const time = new Intl.DateTimeFormat('en-GB', {
    timeZone,
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  }).format(at)
  return day.format(at) === day.format(now) ? time : `${day.format(at)} ${time}`
}

const onError: ErrorRequestHandler = (err: unknown, _req, res, next) => {
  if (res.headersSent) return next(err)
  log.error({ err }, 'a pop-up event was not answered in full')
  res.json(UNKNOWN)
}

popup.use(PATH, allowExtension)
popup.options(PATH, (_req, res) => {
  res.status(204).end()
})
popup
  .route(PATH)
  .all(measureAnswers('popup'))
  .get(admit, receive)
  .post(admit, readEventBody, receive)
popup.all(PATH, (_req, res) => {
  res.status(405).set('Allow', 'GET, HEAD, POST, OPTIONS').json({ STATUS: 'ERR', TOTAL: 0 })
})
popup.use(PATH, onError)
