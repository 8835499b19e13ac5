/** The figures of a section: measured in interleaved rounds, summarised, and printed as a table. */

/** One value per round. The value of an invalid round is null, and a note gives the reason. */
export type Rounds = (number | null)[]
/** The figures of one program. The name of a figure contains its unit: 'requests/s', 'p99 ms'. */
export type Row = { name: string; figures: Record<string, Rounds> }
export type Section = { title: string; rows: Row[]; notes: string[] }
/** What a program reached in one round. A figure is null where the system cannot measure it. */
export type Figures = Record<string, number | null>
export type Turn = { name: string; take: () => Promise<Figures> }

/** The figures of this turn do not count. The run continues. */
export class InvalidTurn extends Error {}
/** A note that starts with this word makes the exit code 1. */
export const INVALID = 'INVALID'

type Options = { rounds: number; say: (text: string) => void; signal: AbortSignal }

/** Takes every turn once per round, in a rotating order, so that a slow minute affects all programs alike. */
export const interleave = async (turns: Turn[], options: Options, maxRounds = Infinity) => {
  const rounds = Math.min(options.rounds, maxRounds)
  const rows: Row[] = turns.map(({ name }) => ({ name, figures: {} }))
  const notes: string[] = []
  for (let n = 0; n < rounds * turns.length; n++) {
    const round = Math.floor(n / turns.length)
    const index = (n + round) % turns.length
    const [turn, row] = [turns[index], rows[index]]
    if (!turn || !row) break
    options.signal.throwIfAborted()
    const label = `  round ${round + 1} of ${rounds}  ${turn.name}`
    try {
      const figures = await turn.take()
      for (const [name, value] of Object.entries(figures)) {
        row.figures[name] ??= Array.from({ length: rounds }, () => null)
        row.figures[name][round] = value
      }
      options.say(label)
    } catch (error) {
      if (!(error instanceof InvalidTurn)) throw error
      notes.push(`${INVALID}: ${turn.name}, round ${round + 1}: ${error.message}`)
      options.say(`${label}: ${INVALID}, ${error.message}`)
    }
  }
  return { rows, notes }
}

const sorted = (rounds: Rounds): number[] =>
  rounds.filter(value => value !== null).toSorted((a, b) => a - b)

export const median = (rounds: Rounds): number | null => {
  const values = sorted(rounds)
  const low = values[(values.length - 1) >> 1]
  const high = values[values.length >> 1]
  return low === undefined || high === undefined ? null : (low + high) / 2
}

export const most = (rounds: Rounds): number | null => sorted(rounds).at(-1) ?? null
const least = (rounds: Rounds): number | null => sorted(rounds)[0] ?? null

/** Divides round by round, because the speed of the machine changes between rounds. */
export const ratios = (rounds: Rounds, divisors: Rounds): Rounds =>
  rounds.map((value, round) => {
    const divisor = divisors[round]
    return value === null || !divisor ? null : value / divisor
  })

export const figureOf = (rows: Row[], name: string, figure: string): Rounds =>
  rows.find(row => row.name === name)?.figures[figure] ?? []

/** The rows for the JSON file: each figure with its median, its spread and every round. */
export const summary = (rows: Row[]) =>
  rows.map(({ name, figures }) => {
    const summaries = Object.entries(figures).map(([figure, rounds]) => [
      figure,
      { median: median(rounds), least: least(rounds), most: most(rounds), rounds },
    ])
    return { name, figures: Object.fromEntries(summaries) }
  })

const THREE_DIGITS = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 })
const WHOLE = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })

const formatted = (value: number | null): string =>
  value === null ? '' : (Math.abs(value) >= 1000 ? WHOLE : THREE_DIGITS).format(value)

/** `median (least-most)`. A single round has no spread. */
const cell = (rounds: Rounds = []): string => {
  const middle = formatted(median(rounds))
  const spread = `${formatted(least(rounds))}-${formatted(most(rounds))}`
  return middle && rounds.length > 1 ? `${middle} (${spread})` : middle
}

export const print = ({ title, rows, notes }: Section): string => {
  const names = [...new Set(rows.flatMap(({ figures }) => Object.keys(figures)))]
  const shown = names.filter(name => rows.some(({ figures }) => cell(figures[name])))
  const table = [
    ['', ...shown],
    ...rows.map(({ name, figures }) => [name, ...shown.map(figure => cell(figures[figure]))]),
  ]
  const widths = ['', ...shown].map((_, n) => Math.max(...table.map(line => line[n]?.length ?? 0)))
  const aligned = (text: string, n: number) =>
    n === 0 ? text.padEnd(widths[n] ?? 0) : text.padStart(widths[n] ?? 0)
  const lines = table.map(line => line.map(aligned).join('  ').trimEnd())
  return [`\n${title}`, ...lines, ...notes.map(note => `* ${note}`)].join('\n')
}
