import type { ConversationKind } from '../states.ts'

/** Each kind of message has a template, which Meta has approved under its name and language. */
export type TemplateKind = ConversationKind | 'owner_notice'

/** What the variables of a template may stand for. */
export const VARIABLES = [
  'business_name',
  /** The name in the caller's WhatsApp profile, or UNKNOWN_NAME. */
  'caller_name',
  /** The local time of the call: 14:05. */
  'call_time',
  /** The caller's number: 052-345-6789, or with a plus if it is not Israeli. WhatsApp makes it a link. */
  'caller_phone',
  /** In a notice to the owner. */
  'what_happened',
] as const
export type Variable = (typeof VARIABLES)[number]
/** The columns of the tables hold texts. */
export const isVariable = (name: string): name is Variable => VARIABLES.some(one => one === name)
export type Values = Record<Variable, string>

/** The languages of our templates, by Meta's codes. */
export const LANGUAGES = ['he', 'en', 'ar', 'ru'] as const
export type Language = (typeof LANGUAGES)[number]

const UNKNOWN_NAMES: Record<Language, string> = {
  he: 'לקוח/ה',
  en: 'a customer',
  ar: 'زبون/ة',
  ru: 'клиент',
}

/** For the owner. Customers may be addressed by the names above. */
const UNKNOWN_CALLERS: Record<Language, string> = {
  he: 'מספר לא מוכר',
  en: 'unknown number',
  ar: 'رقم غير معروف',
  ru: 'неизвестный номер',
}

/** Stands for a name that is not known, because Meta refuses empty variables. */
export const unknownName = (language: string, isNotice = false): string =>
  (isNotice ? UNKNOWN_CALLERS : UNKNOWN_NAMES)[LANGUAGES.find(one => one === language) ?? 'he']

export type Template = {
  name: string
  language: string
  /** What {{1}}, {{2}} ... stand for, in order. */
  variables: readonly Variable[]
}

/** Free text: the person's own message has opened the 24-hour window. */
export const OPT_OUT_CONFIRMATIONS: Record<Language, string> = {
  he: 'הוסרת. לא נשלח אליך הודעות נוספות. לחזרה השיבו: התחל',
  en: 'You were removed and will get no more messages. To get them again, reply: START',
  ar: 'تمت إزالتك ولن تصلك رسائل أخرى. للعودة يرجى الرد بكلمة: ابدأ',
  ru: 'Вы удалены из списка и больше не получите сообщений. Чтобы вернуться, ответьте: СТАРТ',
}

/** With values up to this length, the default texts fit into Meta's 1,024 characters for a body. */
export const MAX_VALUE_LENGTH = 300

/**
 * Fills in a template. Meta refuses a value that is empty, or has line breaks, tabs or more than four spaces in a row
 * (132018), and a body that is too long (132005).
 */
export const fill = ({ name, language, variables }: Template, values: Values) => ({
  template: name,
  language,
  variables: variables.map(
    variable =>
      oneLine(values[variable]) || (variable === 'caller_name' ? unknownName(language) : '-'),
  ),
})

/** Removes half of a surrogate pair at the end. */
const oneLine = (value: string, longest = MAX_VALUE_LENGTH): string =>
  value
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, longest)
    .replace(/[\ud800-\udbff]$/, '')

/** A value that ends with a link, if there is one. The text is cut, so that the link stays whole. */
export const withLink = (text: string, link: { url: string } | null): string =>
  link ? `${oneLine(text, Math.max(0, MAX_VALUE_LENGTH - link.url.length - 1))} ${link.url}` : text

/**
 * The text that a person reads: a body with {{1}}, {{2}} ... filled in. A variable without a value stays as it is.
 *
 * @param values in order: the `variables` of `fill`
 */
export const filledText = (body: string, values: readonly string[]): string =>
  body.replace(PLACEHOLDER, (whole, n: string) => values[Number(n) - 1] ?? whole)

const PLACEHOLDER = /{{\s*(\d+)\s*}}/g

/** How many values a body needs. */
export const placeholdersIn = (body: string): number =>
  Math.max(0, ...[...body.matchAll(PLACEHOLDER)].map(([, n]) => Number(n)))

/** `other` = a button that Ringback does not know. It gets no payload, and a tap on it is a reply with its label. */
export const BUTTONS = ['callback', 'stop', 'other'] as const
export type Button = (typeof BUTTONS)[number]

/** The local time in a time zone such as Asia/Jerusalem. */
export const callTime = (at: Date, timezone: string): string =>
  new Intl.DateTimeFormat('he-IL', {
    timeZone: timezone,
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  }).format(at)
