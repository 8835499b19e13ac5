/** Gives one sender after the other a turn, so that a sender with much work delays only itself. */
const turns = () => {
  /** The sender whose turn is next comes first. */
  const waiting = new Map<string, (() => void)[]>()
  let isTaken = false
  const next = (): void => {
    const [first] = waiting
    isTaken = first !== undefined
    if (!first) return
    const [sender, [start, ...others]] = first
    waiting.delete(sender)
    if (others.length > 0) waiting.set(sender, others)
    start?.()
  }
  const turnOf = (sender: string): Promise<void> =>
    new Promise(resolve => {
      waiting.set(sender, [...(waiting.get(sender) ?? []), resolve])
      if (!isTaken) next()
    })
  return { turnOf, next }
}

/**
 * For work that blocks the process, such as parsing megabytes. After each turn the process has the same time for other work.
 *
 * @returns runs `work` when it is the sender's turn. Only its part before the first `await` blocks.
 */
export const takingTurns = () => {
  const { turnOf, next } = turns()
  return async <T>(sender: string, work: () => Promise<T>): Promise<T> => {
    await turnOf(sender)
    const started = performance.now()
    try {
      return work()
    } finally {
      setTimeout(next, performance.now() - started)
    }
  }
}

/**
 * For work that shares a single resource, such as the database connection of the pages. A turn ends when its work is done.
 *
 * @returns runs `work` when it is the sender's turn
 */
export const oneAtATime = () => {
  const { turnOf, next } = turns()
  return async <T>(sender: string, work: () => Promise<T>): Promise<T> => {
    await turnOf(sender)
    try {
      return await work()
    } finally {
      next()
    }
  }
}
