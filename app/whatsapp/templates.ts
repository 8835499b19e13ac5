/** What a message of each kind says: a template, approved by Meta under this name and language. */

export type MessageKind = 'initial' | 'reminder_1' | 'reminder_2'

/** What a template's variables may be filled with. */
export type Values = {
  business_name: string
  /** When the customer called, on the tenant's wall clock: 14:05. */
  call_time: string
}

type Template = {
  name: string
  language: string
  category: 'utility'
  /** The text to submit to Meta. It may neither begin nor end with a variable. */
  body: string
  /** What {{1}}, {{2}} ... stand for, in order. */
  variables: readonly (keyof Values)[]
}

/**
 * What is used unless a connection says otherwise. They state what happened, name the business, offer
 * nothing, and say how to be left alone: more would be an advertisement, which needs consent.
 */
export const DEFAULT_TEMPLATES: Record<MessageKind, Template> = {
  initial: {
    name: 'ringback_missed_call',
    language: 'he',
    category: 'utility',
    body: 'שלום, כאן {{1}}. ראינו שהתקשרת אלינו בשעה {{2}} ולא הספקנו לענות. אפשר להשיב כאן ונחזור אליך. להסרה השיבו: הסר',
    variables: ['business_name', 'call_time'],
  },
  reminder_1: {
    name: 'ringback_reminder_1',
    language: 'he',
    category: 'utility',
    body: 'שלום, שוב {{1}}, לגבי השיחה שלך בשעה {{2}}. עדיין אפשר להשיב כאן ונחזור אליך. להסרה השיבו: הסר',
    variables: ['business_name', 'call_time'],
  },
  reminder_2: {
    name: 'ringback_reminder_2',
    language: 'he',
    category: 'utility',
    body: 'שלום, כאן {{1}}. לא שמענו ממך מאז השיחה בשעה {{2}}, וזו הודעתנו האחרונה בעניין. אפשר להשיב כאן. להסרה השיבו: הסר',
    variables: ['business_name', 'call_time'],
  },
}

/** The template of a message, filled in. */
export const templateFor = (kind: MessageKind, values: Values) => {
  const { name, language, variables } = DEFAULT_TEMPLATES[kind]
  return { template: name, language, variables: variables.map(variable => values[variable]) }
}

/** Hours and minutes on a wall clock in that zone (an IANA name such as Asia/Jerusalem). */
export const callTime = (at: Date, timezone: string): string =>
  new Intl.DateTimeFormat('he-IL', {
    timeZone: timezone,
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  }).format(at)
