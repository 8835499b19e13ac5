/** Quiet times in a form, in the visitor's language. They are stored and read as `fri 15:00-sat 20:30`. Pure. */
import type { Language } from './language.ts'

/** The letter, which is what we write, and the name. */
const DAYS = {
  sun: ['א', 'ראשון'],
  mon: ['ב', 'שני'],
  tue: ['ג', 'שלישי'],
  wed: ['ד', 'רביעי'],
  thu: ['ה', 'חמישי'],
  fri: ['ו', 'שישי'],
  sat: ['ש', 'שבת'],
} as const

const days = Object.entries(DAYS)

/** `fri 15:00-sat 20:30` as it is shown. */
export const windowText = (language: Language, window: string): string =>
  language === 'en'
    ? window
    : days.reduce((text, [day, [letter]]) => text.replaceAll(day, `${letter}׳`), window)

/** What somebody entered, in either language, as `quietWindows` of app/tenants reads it. */
export const windowFrom = (text: string): string =>
  days.reduce(
    // Before a time only, and as a whole word: the letters of the names are those of other days.
    (window, [day, [letter, name]]) =>
      window.replace(
        new RegExp(`(?<![א-ת])(?:יום )?(?:${name}|${letter}[׳'’]?) ?(?=\\d)`, 'g'),
        `${day} `,
      ),
    text.replace(/ עד (?:ל?יום )?/g, '-').replaceAll('ששי', 'שישי'),
  )
