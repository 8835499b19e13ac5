import { sql } from 'kysely'
import type { Trx } from '../db/kysely.ts'

/** The queue's own figures, of one task. */
export type Queued = {
  task: string
  /** Its time has come: the only backlog there is. */
  due: number
  /** Of those and of the future ones: tried before, and failed. */
  retrying: number
  running: number
  future: number
  dead: number
  /** How long the oldest due one has been waiting, in seconds; null = none is due. */
  oldestDue: number | null
}

/** More jobs than this are not counted. */
const AT_MOST = 50_000

/** What is in the queue by task, the most overdue first. */
export const queueByTask = async (trx: Trx): Promise<Queued[]> => {
  const { rows } = await sql<Queued>`
    with jobs as (
      select task_identifier as task, run_at, attempts,
             case when locked_at is not null then 'running' when attempts >= max_attempts then 'dead'
                  when run_at <= now() then 'due' else 'future' end as state
      from graphile_worker.jobs limit ${AT_MOST}
    )
    select task, count(*) filter (where state = 'due')::int as due,
           count(*) filter (where state in ('due', 'future') and attempts > 0)::int as retrying,
           count(*) filter (where state = 'running')::int as running,
           count(*) filter (where state = 'future')::int as future,
           count(*) filter (where state = 'dead')::int as dead,
           extract(epoch from now() - min(run_at) filter (where state = 'due'))::float8 as "oldestDue"
    from jobs group by task order by "oldestDue" desc nulls last, task`.execute(trx)
  return rows
}
