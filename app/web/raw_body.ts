import type { RequestHandler } from 'express'

const MB = 1024 * 1024

/** server.ts adds the text of the answer. */
const rejection = (status: number): Error =>
  Object.assign(new Error(`body rejected with ${status}`), { status })

/**
 * Reads the body into `req.body` as bytes, whatever its content type. Compressed bodies are rejected, because their real
 * size is known too late.
 *
 * All bodies that are being read or stored share `roomMb` of memory. If it is full, the sender is told to try again
 * later. Only bytes that have arrived count, so a slow sender who announces megabytes takes no memory from others.
 */
export const readRawBody = (limits: { limitMb: number; roomMb: number }): RequestHandler => {
  const limit = limits.limitMb * MB
  const room = limits.roomMb * MB
  let held = 0
  return (req, res, next) => {
    if ((req.get('content-encoding') ?? 'identity') !== 'identity') return next(rejection(415))
    const announced = Number(req.get('content-length') ?? 0)
    if (announced > limit) return next(rejection(413))
    if (held + announced > room) return next(rejection(503))

    const chunks: Buffer[] = []
    let length = 0
    const finish = (error?: Error) => {
      req.off('data', onData).off('end', onEnd).off('close', onClose)
      // The request outlives this function. Without this it would hold the chunks beside the body made of them.
      chunks.length = 0
      next(error)
    }
    const onData = (chunk: Buffer) => {
      length += chunk.length
      held += chunk.length
      if (length > limit) finish(rejection(413))
      else if (held > room) finish(rejection(503))
      else chunks.push(chunk)
    }
    const onEnd = () => {
      const [only = Buffer.alloc(0), ...others] = chunks
      req.body = others.length === 0 ? only : Buffer.concat(chunks)
      finish()
    }
    const onClose = () => finish(rejection(400))
    req.on('data', onData).on('end', onEnd).on('close', onClose)
    // The body is in memory until the answer is sent, because it is stored first.
    res.once('close', () => {
      held -= length
    })
  }
}
