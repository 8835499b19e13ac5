/**
 * The texts of our templates. They say what happened, name the business, offer nothing, and say how to opt out. Any other
 * content would make a text an advertisement, which needs consent. No text says that we have not heard from the person: they
 * may have called again. A text must not begin or end with a variable.
 */
import {
  type Button,
  type Language,
  LANGUAGES,
  type Template,
  type TemplateKind,
  type Variable,
} from './templates.ts'

export type Hours = 'open' | 'closed'

const OF_CALL: readonly Variable[] = ['business_name', 'call_time']
const VARIABLES_OF: Record<TemplateKind, readonly Variable[]> = {
  initial: OF_CALL,
  reminder_1: OF_CALL,
  reminder_2: OF_CALL,
  owner_notice: ['caller_name', 'caller_phone', 'what_happened'],
}

const NAMES: Record<TemplateKind, string> = {
  initial: 'ringback_missed_call',
  reminder_1: 'ringback_reminder_1',
  reminder_2: 'ringback_reminder_2',
  owner_notice: 'ringback_owner_notice',
}

type Texts = Record<TemplateKind, string> & {
  /** The first message after a call while the business was closed. */
  initialClosed: string
  /** How to opt out. With a button it is not needed. */
  optOut: string
  labels: { callback: string; stop: string }
}

const TEXTS: Record<Language, Texts> = {
  he: {
    initial:
      'שלום, כאן {{1}}. ראינו שהתקשרת אלינו בשעה {{2}} ולא הספקנו לענות. אפשר להשיב כאן ונחזור אליך.',
    initialClosed:
      'שלום, כאן {{1}}. ראינו שהתקשרת אלינו בשעה {{2}}, כשהיינו סגורים. אפשר להשיב כאן ונחזור אליך כשנפתח.',
    reminder_1: 'שלום, שוב {{1}}, לגבי השיחה שלך בשעה {{2}}. עדיין אפשר להשיב כאן ונחזור אליך.',
    reminder_2:
      'שלום, כאן {{1}}. זו הודעתנו האחרונה לגבי השיחה שלך בשעה {{2}}. אם זה עדיין רלוונטי, אפשר להשיב כאן ונחזור אליך.',
    optOut: 'להסרה השיבו: הסר',
    owner_notice: 'עדכון מ-Ringback: {{1}} ({{2}}) {{3}} — כדאי לטפל בהקדם.',
    labels: { callback: 'חזרו אליי', stop: 'להסרה' },
  },
  en: {
    initial:
      'Hello, this is {{1}}. We saw that you called us at {{2}} and could not answer in time. You can reply here and we will call you back.',
    initialClosed:
      'Hello, this is {{1}}. We saw that you called us at {{2}}, when we were closed. You can reply here and we will call you back when we open.',
    reminder_1:
      'Hello, {{1}} again, about your call at {{2}}. You can still reply here and we will call you back.',
    reminder_2:
      'Hello, this is {{1}}. This is our last message about your call at {{2}}. If you still need us, reply here and we will call you back.',
    optOut: 'To get no more messages, reply: STOP',
    owner_notice: 'News from Ringback: {{1}} ({{2}}) {{3}} — please take a look soon.',
    labels: { callback: 'Call me back', stop: 'Stop messages' },
  },
  ar: {
    initial:
      'مرحبًا، هنا {{1}}. رأينا أنك اتصلت بنا في الساعة {{2}} ولم نتمكن من الرد. يمكنك الرد هنا وسنعاود الاتصال بك.',
    initialClosed:
      'مرحبًا، هنا {{1}}. رأينا أنك اتصلت بنا في الساعة {{2}} خارج ساعات عملنا. يمكنك الرد هنا وسنعاود الاتصال بك عند الافتتاح.',
    reminder_1:
      'مرحبًا، هنا {{1}} مرة أخرى، بخصوص اتصالك في الساعة {{2}}. ما زال بإمكانك الرد هنا وسنعاود الاتصال بك.',
    reminder_2:
      'مرحبًا، هنا {{1}}. هذه رسالتنا الأخيرة بخصوص اتصالك في الساعة {{2}}. إذا ما زلت بحاجة إلينا، يمكنك الرد هنا وسنعاود الاتصال بك.',
    optOut: 'لإيقاف الرسائل يرجى الرد بكلمة: إيقاف',
    owner_notice: 'تحديث من Ringback: {{1}} ({{2}}) {{3}} — يُفضل التعامل مع ذلك قريبًا.',
    labels: { callback: 'اتصلوا بي', stop: 'إيقاف الرسائل' },
  },
  ru: {
    initial:
      'Здравствуйте, это {{1}}. Мы видим, что вы звонили нам в {{2}}, но не успели ответить. Напишите нам здесь, и мы вам перезвоним.',
    initialClosed:
      'Здравствуйте, это {{1}}. Мы видим, что вы звонили нам в {{2}}, в нерабочее время. Напишите нам здесь, и мы перезвоним, когда откроемся.',
    reminder_1:
      'Здравствуйте, это снова {{1}}, по поводу вашего звонка в {{2}}. Вы по-прежнему можете написать нам здесь, и мы вам перезвоним.',
    reminder_2:
      'Здравствуйте, это {{1}}. Это наше последнее сообщение по поводу вашего звонка в {{2}}. Если вопрос ещё актуален, напишите нам здесь, и мы вам перезвоним.',
    optOut: 'Чтобы больше не получать сообщений, ответьте: СТОП',
    owner_notice: 'Новости от Ringback: {{1}} ({{2}}) {{3}} — пожалуйста, проверьте.',
    labels: { callback: 'Перезвоните мне', stop: 'Не писать мне' },
  },
}

/** The labels of our buttons, in each language. */
export const LABELS = LANGUAGES.map(language => TEXTS[language].labels)

export type OwnTemplate = Template & {
  text: string
  buttons: readonly OwnButton[]
  labels: string[]
}
export type OwnButton = Exclude<Button, 'other'>
export const OWN_BUTTONS = ['callback', 'stop'] as const satisfies OwnButton[]

export const labelOf = (language: Language, button: OwnButton): string =>
  TEXTS[language].labels[button]

type Variant = { language?: Language; hours?: Hours | null; buttons?: readonly OwnButton[] }

/**
 * Our template for a kind of message. The name says which variant it is, because Meta keeps one text for each name and
 * language: `ringback_missed_call_closed_stop`.
 */
export const ownTemplate = (
  kind: TemplateKind,
  { language = 'he', hours = null, buttons: wanted = [] }: Variant = {},
): OwnTemplate => {
  const texts = TEXTS[language]
  const buttons = kind === 'owner_notice' ? [] : OWN_BUTTONS.filter(one => wanted.includes(one))
  const isClosed = kind === 'initial' && hours === 'closed'
  const core = isClosed ? texts.initialClosed : texts[kind]
  const needsOptOut = kind !== 'owner_notice' && !buttons.includes('stop')
  return {
    name: [NAMES[kind], ...(isClosed ? ['closed'] : []), ...buttons].join('_'),
    language,
    variables: VARIABLES_OF[kind],
    text: needsOptOut ? `${core} ${texts.optOut}` : core,
    buttons,
    labels: buttons.map(button => texts.labels[button]),
  }
}

const VARIANTS: Variant[] = ([null, 'closed'] as const).flatMap(hours =>
  ([[], ['callback'], ['stop'], ['callback', 'stop']] as const).map(buttons => ({
    hours,
    buttons,
  })),
)

/** Our template with this name and language. Undefined = the name is not one of ours. */
export const ownTemplateNamed = (
  kind: TemplateKind,
  name: string,
  language: string,
): OwnTemplate | undefined => {
  const known = LANGUAGES.find(one => one === language)
  return (
    known &&
    VARIANTS.map(one => ownTemplate(kind, { ...one, language: known })).find(
      one => one.name === name,
    )
  )
}

/** The templates of a connection that has no others, in Hebrew. */
export const DEFAULT_TEMPLATES: Record<TemplateKind, OwnTemplate> = {
  initial: ownTemplate('initial'),
  reminder_1: ownTemplate('reminder_1'),
  reminder_2: ownTemplate('reminder_2'),
  owner_notice: ownTemplate('owner_notice'),
}
