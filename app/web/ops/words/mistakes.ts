import { inBoth } from '../language.ts'

/** What is expected of a field, and why something is refused that was entered well. */
export const mistakeWords = inBoth(
  {
    summary: 'Nothing was changed. Please look at what is marked below.',
    line: (number: number, expected: string) => `Line ${number}: ${expected}`,
    /** By the field's name in the schemas of app/tenants. */
    expected: {
      name: 'A name in one line, of at most 100 characters.',
      numbers: 'At least one number, one per line, such as 0722776772 or *2700.',
      phone: 'A telephone number such as 0722776772 or *2700.',
      ownerPhone: 'A telephone number such as 0502345678, or nothing.',
      whatsappNumber: 'A telephone number such as 0502345678.',
      phoneNumberId: 'Meta’s id of the number: digits only.',
      accessToken: 'The access token from Meta.',
      timezone: 'A time zone such as Asia/Jerusalem.',
      outreachDelay: 'A time such as 2 minutes.',
      reminder1After: 'A time such as 2 hours.',
      reminder2After: 'A time such as 24 hours.',
      unresponsiveAfter: 'A time such as 24 hours.',
      repeatWindow: 'A time such as 24 hours.',
      oldestCall: 'A time such as 2 hours, and at least 1 minute.',
      grace: 'A time such as 30 minutes, and at least 1 minute.',
      reminderGrace: 'A time such as 6 hours, and at least 1 minute.',
      missedStatuses: 'At least one: otherwise no call would ever count as missed.',
      minRingSeconds: 'A whole number of seconds, from 0 to 600.',
      quietWindows:
        'Windows such as 21:00-08:00 or fri 15:00-sat 20:30, one per line, that leave some time of the week.',
      language: 'A code such as he or en_US.',
      template: 'Small letters, digits and underscores, as the template is called at Meta.',
      password: 'At least 12 characters, and at most 200.',
    },
    /** Of a field with several lines: of each of them. */
    each: {
      numbers: 'a telephone number such as 0722776772 or *2700.',
      quietWindows: 'a window such as 21:00-08:00 or fri 15:00-sat 20:30.',
    },
    /** By Mistake.why. */
    why: {
      number_taken: 'This number belongs to another business already.',
      last_number:
        'This is the last number: without it no call would belong to this business. Add another first, or pause the business.',
      last_token:
        'This is the last valid URL: without it Voicenter’s call records are turned away. Make a fresh one first, or tick the box to confirm.',
      connection_taken: 'This WhatsApp number belongs to another business already.',
      number_missing: 'The number itself is needed, since it is new here.',
      reminders_out_of_order: '“First reminder” would come after “Last reminder”.',
      no_connection: 'There is no WhatsApp number that is connected and active.',
      no_owner_phone: 'The owner’s phone is not known: enter it in the settings first.',
      template_paused: 'The template of the first message is paused.',
      too_soon: 'The last test message is less than a minute old. Please wait a moment.',
      not_paused: 'It is not paused.',
      mode_before_unknown: 'How it was before is not known: choose trial or live.',
    },
  },
  {
    summary: 'דבר לא השתנה. נא לבדוק את מה שמסומן למטה.',
    line: (number: number, expected: string) => `שורה ${number}: ${expected}`,
    expected: {
      name: 'שם בשורה אחת, עד 100 תווים.',
      numbers: 'לפחות מספר אחד, אחד בכל שורה, כגון 0722776772 או \u200e*2700.',
      phone: 'מספר טלפון כגון 0722776772 או \u200e*2700.',
      ownerPhone: 'מספר טלפון כגון 0502345678, או שדה ריק.',
      whatsappNumber: 'מספר טלפון כגון 0502345678.',
      phoneNumberId: 'המזהה של המספר אצל Meta: ספרות בלבד.',
      accessToken: 'מפתח הגישה מ־Meta.',
      timezone: 'אזור זמן כגון Asia/Jerusalem.',
      outreachDelay: 'משך זמן כגון 2 דקות.',
      reminder1After: 'משך זמן כגון 2 שעות.',
      reminder2After: 'משך זמן כגון 24 שעות.',
      unresponsiveAfter: 'משך זמן כגון 24 שעות.',
      repeatWindow: 'משך זמן כגון 24 שעות.',
      oldestCall: 'משך זמן כגון 2 שעות, ולפחות דקה.',
      grace: 'משך זמן כגון 30 דקות, ולפחות דקה.',
      reminderGrace: 'משך זמן כגון 6 שעות, ולפחות דקה.',
      missedStatuses: 'לפחות אחת: אחרת אף שיחה לא תיחשב כשיחה שלא נענתה.',
      minRingSeconds: 'מספר שלם של שניות, מ־0 עד 600.',
      quietWindows:
        'חלונות זמן כגון 21:00-08:00 או ו׳ 15:00-ש׳ 20:30, אחד בכל שורה, שמשאירים זמן פנוי כלשהו בשבוע.',
      language: 'קוד כגון he או en_US.',
      template: 'אותיות לטיניות קטנות, ספרות וקווים תחתונים, כפי שהתבנית נקראת אצל Meta.',
      password: 'לפחות 12 תווים, ולכל היותר 200.',
    },
    each: {
      numbers: 'מספר טלפון כגון 0722776772 או \u200e*2700.',
      quietWindows: 'חלון זמן כגון 21:00-08:00 או ו׳ 15:00-ש׳ 20:30.',
    },
    why: {
      number_taken: 'המספר כבר שייך לעסק אחר.',
      last_number:
        'זה המספר האחרון: בלעדיו שום שיחה לא תשויך לעסק. יש להוסיף קודם מספר אחר, או להשהות את העסק.',
      last_token:
        'זו הכתובת התקפה האחרונה: בלעדיה הדיווחים של Voicenter יידחו. יש ליצור קודם כתובת חדשה, או לסמן את תיבת האישור.',
      connection_taken: 'מספר ה־WhatsApp הזה כבר שייך לעסק אחר.',
      number_missing: 'דרוש המספר עצמו, כי הוא חדש כאן.',
      reminders_out_of_order: '״תזכורת ראשונה״ מאוחרת מ״תזכורת אחרונה״.',
      no_connection: 'אין מספר WhatsApp מחובר ופעיל.',
      no_owner_phone: 'הטלפון של בעלי העסק אינו ידוע: יש להזין אותו קודם בהגדרות.',
      template_paused: 'התבנית של ההודעה הראשונה מושהית.',
      too_soon: 'הודעת הבדיקה האחרונה נשלחה לפני פחות מדקה. נא להמתין רגע.',
      not_paused: 'העסק אינו מושהה.',
      mode_before_unknown: 'לא ידוע מה היה המצב קודם: יש לבחור ניסיון או פעיל.',
    },
  },
)
