import { once } from 'node:events'
import { createServer } from 'node:http'
import type { RequestListener, Server } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'

export type Listener = {
  url: string
  /** Closes the port: from now on connections are refused. What is being answered goes on. */
  refuse: () => Promise<void>
  /** Opens the same port again. */
  accept: () => Promise<void>
  close: () => Promise<void>
}

/** Listens on loopback, and can stop and start again on the same port. */
export const createListener = async (app: RequestListener, port: number): Promise<Listener> => {
  const servers = new Set<Server>()

  const listen = async (at: number): Promise<Server> => {
    const server: Server = createServer((req, res) => {
      // A kept-alive connection would otherwise outlive the listener and still be answered on.
      res.on('close', () => {
        if (!server.listening) server.closeIdleConnections()
      })
      app(req, res)
    })
    server.listen(at, '127.0.0.1')
    await once(server, 'listening')
    servers.add(server)
    server.once('close', () => servers.delete(server))
    return server
  }

  let open: Server | undefined = await listen(port)
  const address = open.address()
  const at = typeof address === 'object' && address ? address.port : port

  return {
    url: `http://127.0.0.1:${at}`,
    refuse: async () => {
      open?.close()
      open = undefined
      // Time for clients in this very process to notice that their idle connections are gone.
      await delay(20)
    },
    accept: async () => {
      open ??= await listen(at)
    },
    close: async () => {
      open = undefined
      await Promise.all(
        [...servers].map(async server => {
          const closed = once(server, 'close')
          server.close()
          server.closeAllConnections()
          await closed
        }),
      )
    },
  }
}
