/** Dates, times, phone numbers and spans of time, as they are shown and as they are entered. */
import { localNumber } from '../../phone.ts'
import { html, type Html } from './html.ts'
import type { Language } from './language.ts'

/** The default of `tenants.timezone`, and the zone of pages about several tenants. */
export const DEFAULT_TIMEZONE = 'Asia/Jerusalem'

/** `today 14:05`, `Fri 27 Nov 14:05`: for a sentence. Without seconds: the attribute has the exact time. */
export const dateTime = (
  at: Date | null,
  language: Language,
  timezone: string,
  now = new Date(),
): Html => {
  if (!at) return html`–`
  const day = dayName(at, now, language, timezone)
  return timeElement(at, /\d/.test(day) ? day : day.toLowerCase(), language, timezone)
}

/** `Fri 16:07`; with the date if that is not within a week. */
export const weekdayTime = (at: Date, now: Date, language: Language, timezone: string): string => {
  const isSoon = Math.abs(at.getTime() - now.getTime()) < 6 * UNITS[0][1] * 1000
  const parts = new Intl.DateTimeFormat(language === 'he' ? 'he-IL' : 'en-GB', {
    timeZone: timezone,
    weekday: 'short',
    day: 'numeric',
    month: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  }).formatToParts(at)
  const part = (type: string) => parts.find(one => one.type === type)?.value ?? ''
  const date = isSoon ? '' : ` ${part('day')} ${part('month')}`
  return `${part('weekday')}${date} ${part('hour')}:${part('minute')}`
}

const MAX_DAYS_WITHOUT_YEAR = 180

/** `14:05` */
export const clockTime = (at: Date, language: Language, timezone: string): string =>
  formatted(at, language, timezone, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })

/** `Today`, `Yesterday`, `Fri 27 Nov`, `27 Nov 2025`. */
export const dayName = (at: Date, now: Date, language: Language, timezone: string): string => {
  const days = Math.round(
    (dayNumber(at, timezone) - dayNumber(now, timezone)) / (UNITS[0][1] * 1000),
  )
  if (Math.abs(days) > MAX_DAYS_WITHOUT_YEAR)
    return formatted(at, language, timezone, { day: 'numeric', month: 'short', year: 'numeric' })
  if (Math.abs(days) > 1)
    return formatted(at, language, timezone, { weekday: 'short', day: 'numeric', month: 'short' })
  const name = new Intl.RelativeTimeFormat(language, { numeric: 'auto' }).format(days, 'day')
  return name.charAt(0).toUpperCase() + name.slice(1)
}

/** The date in a time zone, as a number. */
const dayNumber = (at: Date, timezone: string): number =>
  Date.parse(formatted(at, 'iso', timezone, { year: 'numeric', month: '2-digit', day: '2-digit' }))

/** `Today 14:05`, `Fri 27 Nov 14:05` */
export const dayTime = (at: Date, now: Date, language: Language, timezone: string): Html =>
  timeElement(at, dayName(at, now, language, timezone), language, timezone)

const timeElement = (at: Date, day: string, language: Language, timezone: string): Html =>
  html`<time datetime="${at.toISOString()}">${day} ${clockTime(at, language, timezone)}</time>`

const formats = new Map<string, Intl.DateTimeFormat>()

const formatted = (
  at: Date,
  language: Language | 'iso',
  timeZone: string,
  options: Intl.DateTimeFormatOptions,
): string => {
  const key = JSON.stringify([language, timeZone, options])
  const locale = { he: 'he-IL', en: 'en-GB', iso: 'en-CA' }[language]
  const format = formats.get(key) ?? new Intl.DateTimeFormat(locale, { timeZone, ...options })
  formats.set(key, format)
  return format.format(at)
}

export const telephone = (e164: string | null): Html =>
  html`<bdi dir="ltr">${e164 === null ? '–' : localNumber(e164)}</bdi>`

/** The same for plain text: Unicode characters keep it from left to right. */
export const telephoneText = (e164: string): string => `\u2066${localNumber(e164)}\u2069`

const UNITS = [
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
] as const

/** `₪1,200`: without agorot. */
export const money = (amount: number, language: Language): string =>
  new Intl.NumberFormat(language, {
    style: 'currency',
    currency: 'ILS',
    maximumFractionDigits: 0,
  }).format(amount)

/** `3 minutes`: in the largest unit, never negative. */
export const duration = (seconds: number, language: Language): string => {
  const [unit, size] = UNITS.find(([, least]) => seconds >= least) ?? ['second', 1]
  return new Intl.NumberFormat(language, { style: 'unit', unit, unitDisplay: 'long' }).format(
    Math.max(0, Math.floor(seconds / size)),
  )
}

/** `in 3 minutes`, `2 hours ago`: in the largest unit. */
export const relativeTime = (at: Date, now: Date, language: Language): string => {
  const seconds = (at.getTime() - now.getTime()) / 1000
  const [unit, size] = UNITS.find(([, least]) => Math.abs(seconds) >= least) ?? ['second', 1]
  // `auto` says "now" instead of "in 0 seconds". It would also say "yesterday" for 24 hours ago, which can be wrong.
  const numeric = unit === 'second' ? 'auto' : 'always'
  const text = new Intl.RelativeTimeFormat(language, { numeric }).format(
    Math.trunc(seconds / size),
    unit,
  )
  // Intl adds the number to the Hebrew words for one and two hours.
  return text.replace(/ \([12]\)$/, '')
}

export const relativeDateTime = (at: Date, now: Date, language: Language, timezone: string): Html =>
  html`<span
    >${relativeTime(at, now, language)}<br /><small
      >${dateTime(at, language, timezone)}</small
    ></span
  >`

/** The first word is the one that we write, after a number. */
const HEBREW_UNITS = {
  day: ['ימים', 'יום'],
  hour: ['שעות', 'שעה'],
  minute: ['דקות', 'דקה'],
  second: ['שניות', 'שנייה', 'שניה'],
} as const

/** A stored span such as `2 minutes`, in the visitor's language. */
export const formatSpan = (language: Language, span: string): string =>
  language === 'en'
    ? span
    : Object.entries(HEBREW_UNITS).reduce(
        (text, [unit, [many, one]]) =>
          text.replace(new RegExp(`\\b(\\d+) ${unit}s?\\b`), (_, count: string) =>
            count === '1' ? `1 ${one}` : `${count} ${many}`,
          ),
        span,
      )

/** A span as it was entered in either language, in the form that `interval` of app/tenants/schema.ts reads. */
export const parseSpan = (entered: string): string =>
  Object.entries(HEBREW_UNITS)
    .reduce(
      // A unit without a number means one: שעה is 1 hour.
      (span, [unit, words]) =>
        span.replace(
          new RegExp(`(\\d+)? ?(?:${words.join('|')})`, 'g'),
          (_, count = '1') => ` ${count} ${unit}s `,
        ),
      entered
        .replace(/יומיים/g, '2 ימים')
        .replace(/שעתיים/g, '2 שעות')
        .replace(/ ו-?(?=\d|[א-ת])/g, ' '),
    )
    .replace(/\s+/g, ' ')
    .trim()

/** The letter, which is what we write, and the name. */
const HEBREW_DAYS = {
  sun: ['א', 'ראשון'],
  mon: ['ב', 'שני'],
  tue: ['ג', 'שלישי'],
  wed: ['ד', 'רביעי'],
  thu: ['ה', 'חמישי'],
  fri: ['ו', 'שישי'],
  sat: ['ש', 'שבת'],
} as const

const days = Object.entries(HEBREW_DAYS)

/** The windows that are words. */
const WINDOW_WORDS: Record<Language, Record<string, string>> = {
  en: { shabbat: 'Shabbat', holidays: 'holidays' },
  he: { shabbat: 'שבת', holidays: 'חגים' },
}

/** A stored quiet window such as `fri 15:00-sat 20:30` or `shabbat`, in the visitor's language. */
export const formatWindow = (language: Language, window: string): string =>
  WINDOW_WORDS[language][window] ??
  (language === 'en'
    ? window
    : days.reduce((text, [day, [letter]]) => text.replaceAll(day, `${letter}׳`), window))

/** A quiet window as it was entered in either language, in the form that `quietWindows` of app/tenants/schema.ts reads. */
export const parseWindow = (entered: string): string =>
  Object.entries(WINDOW_WORDS.he).find(([, word]) => word === entered.trim())?.[0] ??
  days.reduce(
    // Only a whole word before a time is a day: the letters of one day's name are the letters of other days.
    (window, [day, [letter, name]]) =>
      window.replace(
        new RegExp(`(?<![א-ת])(?:יום )?(?:${name}|${letter}[׳'’]?) ?(?=\\d)`, 'g'),
        `${day} `,
      ),
    entered.replace(/ עד (?:ל?יום )?/g, '-').replaceAll('ששי', 'שישי'),
  )
