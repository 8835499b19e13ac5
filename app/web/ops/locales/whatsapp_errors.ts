import { NUMBER_MOVED } from '../../../tenants/accounts.ts'
import { type Language, translations } from '../language.ts'
import { callTexts } from './call.ts'

/** Why a WhatsApp number or template is paused, and what to do. */
type Advice = { why: string; whatNow: string }

const advice = translations(
  {
    token: {
      why: 'WhatsApp rejects the access token, or it has no permission for this number.',
      whatNow: 'Create a new token in Meta Business and enter it. This also resumes the number.',
    },
    payment: {
      why: 'WhatsApp cannot charge the account.',
      whatNow: 'Fix the payment method in Meta Business, then resume.',
    },
    locked: {
      why: 'Meta has restricted or locked the account.',
      whatNow: 'Check the reason in Meta Business, appeal there, then resume.',
    },
    registration: {
      why: 'The number is not registered with WhatsApp, or its name is not approved.',
      whatNow: 'Register the number in Meta Business, then resume.',
    },
    quality: {
      why: 'Too many people have blocked or reported the number.',
      whatNow: 'Wait a day or two, then resume. Sending more now makes it worse.',
    },
    missing: {
      why: 'There is no such template in this language, or it is not approved.',
      whatNow: 'Get the template approved in Meta Business or enter another one, then resume.',
    },
    variables: {
      why: 'The template at Meta has different variables.',
      whatNow: 'Enter the variables in the order of the template, then resume.',
    },
    low_quality: {
      why: 'Meta has paused the template, because people blocked or reported it.',
      whatNow:
        'Meta ends the pause by itself: the first after 3 hours, the second after 6. After a third one the template is disabled. A calmer text helps: submit one on the page “Templates”.',
    },
    disabled: {
      why: 'Meta has disabled the template for good.',
      whatNow: 'Give it another text and another name on the page “Templates”, and submit it.',
    },
    template: {
      why: 'Meta has paused, disabled or rejected the template.',
      whatNow: 'Fix or replace it in Meta Business. It resumes when Meta approves it.',
    },
    unknown_number: {
      why: 'WhatsApp does not know this phone number ID, or the access token may not use it.',
      whatNow:
        'Look up the ID in Meta’s App Dashboard (API Setup). If it changed, connect the number again; otherwise enter a token that may use it.',
    },
    marketing: {
      why: 'WhatsApp counts this template as marketing. Marketing costs more and needs consent, so reminders wait.',
      whatNow:
        'On the page “Templates”, submit a text that offers nothing, or agree that it is sent as it is.',
    },
    rejected: {
      why: 'Meta has rejected the template.',
      whatNow: 'Submit another text on the page “Templates”.',
    },
    pending: {
      why: 'Meta has not approved the template yet.',
      whatNow: 'Nothing to do: messages are sent once it is approved, usually within minutes.',
    },
    absent: {
      why: 'The account at Meta has no template with this name and language.',
      whatNow: 'Submit it on the page “Templates”, or enter the name of another one.',
    },
    differs: {
      why: 'Meta has the text or the buttons of this template otherwise than they were set here. Messages are sent as Meta has them.',
      whatNow: 'Look at the text on the page “Templates”, then resume to agree.',
    },
    moved: {
      why: 'The number has another phone number ID now.',
      whatNow: 'Nothing to do: messages are sent through the new ID.',
    },
    by_operator: { why: 'Paused by hand.', whatNow: 'Resume when messages may be sent again.' },
    otherwise: {
      why: 'WhatsApp does not allow it to send.',
      whatNow: 'Check the reason in Meta Business, then resume.',
    },
  },
  {
    token: {
      why: 'WhatsApp דוחה את מפתח הגישה, או שאין לו הרשאה לשלוח מהמספר הזה.',
      whatNow: 'יש ליצור מפתח חדש ב־Meta Business ולהזין אותו. כך גם תתחדש השליחה.',
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
      whatNow: 'כדאי להמתין יום או יומיים ואז לחדש. שליחה נוספת עכשיו רק תחמיר.',
    },
    missing: {
      why: 'אין תבנית כזאת בשפה הזאת, או שלא אושרה.',
      whatNow: 'יש לאשר את התבנית ב־Meta Business או להזין אחרת, ואז לחדש.',
    },
    variables: {
      why: 'המשתנים בתבנית אצל Meta שונים.',
      whatNow: 'יש להזין את המשתנים לפי הסדר שבתבנית, ואז לחדש.',
    },
    low_quality: {
      why: 'Meta השהתה את התבנית, כי אנשים חסמו אותה או דיווחו עליה.',
      whatNow:
        'Meta מסיימת את ההשהיה בעצמה: הראשונה אחרי 3 שעות, השנייה אחרי 6. אחרי השלישית התבנית מבוטלת. נוסח רגוע יותר עוזר: אפשר להגיש אותו בדף ״תבניות״.',
    },
    disabled: {
      why: 'Meta ביטלה את התבנית לצמיתות.',
      whatNow: 'יש לתת לה נוסח אחר ושם אחר בדף ״תבניות״, ולהגיש אותה.',
    },
    template: {
      why: 'Meta השהתה, ביטלה או דחתה את התבנית.',
      whatNow: 'יש לתקן או להחליף אותה ב־Meta Business. כשתאושר, השליחה תתחדש מעצמה.',
    },
    unknown_number: {
      why: 'WhatsApp לא מכיר את מזהה המספר (Phone number ID), או שאין למפתח הגישה הרשאה להשתמש בו.',
      whatNow:
        'יש לבדוק את המזהה ב־App Dashboard של Meta (API Setup). אם הוא השתנה, יש לחבר את המספר מחדש; אחרת יש להזין מפתח עם הרשאה.',
    },
    marketing: {
      why: 'WhatsApp מחשיב את התבנית כפרסומת. פרסומת יקרה יותר ודורשת הסכמה, ולכן התזכורות ממתינות.',
      whatNow: 'בדף ״תבניות״ אפשר להגיש נוסח שלא מציע דבר, או לאשר לשלוח אותה כמו שהיא.',
    },
    rejected: {
      why: 'Meta דחתה את התבנית.',
      whatNow: 'אפשר להגיש נוסח אחר בדף ״תבניות״.',
    },
    pending: {
      why: 'Meta עוד לא אישרה את התבנית.',
      whatNow: 'אין צורך לעשות דבר: ההודעות יישלחו כשתאושר, בדרך כלל בתוך דקות.',
    },
    absent: {
      why: 'בחשבון אצל Meta אין תבנית בשם ובשפה האלה.',
      whatNow: 'יש להגיש אותה בדף ״תבניות״, או להזין שם של תבנית אחרת.',
    },
    differs: {
      why: 'הנוסח או הכפתורים של התבנית אצל Meta שונים ממה שהוגדר כאן. ההודעות נשלחות כפי שהן אצל Meta.',
      whatNow: 'כדאי לבדוק את הנוסח בדף ״תבניות״, ואז לחדש כדי לאשר.',
    },
    moved: {
      why: 'למספר יש עכשיו מזהה אחר (Phone number ID).',
      whatNow: 'אין צורך לעשות דבר: ההודעות נשלחות דרך המזהה החדש.',
    },
    by_operator: { why: 'הושהה ידנית.', whatNow: 'אפשר לחדש כשמותר לשלוח שוב.' },
    otherwise: {
      why: 'WhatsApp לא מאפשר לשלוח.',
      whatNow: 'יש לבדוק ב־Meta Business מה הסיבה, ואז לחדש.',
    },
  },
)
type Kind = keyof (typeof advice)['en']

/** The error codes in app/whatsapp/errors.ts that pause a number or a template. */
const CODES: Partial<Record<Kind, number[]>> = {
  token: [0, 3, 10, 190, 131005],
  payment: [131042],
  locked: [368, 131031],
  unknown_number: [33],
  registration: [131037, 131045, 133010],
  quality: [131048, 131064],
  missing: [132001],
  variables: [100, 131008, 131009, 132000, 132012, 132018],
  low_quality: [132015],
  disabled: [132016],
  template: [132007, 131063],
}
/** By Meta's state of a template. */
const STATUSES: Record<string, Kind> = {
  MARKETING: 'marketing',
  DIFFERS: 'differs',
  REJECTED: 'rejected',
  PAUSED: 'low_quality',
  DISABLED: 'disabled',
  PENDING: 'pending',
  IN_APPEAL: 'pending',
  MISSING: 'absent',
  VARIABLES: 'variables',
}
const isKind = (name: string): name is Kind => Object.hasOwn(CODES, name)

const kindOf = (code: number): Kind => {
  // 200 to 299 are permission errors.
  if (code >= 200 && code <= 299) return 'token'
  const [kind] = Object.entries(CODES).find(([, codes]) => codes.includes(code)) ?? []
  return kind && isKind(kind) ? kind : 'otherwise'
}

/** @param reason `state_reason` of a number or template */
export const pauseReason = (language: Language, reason: string | null): Advice => {
  const words = advice[language]
  if (reason === 'by_operator') return words.by_operator
  if (reason === NUMBER_MOVED) return words.moved
  const status = /^template (\w+)$/.exec(reason ?? '')?.[1]
  if (status !== undefined) return words[STATUSES[status] ?? 'template']
  // A subcode says more than its code: 100/33.
  const [, code, subcode] = /^WhatsApp error (\d+)(?:\/(\d+))?$/.exec(reason ?? '') ?? []
  if (code === undefined) return words.otherwise
  const { why, whatNow } = words[kindOf(Number(subcode ?? code))]
  return { why: `${why} (${code})`, whatNow }
}

/** Like `pauseReason`, also for an error that is about one message. */
export const errorAdvice = (language: Language, reason: string): Advice => {
  const code = Number(/^WhatsApp error (\d+)$/.exec(reason)?.[1])
  const known = callTexts[language].errors[code]
  return known !== undefined && kindOf(code) === 'otherwise'
    ? { why: `${known} (${reason}).`, whatNow: '' }
    : pauseReason(language, reason)
}
