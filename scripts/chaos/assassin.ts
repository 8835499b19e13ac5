/** Kills the copies of the program at the named points: first once at each of them, then again and again. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Failpoint, FAILPOINTS } from '../../app/failpoints.ts'
import type { Copy } from './copy.ts'
import type { Random } from './random.ts'

/** How long a copy lies in wait for itself, until it is told again which points are still wanted. */
const ASK_AGAIN_MS = 1000
/** Every so many kills one comes at any moment, and not at a point. */
const ANY_MOMENT_EVERY = 8

/** The points where the fewest kills have been: whichever of them is passed first is the next. */
export const leastKilled = (points: ReadonlyMap<Failpoint, number>): Failpoint[] => {
  const fewest = Math.min(...FAILPOINTS.map(point => points.get(point) ?? 0))
  return FAILPOINTS.filter(point => (points.get(point) ?? 0) === fewest)
}

/**
 * Kills a copy at one of these points, whichever it passes first. Returns when it is dead, or the signal aborts.
 *
 * @param points asked again and again, for the other copy may be faster
 * @param canAbort where an abort leaves no core file behind
 */
export const killAt = async (
  copy: Copy,
  points: () => Failpoint[],
  { random, canAbort, signal }: { random: Random; canAbort: boolean; signal: AbortSignal },
): Promise<void> => {
  const action = canAbort && random.chance(0.05) ? ('abort' as const) : ('kill' as const)
  const afterMs = random.pick([0, 0, 0, 1, 3, 10])
  // Only at first: told again each time, it would never come to a point that is passed every few seconds.
  let skip = random.pick([0, 0, 0, 0, 1])
  for (const life = copy.starts(); copy.starts() === life; skip = 0) {
    copy.arm({ action, skip, afterMs, points: points() })
    const until = Date.now() + ASK_AGAIN_MS
    while (copy.starts() === life && Date.now() < until) {
      if (signal.aborted) return copy.arm(null)
      await sleep(10)
    }
  }
}

/** Until it answers; false if the signal aborts first. */
export const waitUntilReady = async (copy: Copy, signal: AbortSignal): Promise<boolean> => {
  while (!copy.isReady() && !signal.aborted) await sleep(20)
  return !signal.aborted
}

/** Kills a copy as often as it comes up, mostly at the points where the fewest kills have been. */
export const assassinate = async (
  copy: Copy,
  points: ReadonlyMap<Failpoint, number>,
  how: { random: Random; canAbort: boolean; signal: AbortSignal },
): Promise<void> => {
  const { random, signal } = how
  for (let turn = random.int(1, ANY_MOMENT_EVERY); !signal.aborted; turn++) {
    if (!(await waitUntilReady(copy, signal))) return
    // It may die as soon as it answers, and also after it has worked for a while.
    await sleep(random.pick([0, 300, 1000, 4000]), undefined, { signal }).catch(() => {})
    if (signal.aborted) return
    if (turn % ANY_MOMENT_EVERY === 0) copy.kill()
    await killAt(copy, () => leastKilled(points), how)
  }
}
