import { html, type Html } from './html.ts'
import type { Language } from './language.ts'

/** Until a business says otherwise. */
export const HOME = 'Asia/Jerusalem'

const formats = new Map<string, Intl.DateTimeFormat>()

/** Making one costs more than using it a thousand times. */
const formatFor = (language: Language, timezone: string): Intl.DateTimeFormat => {
  const key = `${language} ${timezone}`
  const known = formats.get(key)
  if (known) return known
  const made = new Intl.DateTimeFormat(language === 'he' ? 'he-IL' : 'en-GB', {
    timeZone: timezone,
    day: 'numeric',
    month: 'short',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23',
  })
  formats.set(key, made)
  return made
}

/** A moment, on the clock of the business. */
export const when = (at: Date | null, language: Language, timezone = HOME): Html =>
  at
    ? html`<time datetime="${at.toISOString()}">${formatFor(language, timezone).format(at)}</time>`
    : html`–`

/** A telephone number, as people here write it; foreign ones as they are. From left to right in any text. */
export const telephone = (e164: string | null): Html =>
  html`<bdi dir="ltr">${e164 === null ? '–' : asWritten(e164)}</bdi>`

/** The same where there is only text, as in a notice. */
export const telephoneText = (e164: string): string => `\u2066${asWritten(e164)}\u2069`

const asWritten = (e164: string): string => {
  const [, area = '', a = '', b = ''] = /^\+972(5\d|7\d|[23489])(\d{3})(\d{4})$/.exec(e164) ?? []
  return area ? `0${area}-${a}-${b}` : e164
}

const UNITS = [
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
] as const

/** How long, in its largest unit: 3 minutes. Never negative. */
export const span = (seconds: number, language: Language): string => {
  const [unit, size] = UNITS.find(([, least]) => seconds >= least) ?? ['second', 1]
  return new Intl.NumberFormat(language, { style: 'unit', unit, unitDisplay: 'long' }).format(
    Math.max(0, Math.floor(seconds / size)),
  )
}
