/** HTTP as whoever likes may send it: any method, path and header, over connections that are kept alive. */
import { Agent, type OutgoingHttpHeaders, request } from 'node:http'

export type Letter = {
  method?: string
  path: string
  headers?: OutgoingHttpHeaders
  body?: Buffer | undefined
}
export type Wire = ReturnType<typeof newWire>

const PATIENCE_MS = 20_000

/** @param connections how many are open at once, at most */
export const newWire = (port: number, connections: number) => {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  return {
    /** @returns status 0 when the connection ended without an answer */
    send: ({ method = 'POST', path, headers = {}, body }: Letter) =>
      new Promise<{ status: number; text: string; ms: number }>(resolve => {
        const started = performance.now()
        const done = (status: number, text: string) =>
          resolve({ status, text, ms: performance.now() - started })
        const req = request(
          {
            host: '127.0.0.1',
            port,
            agent,
            method,
            path,
            headers: { ...headers, ...(body && { 'content-length': body.length }) },
            timeout: PATIENCE_MS,
          },
          res => {
            let text = ''
            res.setEncoding('latin1').on('data', (chunk: string) => (text += chunk))
            res.on('close', () => done(res.statusCode ?? 0, text))
          },
        )
        req.on('timeout', () => req.destroy())
        req.on('error', () => done(0, ''))
        req.end(body)
      }),
    close: () => agent.destroy(),
  }
}

/** Runs `work` for 0, 1, 2 ... `count` - 1, so many at a time. */
export const abreast = async (
  count: number,
  atOnce: number,
  work: (n: number) => Promise<void>,
): Promise<void> => {
  let next = 0
  const one = async () => {
    while (next < count) await work(next++)
  }
  await Promise.all(Array.from({ length: atOnce }, one))
}
