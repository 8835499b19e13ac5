import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { FAILPOINTS } from '../../app/failpoints.ts'
import { assassinate, killAt, leastKilled, waitUntilReady } from './assassin.ts'
import { doDeed, doDeeds, newDeeds } from './faults.ts'
import { sum } from './ledger.ts'
import type { Plan } from './plan.ts'
import type { Random } from './random.ts'
import type { Stage } from './stage.ts'
import type { Watch } from './watch.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND

/** Between two faults of the storm that are not kills of the program. */
const STORM_PAUSE_MS = 4 * SECOND
/** How long we wait for what a fault left behind before the next one comes. */
const AFTER_FAULT_MS = 30 * SECOND
const AFTER_STORM_MS = MINUTE

/**
 * The storm, then one fault at a time.
 *
 * @returns how many there was no time for
 */
export const doFaults = async (
  plan: Plan,
  stage: Stage,
  seen: Watch,
  random: Random,
  signal: AbortSignal,
  say: (text: string) => void,
): Promise<number> => {
  const how = { canAbort: await leavesNoCoreFile() }
  const deeds = newDeeds(stage, plan, random.fork('deeds'))
  const first = plan.kills > 0 ? deeds.splice(0, Math.round(plan.stormShare * deeds.length)) : []
  if (plan.kills > 0) {
    say(`the storm: kills at ${FAILPOINTS.length} points`)
    const over = new AbortController()
    const either = AbortSignal.any([signal, over.signal])
    const assassins = stage.copies.map((copy, n) =>
      assassinate(copy, stage.points, {
        ...how,
        random: random.fork(`assassin ${n}`),
        signal: either,
      }),
    )
    const others = doDeeds(first, stage, STORM_PAUSE_MS, either)
    const enough = () =>
      FAILPOINTS.every(point => (stage.points.get(point) ?? 0) >= plan.stormKillsAtEach)
    while (!enough() && !signal.aborted) await sleep(50)
    over.abort()
    // What it had no time for comes later.
    deeds.push(...(await others))
    await Promise.all(assassins)
  }
  await caughtUp(stage, seen, Date.now(), AFTER_STORM_MS, signal)
  stage.weather.storm = false

  say('one fault at a time')
  const kills = Math.max(0, plan.kills - sum(stage.points))
  const killing = random.fork('single kills')
  const killOne = async (n: number) => {
    const copy = stage.copies[n % stage.copies.length]
    if (!copy || !(await waitUntilReady(copy, signal))) return Date.now()
    await killAt(copy, () => leastKilled(stage.points), { ...how, random: killing, signal })
    return Date.now()
  }
  const faults = random
    .fork('order')
    .shuffled([
      ...Array.from({ length: kills }, (_, n) => () => killOne(n)),
      ...deeds.map(deed => async () => (await doDeed(deed, stage)).back),
    ])
  for (const [n, fault] of faults.entries()) {
    const back = await fault()
    if (signal.aborted) return faults.length - n
    await caughtUp(stage, seen, back, AFTER_FAULT_MS, signal)
  }
  return 0
}

/** Both copies are up, and nothing that was waiting at that moment waits any more; or it takes too long. */
const caughtUp = async (
  stage: Stage,
  seen: Watch,
  back: number,
  withinMs: number,
  signal: AbortSignal,
): Promise<void> => {
  const until = Date.now() + withinMs
  const behind = () =>
    stage.copies.some(copy => !copy.isReady()) ||
    seen.looked() < back + 500 ||
    seen.waiting().some(({ kind, since }) => kind !== 'claim' && since.getTime() <= back)
  while (behind() && Date.now() < until && !signal.aborted) await sleep(50)
}

/** process.abort() writes a core file where the system keeps them: then we go without. */
const leavesNoCoreFile = async (): Promise<boolean> => {
  if (process.platform === 'win32') return false
  const { stdout } = await promisify(execFile)('sh', ['-c', 'ulimit -c'])
  return stdout.trim() === '0'
}
