/** Spans of time in a form, in the visitor's language. They are stored and read as `2 minutes`. Pure. */
import type { Language } from './language.ts'

/** The first is what we write, after a number. */
const UNITS = {
  day: ['ימים', 'יום'],
  hour: ['שעות', 'שעה'],
  minute: ['דקות', 'דקה'],
  second: ['שניות', 'שנייה', 'שניה'],
} as const

/** `2 minutes` as it is shown. */
export const spanText = (language: Language, span: string): string =>
  language === 'en'
    ? span
    : Object.entries(UNITS).reduce(
        (text, [unit, [many, one]]) =>
          text.replace(new RegExp(`\\b(\\d+) ${unit}s?\\b`), (_, count: string) =>
            count === '1' ? `1 ${one}` : `${count} ${many}`,
          ),
        span,
      )

/** What somebody entered, in either language, as `span` of app/tenants reads it. */
export const spanFrom = (text: string): string =>
  Object.entries(UNITS)
    .reduce(
      // A number in front belongs to it; `שעה` alone is one, `שעתיים` are two.
      (span, [unit, words]) =>
        span.replace(
          new RegExp(`(\\d+)? ?(?:${words.join('|')})`, 'g'),
          (_, count = '1') => ` ${count} ${unit}s `,
        ),
      text
        .replace(/יומיים/g, '2 ימים')
        .replace(/שעתיים/g, '2 שעות')
        .replace(/ ו-?(?=\d|[א-ת])/g, ' '),
    )
    .replace(/\s+/g, ' ')
    .trim()
