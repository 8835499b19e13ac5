import { html, type Html } from '../html.ts'
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
  return new Intl.RelativeTimeFormat(language).format(Math.trunc(seconds / size), unit)
}

/** A moment as both: how far it is, and on the clock of the business. */
export const moment = (at: Date, now: Date, language: Language, timezone?: string): Html =>
  html`<span
    >${fromNow(at, now, language)}<br /><small>${when(at, language, timezone)}</small></span
  >`
