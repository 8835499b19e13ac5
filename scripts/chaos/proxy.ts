/** A TCP proxy that injects network faults: between the program and Postgres, and as the router of the instances. */
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'

/** After this silence both sides see the connection close, as TCP keepalives would do it. */
const KEEPALIVE_MS = 10_000

type Line = { near: Socket; far: Socket | null; silent: boolean; dropNextAnswer: boolean }

export type Proxy = Awaited<ReturnType<typeof startProxy>>

/** @param targets ports on loopback; each new connection tries them in this order */
export const startProxy = async (targets: () => number[]) => {
  const lines = new Set<Line>()
  const servers = new Set<Server>()
  let latency = 0
  let dropAfter: string | null = null

  const end = (line: Line, how: 'cut' | 'reset') => {
    for (const socket of [line.near, line.far])
      if (how === 'reset') socket?.resetAndDestroy()
      else socket?.destroy()
    lines.delete(line)
  }
  const endAll = (how: 'cut' | 'reset'): number => {
    const ended = lines.size
    for (const line of lines) end(line, how)
    return ended
  }
  const write = (from: Socket, to: Socket, chunk: Buffer) => {
    if (to.destroyed || to.write(chunk)) return
    from.pause()
    to.once('drain', () => from.resume())
  }
  const pass = (from: Socket, to: Socket, chunk: Buffer) => {
    if (latency > 0) setTimeout(write, latency, from, to, chunk)
    else write(from, to, chunk)
  }
  const join = (line: Line, far: Socket) => {
    const { near } = line
    line.far = far
    near.on('data', chunk => {
      if (line.silent) return
      if (dropAfter !== null && chunk.includes(dropAfter)) {
        dropAfter = null
        line.dropNextAnswer = true
      }
      pass(near, far, chunk)
    })
    far.on('data', chunk => {
      if (line.silent) return
      if (line.dropNextAnswer) end(line, 'reset')
      else pass(far, near, chunk)
    })
    const couple = (one: Socket, other: Socket) => {
      // While a line is silent, neither side sees that the other one closes it.
      one.on('end', () => void (line.silent || setTimeout(() => other.end(), latency)))
      one.on('close', () => {
        if (line.silent) return
        lines.delete(line)
        setTimeout(() => other.destroy(), latency)
      })
    }
    couple(near, far)
    couple(far, near)
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
      const line: Line = { near, far: null, silent: false, dropNextAnswer: false }
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

  return {
    port,
    /** Ends every connection with FIN. @returns how many */
    cut: () => endAll('cut'),
    reset: () => endAll('reset'),
    /** Makes all present connections half-open: no data pass any more. New connections work. */
    silence: () => {
      const silenced = [...lines].filter(({ silent }) => !silent)
      for (const line of silenced) line.silent = true
      setTimeout(() => silenced.forEach(line => end(line, 'cut')), KEEPALIVE_MS).unref()
      return silenced.length
    },
    refuse: () => {
      server?.close()
      server = null
    },
    accept: async () => {
      server ??= await listen(port)
    },
    /** Delays every chunk, in both directions; 0 = no delay. */
    delay: (ms: number) => {
      latency = ms
    },
    /** Passes the next request that contains this text; drops its answer and resets the connection. */
    dropAnswerTo: (text: string | null) => {
      dropAfter = text
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
