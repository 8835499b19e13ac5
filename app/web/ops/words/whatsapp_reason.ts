import { inBoth, type Language } from '../language.ts'

/** Why a WhatsApp number or a template is paused, and what to do about it. */
type Advice = { why: string; whatNow: string }

const advice = inBoth(
  {
    token: {
      why: 'WhatsApp refuses the access token, or it may not send from this number.',
      whatNow: 'Make a new token in Meta Business, and enter it: that resumes the number too.',
    },
    payment: {
      why: 'WhatsApp cannot charge the account.',
      whatNow: 'Put the means of payment in order in Meta Business, then resume.',
    },
    locked: {
      why: 'Meta has restricted or locked the account.',
      whatNow: 'Look in Meta Business for what is wrong, appeal there, then resume.',
    },
    registration: {
      why: 'The number is not registered with WhatsApp, or its name is not approved.',
      whatNow: 'Register the number in Meta Business, then resume.',
    },
    quality: {
      why: 'Too many people have blocked or reported the number.',
      whatNow: 'Wait a day or two before resuming: going on makes it worse.',
    },
    missing: {
      why: 'There is no such template in this language, or it is not approved.',
      whatNow: 'Have the template approved in Meta Business, or enter another; then resume.',
    },
    variables: {
      why: 'The template has other variables than those it is filled with.',
      whatNow: 'Enter the variables in the order of the template; then resume.',
    },
    template: {
      why: 'Meta has paused, disabled or refused the template.',
      whatNow: 'Mend or replace it in Meta Business. Once Meta approves it, it resumes by itself.',
    },
    by_operator: { why: 'Paused by hand.', whatNow: 'Resume when it may go on.' },
    otherwise: {
      why: 'WhatsApp does not let it send.',
      whatNow: 'Look in Meta Business for what is wrong, then resume.',
    },
  },
  {
    token: {
      why: 'WhatsApp דוחה את מפתח הגישה, או שאין לו הרשאה לשלוח מהמספר הזה.',
      whatNow: 'יש ליצור מפתח חדש ב־Meta Business ולהזין אותו: כך גם תתחדש השליחה.',
    },
    payment: {
      why: 'WhatsApp לא מצליח לחייב את החשבון.',
      whatNow: 'יש להסדיר את אמצעי התשלום ב־Meta Business, ואז לחדש.',
    },
    locked: {
      why: 'Meta הגבילה או נעלה את החשבון.',
      whatNow: 'יש לבדוק ב־Meta Business מה הסיבה, לערער שם, ואז לחדש.',
    },
    registration: {
      why: 'המספר לא רשום ב־WhatsApp, או שהשם שלו לא אושר.',
      whatNow: 'יש לרשום את המספר ב־Meta Business, ואז לחדש.',
    },
    quality: {
      why: 'יותר מדי אנשים חסמו את המספר או דיווחו עליו.',
      whatNow: 'כדאי להמתין יום או יומיים לפני החידוש: המשך שליחה רק יחמיר.',
    },
    missing: {
      why: 'אין תבנית כזאת בשפה הזאת, או שלא אושרה.',
      whatNow: 'יש לאשר את התבנית ב־Meta Business או להזין אחרת, ואז לחדש.',
    },
    variables: {
      why: 'המשתנים בתבנית שונים מאלה שממולאים בה.',
      whatNow: 'יש להזין את המשתנים לפי הסדר שבתבנית, ואז לחדש.',
    },
    template: {
      why: 'Meta השהתה, ביטלה או דחתה את התבנית.',
      whatNow: 'יש לתקן או להחליף אותה ב־Meta Business. כשתאושר, השליחה תתחדש מעצמה.',
    },
    by_operator: { why: 'הושהה ידנית.', whatNow: 'לחדש כשאפשר להמשיך.' },
    otherwise: {
      why: 'WhatsApp לא מאפשר לשלוח.',
      whatNow: 'יש לבדוק ב־Meta Business מה הסיבה, ואז לחדש.',
    },
  },
)
type Kind = keyof (typeof advice)['en']

/** Those codes of app/whatsapp/errors.ts that pause something. */
const CODES: Partial<Record<Kind, number[]>> = {
  token: [0, 3, 10, 190, 131005],
  payment: [131042],
  locked: [368, 131031],
  registration: [33, 131037, 131045, 133010],
  quality: [131048, 131064],
  missing: [132001],
  variables: [132000, 132012, 132018],
  template: [132007, 132015, 132016, 131063],
}
const isKind = (name: string): name is Kind => Object.hasOwn(CODES, name)

const kindOf = (code: number): Kind => {
  // Permissions.
  if (code >= 200 && code <= 299) return 'token'
  const [kind] = Object.entries(CODES).find(([, codes]) => codes.includes(code)) ?? []
  return kind && isKind(kind) ? kind : 'otherwise'
}

/** @param reason `state_reason`, as it is written where something is paused */
export const pausedBecause = (language: Language, reason: string | null): Advice => {
  const words = advice[language]
  if (reason === 'by_operator') return words.by_operator
  if (reason?.startsWith('template ')) return words.template
  const [, code] = /^WhatsApp error (\d+)$/.exec(reason ?? '') ?? []
  if (code === undefined) return words.otherwise
  const { why, whatNow } = words[kindOf(Number(code))]
  return { why: `${why} (${code})`, whatNow }
}
