import { z } from 'zod'

const SECONDS = { day: 86_400, hour: 3600, minute: 60, second: 1 }
type Unit = keyof typeof SECONDS
const UNITS: Unit[] = ['day', 'hour', 'minute', 'second']

/** Longer than anything here is good for, and far within what Postgres calls an interval. */
const LONGEST = 365 * SECONDS.day

const SPAN =
  /^(?:(?<day>\d+) ?d(?:ays?)?)? ?(?:(?<hour>\d+) ?h(?:(?:ou)?rs?)?)? ?(?:(?<minute>\d+) ?m(?:in(?:ute)?s?)?)? ?(?:(?<second>\d+) ?s(?:ec(?:ond)?s?)?)?$/

/** `2 minutes`, `90s`, `24h`, `1 day 12 hours` as seconds; null for anything else. */
export const readSpan = (written: string): number | null => {
  const text = written.trim().toLowerCase().replace(/\s+/g, ' ')
  const parts = text === '' ? undefined : SPAN.exec(text)?.groups
  if (!parts) return text === '0' ? 0 : null
  return UNITS.reduce((sum, unit) => sum + Number(parts[unit] ?? 0) * SECONDS[unit], 0)
}

/** As a person says it, and as `readSpan` reads it. Up to two days in hours: `24 hours`, `3 days`. */
export const writeSpan = (seconds: number): string => {
  let rest = seconds
  const parts = UNITS.flatMap(unit => {
    if (unit === 'day' && rest < 2 * SECONDS.day) return []
    const count = unit === 'second' ? rest : Math.floor(rest / SECONDS[unit])
    rest -= count * SECONDS[unit]
    return count ? [`${count} ${unit}${count === 1 ? '' : 's'}`] : []
  })
  return parts.join(' ') || '0 seconds'
}

/** A time span as it is written by hand; seconds. */
export const span = z.string().transform((written, context) => {
  const seconds = readSpan(written)
  if (seconds !== null && seconds <= LONGEST) return seconds
  context.addIssue('a time such as 2 minutes, 90s, 24h or 1 day, and at most 365 days')
  return z.NEVER
})
