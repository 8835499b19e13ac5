/** Lets at most so many pieces of work run at once; the others wait, first come, first served. */
export const createSlots = (most: number) => {
  const waiting: (() => void)[] = []
  let free = most

  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (free > 0) free--
    else await new Promise<void>(resume => void waiting.push(resume))
    try {
      return await work()
    } finally {
      // The slot goes straight to whoever waits longest, so nobody can slip in between.
      const next = waiting.shift()
      if (next) next()
      else free++
    }
  }
}
