import type { Config } from '../config.ts'

/** graphile-worker's own: one listens for good, the others fetch and finish jobs. */
const WORKER = 3
/** Kept free for the worker's sign of life. */
const LIVENESS = 1
/** One page of /ops after the other: whoever looks must never keep a webhook waiting. */
const OPS = 1

/**
 * Who gets how many of DATABASE_CONNECTIONS. What is left is shared out between webhooks and what tasks read and
 * write, of nine by default two for each. Apart, because tasks may wait for each other's locks, and a webhook must
 * never wait behind them.
 */
export const sharesOf = (connections: number) => {
  const rest = connections - WORKER - LIVENESS - OPS
  const web = Math.ceil(rest / 2)
  return { worker: WORKER, liveness: LIVENESS, ops: OPS, web, tasks: rest - web }
}

/** How many of them one process holds at most. */
export const heldBy = (role: Config['ROLE'], connections: number): number => {
  const { worker, liveness, ops, web, tasks } = sharesOf(connections)
  return { all: connections, web: web + ops, worker: worker + liveness + tasks }[role]
}
