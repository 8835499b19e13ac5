import type { HolyDay } from '../../../outreach/calendar.ts'
import { translations } from '../language.ts'

export const settingsTexts = translations(
  {
    about: 'About the business',
    name: 'Name',
    nameHelp: 'Customers see it in the message.',
    ownerPhone: 'The owner’s phone',
    ownerPhoneHelp:
      'Gets test messages, and a notice when a customer replies. If it is empty, no notices are sent.',
    timezone: 'Time zone',
    timezoneHelp: 'For the quiet times and for the time of the call in the message.',
    when: 'When to send',
    whenHelp: 'For example 90 seconds, 2 minutes or 24 hours. Scheduled messages keep their time.',
    spans: {
      outreachDelay: {
        label: 'First message',
        help: 'Time after a missed call. It is not sent if the caller is reached before.',
      },
      reminder1After: { label: 'First reminder', help: 'Time after the first message.' },
      reminder2After: { label: 'Last reminder', help: 'Time after the first message.' },
      unresponsiveAfter: {
        label: 'Stop waiting for a reply',
        help: 'Time after the last reminder.',
      },
      repeatWindow: {
        label: 'No second message within',
        help: 'Time in which a caller gets only one first message.',
      },
      oldestCall: {
        label: 'Oldest call',
        help: 'If a call is reported later than this, no message is sent.',
      },
      grace: {
        label: 'Longest delay of a first message',
        help: 'If it is delayed longer, it is not sent.',
      },
      reminderGrace: {
        label: 'Longest delay of a reminder',
        help: 'If it is delayed longer, it is not sent.',
      },
    },
    quiet: 'Quiet times',
    quietHelp:
      'No messages are sent in these times. They are sent when the quiet time ends, after Shabbat and holidays within five minutes.',
    quietAll: 'No messages',
    quietReminders: 'No reminders either',
    commonWindows: {
      shabbat: 'Shabbat',
      holidays: 'Holidays on which no work is done',
      nights: 'Nights, 21:00 to 08:00',
    },
    quietOther: 'Other quiet times',
    quietOtherHelp: 'One per line. Every day: 13:00-16:00. Once a week: fri 14:00-sun 08:00.',
    location: 'Place',
    locationHelp:
      'Shabbat and holidays last from candle-lighting to nightfall there. A city from the list, or latitude,longitude such as 31.77,35.21. Israel’s holidays apply, also abroad.',
    nextWindow: (days: string, from: string, until: string, place: string) =>
      `Next in ${place}: ${days}: ${from} to ${until}`,
    holyDays: {
      shabbat: 'Shabbat',
      rosh_hashana: 'Rosh Hashana',
      yom_kippur: 'Yom Kippur',
      sukkot: 'Sukkot',
      shemini_atzeret: 'Shemini Atzeret',
      pesach: 'Pesach',
      last_of_pesach: 'the seventh day of Pesach',
      shavuot: 'Shavuot',
    } satisfies Record<HolyDay, string>,
    which: 'Which calls',
    missed: 'What counts as missed',
    missedHelp: 'A call that a person answered never counts as missed.',
    moreStatuses: (chosen: number, all: number) => `Other reasons (${chosen} of ${all} chosen)`,
    minRing: 'Shortest ring, in seconds',
    minRingHelp: 'A shorter ring is probably a wrong number. 0 = every ring counts.',
    holdout: 'Control group, in percent',
    holdoutHelp:
      'From 0 to 50. This share of callers gets no messages, always the same people. The page Today then shows how many more callers come back because of the messages. 0 = no control group.',
    foreign: 'Send to foreign numbers too',
    lastLook:
      'Before each message, ask Voicenter whether the caller is on the line (needs access to the call log)',
    save: 'Save',
    saved: 'Saved.',
    unchanged: 'No change.',
  },
  {
    about: 'על העסק',
    name: 'שם',
    nameHelp: 'הלקוחות רואים אותו בהודעה.',
    ownerPhone: 'הטלפון של בעלי העסק',
    ownerPhoneHelp: 'אליו נשלחות הודעות בדיקה, ועדכון כשלקוח משיב. אם השדה ריק, לא נשלחים עדכונים.',
    timezone: 'אזור זמן',
    timezoneHelp: 'לזמנים השקטים ולשעת השיחה בהודעה.',
    when: 'מועדי השליחה',
    whenHelp: 'למשל 90 שניות, 2 דקות או 24 שעות. הודעות שכבר תוזמנו נשארות במועדן.',
    spans: {
      outreachDelay: {
        label: 'הודעה ראשונה',
        help: 'הזמן אחרי שיחה שלא נענתה. היא לא נשלחת אם בינתיים שוחחו בטלפון.',
      },
      reminder1After: { label: 'תזכורת ראשונה', help: 'הזמן אחרי ההודעה הראשונה.' },
      reminder2After: { label: 'תזכורת אחרונה', help: 'הזמן אחרי ההודעה הראשונה.' },
      unresponsiveAfter: { label: 'סוף ההמתנה לתשובה', help: 'הזמן אחרי התזכורת האחרונה.' },
      repeatWindow: {
        label: 'לא לשלוח שוב במשך',
        help: 'בזמן הזה נשלחת למתקשר רק הודעה ראשונה אחת.',
      },
      oldestCall: {
        label: 'דיווח מאוחר על שיחה',
        help: 'אם הדיווח על שיחה מגיע מאוחר יותר, לא נשלחת הודעה.',
      },
      grace: { label: 'איחור מותר של הודעה ראשונה', help: 'אם היא מתעכבת יותר, היא לא נשלחת.' },
      reminderGrace: { label: 'איחור מותר של תזכורת', help: 'אם היא מתעכבת יותר, היא לא נשלחת.' },
    },
    quiet: 'זמנים שקטים',
    quietHelp:
      'בזמנים האלה לא נשלחות הודעות. הן נשלחות בסוף הזמן השקט, ואחרי שבת וחג בתוך חמש דקות.',
    quietAll: 'בלי הודעות',
    quietReminders: 'גם בלי תזכורות',
    commonWindows: {
      shabbat: 'שבת',
      holidays: 'חגים (ימי שבתון)',
      nights: 'לילות, 21:00 עד 08:00',
    },
    quietOther: 'זמנים שקטים נוספים',
    quietOtherHelp:
      'אחד בכל שורה. בכל יום: 13:00-16:00. פעם בשבוע: ו׳ 14:00-א׳ 08:00, או שישי 14:00-ראשון 08:00.',
    location: 'מקום',
    locationHelp:
      'שבת וחגים נמשכים מהדלקת הנרות ועד צאת הכוכבים במקום הזה. עיר מהרשימה, או קו רוחב,קו אורך כגון 31.77,35.21. החגים הם לפי הנהוג בישראל, גם בחו״ל.',
    nextWindow: (days, from, until, place) => `הזמן הבא (${place}): ${days}: ${from} עד ${until}`,
    holyDays: {
      shabbat: 'שבת',
      rosh_hashana: 'ראש השנה',
      yom_kippur: 'יום כיפור',
      sukkot: 'סוכות',
      shemini_atzeret: 'שמיני עצרת',
      pesach: 'פסח',
      last_of_pesach: 'שביעי של פסח',
      shavuot: 'שבועות',
    },
    which: 'אילו שיחות',
    missed: 'מה נחשב לשיחה שלא נענתה',
    missedHelp: 'שיחה שאדם ענה לה אף פעם לא נחשבת כזאת.',
    moreStatuses: (chosen, all) => `סיבות נוספות (${chosen} מתוך ${all} מסומנות)`,
    minRing: 'הצלצול הקצר ביותר, בשניות',
    minRingHelp: 'צלצול קצר יותר הוא כנראה טעות במספר. 0 = כל צלצול נחשב.',
    holdout: 'קבוצת ביקורת, באחוזים',
    holdoutHelp:
      'מ־0 עד 50. לחלק הזה מהמתקשרים לא נשלחות הודעות, תמיד לאותם אנשים. בעמוד ״היום״ רואים אז כמה מתקשרים נוספים חוזרים בזכות ההודעות. 0 = בלי קבוצת ביקורת.',
    foreign: 'שליחה גם למספרים מחו״ל',
    lastLook: 'לפני כל הודעה לבדוק ב־Voicenter אם המתקשר/ת על הקו (דורש גישה ליומן השיחות)',
    save: 'שמירה',
    saved: 'נשמר.',
    unchanged: 'אין שינוי.',
  },
)
