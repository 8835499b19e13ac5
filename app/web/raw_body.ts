import type { Request, RequestHandler, Response } from 'express'

const MB = 1024 * 1024

/** server.ts adds the text of the answer. It logs a rejection without the stack, because it is no fault of the program. */
const rejection = (status: number): Error =>
  Object.assign(new Error(`body rejected with ${status}`), { status, isRejection: true })

type Body = {
  sender: SenderMemory
  bytes: number
  since: number
  /** Ends the reading. Null: the body is complete and being stored, so its memory cannot be taken back. */
  evict: (() => void) | null
}
/** What the bodies of one sender hold. */
type SenderMemory = { name: string; bytes: number; bodies: Set<Body> }

export type BodyMemory = ReturnType<typeof bodyMemory>

/** A sender that holds less than this may go beyond `roomMb`, up to half of it: nothing of it is left but stored bodies. */
const SMALL_BYTES = MB / 4

/**
 * Memory for the bodies that are being read or stored. Only bytes that have arrived count. If the memory of one sender
 * (`senderMb`) or all memory (`roomMb`) is full, the sender that holds most loses a body: the one that has held the most
 * memory for the longest time. So a sender that sends slowly, or much, takes nothing from a sender that holds little.
 */
export const bodyMemory = (limits: { roomMb: number; senderMb: number }) => {
  const room = limits.roomMb * MB
  const most = limits.senderMb * MB
  const senders = new Map<string, SenderMemory>()
  let held = 0

  const close = (body: Body): void => {
    const { sender } = body
    if (!sender.bodies.delete(body)) return
    sender.bytes -= body.bytes
    held -= body.bytes
    if (sender.bodies.size === 0) senders.delete(sender.name)
  }
  /** @returns false if all bodies of this sender are complete */
  const evictOne = ({ bodies }: SenderMemory): boolean => {
    const now = performance.now()
    const cost = ({ bytes, since }: Body) => bytes * (now - since)
    let costliest: Body | null = null
    for (const body of bodies)
      if (body.evict && (costliest === null || cost(body) > cost(costliest))) costliest = body
    if (!costliest) return false
    close(costliest)
    costliest.evict?.()
    return true
  }
  const isReading = ({ bodies }: SenderMemory) =>
    bodies.values().some(({ evict }) => evict !== null)
  const makeRoom = (): void => {
    while (held > room) {
      let greediest: SenderMemory | null = null
      for (const sender of senders.values())
        if (sender.bytes > (greediest?.bytes ?? 0) && isReading(sender)) greediest = sender
      if (!greediest || (greediest.bytes <= SMALL_BYTES && held <= 1.5 * room)) return
      evictOne(greediest)
    }
  }
  return {
    /** @param evict ends the reading of this body; its memory is free then */
    open: (name: string, evict: () => void): Body => {
      const sender = senders.get(name) ?? { name, bytes: 0, bodies: new Set() }
      senders.set(name, sender)
      const body = { sender, bytes: 0, since: performance.now(), evict }
      sender.bodies.add(body)
      return body
    },
    /** Counts bytes that have arrived. This may evict the body itself. */
    grow: (body: Body, bytes: number): void => {
      const { sender } = body
      body.bytes += bytes
      sender.bytes += bytes
      held += bytes
      while (sender.bytes > most && evictOne(sender));
      makeRoom()
    },
    /** The body is complete. */
    keep: (body: Body): void => {
      body.evict = null
    },
    close,
  }
}

/**
 * A body in chunks of one byte costs a hundred times the time of another one, and a few senders of such bodies would take
 * all of it. The chunks of an honest sender are as large as a network packet.
 */
const MANY_CHUNKS = 500
const SMALL_CHUNK = 64

/** The memory that a body takes, and its sender. */
type Share = { memory: BodyMemory; sender: string }

/**
 * Reads the body into `req.body` as bytes, whatever its content type. Compressed bodies are rejected, because their real
 * size is known too late. A body whose memory is taken back is answered with 503, so its sender sends it again.
 */
export const readRawBody = <Locals extends Record<string, unknown>>({
  limitMb,
  shareOf,
}: {
  limitMb: number
  shareOf: (
    req: Request<object, unknown, unknown, object, Locals>,
    res: Response<unknown, Locals>,
  ) => Share
}): RequestHandler<object, unknown, unknown, object, Locals> => {
  const limit = limitMb * MB
  return (req, res, next) => {
    if ((req.get('content-encoding') ?? 'identity') !== 'identity') return next(rejection(415))
    if (Number(req.get('content-length') ?? 0) > limit) return next(rejection(413))

    let buffer: Buffer = Buffer.alloc(0)
    let length = 0
    let chunks = 0
    let isDone = false
    // Removing the listeners would cost time with each request. They stay, and do nothing after this.
    const finish = (error?: Error) => {
      isDone = true
      if (error) {
        memory.close(body)
        // The request outlives this function.
        buffer = Buffer.alloc(0)
      }
      next(error)
    }
    const { memory, sender } = shareOf(req, res)
    const body = memory.open(sender, () => finish(rejection(503)))
    const onData = (chunk: Buffer) => {
      if (isDone) return
      if (length + chunk.length > limit) return finish(rejection(413))
      if (++chunks > MANY_CHUNKS && length < chunks * SMALL_CHUNK) {
        finish(rejection(400))
        // Reading the rest would cost as much.
        req.destroy()
        return
      }
      buffer = append(buffer, length, chunk, limit)
      length += chunk.length
      memory.grow(body, chunk.length)
    }
    const onEnd = () => {
      if (isDone) return
      // The body is in memory until the answer is sent, because it is stored first.
      memory.keep(body)
      res.on('close', () => memory.close(body))
      req.body = buffer.subarray(0, length)
      finish()
    }
    const onClose = () => {
      if (!isDone) finish(rejection(400))
    }
    req.on('data', onData).on('end', onEnd).on('close', onClose)
  }
}

/**
 * Nearly every body is one chunk, which is not copied. A list of chunks would take a hundred times the size of a body that
 * comes in chunks of one byte.
 */
const append = (buffer: Buffer, length: number, chunk: Buffer, limit: number): Buffer => {
  if (length === 0) return chunk
  let target = buffer
  if (length + chunk.length > buffer.length) {
    target = Buffer.allocUnsafe(Math.min(2 * (length + chunk.length), limit))
    buffer.copy(target, 0, 0, length)
  }
  chunk.copy(target, length)
  return target
}
