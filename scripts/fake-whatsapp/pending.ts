import { setTimeout as delay } from 'node:timers/promises'

/** What the fake still has to do later: statuses, webhook deliveries, resends. */
export type Pending = {
  /** Runs the work after a while and counts it as pending until it has ended. */
  run: (afterMs: number, work: (signal: AbortSignal) => Promise<void>) => Promise<void>
  /** Resolves once nothing is pending. */
  idle: () => Promise<void>
  /** Drops everything that is pending. New work may follow. */
  drop: () => void
  /** The same for good: whatever is run from now on is dropped too. */
  close: () => void
}

export const createPending = (): Pending => {
  let stop = new AbortController()
  let running = 0
  let waiting: (() => void)[] = []

  const run: Pending['run'] = async (afterMs, work) => {
    const { signal } = stop
    running++
    try {
      if (afterMs > 0) await delay(afterMs, undefined, { signal })
      if (!signal.aborted) await work(signal)
    } catch (error) {
      // What was dropped ends with the signal's AbortError, which is no fault; all else is.
      if (!signal.aborted) throw error
    } finally {
      running--
      if (running === 0) {
        for (const resume of waiting) resume()
        waiting = []
      }
    }
  }

  const idle = async (): Promise<void> => {
    if (running === 0) return
    await new Promise<void>(resume => void waiting.push(resume))
    // Whoever was resumed before may have started something new.
    await idle()
  }

  const drop = () => {
    stop.abort()
    stop = new AbortController()
  }

  const close = () => stop.abort()

  return { run, idle, drop, close }
}
