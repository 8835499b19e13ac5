import { html, type Html } from './html.ts'
import { when } from './format.ts'
import type { Language } from './language.ts'

const UNITS = [
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
] as const

/** `in 3 minutes`, `2 hours ago`: in the largest unit. */
export const fromNow = (at: Date, now: Date, language: Language): string => {
  const seconds = (at.getTime() - now.getTime()) / 1000
  const [unit, size] = UNITS.find(([, least]) => Math.abs(seconds) >= least) ?? ['second', 1]
  // Yesterday is a day of the calendar, and not 24 hours ago: only of seconds, "now" is better than zero of them.
  const numeric = unit === 'second' ? 'auto' : 'always'
  const told = new Intl.RelativeTimeFormat(language, { numeric }).format(
    Math.trunc(seconds / size),
    unit,
  )
  // Hebrew says "an hour" and "two hours" in a word each, and has the number after it for those who look for one.
  return told.replace(/ \([12]\)$/, '')
}

/** A moment as both: how far it is, and on the clock of the business. */
export const moment = (at: Date, now: Date, language: Language, timezone?: string): Html =>
  html`<span
    >${fromNow(at, now, language)}<br /><small>${when(at, language, timezone)}</small></span
  >`
