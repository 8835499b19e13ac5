import { once } from 'node:events'
import type { Server, ServerResponse } from 'node:http'

/** A request that is still not through so long after the stop began never will be. */
const CUT_AFTER_MS = 18_000

/**
 * What it takes to stop a server without cutting anybody off: requests that have arrived are answered, and told that
 * their connection ends; Node alone would let it live on for as long as it is kept alive.
 *
 * @returns how to stop it, to be called once
 */
export const stopperOf = (server: Server): (() => Promise<void>) => {
  const answers = new Set<ServerResponse>()
  server.prependListener('request', (_req, res) => {
    answers.add(res)
    res.once('close', () => {
      answers.delete(res)
      // One whose head was out before we could tell: its connection would stay until the other side ends it.
      if (!server.listening) server.closeIdleConnections()
    })
    if (!server.listening) lastOne(res)
  })
  return async () => {
    const closed = once(server, 'close')
    server.close()
    for (const res of answers) lastOne(res)
    const cut = setTimeout(() => server.closeAllConnections(), CUT_AFTER_MS)
    await closed
    clearTimeout(cut)
  }
}

const lastOne = (res: ServerResponse): void => {
  if (!res.headersSent) res.setHeader('Connection', 'close')
}
