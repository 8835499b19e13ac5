/**
 * "Why was nothing sent?", one sentence for every verdict and every decision there is. What is missing in one
 * language is an error of types; what is missing in both, of test/web/ops/why.test.ts.
 */
import { inBoth } from '../language.ts'

export const whyWords = inBoth(
  {
    unjudged: 'This call has not been judged yet.',
    erased: 'Everything about the caller was erased, as was asked for.',
    /** With which status of the exchange's a call ended: part of a sentence. */
    statuses: {
      noanswer: 'it rang and nobody answered',
      abandone: 'the caller hung up while waiting in the queue',
      cancel: 'the caller hung up before anybody answered',
      busy: 'the line was busy',
      timeout: 'the time to wait in the queue ran out',
      full: 'the queue was full',
      joinempty: 'nobody was on duty in the queue',
      voicemail: 'voicemail took it',
      congestion: 'the lines were overloaded',
      chanunavail: 'the extension could not be reached',
      invalidargs: 'the exchange had an error',
      sswpreauth: 'the exchange turned it away with an error',
      exit: 'the caller left the queue',
      voend: 'it ended in the exchange, without a person',
      te: 'the exchange reports a technical end (TE)',
      notcalled: 'it was put through to nobody',
      notdialed: 'no telephone was rung',
      answer: 'only a machine answered',
      unknown_status: 'the exchange gave a status that is not known here',
    },
    missed: (how: string) => `Missed: ${how}.`,
    undecided: (how: string) => `Nothing was sent: ${how}, and that does not count as missed.`,
    answered: {
      agent: 'Nothing to send: somebody answered.',
      answer: 'Nothing to send: the call was answered.',
      transfer: 'Nothing to send: the call was handed on, and answered.',
      talk_time: 'Nothing to send: there was a conversation.',
      called_back: 'Nothing to send: the caller was called back in the same call.',
      machine:
        'Nothing was sent: a menu or an announcement answered, and that does not count as missed.',
    },
    not_inbound: {
      outgoing: 'Nothing to send: the business made this call itself.',
      internal: 'Nothing to send: this call was inside the business.',
      dialer: 'Nothing to send: a dialer made this call.',
      other: 'Nothing to send: this was no call of a customer.',
    },
    unmatched_number: {
      number_dialled:
        'Nothing was sent: the number dialled belongs to no business here. Once it is added, the call is judged again.',
    },
    unknown: {
      waiting_for_root:
        'Nothing was sent: this is a part of a call whose beginning has not been reported yet.',
      click_to_queue: 'Nothing was sent: a call of the dialer, which does not say who was waiting.',
      unknown_direction: 'Nothing was sent: the record does not say who called whom.',
      short_ring: 'Nothing was sent: it rang so briefly that it counts as misdialled.',
      given_up: 'Nothing was sent: judging this call failed, and it was given up by hand.',
    },
    outreach: {
      'scheduled.waiting': 'A message is waiting to be sent.',
      'scheduled.connection_paused':
        'A message is waiting: the WhatsApp number, or the template, is paused.',
      'sending.claimed': 'A message is being sent at this moment.',
      'sent.accepted': 'A message was sent.',
      'skipped.withheld_number': "No message was sent: the caller's number is withheld.",
      'skipped.own_number': "No message was sent: this is one of the business's own numbers.",
      'skipped.not_mobile':
        'No message was sent: this is a landline, a service number or a foreign one, and messages go to mobiles only.',
      'skipped.opted_out': 'No message was sent: the caller has asked for no more messages.',
      'skipped.tenant_paused': 'No message was sent: the business was paused.',
      'skipped.no_connection':
        'No message was sent: the business has no WhatsApp number connected.',
      'skipped.already_contacted':
        'No other message was sent: the caller is already getting messages because of another call.',
      'skipped.too_late': 'No message was sent: it would have come too late.',
      'skipped.shadow':
        'No message was sent: the business is only trying Ringback out. Live, it would have been sent.',
      'cancelled.reached_by_phone':
        'No message was sent: in the meantime somebody talked with the caller.',
      'cancelled.replied': 'No message was sent: in the meantime the caller wrote.',
      'cancelled.opted_out':
        'No message was sent: in the meantime the caller asked for no more messages.',
      'cancelled.owner_replied': 'No message was sent: the business wrote by itself.',
      'cancelled.by_operator': 'No message was sent: it was cancelled by hand.',
      'failed.refused': 'The message did not arrive: WhatsApp did not take it.',
      'unknown.no_answer':
        'The message may or may not have arrived: the answer of WhatsApp was lost. It is not sent again by itself.',
    },
    /** A message was sent: how the conversation stands. */
    sent: {
      open: 'A message was sent; no answer yet.',
      replied: 'A message was sent, and the caller replied.',
      reached_by_phone: 'A message was sent, and somebody talked with the caller on the phone.',
      opted_out: 'A message was sent; the caller asked for no more.',
      unresponsive: 'A message was sent; no answer came.',
      stopped: 'A message was sent; nothing more follows.',
    },
    /** Sent, and nothing more follows: why. */
    stopped: {
      by_operator: 'A message was sent; what was to follow was cancelled by hand.',
      owner_replied: 'A message was sent; then the business wrote by itself.',
      undeliverable: 'A message was sent; further ones cannot be delivered.',
    },
    sentBefore: 'A message had been sent before that was known.',
  },
  {
    unjudged: 'השיחה טרם נבדקה.',
    erased: 'כל מה שנשמר על המספר הזה נמחק לפי בקשה.',
    statuses: {
      noanswer: 'היה צלצול ואיש לא ענה',
      abandone: 'השיחה נותקה בזמן ההמתנה בתור',
      cancel: 'השיחה נותקה לפני שנענתה',
      busy: 'הקו היה תפוס',
      timeout: 'זמן ההמתנה בתור נגמר',
      full: 'התור היה מלא',
      joinempty: 'לא היה נציג זמין בתור',
      voicemail: 'השיחה עברה לתא קולי',
      congestion: 'היה עומס בקווים',
      chanunavail: 'השלוחה לא הייתה זמינה',
      invalidargs: 'הייתה שגיאה במרכזייה',
      sswpreauth: 'המרכזייה דחתה את השיחה בשגיאה',
      exit: 'השיחה יצאה מהתור לפני מענה',
      voend: 'השיחה הסתיימה במרכזייה, בלי מענה אנושי',
      te: 'המרכזייה דיווחה על סיום טכני (TE)',
      notcalled: 'השיחה לא הועברה לאיש',
      notdialed: 'אף טלפון לא צלצל',
      answer: 'היה רק מענה אוטומטי',
      unknown_status: 'המרכזייה מסרה סטטוס לא מוכר',
    },
    missed: how => `לא נענתה: ${how}.`,
    undecided: how => `לא נשלחה הודעה: ${how}, וזה לא נחשב לשיחה שלא נענתה.`,
    answered: {
      agent: 'אין צורך בהודעה: השיחה נענתה.',
      answer: 'אין צורך בהודעה: השיחה נענתה.',
      transfer: 'אין צורך בהודעה: השיחה הועברה ונענתה.',
      talk_time: 'אין צורך בהודעה: התקיימה שיחה.',
      called_back: 'אין צורך בהודעה: באותה שיחה כבר חזרו למספר הזה.',
      machine: 'לא נשלחה הודעה: השיחה נענתה בתפריט או בהקלטה, וזה לא נחשב לשיחה שלא נענתה.',
    },
    not_inbound: {
      outgoing: 'אין צורך בהודעה: העסק עצמו התקשר.',
      internal: 'אין צורך בהודעה: שיחה פנימית בתוך העסק.',
      dialer: 'אין צורך בהודעה: חייגן אוטומטי ביצע את השיחה.',
      other: 'אין צורך בהודעה: זו לא שיחה של לקוח.',
    },
    unmatched_number: {
      number_dialled:
        'לא נשלחה הודעה: המספר שחויג לא שייך לאף עסק כאן. לאחר שיתווסף, השיחה תיבדק שוב.',
    },
    unknown: {
      waiting_for_root: 'לא נשלחה הודעה: זה חלק משיחה שתחילתה טרם דווחה.',
      click_to_queue: 'לא נשלחה הודעה: זו שיחה של חייגן, שאינו מוסר מי המתין.',
      unknown_direction: 'לא נשלחה הודעה: הרשומה אינה אומרת מי התקשר למי.',
      short_ring: 'לא נשלחה הודעה: הצלצול היה קצר כל כך שהוא נחשב לטעות בחיוג.',
      given_up: 'לא נשלחה הודעה: בדיקת השיחה נכשלה, ולאחר מכן בוטלה ידנית.',
    },
    outreach: {
      'scheduled.waiting': 'הודעה ממתינה לשליחה.',
      'scheduled.connection_paused': 'הודעה ממתינה: מספר ה־WhatsApp או התבנית מושהים.',
      'sending.claimed': 'הודעה נשלחת ברגע זה.',
      'sent.accepted': 'נשלחה הודעה.',
      'skipped.withheld_number': 'לא נשלחה הודעה: המספר חסוי.',
      'skipped.own_number': 'לא נשלחה הודעה: זה מספר של העסק עצמו.',
      'skipped.not_mobile':
        'לא נשלחה הודעה: זה קו נייח, מספר שירות או מספר מחו״ל, והודעות נשלחות רק לניידים.',
      'skipped.opted_out': 'לא נשלחה הודעה: התקבלה בעבר בקשה לא לכתוב למספר הזה.',
      'skipped.tenant_paused': 'לא נשלחה הודעה: העסק היה מושהה.',
      'skipped.no_connection': 'לא נשלחה הודעה: לעסק לא מחובר מספר WhatsApp.',
      'skipped.already_contacted':
        'לא נשלחה הודעה נוספת: למספר הזה כבר נשלחות הודעות בעקבות שיחה אחרת.',
      'skipped.too_late': 'לא נשלחה הודעה: היא הייתה מגיעה מאוחר מדי.',
      'skipped.shadow': 'לא נשלחה הודעה: העסק במצב ניסיון. במצב פעיל היא הייתה נשלחת.',
      'cancelled.reached_by_phone': 'לא נשלחה הודעה: בינתיים שוחחו בטלפון.',
      'cancelled.replied': 'לא נשלחה הודעה: בינתיים התקבלה הודעה מהמספר הזה.',
      'cancelled.opted_out': 'לא נשלחה הודעה: בינתיים התקבלה בקשה לא לכתוב.',
      'cancelled.owner_replied': 'לא נשלחה הודעה: העסק כתב בעצמו.',
      'cancelled.by_operator': 'לא נשלחה הודעה: היא בוטלה ידנית.',
      'failed.refused': 'ההודעה לא הגיעה: WhatsApp לא קיבל אותה.',
      'unknown.no_answer':
        'לא ידוע אם ההודעה הגיעה: התשובה של WhatsApp אבדה. היא לא תישלח שוב מעצמה.',
    },
    sent: {
      open: 'נשלחה הודעה; עדיין אין תשובה.',
      replied: 'נשלחה הודעה, והתקבלה תשובה.',
      reached_by_phone: 'נשלחה הודעה, ואחר כך שוחחו בטלפון.',
      opted_out: 'נשלחה הודעה; התקבלה בקשה לא לכתוב עוד.',
      unresponsive: 'נשלחה הודעה; לא התקבלה תשובה.',
      stopped: 'נשלחה הודעה; לא יבואו אחריה נוספות.',
    },
    stopped: {
      by_operator: 'נשלחה הודעה; ההמשך בוטל ידנית.',
      owner_replied: 'נשלחה הודעה; אחר כך העסק כתב בעצמו.',
      undeliverable: 'נשלחה הודעה; אי אפשר למסור למספר הזה הודעות נוספות.',
    },
    sentBefore: 'ההודעה נשלחה עוד לפני שזה נודע.',
  },
)
