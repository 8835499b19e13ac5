const CHECK_EVERY_MS = 10_000
/** Share of the time in which the program's thread does something. At rest it is 0.01 to 0.04. */
const IDLE_BELOW = 0.05

/**
 * Gives memory back once after the start, and once after each time of load, when the program had little to do for ten
 * seconds. By itself V8 never does in Node 24, where it takes the program for busy. It takes 50 to 100 ms, in which no
 * request is answered. Needs `--expose-gc`.
 */
export const giveMemoryBackWhenIdle = (): void => {
  const { gc } = globalThis
  if (!gc) return
  let before = performance.eventLoopUtilization()
  let wasIdle = false
  setInterval(() => {
    const isIdle = performance.eventLoopUtilization(before).utilization < IDLE_BELOW
    // Only this kind of collection returns the free pages.
    if (isIdle && !wasIdle) gc({ type: 'major', execution: 'sync', flavor: 'last-resort' })
    wasIdle = isIdle
    before = performance.eventLoopUtilization()
  }, CHECK_EVERY_MS).unref()
}
