/**
 * The attacks of isolation.test.ts, by name. Each runs in a process of its own, so that it takes no time from the client
 * that measures: `node isolation_attacks.ts NAME TARGET`. It prints `attacking` when it has begun, and at the end the number
 * of each answer that it got.
 *
 * To add an attack, add a row. It runs until `signal` aborts.
 */
import { Agent, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'

/** The program, and the business of the attacker with its valid token. */
export type Target = { url: string; tenantId: string; token: string; did: string }

type Attack = {
  /** Before the attack begins, such as filling a table. */
  prepare?: (target: Target) => Promise<void>
  run: (target: Target, signal: AbortSignal) => Promise<unknown>
}

const answers: Record<string, number> = {}
const count = (answer: number | string): void => {
  answers[answer] = (answers[answer] ?? 0) + 1
}

const MB = 1024 * 1024
const CDR = '/webhooks/voicenter/cdr'
const WHATSAPP = '/webhooks/whatsapp'
const UNSIGNED = { 'x-hub-signature-256': `sha256=${'0'.repeat(64)}` }
/** An address of the attacker, as the router in front of the program writes it. */
const from = (n: number) => ({ 'x-forwarded-for': `203.0.113.${n}` })
const FORM = {
  'content-type': 'application/x-www-form-urlencoded',
  'x-forwarded-proto': 'https',
  accept: 'text/html',
}
const times = <T>(n: number, make: (i: number) => T): T[] =>
  Array.from({ length: n }, (_, i) => make(i))

/** The server may cut a connection at any time. */
const closed = (socket: Socket): Promise<void> =>
  new Promise(resolve => socket.on('error', () => {}).once('close', () => resolve()))

type Body = {
  path: string
  headers: Record<string, string>
  bytes: number
  bytesPerSecond: number
}
/** Sends bodies without their last bytes, one after the other. The next one follows when the server has answered. */
const sendSlowly = async (
  { url }: Target,
  { path, headers, bytes, bytesPerSecond }: Body,
  signal: AbortSignal,
): Promise<void> => {
  const { hostname, port } = new URL(url)
  const part = Buffer.alloc(Math.round(bytesPerSecond / 20), 'x')
  while (!signal.aborted) {
    const socket = connect(Number(port), hostname)
    const ended = closed(socket)
    const stop = () => socket.destroy()
    signal.addEventListener('abort', stop)
    socket.on('data', (answer: Buffer) => {
      count(/^HTTP\/1.1 (\d+)/.exec(answer.toString('latin1'))?.[1] ?? 'more')
      socket.destroy()
    })
    const lines = Object.entries({ host: 'x', 'content-length': String(bytes), ...headers })
    socket.write(`POST ${path} HTTP/1.1\r\n`)
    socket.write(`${lines.map(line => line.join(': ')).join('\r\n')}\r\n\r\n`)
    for (let sent = 10; sent < bytes && !socket.destroyed; sent += part.length) {
      socket.write(part.subarray(0, bytes - sent))
      await sleep(50)
    }
    await ended
    signal.removeEventListener('abort', stop)
  }
}

/** Sends a request again and again on `connections` connections. */
const flood = async (
  { url }: Target,
  connections: number,
  make: (n: number) => {
    method?: string
    path: string
    headers?: Record<string, string>
    body?: string | Buffer
  },
  signal: AbortSignal,
): Promise<void> => {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  signal.addEventListener('abort', () => agent.destroy())
  const ask = (n: number) =>
    new Promise<void>(resolve => {
      const { method = 'POST', path, headers = {}, body = '' } = make(n)
      const length = { 'content-length': Buffer.byteLength(body) }
      const req = request(new URL(path, url), {
        agent,
        method,
        headers: { ...headers, ...(method === 'POST' && length) },
      })
      req.on('response', res => {
        count(res.statusCode ?? 0)
        res.resume().on('close', resolve)
      })
      req.on('error', () => {
        count('cut')
        // A server that refuses connections must not be asked in a tight loop.
        setTimeout(resolve, 20)
      })
      req.end(body)
    })
  let n = 0
  await Promise.all(
    times(connections, async () => {
      while (!signal.aborted) await ask(n++)
    }),
  )
}

const sql = async (text: string): Promise<void> => {
  const client = new pg.Client({ connectionString: process.env['DATABASE_URL'] })
  await client.connect()
  await client.query(text)
  await client.end()
}

/** Fast enough that the bodies fill eight megabytes within two seconds. */
const rateOf = (connections: number) => Math.max(5 / connections, 0.5) * MB

const slowCdrs = (connections: number): Attack => ({
  run: (target, signal) =>
    Promise.all(
      times(connections, n =>
        sendSlowly(
          target,
          {
            path: `${CDR}?token=${target.token}`,
            headers: from(1),
            // Together eight megabytes.
            bytes: (n % 2 ? 3 : 5) * MB,
            bytesPerSecond: rateOf(connections),
          },
          signal,
        ),
      ),
    ),
})

const slowUpdates = (connections: number, addresses: number): Attack => ({
  run: (target, signal) =>
    Promise.all(
      times(connections, n =>
        sendSlowly(
          target,
          {
            path: WHATSAPP,
            headers: { ...UNSIGNED, ...from(n % addresses) },
            bytes: 4 * MB,
            bytesPerSecond: rateOf(connections),
          },
          signal,
        ),
      ),
    ),
})

export const ATTACKS: Record<string, Attack> = {
  'two slow bodies, 8 MB together, with a valid token': slowCdrs(2),
  'forty slow bodies with a valid token': slowCdrs(40),
  'two slow bodies, 8 MB together, to WhatsApp without a secret': slowUpdates(2, 1),
  'forty slow bodies to WhatsApp from forty addresses': slowUpdates(40, 40),
  'bodies of 5 MB with a valid token, one after the other': {
    run: (target, signal) => {
      const fields = {
        caller: 'anonymous',
        did: target.did,
        status: 'NOANSWER',
        transcript: 'x'.repeat(5 * MB - 1000),
      }
      return flood(
        target,
        4,
        n => ({
          path: `${CDR}?token=${target.token}`,
          headers: from(1),
          body: JSON.stringify({ ivruniqueid: `large-${n}`, ...fields }),
        }),
        signal,
      )
    },
  },
  'arrays of 10,000 records with a valid token': {
    run: (target, signal) => {
      const record = (id: string) =>
        `{"ivruniqueid":"${id}","caller":"anonymous","did":"${target.did}","status":"NOANSWER"}`
      return flood(
        target,
        4,
        n => ({
          path: `${CDR}?token=${target.token}`,
          headers: from(1),
          body: `[${times(10_000, i => record(`array-${n}-${i}`)).join()}]`,
        }),
        signal,
      )
    },
  },
  'bodies of half a million numbers with a valid token': {
    run: (target, signal) => {
      const numbers = `[${times(499_000, () => '-1.5').join()}]`
      return flood(
        target,
        4,
        n => ({
          path: `${CDR}?token=${target.token}`,
          headers: from(1),
          body: `{"ivruniqueid":"numbers-${n}","caller":"anonymous","did":"${target.did}","status":"NOANSWER","x":${numbers}}`,
        }),
        signal,
      )
    },
  },
  'bodies of 4 MB with a wrong signature': {
    run: (target, signal) => {
      const body = Buffer.alloc(4 * MB, 'x')
      return flood(
        target,
        8,
        n => ({ path: WHATSAPP, headers: { ...UNSIGNED, ...from(n % 250) }, body }),
        signal,
      )
    },
  },
  'bodies in chunks of one byte to WhatsApp': {
    run: async (target, signal) => {
      const { hostname, port } = new URL(target.url)
      const part = Buffer.from('1\r\nx\r\n'.repeat(10_000))
      const head = [
        `POST ${WHATSAPP} HTTP/1.1`,
        'host: x',
        'transfer-encoding: chunked',
        ...Object.entries({ ...UNSIGNED, ...from(3) }).map(line => line.join(': ')),
      ]
      const one = async () => {
        while (!signal.aborted) {
          const socket = connect(Number(port), hostname)
          const ended = closed(socket)
          socket.on('data', (answer: Buffer) => {
            count(/^HTTP\/1.1 (\d+)/.exec(answer.toString('latin1'))?.[1] ?? 'more')
            socket.destroy()
          })
          socket.write(`${head.join('\r\n')}\r\n\r\n`)
          // Half the limit, then silence: the body stays in memory.
          for (let sent = 0; sent < 2 * MB && !socket.destroyed; sent += 10_000) {
            const drained = new Promise(resolve => socket.once('drain', resolve))
            if (!socket.write(part)) await Promise.race([drained, ended])
            await sleep(5)
          }
          signal.addEventListener('abort', () => socket.destroy())
          if (signal.aborted) socket.destroy()
          await ended
        }
      }
      await Promise.all(times(4, one))
    },
  },
  '/readyz on a hundred connections, with 100,000 jobs in the queue': {
    prepare: () =>
      sql(`
        insert into graphile_worker._private_tasks (identifier) values ('lead_silence') on conflict do nothing;
        insert into graphile_worker._private_jobs (task_id, run_at)
        select id, now() + interval '1 year' from graphile_worker._private_tasks, generate_series(1, 100000)
        where identifier = 'lead_silence'`),
    run: (target, signal) =>
      flood(target, 100, n => ({ method: 'GET', path: '/readyz', headers: from(n % 250) }), signal),
  },
  'bodies of 5 MB with a wrong token': {
    run: (target, signal) => {
      const body = Buffer.alloc(5 * MB, 'x')
      return flood(
        target,
        8,
        n => ({ path: `${CDR}?token=wrong${n}`, headers: from(n % 250), body }),
        signal,
      )
    },
  },
  'wrong tokens from a hundred addresses': {
    run: (target, signal) =>
      flood(
        target,
        50,
        n => ({ path: `${CDR}?token=wrong${n}`, headers: from(n % 100), body: '{}' }),
        signal,
      ),
  },
  'wrong passwords from a hundred addresses': {
    run: (target, signal) =>
      flood(
        target,
        50,
        n => ({
          path: '/ops/sign-in',
          headers: { ...from(n % 100), ...FORM },
          body: `name=${target.tenantId}&password=wrong${n}`,
        }),
        signal,
      ),
  },
  'forms of a page without a session': {
    run: (target, signal) => {
      const body = `name=${'x'.repeat(30_000)}`
      const headers = { ...FORM, 'sec-fetch-site': 'same-origin' }
      return flood(
        target,
        50,
        n => ({ path: '/ops/tenants/add', headers: { ...from(n % 250), ...headers }, body }),
        signal,
      )
    },
  },
}

const [name, target] = process.argv.slice(2)
const attack = import.meta.main && name !== undefined ? ATTACKS[name] : undefined
if (attack && target !== undefined) {
  const parsed: Target = JSON.parse(target)
  const ending = new AbortController()
  process.on('SIGTERM', () => ending.abort())
  await attack.prepare?.(parsed)
  console.log('attacking')
  await attack.run(parsed, ending.signal)
  console.log(JSON.stringify(answers))
  process.exit()
}
