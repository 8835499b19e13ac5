/**
 * The two summaries that an owner gets: the digest of silent callers at 12:00 and 18:00, and the week in a line on Sunday at
 * 09:00. When they are due, and what they say: in the language of the tenant, without gender.
 */
import { DateTime } from 'luxon'
import { localNumber } from '../phone.ts'
import { type Language, LANGUAGES, MAX_VALUE_LENGTH } from '../whatsapp/templates.ts'
import { firstAllowed, type QuietSettings, quietTimesOf, zoneOf } from './quiet_hours.ts'

export type SummaryKind = 'digest' | 'week'

export type SummarySettings = QuietSettings & {
  ownerPhone: string
  /** In milliseconds. */
  grace: number
}

export type DueSummary = {
  kind: SummaryKind
  /** Unique within the tenant: digest:2026-11-30T12, week:2026-11-29. */
  occasion: string
  dueAt: Date
  /** What it is about: for the week, from Sunday to Sunday. */
  from: Date
  until: Date
}

/** By local time. */
const DIGEST_HOURS = [12, 18]
const WEEK_HOUR = 9
/** luxon counts weekdays from Monday = 1. */
const SUNDAY = 7

/**
 * The summaries that are due. A summary that falls into Shabbat or a holiday of the tenant waits for the end. Of those that wait
 * for the same end, only the last one is left. A summary that could not be sent within the grace is left out: never at night.
 */
export const dueSummaries = (now: Date, settings: SummarySettings): DueSummary[] => {
  const zone = zoneOf(settings.timezone)
  const today = DateTime.fromJSDate(now, { zone }).startOf('day')
  const sunday = today.minus({ days: today.weekday % SUNDAY })
  const weekOf = (day: DateTime) => ({
    kind: 'week' as const,
    at: day.set({ hour: WEEK_HOUR }),
    occasion: `week:${day.toISODate()}`,
    from: day.minus({ weeks: 1 }),
    until: day,
  })
  const digests = [today.minus({ days: 1 }), today].flatMap(day =>
    DIGEST_HOURS.map(hour => {
      const at = day.set({ hour })
      const occasion = `digest:${at.toFormat("yyyy-MM-dd'T'HH")}`
      return { kind: 'digest' as const, at, occasion, from: at, until: at }
    }),
  )
  const quiet = quietTimesOf('owner_notice', settings)
  const latest = (all: ((typeof digests)[number] | ReturnType<typeof weekOf>)[]) =>
    all.findLast(({ at }) => at.toMillis() <= now.getTime())
  return [latest(digests), latest([weekOf(sunday.minus({ weeks: 1 })), weekOf(sunday)])].flatMap(
    summary => {
      if (!summary) return []
      const { kind, at, occasion, from, until } = summary
      const dueAt = firstAllowed(at.toJSDate(), quiet, settings.ownerPhone)
      const late = now.getTime() - dueAt.getTime()
      if (late < 0 || late > settings.grace) return []
      return [{ kind, occasion, dueAt, from: from.toJSDate(), until: until.toJSDate() }]
    },
  )
}

const languageOf = (written: string): Language => LANGUAGES.find(one => one === written) ?? 'he'

type Texts = {
  waiting: (count: string) => string
  more: (count: string) => string
  /** Names are separated by this. */
  comma: string
  week: (figures: Record<Exclude<keyof WeekFigures, 'value'>, string>) => string
}
const TEXTS: Record<Language, Texts> = {
  he: {
    waiting: count =>
      count === '1' ? 'פנייה טלפונית אחת מחכה לתשובה' : `${count} פניות טלפוניות מחכות לתשובה`,
    more: count => `ועוד ${count}`,
    comma: ', ',
    week: one =>
      `סיכום השבוע: שיחות שלא נענו ${one.missed}, הודעות שנשלחו ${one.contacted}, השיבו ${one.replied}, שוחחו בטלפון ${one.reached}, נסגרו ${one.won}`,
  },
  en: {
    waiting: count =>
      count === '1' ? 'one caller waits for an answer' : `${count} callers wait for an answer`,
    more: count => `and ${count} more`,
    comma: ', ',
    week: one =>
      `last week: missed calls ${one.missed}, messages sent ${one.contacted}, replied ${one.replied}, reached by phone ${one.reached}, won ${one.won}`,
  },
  ar: {
    waiting: count => `مكالمات بانتظار الرد: ${count}`,
    more: count => `و${count} أخرى`,
    comma: '، ',
    week: one =>
      `الأسبوع الماضي: مكالمات فائتة ${one.missed}، رسائل مرسلة ${one.contacted}، ردود ${one.replied}، تواصل هاتفي ${one.reached}، صفقات ${one.won}`,
  },
  ru: {
    waiting: count => `ждут ответа после звонка: ${count}`,
    more: count => `и ещё ${count}`,
    comma: ', ',
    week: one =>
      `за прошлую неделю: пропущено звонков ${one.missed}, отправлено сообщений ${one.contacted}, ответили ${one.replied}, поговорили ${one.reached}, сделок ${one.won}`,
  },
}

/** A longer name in a profile is cut. */
const MAX_NAME = 20
/** `1000+` if there are more. */
export const MAX_LISTED = 1000

type Silent = { name: string | null; phone: string }

const entryOf = ({ name, phone }: Silent): string => {
  const shown = Array.from((name ?? '').replace(/\s+/g, ' ').trim())
    .slice(0, MAX_NAME)
    .join('')
  return `${shown} ${localNumber(phone)}`.trim()
}

/**
 * The digest. It names as many people as fit into a variable of a template.
 *
 * @param people the newest first, at most MAX_LISTED
 * @param link it stands at the end
 */
export const digestText = (people: readonly Silent[], language: string, link: string): string => {
  const texts = TEXTS[languageOf(language)]
  const count = people.length < MAX_LISTED ? String(people.length) : `${MAX_LISTED}+`
  const withFirst = (named: number): string => {
    const names = people.slice(0, named).map(entryOf).join(texts.comma)
    const rest = people.length - named
    const more = people.length < MAX_LISTED ? String(rest) : `${rest}+`
    const list = rest > 0 ? `${names} ${texts.more(more)}` : names
    return `– ${texts.waiting(count)}: ${list}. ${link}`
  }
  let named = 1
  while (named < people.length && withFirst(named + 1).length <= MAX_VALUE_LENGTH) named++
  return withFirst(named)
}

export type WeekFigures = {
  missed: number
  contacted: number
  replied: number
  reached: number
  won: number
  value: number
}

/** The week in a line. Null = nothing happened. */
export const weekText = (figures: WeekFigures, language: string): string | null => {
  if (Object.values(figures).every(figure => figure === 0)) return null
  const number = new Intl.NumberFormat('en-US', { maximumFractionDigits: 2 })
  const shown = {
    missed: number.format(figures.missed),
    contacted: number.format(figures.contacted),
    replied: number.format(figures.replied),
    reached: number.format(figures.reached),
    // The pages show amounts in the same currency.
    won:
      number.format(figures.won) + (figures.value > 0 ? ` (₪${number.format(figures.value)})` : ''),
  }
  return `– ${TEXTS[languageOf(language)].week(shown)}`
}
