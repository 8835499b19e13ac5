import { createHash } from 'node:crypto'

export type Random = ReturnType<typeof seeded>

/**
 * Mulberry32: small, fast, and good enough for test data.
 *
 * @param stream a name; each part of a run draws from its own stream and cannot change the choices of another
 */
export const seeded = (seed: number, stream = '') => {
  let state = stream
    ? createHash('sha256').update(`${seed} ${stream}`).digest().readUInt32LE()
    : seed
  /** From 0 up to, but not including, 1. */
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  const int = (least: number, most: number) => least + Math.floor(next() * (most - least + 1))
  const pick = <T>(list: readonly T[]): T => {
    const chosen = list[int(0, list.length - 1)]
    if (chosen === undefined) throw new Error('nothing to pick from')
    return chosen
  }
  return {
    next,
    int,
    pick,
    chance: (share: number) => next() < share,
    /** Picks one of these pairs; a pair with twice the weight is picked twice as often. */
    weighted: <T>(pairs: readonly (readonly [weight: number, item: T])[]): T => {
      let drawn = next() * pairs.reduce((sum, [weight]) => sum + weight, 0)
      const [, item] = pairs.find(([weight]) => (drawn -= weight) < 0) ?? pick(pairs)
      return item
    },
    shuffled: <T>(list: readonly T[]): T[] =>
      list
        .map(item => ({ item, at: next() }))
        .toSorted((a, b) => a.at - b.at)
        .map(({ item }) => item),
  }
}
