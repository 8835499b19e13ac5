import type { ErrorRequestHandler, RequestHandler } from 'express'
import { envelope } from './errors.ts'

/** A path that the Graph API does not know either, such as one without a version. */
export const unknownPath: RequestHandler = (req, res) => {
  res.status(400).json(envelope(2500, `Unknown path components: ${req.path}`))
}

/**
 * A fault of the fake itself, told apart from anything Meta would say. A client that went away
 * while its request was read is none, and nobody is left to hear of it.
 */
export const failed: ErrorRequestHandler = (error: unknown, req, res, next) => {
  if (req.destroyed || res.headersSent) return next(error)
  console.error('fake WhatsApp:', error)
  res
    .status(500)
    .type('text')
    .send(`fake WhatsApp: ${String(error)}`)
}
