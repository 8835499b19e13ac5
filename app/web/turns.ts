/**
 * Work that blocks the process, such as parsing megabytes, runs one after the other. After each the process does other work
 * for as long. Senders take turns, so one that has much of it delays only itself.
 *
 * @returns runs `work` when it is the sender's turn. Only its part before the first `await` blocks.
 */
export const takingTurns = () => {
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
  return async <T>(sender: string, work: () => Promise<T>): Promise<T> => {
    await new Promise<void>(resolve => {
      waiting.set(sender, [...(waiting.get(sender) ?? []), resolve])
      if (!isTaken) next()
    })
    const started = performance.now()
    try {
      return work()
    } finally {
      setTimeout(next, performance.now() - started)
    }
  }
}
