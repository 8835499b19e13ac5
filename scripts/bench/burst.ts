/** One burst of calls against a contender, and what it cost. */
import type { AtWork } from './contenders.ts'
import { cdrs } from './cdr.ts'
import type { Contender } from './contender.ts'
import { drive } from './load.ts'
import { invalid } from './rounds.ts'
import { doorOf, type Stage } from './stage.ts'

const WARM_UP_SECONDS = 2

/** The first answer tells whether this is a contender at all: the load generator counts everything below 400 as good. */
const greet = async (door: string, { said }: Contender): Promise<void> => {
  const answer = await fetch(door, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: cdrs()(),
  })
  await answer.text()
  if (answer.status !== 200)
    throw invalid(`the first answer was ${answer.status}; it said:\n${said()}`)
}

/**
 * Counts afterwards what is really stored. Before: the first answer, and a warm-up.
 *
 * @throws invalid when any answer was not 200, or less is stored than was acknowledged
 */
export const burst = async (
  stage: Stage,
  { contender, storeCpu, stored, judged }: AtWork,
  connections: number,
) => {
  const { seconds, signal, postgres } = stage
  const door = doorOf(stage, contender.url)
  await greet(door, contender)
  const warm = await drive(door, { connections, seconds: WARM_UP_SECONDS, signal })
  await postgres.checkpoint()
  const before = [await contender.cpuSeconds(), await storeCpu()]
  const judgedBefore = await judged()
  const load = await drive(door, { connections, seconds, signal })
  const after = [await contender.cpuSeconds(), await storeCpu()]
  const judgedAfter = await judged()

  if (!contender.isAlive()) throw new Error(`it ended by itself; it said:\n${contender.said()}`)
  const { requests, wrong, failed } = load
  if (wrong + warm.wrong || failed + warm.failed)
    throw invalid(
      `${wrong + warm.wrong} answers were no success, ${failed + warm.failed} never came`,
    )
  const kept = await stored()
  const promised = 1 + warm.requests + requests
  if (kept !== null && kept < promised)
    throw invalid(`${promised} were acknowledged, and ${kept} are stored`)
  const spent = (which: number): number | null => {
    const [from = null, to = null] = [before[which], after[which]]
    return from === null || to === null ? null : ((to - from) * 1000 * 1000) / requests
  }
  return {
    'requests/s': requests / load.seconds,
    'p50 ms': load.p50,
    'p99 ms': load.p99,
    'CPU ms/1,000': spent(0),
    'store CPU ms/1,000': spent(1),
    'judged/s':
      judgedBefore === null || judgedAfter === null
        ? null
        : (judgedAfter - judgedBefore) / load.seconds,
  }
}
