import type { Language } from '../language.ts'

/** What the doors write of a delivery that they refuse, and the same in Hebrew. */
const HEBREW: [RegExp, string][] = [
  [/^call id \(.*\) is missing$/, 'חסר מזהה השיחה (ivruniqueid או CallID)'],
  [/^status \(.*\) is missing$/, 'חסרה תוצאת השיחה (status או DialStatus)'],
  [/^caller \(.*\) is missing$/, 'חסר מספר המתקשר (caller, callerPhone או CallerNumber)'],
  [/^number dialled \(.*\) is missing$/, 'חסר המספר שחויג (did או DID)'],
  [/^call id is longer than/, 'מזהה השיחה ארוך מדי'],
  [/^call id holds control/, 'במזהה השיחה יש תווים אסורים'],
  [/^call id is neither/, 'מזהה השיחה אינו טקסט או מספר שלם'],
  [/^not an object$/, 'זו לא רשומת שיחה'],
  [/^the body is empty$/, 'הגיע דיווח ריק'],
  [/^the body is not valid UTF-8$/, 'הקידוד אינו UTF-8'],
  [/^the body is not valid JSON$/, 'ה־JSON אינו תקין'],
  [/^the body is XML or HTML/, 'הגיע XML או HTML במקום JSON או טופס'],
  [/^the body is neither/, 'זה לא JSON, לא רשימה ולא טופס'],
  [/^the array is empty$/, 'הרשימה ריקה'],
  [/^the array has more/, 'יש ברשימה יותר מדי רשומות'],
  [/^the form /, 'הטופס אינו תקין'],
  [/^the JSON is nested/, 'ה־JSON מקונן מדי'],
  [/^the JSON holds/, 'יש ב־JSON יותר מדי ערכים'],
  [
    /^XML-RPC/,
    'הגיע XML-RPC במקום JSON: ב־CPanel של Voicenter, תחת Integrations, CDR Notification, יש לבחור POST-JSON',
  ],
  [/^IVR_LAYER_INPUT/, 'שכבה חיצונית (External Layer) ב־IVR מופנית לכאן בטעות'],
  [/^no time/, 'חסר מועד השיחה'],
  [/^its time is later/, 'מועד השיחה מאוחר ממה שהתבקש'],
  [/^refused after more/, 'נדחה לאחר שמכסת הדחיות היומית נגמרה: נספר ולא נשמר'],
]
/** Those that are too short to say what to do. */
const ENGLISH: [RegExp, string][] = [
  [
    /^XML-RPC/,
    "XML-RPC came: in Voicenter's CPanel, Integrations, CDR Notification, choose POST-JSON",
  ],
  [/^IVR_LAYER_INPUT/, 'an External Layer of the IVR points here by mistake'],
]

/** What was wrong with it, in the visitor's language; what has no translation, as it was written. */
export const refusedBecause = (language: Language, reason: string): string =>
  reason
    .split('; ')
    .map(
      part =>
        (language === 'he' ? HEBREW : ENGLISH).find(([known]) => known.test(part))?.[1] ?? part,
    )
    .join('; ')
