/**
 * How long the work went on waiting after what it needs was back. Times are milliseconds since 1970 of one machine's
 * clock, which the database shares.
 */

export type Interval = { from: number; to: number }

/** A piece of work that nobody had claimed: since when it could have been done, and when it was seen to be done. */
export type Work = { kind: string; since: number; done: number }

/** Something that was done to the program or to Postgres, from then until both were there again. */
export type Fault = {
  kind: string
  point: string | null
  at: number
  back: number
  /** One of many at a time: no clock could tell which of them the work waited for. */
  storm: boolean
}

/** The time between two moments that lies outside of all these intervals. */
export const outside = (from: number, to: number, away: readonly Interval[]): number => {
  let left = 0
  let at = from
  for (const interval of away.toSorted((a, b) => a.from - b.from)) {
    if (interval.to <= at) continue
    if (interval.from >= to) break
    left += Math.max(0, interval.from - at)
    at = Math.min(to, interval.to)
  }
  return left + Math.max(0, to - at)
}

/**
 * Of every fault that came alone and left work waiting: how long it took, from the moment when the program and Postgres
 * were back, until all that had waited at that moment was done. Where the other copy lived on, the program was never
 * away, and the clock runs from the kill.
 */
export const recoveries = (
  faults: readonly Fault[],
  work: readonly Work[],
  away: readonly Interval[],
): number[] =>
  faults.flatMap(({ at, back, storm }) => {
    if (storm) return []
    const left = work.filter(({ since, done }) => since <= back && done > Math.max(at, back))
    if (left.length === 0) return []
    return [outside(back, Math.max(...left.map(({ done }) => done)), away)]
  })

/** The value below which this share of them lies; 0 of none. */
export const percentile = (values: readonly number[], share: number): number => {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? 0
}

/** Keeps account of when something was away. */
export const newAbsences = () => {
  const intervals: Interval[] = []
  const open = new Set<Interval>()
  return {
    /** From now until the function that it returns is called. */
    begin: (): (() => void) => {
      const interval = { from: Date.now(), to: Infinity }
      intervals.push(interval)
      open.add(interval)
      return () => {
        if (open.delete(interval)) interval.to = Date.now()
      }
    },
    anyOpen: () => open.size > 0,
    intervals: () => intervals,
  }
}
export type Absences = ReturnType<typeof newAbsences>
