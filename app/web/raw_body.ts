import type { RequestHandler } from 'express'

const MB = 1024 * 1024

/** server.ts has the words for it. */
const refusal = (status: number): Error =>
  Object.assign(new Error(`body refused with ${status}`), { status })

/**
 * Reads the body into `req.body`, byte for byte, whatever it says it is. Compressed ones are refused, for
 * what they unpack to is known too late.
 *
 * All bodies that are being read or stored share `room`; whoever finds it full is told to come again,
 * rather than that everybody's memory ends. What counts is what has arrived, not what was announced: a sender
 * who promises megabytes and dawdles takes nobody's place.
 */
export const readRawBody = (limits: { limitMb: number; roomMb: number }): RequestHandler => {
  const limit = limits.limitMb * MB
  const room = limits.roomMb * MB
  let held = 0
  return (req, res, next) => {
    if ((req.get('content-encoding') ?? 'identity') !== 'identity') return next(refusal(415))
    const announced = Number(req.get('content-length') ?? 0)
    if (announced > limit) return next(refusal(413))
    if (held + announced > room) return next(refusal(503))

    const chunks: Buffer[] = []
    let length = 0
    const settle = (error?: Error) => {
      req.off('data', onData).off('end', onEnd).off('close', onClose)
      // What holds on to the request would else hold on to them, beside the body that was made of them.
      chunks.length = 0
      next(error)
    }
    const onData = (chunk: Buffer) => {
      length += chunk.length
      held += chunk.length
      if (length > limit) settle(refusal(413))
      else if (held > room) settle(refusal(503))
      else chunks.push(chunk)
    }
    const onEnd = () => {
      const [only = Buffer.alloc(0), ...others] = chunks
      req.body = others.length === 0 ? only : Buffer.concat(chunks)
      settle()
    }
    const onClose = () => settle(refusal(400))
    req.on('data', onData).on('end', onEnd).on('close', onClose)
    // Until it is answered, for it is stored meanwhile.
    res.once('close', () => {
      held -= length
    })
  }
}
