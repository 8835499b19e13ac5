/** What a message of each kind says: a template, approved by Meta under this name and language. */

export type TemplateKind = 'initial' | 'reminder_1' | 'reminder_2' | 'owner_notice'

/** What a template's variables may be filled with. */
export const VARIABLES = [
  'business_name',
  /** As she calls herself on WhatsApp, or UNKNOWN_NAME. */
  'caller_name',
  /** When she called, on the tenant's wall clock: 14:05. */
  'call_time',
  /** Her number with the plus, which WhatsApp turns into something to tap. */
  'caller_phone',
  /** Of a notice to the owner: what the notice is about. */
  'what_happened',
] as const
export type Variable = (typeof VARIABLES)[number]
export type Values = Record<Variable, string>

/** A template's variable must not be empty. */
export const UNKNOWN_NAME = 'לקוח/ה'

export type Template = {
  name: string
  language: string
  /** What {{1}}, {{2}} ... stand for, in order. */
  variables: readonly Variable[]
}

/**
 * What is used unless a connection says otherwise. The texts are what to submit to Meta (docs/templates.md):
 * they state what happened, name the business, offer nothing, and say how to be left alone. More would
 * be an advertisement, which needs consent. A text may neither begin nor end with a variable.
 */
export const DEFAULT_TEMPLATES: Record<TemplateKind, Template & { text: string }> = {
  initial: {
    name: 'ringback_missed_call',
    language: 'he',
    text: 'שלום, כאן {{1}}. ראינו שהתקשרת אלינו בשעה {{2}} ולא הספקנו לענות. אפשר להשיב כאן ונחזור אליך. להסרה השיבו: הסר',
    variables: ['business_name', 'call_time'],
  },
  reminder_1: {
    name: 'ringback_reminder_1',
    language: 'he',
    text: 'שלום, שוב {{1}}, לגבי השיחה שלך בשעה {{2}}. עדיין אפשר להשיב כאן ונחזור אליך. להסרה השיבו: הסר',
    variables: ['business_name', 'call_time'],
  },
  reminder_2: {
    name: 'ringback_reminder_2',
    language: 'he',
    text: 'שלום, כאן {{1}}. לא שמענו ממך מאז השיחה בשעה {{2}}, וזו הודעתנו האחרונה בעניין. אפשר להשיב כאן. להסרה השיבו: הסר',
    variables: ['business_name', 'call_time'],
  },
  owner_notice: {
    name: 'ringback_owner_notice',
    language: 'he',
    text: 'עדכון מ-Ringback: {{1}} ({{2}}) {{3}} — זה הזמן לחזור אליו/אליה.',
    variables: ['caller_name', 'caller_phone', 'what_happened'],
  },
}

/** Sent as free text, in the window that her own message has opened. */
export const OPT_OUT_CONFIRMATION = 'הוסרת. לא נשלח אליך הודעות נוספות. לחזרה השיבו: התחל'

/** The longest value that leaves the default texts within Meta's 1,024 characters for a body. */
const LONGEST_VALUE = 300

/**
 * A template with its variables filled in. Meta refuses values that are empty, or with line breaks, tabs or
 * more than four spaces in a row (132018), and a body that grows too long (132005).
 */
export const fill = ({ name, language, variables }: Template, values: Values) => ({
  template: name,
  language,
  variables: variables.map(
    variable => oneLine(values[variable]) || (variable === 'caller_name' ? UNKNOWN_NAME : '-'),
  ),
})

/** Half of a character that the cut went through is no text. */
const oneLine = (value: string): string =>
  value
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, LONGEST_VALUE)
    .replace(/[\ud800-\udbff]$/, '')

/** Hours and minutes on a wall clock in that zone (an IANA name such as Asia/Jerusalem). */
export const callTime = (at: Date, timezone: string): string =>
  new Intl.DateTimeFormat('he-IL', {
    timeZone: timezone,
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  }).format(at)
