/** /metrics, and what the answers to the webhooks show: how long they take, and whether webhooks can be stored. */
import { type RequestHandler, Router } from 'express'
import { answerSeconds, type Endpoint, readState, registry } from '../monitoring/metrics.ts'

/** GET /metrics, for Prometheus. server.ts restricts the access. */
export const metrics = Router()

metrics.get('/', async (_req, res) => {
  await readState()
  res.type(registry.contentType).send(await registry.metrics())
})
metrics.all('/', (_req, res) => {
  res.status(405).set('Allow', 'GET, HEAD').json({ error: 'GET the metrics here' })
})

/** Measures an answer from the head of the request to the last byte of the answer. */
export const measureAnswers =
  (door: Endpoint): RequestHandler =>
  (_req, res, next) => {
    const start = performance.now()
    res.on('close', () => {
      const status = res.writableFinished ? String(res.statusCode) : 'cut'
      answerSeconds.observe({ door, status }, (performance.now() - start) / 1000)
      // The answer to a pop-up event is 200 even if it could not be stored.
      if (door !== 'popup') storing.answered(status)
    })
    next()
  }

const TRUST_MS = 60_000
let provenAt = -Infinity
let failedAt = -Infinity

/** Whether webhooks can be stored, as far as this process knows without trying. */
export const storing = {
  /** One was stored within the last minute, and since the last failure `proved` was called. */
  isProven: (): boolean => provenAt > failedAt && performance.now() - provenAt < TRUST_MS,
  /** @param at when the attempt that succeeded started */
  proved: (at: number): void => {
    provenAt = Math.max(provenAt, at)
  },
  /** A webhook was answered. One that is stored after another failed proves nothing: a full disk may have room for some. */
  answered: (status: string): void => {
    if (status === '503' || status === 'cut') failedAt = performance.now()
    else if (status === '200' && provenAt > failedAt) provenAt = performance.now()
  },
}
