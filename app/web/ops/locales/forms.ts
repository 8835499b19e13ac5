import { translations } from '../language.ts'

export const formTexts = translations(
  {
    summary: 'Nothing was changed. Please check the marked fields.',
    line: (number: number, expected: string) => `Line ${number}: ${expected}`,
    /** By the name of the field in the schemas of app/tenants. */
    expected: {
      name: 'A name in one line, of at most 100 characters.',
      numbers: 'At least one number, one per line, such as 0722776772 or *2700.',
      phone: 'A phone number such as 0722776772 or *2700.',
      ownerPhone: 'A phone number such as 0502345678, or empty.',
      whatsappNumber: 'A phone number such as 0502345678.',
      phoneNumberId: 'Meta’s ID of the number: digits only.',
      accessToken: 'The access token from Meta.',
      timezone: 'A time zone such as Asia/Jerusalem.',
      outreachDelay: 'A time such as 2 minutes.',
      reminder1After: 'A time such as 2 hours.',
      reminder2After: 'A time such as 24 hours.',
      unresponsiveAfter: 'A time such as 24 hours.',
      repeatWindow: 'A time such as 24 hours.',
      oldestCall: 'A time such as 2 hours, at least 1 minute.',
      grace: 'A time such as 30 minutes, at least 1 minute.',
      reminderGrace: 'A time such as 6 hours, at least 1 minute.',
      missedStatuses: 'Select at least one. Otherwise no call counts as missed.',
      minRingSeconds: 'A whole number of seconds, from 0 to 600.',
      quietWindows:
        'One per line, such as 21:00-08:00 or fri 15:00-sat 20:30. They must not cover the whole week.',
      language: 'A code such as he or en_US.',
      template: 'The name at Meta: lowercase letters, digits and underscores.',
      password: 'At least 12 and at most 200 characters.',
    },
    /** For one line of a field with several lines. */
    each: {
      numbers: 'a phone number such as 0722776772 or *2700.',
      quietWindows: 'a time such as 21:00-08:00 or fri 15:00-sat 20:30.',
    },
    /** By UserError.why. */
    why: {
      number_taken: 'This number already belongs to another business.',
      last_number:
        'This is the last number. Without it, no call belongs to this business. Add another number first, or pause the business.',
      last_token:
        'This is the last valid URL. Without it, all call reports are rejected. Create a new URL first, or tick the box to confirm.',
      connection_taken: 'This WhatsApp number already belongs to another business.',
      number_missing: 'The number is new here, so please enter it too.',
      reminders_out_of_order: '“First reminder” must be earlier than “Last reminder”.',
      no_connection: 'No active WhatsApp number is connected.',
      no_owner_phone: 'Enter the owner’s phone in the settings first.',
      template_paused: 'The template of the first message is paused.',
      too_soon: 'The last test message was sent less than a minute ago. Please wait a moment.',
      not_paused: 'The business is not paused.',
      mode_before_unknown: 'The mode before the pause is not known. Choose trial or live.',
    },
  },
  {
    summary: 'דבר לא השתנה. נא לבדוק את השדות המסומנים.',
    line: (number, expected) => `שורה ${number}: ${expected}`,
    expected: {
      name: 'שם בשורה אחת, עד 100 תווים.',
      numbers: 'לפחות מספר אחד, אחד בכל שורה, כגון 0722776772 או \u200e*2700.',
      phone: 'מספר טלפון כגון 0722776772 או \u200e*2700.',
      ownerPhone: 'מספר טלפון כגון 0502345678, או שדה ריק.',
      whatsappNumber: 'מספר טלפון כגון 0502345678.',
      phoneNumberId: 'מזהה המספר אצל Meta: ספרות בלבד.',
      accessToken: 'מפתח הגישה מ־Meta.',
      timezone: 'אזור זמן כגון Asia/Jerusalem.',
      outreachDelay: 'משך זמן כגון 2 דקות.',
      reminder1After: 'משך זמן כגון 2 שעות.',
      reminder2After: 'משך זמן כגון 24 שעות.',
      unresponsiveAfter: 'משך זמן כגון 24 שעות.',
      repeatWindow: 'משך זמן כגון 24 שעות.',
      oldestCall: 'משך זמן כגון 2 שעות, לפחות דקה.',
      grace: 'משך זמן כגון 30 דקות, לפחות דקה.',
      reminderGrace: 'משך זמן כגון 6 שעות, לפחות דקה.',
      missedStatuses: 'יש לבחור לפחות אחת. אחרת אף שיחה לא נחשבת כשיחה שלא נענתה.',
      minRingSeconds: 'מספר שלם של שניות, מ־0 עד 600.',
      quietWindows: 'אחד בכל שורה, כגון 21:00-08:00 או ו׳ 15:00-ש׳ 20:30. אסור שיכסו את כל השבוע.',
      language: 'קוד כגון he או en_US.',
      template: 'השם אצל Meta: אותיות לטיניות קטנות, ספרות וקווים תחתונים.',
      password: 'לפחות 12 תווים, ולכל היותר 200.',
    },
    each: {
      numbers: 'מספר טלפון כגון 0722776772 או \u200e*2700.',
      quietWindows: 'זמן כגון 21:00-08:00 או ו׳ 15:00-ש׳ 20:30.',
    },
    why: {
      number_taken: 'המספר הזה כבר שייך לעסק אחר.',
      last_number:
        'זה המספר האחרון. בלעדיו אף שיחה לא משויכת לעסק. יש להוסיף קודם מספר אחר, או להשהות את העסק.',
      last_token:
        'זו הכתובת התקפה האחרונה. בלעדיה כל דיווחי השיחות נדחים. יש ליצור קודם כתובת חדשה, או לסמן את תיבת האישור.',
      connection_taken: 'מספר ה־WhatsApp הזה כבר שייך לעסק אחר.',
      number_missing: 'המספר חדש כאן, ולכן יש להזין גם אותו.',
      reminders_out_of_order: '״תזכורת ראשונה״ צריכה להיות מוקדמת מ״תזכורת אחרונה״.',
      no_connection: 'לא מחובר מספר WhatsApp פעיל.',
      no_owner_phone: 'יש להזין קודם את הטלפון של בעלי העסק בהגדרות.',
      template_paused: 'התבנית של ההודעה הראשונה מושהית.',
      too_soon: 'הודעת הבדיקה האחרונה נשלחה לפני פחות מדקה. נא להמתין רגע.',
      not_paused: 'העסק לא מושהה.',
      mode_before_unknown: 'לא ידוע מה היה המצב לפני ההשהיה. יש לבחור ניסיון או פעיל.',
    },
  },
)
