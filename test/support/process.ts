/** The program as a process of its own, as its platform starts, stops and kills it; and what it says meanwhile. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { sql } from 'kysely'
import t from 'tap'
import { type Failpoint, FAILPOINT_CHANNEL } from '../../app/failpoints.ts'
import { startProxy } from '../../scripts/chaos/proxy.ts'
import { db } from './ringback.ts'
import { config } from '../../app/config.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
/** The machine may be busy with other tests. */
const PATIENCE_MS = 40_000

export type Process = ReturnType<typeof startProcess>

/**
 * On the database of this test, in production, with what a small dyno has.
 *
 * @param env laid over that
 * @param preload JavaScript to run in it before the program
 */
export const startProcess = (env: NodeJS.ProcessEnv = {}, preload: string | null = null) => {
  const child = spawn(
    process.execPath,
    [
      ...(preload ? ['--import', `data:text/javascript,${encodeURIComponent(preload)}`] : []),
      'app/main.ts',
    ],
    {
      cwd: ROOT,
      env: {
        ...process.env,
        NODE_OPTIONS: '',
        NODE_ENV: 'production',
        // The tokens that the test has stored were encrypted with it.
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
    if (output) createInterface(output).on('line', line => lines.push(line))
  let since = performance.now()
  let endedAt: number | null = null
  const ended = once(child, 'close').then(() => {
    endedAt = performance.now()
  })

  /** The first line with this text. */
  const says = async (text: string): Promise<string> => {
    const until = performance.now() + PATIENCE_MS
    do {
      const line = lines.find(one => one.includes(text))
      if (line !== undefined) return line
      await sleep(20)
    } while (endedAt === null && performance.now() < until)
    throw new Error(`it does not say "${text}" but:\n${lines.join('\n')}`)
  }
  return {
    lines,
    says,
    /** Where it listens, once it does. */
    url: async (): Promise<string> =>
      `http://127.0.0.1:${/"port":(\d+)/.exec(await says('Ringback listens'))?.[1]}`,
    /** Settles once all that its role has runs. */
    running: () => says('Ringback is running'),
    isAlive: () => child.exitCode === null && child.signalCode === null,
    signal: (name: NodeJS.Signals): void => {
      since = performance.now()
      child.kill(name)
    },
    /** How it ended (exit code or signal), and how many seconds after the last signal, or after its start. */
    ended: async () => {
      await Promise.race([
        ended,
        sleep(PATIENCE_MS, null, { ref: false }).then(() => {
          throw new Error(`it does not end:\n${lines.join('\n')}`)
        }),
      ])
      const seconds = ((endedAt ?? Infinity) - since) / 1000
      return { how: child.exitCode ?? child.signalCode, inTime: seconds < 25, seconds }
    },
  }
}

/** A preload: something is done to the program as soon as it passes this point. */
const at = (point: Failpoint, signal: NodeJS.Signals): string => `
  import { subscribe } from 'node:diagnostics_channel'
  subscribe('${FAILPOINT_CHANNEL}', passed => passed === '${point}' && process.kill(process.pid, '${signal}'))`
export const dieAt = (point: Failpoint): string => at(point, 'SIGKILL')
/** It stands still there until it is killed. */
export const stopAt = (point: Failpoint): string => at(point, 'SIGSTOP')

/** Stopped in order, in the time that the platform gives. */
export const IN_ORDER = { how: 0, inTime: true }

/** Asks for a page, or posts, and tells all that matters of the answer. */
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

/** The jobs that some worker holds. */
export const lockedJobs = async () => {
  const { rows } = await sql<{ task_identifier: string; locked_by: string }>`
    select task_identifier, locked_by from graphile_worker.jobs where locked_at is not null`.execute(
    db,
  )
  return rows
}

/** The workers that count as alive, the eldest first. */
export const workerPools = async (): Promise<string[]> => {
  const rows = await db.selectFrom('worker_pools').select('id').orderBy('started_at').execute()
  return rows.map(({ id }) => id)
}

/** A line to the database that can be cut, and the DATABASE_URL that goes through it. */
export const lineToDatabase = async () => {
  const url = new URL(process.env['DATABASE_URL'] ?? '')
  const real = Number(url.port)
  const line = await startProxy(() => [real])
  t.teardown(() => line.close())
  url.host = `127.0.0.1:${line.port}`
  return Object.assign(line, { DATABASE_URL: url.href })
}

/** Waits for what happens in another process, and tells how many seconds that took. */
export const soon = async (
  what: string,
  happened: () => boolean | Promise<boolean>,
): Promise<number> => {
  const from = performance.now()
  while (!(await happened())) {
    if (performance.now() - from > PATIENCE_MS) throw new Error(`not yet: ${what}`)
    await sleep(50)
  }
  return (performance.now() - from) / 1000
}
