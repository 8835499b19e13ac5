/** What the owner writes to the tenant's number: an answer to a notice with 1, 2 or 3, or something else. */
import { type Language, LANGUAGES } from '../whatsapp/templates.ts'

export type Answer = 'won' | 'lost' | 'later'

const DIGITS: Record<Answer, string> = {
  // European, Arabic and Persian digits, and Hebrew letters as numbers.
  won: '1١۱א',
  lost: '2٢۲ב',
  later: '3٣۳ג',
}

/** Spaces, emoji, the parts of 1️⃣, and signs that people put around a number. Not + or %, which change it. */
const AROUND = /[\s\p{M}\p{Cf}\p{So}\p{Sk}.,:;!()[\]*_~'"׳״’–—-]/gu

/** Reads `1`, `2.`, `٣`, ` 1️⃣ 👍`. Null = no answer: the whole message must be the number. */
export const parseAnswer = (text: string): Answer | null => {
  const bare = text.normalize('NFKC').replace(AROUND, '')
  if (Array.from(bare).length !== 1) return null
  const answers: Answer[] = ['won', 'lost', 'later']
  return answers.find(answer => DIGITS[answer].includes(bare)) ?? null
}

/** A notice to the owner. */
export type AnsweredNotice = {
  /** Null = it is not about one person. */
  leadId: string | null
  /** `reply:...`, `digest:...` */
  occasion: string | null
}

export type OwnerMessage = {
  answer: Answer | null
  /** The notice that it quotes. Null = it quotes nothing, or something else. */
  quoted: AnsweredNotice | null
  quotesOther: boolean
  /** The notices of the last 24 hours. */
  recent: readonly AnsweredNotice[]
}

/** A digest, a week and an alert are about no person, so no answer counts for them. */
const isAboutPerson = ({ leadId, occasion }: AnsweredNotice): boolean =>
  leadId !== null && /^(?:reply|callback|third_call|collected):/.test(occasion ?? '')

/**
 * Decides whom an answer is about: the person of the quoted notice, or without a quote that of the only notice within 24 hours.
 * Otherwise the owner gets a link, to the page of the person if the message quotes a notice about one.
 */
export const decideAnswer = ({
  answer,
  quoted,
  quotesOther,
  recent,
}: OwnerMessage):
  { do: 'apply'; leadId: string; answer: Answer } | { do: 'link'; leadId: string | null } => {
  const [only] = recent
  const meant = quoted ?? (!quotesOther && recent.length === 1 ? only : null)
  if (answer && meant?.leadId && isAboutPerson(meant))
    return { do: 'apply', leadId: meant.leadId, answer }
  return { do: 'link', leadId: quoted?.leadId ?? null }
}

const HELP: Record<Language, string> = {
  he: 'ההודעה לא שויכה לפנייה, ולא הועברה הלאה. אפשר לצטט עדכון ולהשיב: 1 נסגר, 2 לא נסגר, 3 מאוחר יותר.',
  en: 'This message was not matched to a person, and was not passed on. You can quote a notice and answer: 1 won, 2 lost, 3 later.',
  ar: 'لم يتم ربط هذه الرسالة بأي طلب ولم يتم تمريرها. يمكن اقتباس التحديث والرد: 1 تم، 2 لم يتم، 3 لاحقًا.',
  ru: 'Это сообщение не связано ни с одним обращением и никому не передано. Процитируйте уведомление и ответьте: 1 – сделка, 2 – нет, 3 – позже.',
}

const DONE: Record<Language, Record<Answer, string>> = {
  he: { won: 'נסגר', lost: 'לא נסגר', later: 'מאוחר יותר' },
  en: { won: 'won', lost: 'lost', later: 'later' },
  ar: { won: 'تم', lost: 'لم يتم', later: 'لاحقًا' },
  ru: { won: 'сделка', lost: 'нет', later: 'позже' },
}

const known = (language: string): Language => LANGUAGES.find(one => one === language) ?? 'he'

// What Ringback writes back to the owner. The claim of the message adds the link.

/** Where it is not known whom the owner means. */
export const helpText = (language: string): string => HELP[known(language)]

/** After an answer: the person whose outcome was set, and the outcome. */
export const doneText = (language: string, person: string, answer: Answer): string =>
  `✓ ${person}: ${DONE[known(language)][answer]}`
