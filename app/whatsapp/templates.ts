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
  /** The caller's number with the plus. WhatsApp makes it a link. */
  'caller_phone',
  /** In a notice to the owner. */
  'what_happened',
] as const
export type Variable = (typeof VARIABLES)[number]
/** The columns of the tables hold texts. */
export const isVariable = (name: string): name is Variable => VARIABLES.some(one => one === name)
export type Values = Record<Variable, string>

/** Meta refuses empty variables. */
export const UNKNOWN_NAME = 'לקוח/ה'

export type Template = {
  name: string
  language: string
  /** What {{1}}, {{2}} ... stand for, in order. */
  variables: readonly Variable[]
}

/**
 * The templates of a connection that has no others. Their texts must be submitted to Meta (docs/templates.md). They say what
 * happened, name the business, offer nothing, and say how to opt out. Any other content would make a text an advertisement, which
 * needs consent. They do not claim that the person has not been heard from: they may have called again. A text must not begin or end with a variable.
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
    text: 'שלום, כאן {{1}}. זו הודעתנו האחרונה לגבי השיחה שלך בשעה {{2}}. אפשר להשיב כאן ונחזור אליך. להסרה השיבו: הסר',
    variables: ['business_name', 'call_time'],
  },
  owner_notice: {
    name: 'ringback_owner_notice',
    language: 'he',
    text: 'עדכון מ-Ringback: {{1}} ({{2}}) {{3}} — זה הזמן לחזור אליו/אליה.',
    variables: ['caller_name', 'caller_phone', 'what_happened'],
  },
}

/** Free text: the person's own message has opened the 24-hour window. */
export const OPT_OUT_CONFIRMATION = 'הוסרת. לא נשלח אליך הודעות נוספות. לחזרה השיבו: התחל'

/** With values up to this length, the default texts fit into Meta's 1,024 characters for a body. */
const LONGEST_VALUE = 300

/**
 * Fills in a template. Meta refuses a value that is empty, or has line breaks, tabs or more than four spaces in a row
 * (132018), and a body that is too long (132005).
 */
export const fill = ({ name, language, variables }: Template, values: Values) => ({
  template: name,
  language,
  variables: variables.map(
    variable => oneLine(values[variable]) || (variable === 'caller_name' ? UNKNOWN_NAME : '-'),
  ),
})

/** Removes half of a surrogate pair at the end. */
const oneLine = (value: string): string =>
  value
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, LONGEST_VALUE)
    .replace(/[\ud800-\udbff]$/, '')

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

/** The labels of the quick replies of our templates, and others with the same meaning, in lower case. */
const KNOWN_LABELS: Record<Exclude<Button, 'other'>, readonly string[]> = {
  callback: [
    'חזרו אליי',
    'תחזרו אליי',
    'התקשרו אליי',
    'call me back',
    'call me',
    'اتصلوا بي',
    'перезвоните мне',
  ],
  stop: [
    'להסרה',
    'הסר',
    'הסירו אותי',
    'stop messages',
    'stop',
    'إيقاف الرسائل',
    'не писать мне',
    'stop promotions',
    'הפסקת מבצעים',
  ],
}

/** What Graph tells about a template. */
export type GraphTemplate = {
  id: string
  name: string
  language: string
  /** APPROVED, PENDING, REJECTED, PAUSED, DISABLED ... */
  status: string
  category: string | null
  rejectedReason: string | null
  /** Null = it has no body that could be read. */
  body: string | null
  buttons: readonly { isQuickReply: boolean; label: string }[]
  /** Its variables are {{customer_name}} and not {{1}}. */
  isNamed: boolean
}

const meaningOf = ({ isQuickReply, label }: GraphTemplate['buttons'][number]): Button => {
  const text = label.trim().toLowerCase()
  if (!isQuickReply) return 'other'
  return BUTTONS.find(one => one !== 'other' && KNOWN_LABELS[one].includes(text)) ?? 'other'
}

type Content = {
  /** Null = not known. */
  body: string | null
  buttons: readonly Button[]
  variables: readonly Variable[]
}
export type Difference = 'body' | 'buttons' | 'variables'

/**
 * Compares a template with what Graph tells about it. Messages follow Graph, so the result is Graph's template.
 *
 * @param known what was stored here. Buttons that a person named keep their meaning if Graph has as many, since the labels
 * may be the person's own
 */
export const followGraph = (
  known: Content,
  graph: GraphTemplate,
): Omit<Content, 'variables'> & {
  labels: string[]
  differs: Difference[]
  /** The variables that are set here cannot fill it. */
  isUnusable: boolean
} => {
  const found = graph.buttons.map(meaningOf)
  const isAsNamed =
    known.buttons.length === graph.buttons.length &&
    known.buttons.every((one, at) => one === 'other' || graph.buttons[at]?.isQuickReply)
  const buttons = isAsNamed ? known.buttons : found
  const isSameText = (one: string, other: string) => words(one) === words(other)
  const needed = graph.body === null || graph.isNamed ? null : placeholdersIn(graph.body)
  const differs: Record<Difference, boolean> = {
    body: known.body !== null && graph.body !== null && !isSameText(known.body, graph.body),
    buttons: known.buttons.length > 0 && known.buttons.join() !== buttons.join(),
    variables: graph.isNamed || (needed !== null && needed !== known.variables.length),
  }
  return {
    body: graph.body ?? known.body,
    buttons,
    labels: graph.buttons.map(({ label }) => label),
    differs: DIFFERENCES.filter(one => differs[one]),
    isUnusable: graph.isNamed || (needed ?? 0) > known.variables.length,
  }
}
const DIFFERENCES: readonly Difference[] = ['body', 'buttons', 'variables']
const words = (text: string): string => text.replace(/\s+/g, ' ').trim()

/** The local time in a time zone such as Asia/Jerusalem. */
export const callTime = (at: Date, timezone: string): string =>
  new Intl.DateTimeFormat('he-IL', {
    timeZone: timezone,
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  }).format(at)
