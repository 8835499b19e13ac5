import { inBoth } from '../language.ts'

/** What a business can set about itself. */
export const tenantSettingsWords = inBoth(
  {
    about: 'About the business',
    name: 'Name',
    nameHelp: 'As customers read it in the message.',
    ownerPhone: 'The owner’s phone',
    ownerPhoneHelp:
      'Gets a notice when a customer replies, and test messages. If left empty, no notices are sent.',
    timezone: 'Time zone',
    timezoneHelp: 'For the quiet times, and for the time of the call in the message.',
    when: 'When to send',
    whenHelp:
      'Times such as 90 seconds, 2 minutes, 24 hours. What is already scheduled keeps its time.',
    spans: {
      outreachDelay: [
        'First message',
        'How long after a missed call. Nothing is sent to a caller who gets through in the meantime.',
      ],
      reminder1After: ['First reminder', 'How long after the first message.'],
      reminder2After: ['Last reminder', 'How long after the first message.'],
      unresponsiveAfter: [
        'Stop waiting',
        'How long to wait for an answer after the last reminder.',
      ],
      repeatWindow: [
        'No second message within',
        'Whoever calls again within this time after a message gets no other one.',
      ],
      oldestCall: [
        'Oldest call',
        'If a call is reported later than this after it began, no message is sent.',
      ],
      grace: [
        'How late a first message may be',
        'If it is delayed by more, it is not sent at all.',
      ],
      reminderGrace: [
        'How late a reminder may be',
        'If it is delayed by more, it is not sent at all.',
      ],
    },
    quiet: 'Quiet times',
    quietHelp: 'Nothing is sent in these: a message that is due then goes out when they end.',
    nights: 'Nights, 21:00 to 08:00',
    shabbat: 'Shabbat, Friday 15:00 to Saturday 20:30',
    quietOther: 'Other quiet times',
    quietOtherHelp: 'One per line. Every day: 13:00-16:00. Once a week: fri 14:00-sun 08:00.',
    which: 'Which calls',
    missed: 'What counts as missed',
    missedHelp: 'A call that a person answered never counts as missed.',
    minRing: 'Shortest ring, in seconds',
    minRingHelp: 'Whoever hung up sooner most likely misdialled. 0 = every ring counts.',
    foreign: 'Send to foreign numbers too',
    save: 'Save',
    saved: 'Saved.',
    unchanged: 'Nothing was changed.',
  },
  {
    about: 'על העסק',
    name: 'שם',
    nameHelp: 'כפי שהלקוחות יקראו אותו בהודעה.',
    ownerPhone: 'הטלפון של בעלי העסק',
    ownerPhoneHelp: 'אליו נשלחים עדכון כשלקוח משיב והודעות בדיקה. אם השדה ריק, לא נשלחים עדכונים.',
    timezone: 'אזור זמן',
    timezoneHelp: 'לפיו נקבעים הזמנים השקטים ושעת השיחה בהודעה.',
    when: 'מתי שולחים',
    whenHelp: 'משכי זמן כגון 90 שניות, 2 דקות, 24 שעות. מה שכבר נקבע נשאר בזמנו.',
    spans: {
      outreachDelay: [
        'הודעה ראשונה',
        'כמה זמן אחרי שיחה שלא נענתה. אם השיחה הבאה מאותו מספר נענתה בינתיים, היא לא נשלחת.',
      ],
      reminder1After: ['תזכורת ראשונה', 'כמה זמן אחרי ההודעה הראשונה.'],
      reminder2After: ['תזכורת אחרונה', 'כמה זמן אחרי ההודעה הראשונה.'],
      unresponsiveAfter: ['סוף ההמתנה לתשובה', 'כמה זמן מחכים לתשובה אחרי התזכורת האחרונה.'],
      repeatWindow: [
        'לא לשלוח שוב במשך',
        'על שיחה נוספת בפרק הזמן הזה אחרי הודעה לא נשלחת עוד אחת.',
      ],
      oldestCall: [
        'דיווח מאוחר על שיחה',
        'אם הדיווח על שיחה הגיע יותר מכך אחרי תחילתה, לא נשלחת הודעה.',
      ],
      grace: ['איחור מותר של הודעה ראשונה', 'אם היא מתעכבת יותר מכך, היא לא נשלחת.'],
      reminderGrace: ['איחור מותר של תזכורת', 'אם היא מתעכבת יותר מכך, היא לא נשלחת.'],
    },
    quiet: 'זמנים שקטים',
    quietHelp: 'בזמנים האלה לא נשלחות הודעות: הודעה שזמנה מגיע אז יוצאת בסופם.',
    nights: 'לילות, 21:00 עד 08:00',
    shabbat: 'שבת, יום שישי 15:00 עד שבת 20:30',
    quietOther: 'זמנים שקטים נוספים',
    quietOtherHelp:
      'אחד בכל שורה. בכל יום: 13:00-16:00. פעם בשבוע: ו׳ 14:00-א׳ 08:00, או שישי 14:00-ראשון 08:00.',
    which: 'אילו שיחות',
    missed: 'מה נחשב לשיחה שלא נענתה',
    missedHelp: 'שיחה שענו לה אף פעם לא נחשבת כזאת.',
    minRing: 'הצלצול הקצר ביותר, בשניות',
    minRingHelp: 'צלצול קצר יותר הוא כנראה טעות במספר. 0 = כל צלצול נחשב.',
    foreign: 'לשלוח גם למספרים מחו״ל',
    save: 'שמירה',
    saved: 'נשמר.',
    unchanged: 'דבר לא השתנה.',
  },
)
