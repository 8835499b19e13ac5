/**
 * How fast stored calls become missed calls with a message that is due in two minutes: all of them missed, each by
 * somebody else, of one business. Ringback's worker as it is shipped, and the worker of the Redis design.
 */
import { bullmqDrains } from './drain_bullmq.ts'
import { ringbackDrains, storeForDraining } from './drain_ringback.ts'
import { NO_REDIS, redisVersion } from './peers/redis.ts'
import { NO_PEERS, peersAreInstalled } from './peers/run.ts'
import { median, ratios, type Row, type Rounds, type Section } from './result.ts'
import { interleaved } from './rounds.ts'
import type { Stage } from './stage.ts'

const CALLS = 5000
/** How many jobs at once BullMQ's worker is given: what the Redis design ran with, and what may suit it better. */
const PEER_CONCURRENCY = [5, 10, 20, 50, 100]
/** Each takes six workers most of a minute. */
const MOST_ROUNDS = 3

export const drain = async (stage: Stage, calls = CALLS): Promise<Section> => {
  const missing = !peersAreInstalled() ? NO_PEERS : !redisVersion() ? NO_REDIS : null
  if (missing) stage.say(`  ${missing}`)
  stage.say(`  storing ${calls} calls`)
  const drop = await storeForDraining(stage, calls)
  const peers = missing ? [] : PEER_CONCURRENCY.map(n => bullmqDrains(stage, calls, n))
  const { rows, notes } = await interleaved([ringbackDrains(stage, calls), ...peers], {
    ...stage,
    rounds: Math.min(stage.rounds, MOST_ROUNDS),
  })
  await drop()
  return {
    section: 'drain',
    title: `Draining ${calls} missed calls, from the first to the last`,
    rows: compared(rows),
    notes: missing ? [missing, ...notes] : notes,
  }
}

const speedOf = (row: Row | undefined): Rounds => row?.figures['calls/s'] ?? []

const compared = (rows: Row[]): Row[] => {
  const [, atFive, ...others] = rows
  const best = others.reduce(
    (best, row) => ((median(speedOf(row)) ?? 0) > (median(speedOf(best)) ?? 0) ? row : best),
    atFive,
  )
  return rows.map(row => ({
    ...row,
    figures: {
      ...row.figures,
      'x bullmq at 5': ratios(speedOf(row), speedOf(atFive)),
      'x bullmq at its best': ratios(speedOf(row), speedOf(best)),
    },
  }))
}
