const CHECK_EVERY_MS = 10_000
/** CPU time of the process, as a share of the time. Not the utilization of the event loop, which counts waiting for a core. */
const IDLE_BELOW = 0.05

/**
 * Collects the whole heap and returns its free pages: once after the start, and once after each time of load, when the
 * program had little to do for ten seconds. V8 in Node 24 does not do this by itself, because it never finds the program
 * idle (docs/performance.md). The collection takes 50 to 100 ms, and no request is answered meanwhile. Without
 * `--expose-gc` nothing happens.
 */
export const giveMemoryBackWhenIdle = (): void => {
  const { gc } = globalThis
  if (!gc) return
  let before = process.cpuUsage()
  let wasIdle = false
  setInterval(() => {
    const { user, system } = process.cpuUsage(before)
    const isIdle = (user + system) / 1000 < IDLE_BELOW * CHECK_EVERY_MS
    // Only this kind of collection returns the free pages.
    if (isIdle && !wasIdle) gc({ type: 'major', execution: 'sync', flavor: 'last-resort' })
    wasIdle = isIdle
    before = process.cpuUsage()
  }, CHECK_EVERY_MS).unref()
}
