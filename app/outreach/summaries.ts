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
  effect: (effect: Effect) => string
}
const TEXTS: Record<Language, Texts> = {
  he: {
    waiting: count =>
      count === '1' ? 'פנייה טלפונית אחת מחכה לתשובה' : `${count} פניות טלפוניות מחכות לתשובה`,
    more: count => `ועוד ${count}`,
    comma: ', ',
    week: one =>
      `סיכום השבוע: שיחות שלא נענו ${one.missed}, הודעות שנשלחו ${one.contacted}, השיבו ${one.replied}, שוחחו בטלפון ${one.reached}, נסגרו ${one.won}`,
    effect: effect => {
      switch (effect.kind) {
        case 'unknown':
          return 'תרומת ההודעות: עדיין אין די נתונים'
        case 'more':
          return `תרומת ההודעות: מכל 100 מתקשרים חזרו עוד ${effect.points} (בין ${effect.from} ל־${effect.to})`
        case 'fewer':
          return `תרומת ההודעות: מכל 100 מתקשרים חזרו ${effect.points} פחות (בין ${effect.from} ל־${effect.to})`
        case 'unclear':
          return `תרומת ההודעות: אין הבדל ברור (בין \u200e${effect.from} ל־\u200e${effect.to} מכל 100 מתקשרים)`
      }
    },
  },
  en: {
    waiting: count =>
      count === '1' ? 'one caller waits for an answer' : `${count} callers wait for an answer`,
    more: count => `and ${count} more`,
    comma: ', ',
    week: one =>
      `last week: missed calls ${one.missed}, messages sent ${one.contacted}, replied ${one.replied}, reached by phone ${one.reached}, won ${one.won}`,
    effect: effect => {
      switch (effect.kind) {
        case 'unknown':
          return 'effect of the messages: not enough data yet'
        case 'more':
          return `because of the messages, ${effect.points} more of 100 callers came back (between ${effect.from} and ${effect.to})`
        case 'fewer':
          return `with the messages, ${effect.points} fewer of 100 callers came back (between ${effect.from} and ${effect.to})`
        case 'unclear':
          return `the messages make no clear difference (between ${effect.from} and ${effect.to} of 100 callers)`
      }
    },
  },
  ar: {
    waiting: count => `مكالمات بانتظار الرد: ${count}`,
    more: count => `و${count} أخرى`,
    comma: '، ',
    week: one =>
      `الأسبوع الماضي: مكالمات فائتة ${one.missed}، رسائل مرسلة ${one.contacted}، ردود ${one.replied}، تواصل هاتفي ${one.reached}، صفقات ${one.won}`,
    effect: effect => {
      switch (effect.kind) {
        case 'unknown':
          return 'أثر الرسائل: لا توجد بيانات كافية بعد'
        case 'more':
          return `أثر الرسائل: عاد ${effect.points} متصلًا إضافيًا من كل 100 (بين ${effect.from} و${effect.to})`
        case 'fewer':
          return `أثر الرسائل: عاد ${effect.points} متصلًا أقل من كل 100 (بين ${effect.from} و${effect.to})`
        case 'unclear':
          return `أثر الرسائل: لا فرق واضح (بين \u200e${effect.from} و\u200e${effect.to} من كل 100 متصل)`
      }
    },
  },
  ru: {
    waiting: count => `ждут ответа после звонка: ${count}`,
    more: count => `и ещё ${count}`,
    comma: ', ',
    week: one =>
      `за прошлую неделю: пропущено звонков ${one.missed}, отправлено сообщений ${one.contacted}, ответили ${one.replied}, поговорили ${one.reached}, сделок ${one.won}`,
    effect: effect => {
      switch (effect.kind) {
        case 'unknown':
          return 'эффект сообщений: данных пока мало'
        case 'more':
          return `эффект сообщений: из 100 звонивших вернулось на ${effect.points} больше (от ${effect.from} до ${effect.to})`
        case 'fewer':
          return `эффект сообщений: из 100 звонивших вернулось на ${effect.points} меньше (от ${effect.from} до ${effect.to})`
        case 'unclear':
          return `эффект сообщений: явной разницы нет (от ${effect.from} до ${effect.to} из 100 звонивших)`
      }
    },
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

/** The callers of one arm: those who got messages, or the control group (recovery_lift() in sql/0006_reports.sql). */
export type LiftArm = { callers: number; recovered: number; rate: number | null }
/** Rates and their difference are shares of 1. Null = an arm has no callers. */
export type Lift = {
  outreach: LiftArm
  holdout: LiftArm
  lift: number | null
  low: number | null
  high: number | null
  /** False = not enough data yet, and the figures say nothing. */
  enough: boolean
}

/** How many more or fewer of 100 callers come back because of the messages: between `from` and `to`. */
export type Effect =
  | { kind: 'unknown' }
  | { kind: 'more' | 'fewer' | 'unclear'; points: number; from: number; to: number }

/** Adding 0 turns -0 into 0. */
const inHundred = (share: number): number => Math.round(share * 100) + 0

/** What the control group shows, in whole callers of 100. */
export const effectOf = ({ lift, low, high, enough }: Lift): Effect => {
  if (!enough || lift === null || low === null || high === null) return { kind: 'unknown' }
  const [points, from, to] = [inHundred(lift), inHundred(low), inHundred(high)]
  if (low > 0) return { kind: 'more', points, from, to }
  if (high < 0) return { kind: 'fewer', points: -points, from: -to, to: -from }
  return { kind: 'unclear', points, from, to }
}

/**
 * The week in a line. Null = nothing happened.
 *
 * @param lift null = there is no control group
 */
export const weekText = (
  figures: WeekFigures,
  language: string,
  lift: Lift | null = null,
): string | null => {
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
  const texts = TEXTS[languageOf(language)]
  const line = `– ${texts.week(shown)}`
  return lift ? `${line}. ${texts.effect(effectOf(lift))}` : line
}
