/** Many rows as the parameters of one statement. */

/**
 * The same twice counts twice and is stored once, for Postgres cannot update a row twice in one statement. In
 * one order always, since two statements that lock the same rows in different orders would wait for each other.
 */
export const once = <Row>(
  rows: Row[],
  keyOf: (row: Row) => string,
): (Row & { deliveries: number })[] => {
  const counted = new Map<string, Row & { deliveries: number }>()
  for (const row of rows) {
    const key = keyOf(row)
    counted.set(key, { ...row, deliveries: (counted.get(key)?.deliveries ?? 0) + 1 })
  }
  return [...counted.entries()].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row)
}

/**
 * Many texts as one parameter, and where each begins, counted from 1. In an array each would be escaped, or written out
 * in hex and escaped, at up to five times its size.
 */
export const packed = (texts: (Buffer | null)[]) => {
  let next = 1
  const starts = texts.map(text => (next += text?.length ?? 0) - (text?.length ?? 0))
  const [first = Buffer.alloc(0), ...others] = texts.flatMap(text => text ?? [])
  return {
    // One alone may be megabytes, and is not copied.
    bytes: others.length === 0 ? first : Buffer.concat([first, ...others]),
    starts,
    lengths: texts.map(text => text?.length ?? null),
  }
}
