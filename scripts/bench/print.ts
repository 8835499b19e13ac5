/** A section as a table for people: medians, and below the decisive figure its spread. */
import { least, median, most, type Rounds, type Section } from './result.ts'

const NUMBER = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 })
const WHOLE = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })

const written = (value: number | null): string =>
  value === null ? '' : Math.abs(value) >= 1000 ? WHOLE.format(value) : NUMBER.format(value)

/** `median (least-most)`; a single round has no spread. */
const cell = (rounds: Rounds | undefined): string => {
  const middle = median(rounds ?? [])
  if (!rounds || middle === null) return ''
  const spread = `${written(least(rounds))}-${written(most(rounds))}`
  return rounds.length > 1 ? `${written(middle)} (${spread})` : written(middle)
}

export const print = ({ title, rows, notes }: Section): string => {
  const names = [...new Set(rows.flatMap(({ figures }) => Object.keys(figures)))]
  const shown = names.filter(name => rows.some(({ figures }) => cell(figures[name])))
  const table = [
    ['', ...shown],
    ...rows.map(({ name, figures }) => [name, ...shown.map(figure => cell(figures[figure]))]),
  ]
  const widths = ['', ...shown].map((_, n) => Math.max(...table.map(line => line[n]?.length ?? 0)))
  const lines = table.map(line =>
    line
      .map((text, n) => (n === 0 ? text.padEnd(widths[n] ?? 0) : text.padStart(widths[n] ?? 0)))
      .join('  ')
      .trimEnd(),
  )
  return [`\n${title}`, ...lines, ...notes.map(note => `* ${note}`)].join('\n')
}
