import { type RequestHandler, Router } from 'express'
import { answerSeconds, type Endpoint, registry, readState } from '../monitoring/metrics.ts'
/** GET /metrics, for Prometheus. Who may ask is decided where it is mounted. */
export const metrics = Router()

metrics.get('/', async (_req, res) => {
  await readState()
  res.type(registry.contentType).send(await registry.metrics())
})
metrics.all('/', (_req, res) => {
  res.status(405).set('Allow', 'GET, HEAD').json({ error: 'GET the metrics here' })
})

/** Measures the answers to what is posted to a door: from the request's head to the answer's last byte. */
export const measured =
  (door: Endpoint): RequestHandler =>
  (_req, res, next) => {
    const from = performance.now()
    res.once('close', () => {
      const status = res.writableFinished ? String(res.statusCode) : 'cut'
      answerSeconds.observe({ door, status }, (performance.now() - from) / 1000)
    })
    next()
  }
