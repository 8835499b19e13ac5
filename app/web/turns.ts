/** One sender after the other does one thing at a time, so a sender that has much to do delays only itself. */
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
 * Work that blocks the process, such as parsing megabytes, runs one after the other. After each the process does other work
 * for as long. Senders take turns.
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
 * Work that needs something of which there is one, such as the database connection of the pages, runs one after the other
 * until it is done. Senders take turns.
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
