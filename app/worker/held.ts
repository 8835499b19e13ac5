import type { WorkerEvents } from 'graphile-worker'
import type pg from 'pg'
import { log } from '../log.ts'

/**
 * Longer than graphile-worker takes to ask again (7.5 s): what it wanted to write when its connection broke has been
 * written by then.
 */
const LOOK_AFTER_MS = 8_000
/**
 * How long a job that has ended may still be on its way to be written off, by its id and by nothing else: to free it
 * sooner could lose what was put under that id meanwhile.
 */
const WRITTEN_OFF_WITHIN_MS = 75_000

export type HeldJobs = { doubt: () => void; stop: () => void }

/**
 * A connection may break between the moment in which a job is locked for us and the one in which we hear of it. Then
 * nobody runs that job, we live, and so nobody else may take it. Here it is given back within seconds.
 *
 * There is no function for that in graphile-worker's public SQL (what unlocks single jobs takes only those locked for
 * four hours), so this writes into its private table; test/worker/held.test.ts notices when that changes.
 *
 * @returns `doubt`, to be called when a query of the worker's broke off
 */
export const watchHeldJobs = (events: WorkerEvents, pool: pg.Pool, poolId: string): HeldJobs => {
  const running = new Set<string>()
  /** What has ended lately, and when, the first to end first. */
  const ended = new Map<string, number>()
  events.on('job:start', ({ job }) => running.add(tryOf(job)))
  events.on('job:complete', ({ job }) => {
    const now = performance.now()
    running.delete(tryOf(job))
    ended.set(tryOf(job), now)
    for (const [name, at] of ended) {
      if (now - at < WRITTEN_OFF_WITHIN_MS) break
      ended.delete(name)
    }
  })
  let timer: NodeJS.Timeout | undefined
  let again = false
  let stopped = false

  const doubt = () => {
    again ||= timer !== undefined
    if (!stopped) timer ??= setTimeout(() => void look(), LOOK_AFTER_MS)
  }
  const look = async () => {
    try {
      const { rowCount } = await pool.query(
        `update graphile_worker._private_jobs set locked_at = null, locked_by = null
         where locked_by = $1 and locked_at < now() - interval '5 seconds'
           and id || ' ' || attempts <> all ($2::text[])`,
        [poolId, [...running, ...ended.keys()]],
      )
      if (rowCount) log.warn({ count: rowCount }, 'jobs were held and not run: they are free again')
    } catch (err) {
      again = true
      log.warn({ err }, 'jobs that are held and not run not looked for')
    }
    timer = undefined
    if (again) doubt()
    again = false
  }
  return {
    doubt,
    stop: () => {
      stopped = true
      clearTimeout(timer)
    },
  }
}

const tryOf = ({ id, attempts }: { id: string; attempts: number }): string => `${id} ${attempts}`
