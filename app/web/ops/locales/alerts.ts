import type { EndpointReason } from '../../../states.ts'
import type { RereadCounts } from '../../reread_rejected.ts'
import { type Language, translations } from '../language.ts'

export const alertTexts = translations(
  {
    allClear: 'All clear',
    count: (count: number, more: boolean) =>
      count === 1
        ? 'One thing needs attention.'
        : `${more ? 'More than ' : ''}${count} things need attention.`,
    restIsFine: 'Everything else is fine.',
    noTenant: 'none',
    last: 'Last',
    whatNow: 'What to do',
    onlyNewest: 'Only the newest are shown.',
    refused: {
      number_taken: 'This number already belongs to another business.',
      settled: 'It is already known whether this message arrived.',
      call_log_active:
        'This job runs as long as we have access to the call log. Try again, or remove the access.',
    },
    numbers: {
      title: 'Numbers that belong to no business',
      help: 'Calls of the last 30 days. When you add a number, its calls are decided again. Callers of missed calls in the last 2 hours (or the time set under “Oldest call”) may get a message at once.',
      number: 'Number called',
      source: 'Webhook of',
      calls: 'Calls',
      unreadable: 'The report holds no number.',
      add: (business: string) => `Add to ${business}`,
      addChosen: 'Add to this business',
      choose: 'Choose a business',
      chooseId: 'Id of the business',
      askOperator: 'Ask the operator to add it.',
      added: (calls: number) =>
        calls === 1
          ? 'Added. One call will be decided again.'
          : `Added. ${calls} calls will be decided again.`,
    },
    unknown: {
      title: 'Messages that may or may not have arrived',
      help: 'The answer of WhatsApp was lost. Look for the message in the chat with this number, in the WhatsApp Business app if you use it, or ask the customer. Such a message is never sent again.',
      to: 'To',
      sent: 'Sent',
      from: 'From',
      why: 'Reason',
      arrived: 'It arrived',
      lost: 'It did not arrive',
      markedArrived: 'Marked as delivered. Reminders that are not too late will be sent.',
      markedLost: 'Marked as failed. It is not sent again. The next missed call gets a message.',
      whys: {
        sender_died: 'the program stopped while sending',
        TimeoutError: 'WhatsApp did not answer in time',
        unreadable_answer: 'the answer was unreadable',
      },
      otherwise: 'the connection was cut',
    },
    paused: {
      title: 'Paused WhatsApp numbers and templates',
      help: 'Messages wait until you resume, and are cancelled if they become too late.',
      what: 'What',
      template: (name: string) => `template ${name}`,
      why: 'Reason',
      resume: 'Resume',
      resumed: 'Resumed. Waiting messages are sent within a minute.',
    },
    silent: {
      title: 'No calls are coming in',
      help: 'At this time of the week these businesses usually have calls, but none came.',
      since: 'Last report',
      do: 'Check in Voicenter that CDR Notification has our URL with a valid token. Then call the business once.',
    },
    deliveries: {
      title: 'Rejected reports',
      help: 'Reports of the last 30 days that could not be read. They are kept. After the cause is mended, read them again.',
      why: 'Reason',
      howOften: 'How often',
      times: (different: number, deliveries: number) =>
        different === deliveries ? `${different}` : `${deliveries} (${different} different)`,
      show: 'Show the newest',
      one: 'A rejected report',
      received: 'Received',
      source: 'From',
      type: 'Content type',
      body: 'Content',
      contentDeleted: 'The content was deleted.',
      cut: 'Only the beginning is shown.',
      reread: 'Read again',
      rereadAt: 'Read again',
      isStored: 'it is stored',
      isStillRejected: 'it is still not readable',
      wasReread: ({ stored, rejected, more }: RereadCounts) =>
        [
          `Read again: ${stored} stored, ${rejected} still not readable.`,
          more && 'There are more: press again.',
        ]
          .filter(Boolean)
          .join(' '),
      discard: 'Discard…',
      discardMeans: (count: number) =>
        `Deletes the content of ${count === 1 ? 'this report' : `these ${count} reports`} for good. Do it only if you know the cause.`,
      discardYes: 'Yes, discard',
      discarded: (count: number) =>
        count === 1 ? 'Discarded.' : `${count} reports were discarded.`,
      sources: {
        voicenter: 'Voicenter',
        whatsapp: 'WhatsApp',
        call_log: 'Voicenter’s call log',
      },
    },
    jobs: {
      title: 'Failed background jobs',
      help: 'They failed at every attempt. You can retry or discard them.',
      job: 'Job',
      error: 'Last error',
      noError: 'none: the program stopped at each attempt',
      unknownTask: 'this version of the program has no such task',
      since: 'Since',
      retry: 'Retry',
      retryAll: (count: number | null) => (count ? `Retry all ${count}` : 'Retry all'),
      discard: 'Discard…',
      discardYes: 'Yes, discard',
      warnings: {
        voicenter_cdr: 'The report is kept, but its call is never decided and gets no message.',
        lead_outreach: 'No message is sent for this call.',
        lead_reminder: 'No more messages are sent for this call.',
        lead_silence: 'The conversation ends.',
        whatsapp_event:
          'A report of WhatsApp is not read. It may be a reply, or a request for no messages.',
        owner_notice: 'The owner does not get this notice.',
        opt_out_confirmation: 'The customer gets no confirmation. The opt-out itself is valid.',
        manual: 'The customer does not get this reply.',
        event_delivery: 'The other program does not get this event.',
        otherwise: 'The job is removed.',
      },
      retried: (count: number) =>
        count === 1 ? 'The job is retried now.' : `${count} jobs are retried now.`,
      discarded: (count: number): string =>
        count === 1 ? 'Discarded.' : `${count} jobs were discarded.`,
      allJobs: 'All background jobs, by error and state',
    },
    popup: {
      title: 'Pop-Up Screen',
      help: 'Agents’ browsers know the URL of the Pop-Up Screen, so what comes over it may be forged.',
      since: 'Since',
      what: 'What',
      unconfirmed: 'Messages were cancelled because of a call that no call report confirms:',
      lookups: (token: string) =>
        `More than 60 callers were looked up within an hour over the URL no. ${token}.`,
      whatNow: {
        popup_unconfirmed:
          'Check that Voicenter reports calls to us (CDR Notification). If it does, replace the URL of the Pop-Up Screen, and call the person.',
        popup_lookups:
          'If this was not your agents, create a new URL for the Pop-Up Screen and revoke this one.',
      },
    },
    endpoints: {
      title: 'Other programs get no events',
      help: 'Events go on being recorded. They are kept for 30 days and can be sent again.',
      address: 'Address',
      why: 'Reason',
      whys: {
        gone: 'It answered that it is gone (410).',
        failing: 'All attempts to deliver an event within three days failed.',
      } satisfies Record<EndpointReason, string>,
      do: 'Fix the other program, and enable the address on the page “Events”. Or remove it there.',
    },
    callLog: {
      title: 'Call logs that cannot be read',
      help: 'Reports that are lost in the meantime are found when it works again.',
      since: 'Since',
      why: 'Reason',
      whys: {
        unauthorized: 'Voicenter rejects the code or token. Enter a valid one.',
        address_not_allowed:
          'Voicenter does not allow our IP address. Add it to the list of the account.',
        rate_limited: 'Too many requests. This solves itself.',
        timeout: 'Voicenter did not answer in time. This solves itself.',
        unreachable: 'Voicenter cannot be reached. This solves itself.',
        stopped: 'The program was stopped. This solves itself.',
        too_many_calls: 'There are more calls than one request can return.',
        date_range: 'Voicenter rejects the requested period.',
        answer_too_long: 'The answer was too long.',
        unreadable_answer: 'The answer was unreadable.',
        unexpected_error: 'An error in Ringback. See its log.',
      },
      otherwise: (why: string) => `Voicenter answered with an error (${why}).`,
    },
    unknownSenders: {
      title: 'WhatsApp events for unknown numbers',
      help: 'No business here has connected these numbers. Connect the number, or remove our webhook from it.',
      id: 'Phone number ID',
      events: 'Events in the last week',
    },
  },
  {
    allClear: 'הכול תקין',
    count: (count, more) =>
      count === 1 ? 'דבר אחד דורש טיפול.' : `${more ? 'יותר מ־' : ''}${count} דברים דורשים טיפול.`,
    restIsFine: 'כל השאר תקין.',
    noTenant: 'אין',
    last: 'לאחרונה',
    whatNow: 'מה לעשות',
    onlyNewest: 'מוצגים רק החדשים ביותר.',
    refused: {
      number_taken: 'המספר הזה כבר שייך לעסק אחר.',
      settled: 'כבר ידוע אם ההודעה הגיעה.',
      call_log_active:
        'המשימה הזאת פועלת כל עוד יש לנו גישה ליומן השיחות. אפשר לנסות שוב, או לבטל את הגישה.',
    },
    numbers: {
      title: 'מספרים שלא שייכים לאף עסק',
      help: 'שיחות מ־30 הימים האחרונים. אחרי הוספת מספר, השיחות אליו נבדקות שוב. על שיחות שלא נענו בשעתיים האחרונות (או בזמן שנקבע תחת ״דיווח מאוחר על שיחה״) אולי תישלח הודעה מיד.',
      number: 'לאיזה מספר',
      source: 'ה־Webhook של',
      calls: 'שיחות',
      unreadable: 'אין מספר בדיווח.',
      add: business => `הוספה אל ${business}`,
      addChosen: 'הוספה לעסק הזה',
      choose: 'בחירת עסק',
      chooseId: 'מזהה העסק',
      askOperator: 'יש לבקש מהמפעיל להוסיף אותו.',
      added: calls =>
        calls === 1 ? 'נוסף. שיחה אחת תיבדק שוב.' : `נוסף. ${calls} שיחות ייבדקו שוב.`,
    },
    unknown: {
      title: 'הודעות שלא ידוע אם הגיעו',
      help: 'התשובה של WhatsApp אבדה. יש לחפש את ההודעה בצ׳אט עם המספר הזה, באפליקציית WhatsApp Business אם היא בשימוש, או לשאול את הלקוח. הודעה כזאת לא נשלחת שוב.',
      to: 'אל',
      sent: 'נשלחה',
      from: 'מאת',
      why: 'סיבה',
      arrived: 'הגיעה',
      lost: 'לא הגיעה',
      markedArrived: 'סומן שההודעה נמסרה. תזכורות שלא מאוחר להן יישלחו.',
      markedLost: 'סומן שההודעה נכשלה. היא לא תישלח שוב. על השיחה הבאה שלא תיענה תישלח הודעה.',
      whys: {
        sender_died: 'התוכנה נעצרה בזמן השליחה',
        TimeoutError: 'WhatsApp לא ענה בזמן',
        unreadable_answer: 'התשובה לא הייתה קריאה',
      },
      otherwise: 'החיבור נקטע',
    },
    paused: {
      title: 'מספרי WhatsApp ותבניות מושהים',
      help: 'ההודעות ממתינות עד לחידוש, ומתבטלות אם הן מתעכבות יותר מדי.',
      what: 'מה',
      template: name => `תבנית ${name}`,
      why: 'סיבה',
      resume: 'חידוש',
      resumed: 'הפעילות התחדשה. הודעות ממתינות נשלחות בתוך דקה.',
    },
    silent: {
      title: 'לא מגיעות שיחות',
      help: 'בשעות כאלה מגיעות בדרך כלל שיחות לעסקים האלה, אבל לא הגיעה אף אחת.',
      since: 'הדיווח האחרון',
      do: 'יש לבדוק ב־Voicenter שתחת CDR Notification מוזנת הכתובת שלנו עם מפתח תקף, ואז להתקשר לעסק פעם אחת.',
    },
    deliveries: {
      title: 'דיווחים שנדחו',
      help: 'דיווחים מ־30 הימים האחרונים שלא היו קריאים. הם נשמרים. כשהסיבה תוקנה, אפשר לקרוא אותם שוב.',
      why: 'סיבה',
      howOften: 'כמה פעמים',
      times: (different, deliveries) =>
        different === deliveries ? `${different}` : `${deliveries} (מהם ${different} שונים)`,
      show: 'הצגת החדש ביותר',
      one: 'דיווח שנדחה',
      received: 'התקבל',
      source: 'מאת',
      type: 'סוג התוכן',
      body: 'תוכן',
      contentDeleted: 'התוכן נמחק.',
      cut: 'מוצגת רק ההתחלה.',
      reread: 'קריאה חוזרת',
      rereadAt: 'קריאה חוזרת',
      isStored: 'הדיווח נשמר',
      isStillRejected: 'הדיווח עדיין לא קריא',
      wasReread: ({ stored, rejected, more }) =>
        [
          `קריאה חוזרת: ${stored} נשמרו, ${rejected} עדיין לא קריאים.`,
          more && 'יש עוד: יש ללחוץ שוב.',
        ]
          .filter(Boolean)
          .join(' '),
      discard: 'מחיקה…',
      discardMeans: count =>
        `${count === 1 ? 'התוכן של הדיווח הזה יימחק' : `התוכן של ${count} הדיווחים האלה יימחק`} לצמיתות. מומלץ רק כשהסיבה ידועה.`,
      discardYes: 'כן, מחיקה',
      discarded: count => (count === 1 ? 'נמחק.' : `${count} דיווחים נמחקו.`),
      sources: {
        voicenter: 'Voicenter',
        whatsapp: 'WhatsApp',
        call_log: 'יומן השיחות של Voicenter',
      },
    },
    jobs: {
      title: 'משימות רקע שנכשלו',
      help: 'כל הניסיונות נכשלו. אפשר לנסות שוב או לבטל.',
      job: 'משימה',
      error: 'השגיאה האחרונה',
      noError: 'אין: התוכנה נעצרה בכל ניסיון',
      unknownTask: 'בגרסה הזאת של התוכנה אין משימה כזאת',
      since: 'מאז',
      retry: 'ניסיון חוזר',
      retryAll: count => (count ? `ניסיון חוזר לכל ה־${count}` : 'ניסיון חוזר לכולן'),
      discard: 'ביטול…',
      discardYes: 'כן, ביטול המשימה',
      warnings: {
        voicenter_cdr: 'הדיווח נשמר, אבל השיחה לא תיבדק ולא תישלח עליה הודעה.',
        lead_outreach: 'לא תישלח הודעה על השיחה הזאת.',
        lead_reminder: 'לא יישלחו עוד הודעות על השיחה הזאת.',
        lead_silence: 'ההתכתבות תסתיים.',
        whatsapp_event: 'דיווח של WhatsApp לא ייקרא. אולי זו תשובה, או בקשת הסרה.',
        owner_notice: 'העדכון הזה לא יגיע לבעלי העסק.',
        opt_out_confirmation: 'אישור ההסרה לא יישלח. ההסרה עצמה בתוקף.',
        manual: 'התשובה הזו לא תישלח ללקוח.',
        event_delivery: 'האירוע הזה לא יישלח למערכת האחרת.',
        otherwise: 'המשימה תוסר.',
      },
      retried: count =>
        count === 1 ? 'מתבצע ניסיון נוסף.' : `מתבצע ניסיון נוסף של ${count} משימות.`,
      discarded: count => (count === 1 ? 'המשימה בוטלה.' : `בוטלו ${count} משימות.`),
      allJobs: 'כל משימות הרקע, לפי שגיאה ומצב',
    },
    popup: {
      title: 'Pop-Up Screen',
      help: 'הדפדפנים של הנציגים מכירים את הכתובת של Pop-Up Screen, ולכן ייתכן שמה שמגיע דרכה מזויף.',
      since: 'מאז',
      what: 'מה קרה',
      unconfirmed: 'בוטלו הודעות בגלל שיחה שאף דיווח שיחה לא אישר:',
      lookups: token => `דרך כתובת מס׳ ${token} נשאלו בתוך שעה שאלות על יותר מ־60 מתקשרים.`,
      whatNow: {
        popup_unconfirmed:
          'יש לבדוק ש־Voicenter מדווחת לנו על שיחות (CDR Notification). אם כן, יש להחליף את הכתובת של Pop-Up Screen ולהתקשר ללקוח/ה.',
        popup_lookups:
          'אם אלה לא הנציגים שלכם, יש ליצור כתובת חדשה עבור Pop-Up Screen ולבטל את הזאת.',
      },
    },
    endpoints: {
      title: 'מערכות אחרות שלא מקבלות אירועים',
      help: 'האירועים ממשיכים להירשם. הם נשמרים 30 יום, ואפשר לשלוח אותם שוב.',
      address: 'כתובת',
      why: 'סיבה',
      whys: {
        gone: 'הכתובת ענתה שאינה קיימת עוד (410).',
        failing: 'כל הניסיונות לשלוח אירוע במשך שלושה ימים נכשלו.',
      },
      do: 'יש לתקן את המערכת האחרת ולהפעיל את הכתובת בדף ״אירועים״, או להסיר אותה שם.',
    },
    callLog: {
      title: 'יומני שיחות שאי אפשר לקרוא',
      help: 'דיווחים שיאבדו בינתיים יימצאו כשהגישה תחזור.',
      since: 'מאז',
      why: 'סיבה',
      whys: {
        unauthorized: 'Voicenter דוחה את הקוד או המפתח. יש להזין קוד תקף.',
        address_not_allowed: 'Voicenter לא מאשרת את כתובת ה־IP שלנו. יש להוסיף אותה לרשימה בחשבון.',
        rate_limited: 'יותר מדי בקשות. יסתדר מעצמו.',
        timeout: 'Voicenter לא ענתה בזמן. יסתדר מעצמו.',
        unreachable: 'אין קשר עם Voicenter. יסתדר מעצמו.',
        stopped: 'התוכנה נעצרה. יסתדר מעצמו.',
        too_many_calls: 'יש יותר שיחות ממה שבקשה אחת מחזירה.',
        date_range: 'Voicenter דוחה את התקופה המבוקשת.',
        answer_too_long: 'התשובה הייתה ארוכה מדי.',
        unreadable_answer: 'התשובה לא הייתה קריאה.',
        unexpected_error: 'שגיאה ב־Ringback. פרטים ביומן המערכת.',
      },
      otherwise: why => `Voicenter השיבה בשגיאה (${why}).`,
    },
    unknownSenders: {
      title: 'דיווחי WhatsApp על מספרים לא מוכרים',
      help: 'אף עסק כאן לא חיבר את המספרים האלה. יש לחבר את המספר, או להסיר ממנו את ה־Webhook שלנו.',
      id: 'מזהה המספר (Phone number ID)',
      events: 'דיווחים בשבוע האחרון',
    },
  },
)

/** The reasons in `rejected_deliveries.reason`, in Hebrew. A pattern matches the beginning of a reason, and a "; " in it. */
const HEBREW: [RegExp, string][] = [
  [/^call id \([^)]*\) is missing/, 'חסר מזהה השיחה (ivruniqueid או CallID)'],
  [/^status \([^)]*\) is missing/, 'חסרה תוצאת השיחה (status או DialStatus)'],
  [/^caller \([^)]*\) is missing/, 'חסר מספר המתקשר (caller, callerPhone או CallerNumber)'],
  [/^number dialled \([^)]*\) is missing/, 'חסר המספר שחויג (did או DID)'],
  [/^call id is longer than/, 'מזהה השיחה ארוך מדי'],
  [/^call id holds control/, 'במזהה השיחה יש תווים אסורים'],
  [/^call id is neither/, 'מזהה השיחה אינו טקסט או מספר שלם'],
  [/^not an object/, 'זו לא רשומת שיחה'],
  [/^the body is empty/, 'התקבל דיווח ריק'],
  [/^the body is not valid UTF-8 or/, 'הקידוד אינו UTF-8 או windows-1255'],
  [/^the body is not valid UTF-8/, 'הקידוד אינו UTF-8'],
  [/^the body is not valid JSON/, 'ה־JSON אינו תקין'],
  [
    /^the body is XML or HTML(; JSON or a form was expected)?/,
    'הגיע XML או HTML במקום JSON או טופס',
  ],
  [/^the body is neither/, 'זה לא JSON, לא רשימה ולא טופס'],
  [/^the array is empty/, 'הרשימה ריקה'],
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
  [/^over the daily limit/, 'נדחה לאחר שמכסת הדחיות היומית נגמרה: נספר ולא נשמר'],
]
/** Reasons that do not say what to do. */
const ENGLISH: [RegExp, string][] = [
  [
    /^XML-RPC/,
    "XML-RPC was received. In Voicenter's CPanel, under Integrations, CDR Notification, choose POST-JSON",
  ],
  [/^IVR_LAYER_INPUT/, 'an External Layer of the IVR uses this URL by mistake'],
]

/** A part of the reason without a translation is shown as it is stored. */
export const rejectionText = (language: Language, reason: string): string => {
  const known = language === 'he' ? HEBREW : ENGLISH
  const [pattern, text] = known.find(([pattern]) => pattern.test(reason)) ?? []
  const end = reason.indexOf('; ', pattern?.exec(reason)?.[0].length)
  if (end < 0) return text ?? reason
  return `${text ?? reason.slice(0, end)}; ${rejectionText(language, reason.slice(end + 2))}`
}
