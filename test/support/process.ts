/** Runs the program as its own process: starts, stops and kills it, and reads its log. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { sql } from 'kysely'
import t from 'tap'
import { config } from '../../app/config.ts'
import { type Failpoint, FAILPOINT_CHANNEL } from '../../app/failpoints.ts'
import { NODE_FLAGS } from '../../scripts/processes.ts'
import { startProxy } from '../../scripts/chaos/proxy.ts'
import { db } from './ringback.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
/** A time limit for a busy machine. */
const LIMIT_MS = 60_000

export type Process = ReturnType<typeof startProcess>

/**
 * Starts the program on the database of this test, in production and with the flags of the Procfile.
 *
 * @param env overrides these settings
 * @param preload JavaScript that runs in the process before the program
 */
export const startProcess = (env: NodeJS.ProcessEnv = {}, preload: string | null = null) => {
  const child = spawn(
    process.execPath,
    [
      ...NODE_FLAGS,
      ...(preload ? ['--import', `data:text/javascript,${encodeURIComponent(preload)}`] : []),
      'app/main.ts',
    ],
    {
      cwd: ROOT,
      env: {
        ...process.env,
        NODE_OPTIONS: '',
        NODE_ENV: 'production',
        // The tokens that the test stored are encrypted with this key.
        ENCRYPTION_KEY: config().ENCRYPTION_KEY.toString('base64'),
        PORT: '0',
        DATABASE_CONNECTIONS: '9',
        LOG_LEVEL: 'info',
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  t.teardown(() => child.kill('SIGKILL'))
  const lines: string[] = []
  for (const output of [child.stdout, child.stderr])
    createInterface(output).on('line', line => lines.push(line))
  let since = performance.now()
  let endedAt: number | null = null
  const closed = once(child, 'close').then(() => {
    endedAt = performance.now()
  })

  /** Waits for the first line of the log that contains this text. */
  const says = async (text: string): Promise<string> => {
    const until = performance.now() + LIMIT_MS
    do {
      const line = lines.find(one => one.includes(text))
      if (line !== undefined) return line
      await sleep(20)
    } while (endedAt === null && performance.now() < until)
    throw new Error(`the log does not contain "${text}":\n${lines.join('\n')}`)
  }
  return {
    pid: child.pid,
    lines,
    says,
    /** Waits until the program listens. @returns its address */
    url: async (): Promise<string> =>
      `http://127.0.0.1:${/"port":(\d+)/.exec(await says('Ringback listens'))?.[1]}`,
    /** Waits until everything that ROLE asks for is running. */
    running: () => says('Ringback is running'),
    isAlive: () => child.exitCode === null && child.signalCode === null,
    signal: (name: NodeJS.Signals): void => {
      since = performance.now()
      child.kill(name)
    },
    /** Waits for the end. @returns the exit code or signal, and the seconds since the last signal or the start */
    ended: async () => {
      await Promise.race([
        closed,
        sleep(LIMIT_MS, null, { ref: false }).then(() => {
          throw new Error(`the program does not end:\n${lines.join('\n')}`)
        }),
      ])
      const seconds = ((endedAt ?? Infinity) - since) / 1000
      return { how: child.exitCode ?? child.signalCode, inTime: seconds < 28, seconds }
    },
  }
}

/** A preload that sends this signal to the process when it reaches the failpoint. */
const signalAt = (point: Failpoint, signal: NodeJS.Signals): string => `
  import { subscribe } from 'node:diagnostics_channel'
  subscribe('${FAILPOINT_CHANNEL}', passed => passed === '${point}' && process.kill(process.pid, '${signal}'))`
export const killAt = (point: Failpoint): string => signalAt(point, 'SIGKILL')
export const freezeAt = (point: Failpoint): string => signalAt(point, 'SIGSTOP')

/** The program stopped in order, within the 30 seconds that the platform allows. */
export const IN_ORDER = { how: 0, inTime: true }

/** Sends GET, or POST with a JSON body. */
export const ask = async (
  url: string,
  body: unknown = null,
): Promise<{ status: number; retryAfter: string | null; connection: string | null }> => {
  const response = await fetch(
    url,
    body === null ? {} : { method: 'POST', body: JSON.stringify(body) },
  )
  await response.arrayBuffer()
  return {
    status: response.status,
    retryAfter: response.headers.get('retry-after'),
    connection: response.headers.get('connection'),
  }
}

/** The jobs that any worker has locked. */
export const lockedJobs = async () => {
  const { rows } = await sql<{ task_identifier: string; locked_by: string }>`
    select task_identifier, locked_by from graphile_worker.jobs where locked_at is not null`.execute(
    db,
  )
  return rows
}

/** The registered workers, oldest first. */
export const workerPools = async (): Promise<string[]> => {
  const rows = await db.selectFrom('worker_pools').select('id').orderBy('started_at').execute()
  return rows.map(({ id }) => id)
}

/** A proxy in front of the database that can inject faults, and the DATABASE_URL that uses it. */
export const databaseProxy = async () => {
  const url = new URL(process.env['DATABASE_URL'] ?? '')
  const databasePort = Number(url.port)
  const proxy = await startProxy(() => [databasePort])
  t.teardown(() => proxy.close())
  url.host = `127.0.0.1:${proxy.port}`
  return Object.assign(proxy, {
    DATABASE_URL: url.href,
    /** Closes all connections and refuses new ones until `accept()`. */
    disconnect: () => {
      proxy.refuse()
      proxy.reset()
    },
  })
}

/** Waits until a condition holds. @returns the seconds that this took */
export const waitUntil = async (
  what: string,
  isTrue: () => boolean | Promise<boolean>,
): Promise<number> => {
  const from = performance.now()
  while (!(await isTrue())) {
    if (performance.now() - from > LIMIT_MS) throw new Error(`timed out: ${what}`)
    await sleep(50)
  }
  return (performance.now() - from) / 1000
}
