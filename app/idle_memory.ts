import { setFlagsFromString } from 'node:v8'

const CHECK_EVERY_MS = 5000
/** Share of the time in which the program's thread does something. At rest it is 0.01 to 0.04. */
const IDLE_BELOW = 0.05

/**
 * Gives memory back after five seconds in which the program had little to do: within eight more seconds V8 collects its heap in
 * small steps and returns the free pages. By itself it never does in Node 24, where it takes the program for busy. Under load
 * this mode would cost a fifth more CPU, so it ends at the next check.
 */
export const giveMemoryBackWhenIdle = (): void => {
  let before = performance.eventLoopUtilization()
  let wasIdle = false
  setInterval(() => {
    const now = performance.eventLoopUtilization()
    const isIdle = performance.eventLoopUtilization(now, before).utilization < IDLE_BELOW
    if (isIdle !== wasIdle)
      setFlagsFromString(isIdle ? '--optimize-for-size' : '--no-optimize-for-size')
    wasIdle = isIdle
    before = now
  }, CHECK_EVERY_MS).unref()
}
