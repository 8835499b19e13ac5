import type { RequestHandler } from 'express'
import { door } from './door.ts'
import { visitorOf } from './visitor.ts'

/** For what only the operator sees, and programs ask for: /metrics. */
export const operatorOnly: RequestHandler[] = [
  door,
  async (req, res, next) => {
    if ((await visitorOf(req))?.signIn.as === 'operator') return next()
    res.status(401).set('WWW-Authenticate', 'Basic realm="ringback"')
    res.json({ error: 'sign in as operator, with OPS_PASSWORD' })
  },
]
