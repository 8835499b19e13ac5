/** What a section finds out: plain numbers, every round of them. */

/** One figure in each round; null where a round is not valid, and a note says why. */
export type Rounds = (number | null)[]

/** A contender and what was measured of it, by the figure's name with its unit: 'requests/s', 'p99 ms'. */
export type Row = { name: string; figures: Record<string, Rounds> }

export type Section = { section: string; title: string; rows: Row[]; notes: string[] }

const valid = (rounds: Rounds): number[] =>
  rounds.filter(value => value !== null).toSorted((a, b) => a - b)

export const median = (rounds: Rounds): number | null => {
  const sorted = valid(rounds)
  const half = sorted.length >> 1
  const [low, high] = [sorted[half - 1 + (sorted.length % 2)], sorted[half]]
  return low === undefined || high === undefined ? null : (low + high) / 2
}

export const least = (rounds: Rounds): number | null => valid(rounds)[0] ?? null
export const most = (rounds: Rounds): number | null => valid(rounds).at(-1) ?? null

/** One figure as a multiple of another, round by round, since the machine's mood changes between rounds. */
export const ratios = (rounds: Rounds, to: Rounds): Rounds =>
  rounds.map((value, round) => {
    const other = to[round] ?? null
    return value === null || !other ? null : value / other
  })

/** For machines: each figure with its median, its spread and every round. */
export const summary = ({ rows, ...section }: Section) => ({
  ...section,
  rows: rows.map(({ name, figures }) => ({
    name,
    figures: Object.fromEntries(
      Object.entries(figures).map(([figure, rounds]) => [
        figure,
        { median: median(rounds), least: least(rounds), most: most(rounds), rounds },
      ]),
    ),
  })),
})
