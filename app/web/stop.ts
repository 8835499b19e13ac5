import { once } from 'node:events'
import type { Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** A request that is still not through so long after the stop began never will be. */
const CUT_AFTER_MS = 18_000

/**
 * What it takes to stop a server without cutting anybody off: requests that have arrived are answered, and told that
 * their connection ends; Node alone would let it live on for as long as it is kept alive.
 *
 * @returns how to stop it, to be called once
 */
export const stopperOf = (server: Server): (() => Promise<void>) => {
  /**
   * The answer that is due on each connection, the last if several are. Not a set of answers: every few dozen
   * of them a set moves to a new table, and what V8 leaves behind of the old one keeps all answers that it held from
   * being collected soon, which doubled what garbage collection takes.
   */
  const due = new Map<Socket, ServerResponse | null>()
  server.on('connection', (socket: Socket) => {
    due.set(socket, null)
    socket.once('close', () => due.delete(socket))
  })
  server.prependListener('request', ({ socket }, res) => {
    due.set(socket, res)
    res.once('close', () => {
      if (due.get(socket) === res) due.set(socket, null)
      // One whose head was out before we could tell: its connection would stay until the other side ends it.
      if (!server.listening) server.closeIdleConnections()
    })
    if (!server.listening) lastOne(res)
  })
  return async () => {
    const closed = once(server, 'close')
    server.close()
    for (const res of due.values()) if (res) lastOne(res)
    const cut = setTimeout(() => server.closeAllConnections(), CUT_AFTER_MS)
    await closed
    clearTimeout(cut)
  }
}

const lastOne = (res: ServerResponse): void => {
  if (!res.headersSent) res.setHeader('Connection', 'close')
}
