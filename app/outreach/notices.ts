/** What a notice says to the owner, and when there is a notice. In the language of the tenant, without gender. */
import { type Language, LANGUAGES } from '../whatsapp/templates.ts'

/** One text in all languages. In the template, the name and the number of the person come before it. */
export type NoticeText = Record<Language, string>

/** What a person wrote. Null = a message without text, such as a picture. */
export const wroteNotice = (text: string | null): NoticeText =>
  text === null
    ? {
        he: '– התקבלה הודעה',
        en: '– sent a message',
        ar: '– وصلت رسالة',
        ru: '– пришло сообщение',
      }
    : {
        he: `– הודעה חדשה: ${text}`,
        en: `– wrote: ${text}`,
        ar: `– رسالة جديدة: ${text}`,
        ru: `– новое сообщение: ${text}`,
      }

/** The person tapped "call me back". */
export const CALLBACK_NOTICE: NoticeText = {
  he: '– התקבלה בקשה לשיחה חוזרת',
  en: '– asks to be called back',
  ar: '– وصل طلب لمعاودة الاتصال',
  ru: '– просьба перезвонить',
}

export const repeatCallerNotice = (calls: number): NoticeText => ({
  he: `– התקבלו ${calls} שיחות שלא נענו, כדאי לחזור`,
  en: `– called ${calls} times and was not answered`,
  ar: `– ${calls} مكالمات لم يتم الرد عليها`,
  ru: `– пропущено звонков: ${calls}`,
})

/** Notices after which the next message of the same person is no news. */
export const NEWS_OCCASIONS = ['reply', 'callback'] as const

export type Seen = {
  /** When the owner was last notified that the person wrote or asked for a call. Null = never. */
  notifiedAt: Date | null
  /** When the owner last opened, answered or closed the conversation. */
  readAt: Date | null
  /** The end of the last talk by telephone. */
  talkedAt: Date | null
  /** When the first message after the last missed call was written. */
  conversationAt: Date | null
}

/**
 * Whether the owner is notified that a person wrote. They are notified once, and again when they have dealt with the
 * person since, or when the person wrote because of a later call.
 */
export const shouldNotify = ({ notifiedAt, readAt, talkedAt, conversationAt }: Seen): boolean =>
  notifiedAt === null ||
  [readAt, talkedAt, conversationAt].some(at => at !== null && at > notifiedAt)

/** A notice that came during Shabbat or a holiday. */
export type Collected = {
  leadId: string
  name: string | null
  /** As it is shown: 052-345-6789. */
  phone: string
  text: string
}

/** How many people are named. */
const NAMED = 3

const PEOPLE: Record<Language, (count: number, names: string) => string> = {
  he: (count, names) => `– ${count} פניות מחכות לתשובה: ${names}`,
  en: (count, names) => `– ${count} people wait for an answer: ${names}`,
  ar: (count, names) => `– بانتظار الرد (${count}): ${names}`,
  ru: (count, names) => `– ждут ответа: ${count}: ${names}`,
}
const MORE: Record<Language, (count: number) => string> = {
  he: count => `ועוד ${count}`,
  en: count => `and ${count} more`,
  ar: count => `و${count} آخرون`,
  ru: count => `и ещё ${count}`,
}

/**
 * Makes one notice of those that waited. If all are about one person, it says what they say.
 *
 * @returns null if there are none; `leadId` if it is about one person
 */
export const combine = (
  collected: readonly Collected[],
  written: string,
): { leadId: string | null; text: string } | null => {
  const language = LANGUAGES.find(one => one === written) ?? 'he'
  const people = [...new Map(collected.map(one => [one.leadId, one])).values()]
  const [first, second] = people
  if (!first) return null
  // Each text begins with a dash.
  if (!second) return { leadId: first.leadId, text: collected.map(({ text }) => text).join(' ') }
  const names = people.slice(0, NAMED).map(({ name, phone }) => name ?? phone)
  if (people.length > NAMED) names.push(MORE[language](people.length - NAMED))
  return { leadId: null, text: PEOPLE[language](people.length, names.join(', ')) }
}
