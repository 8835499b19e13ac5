/**
 * A TCP proxy that can do to a connection what networks do: between the program and Postgres, and in front of the
 * copies of the program as their router.
 */
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'

/**
 * After a silence the far side learns that nobody is there any more, as by TCP keepalives; until then it holds
 * whatever belongs to the connection.
 */
const NOTICED_AFTER_MS = 10_000

type Line = {
  near: Socket
  far: Socket | null
  silent: boolean
  /** The next answer is swallowed, and the connection cut. */
  swallow: boolean
}

export type Proxy = Awaited<ReturnType<typeof startProxy>>

/**
 * @param targets ports on loopback, tried in this order for every new connection
 */
export const startProxy = async (targets: () => number[]) => {
  const lines = new Set<Line>()
  const servers = new Set<Server>()
  let latency = 0
  let swallowAfter: string | null = null

  const end = (line: Line, how: 'cut' | 'reset') => {
    for (const socket of [line.near, line.far])
      if (how === 'reset') socket?.resetAndDestroy()
      else socket?.destroy()
    lines.delete(line)
  }

  const write = (from: Socket, to: Socket, chunk: Buffer) => {
    if (to.destroyed) return
    if (!to.write(chunk)) {
      from.pause()
      to.once('drain', () => from.resume())
    }
  }
  const pass = (from: Socket, to: Socket, chunk: Buffer) => {
    if (latency > 0) setTimeout(() => write(from, to, chunk), latency)
    else write(from, to, chunk)
  }

  const join = (line: Line, far: Socket) => {
    const { near } = line
    line.far = far
    near.on('data', chunk => {
      if (line.silent) return
      if (swallowAfter !== null && chunk.includes(swallowAfter)) {
        swallowAfter = null
        line.swallow = true
      }
      pass(near, far, chunk)
    })
    far.on('data', chunk => {
      if (line.silent) return
      if (line.swallow) end(line, 'reset')
      else pass(far, near, chunk)
    })
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on('end', () => void (line.silent || setTimeout(() => other.end(), latency)))
      one.on('close', () => {
        // Of a line that has fallen silent neither side hears that the other has gone.
        if (line.silent) return
        lines.delete(line)
        setTimeout(() => other.destroy(), latency)
      })
    }
    near.resume()
  }

  const open = (line: Line, [port, ...others]: number[]) => {
    if (port === undefined) return end(line, 'reset')
    const far = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
    far.once('connect', () => {
      far.removeAllListeners('error')
      far.on('error', () => {})
      join(line, far)
    })
    far.once('error', () => open(line, others))
  }

  const listen = async (port: number) => {
    const server = createServer({ noDelay: true, pauseOnConnect: true, allowHalfOpen: true })
    server.on('connection', near => {
      const line: Line = { near, far: null, silent: false, swallow: false }
      lines.add(line)
      near.on('error', () => {})
      open(line, targets())
    })
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    servers.add(server)
    server.once('close', () => servers.delete(server))
    return server
  }
  let server: Server | null = await listen(0)
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0

  const endAll = (how: 'cut' | 'reset') => {
    const ended = lines.size
    for (const line of lines) end(line, how)
    return ended
  }
  return {
    port,
    connections: () => lines.size,
    /** Ends every connection in order (FIN), or with a reset. */
    cut: () => endAll('cut'),
    reset: () => endAll('reset'),
    /** Half-open: what is connected now hears nothing any more, and nobody hears it. New connections work. */
    silence: () => {
      const silenced = [...lines].filter(({ silent }) => !silent)
      for (const line of silenced) line.silent = true
      setTimeout(() => silenced.forEach(line => end(line, 'cut')), NOTICED_AFTER_MS).unref()
      return silenced.length
    },
    /** New connections are refused until `accept()`. */
    refuse: () => {
      server?.close()
      server = null
    },
    accept: async () => {
      server ??= await listen(port)
    },
    /** Every chunk waits so long, in both directions; 0 = none. */
    delay: (ms: number) => {
      latency = ms
    },
    /** The next request that holds this text is passed on; its answer is not, and the connection is cut. */
    dropAnswerTo: (text: string | null) => {
      swallowAfter = text
    },
    close: async () => {
      server = null
      const closed = [...servers].map(one => once(one, 'close'))
      for (const one of servers) one.close()
      endAll('cut')
      await Promise.all(closed)
    },
  }
}
