import { type Language, translations } from '../language.ts'

export const templateTexts = translations(
  {
    help: 'Customers who did not write within 24 hours get only texts that Meta has approved. This is how customers see them.',
    none: 'Connect WhatsApp first.',
    kinds: {
      initial: 'First message',
      reminder_1: 'First reminder',
      reminder_2: 'Last reminder',
      owner_notice: 'Notice to the owner',
    },
    hours: { open: 'open hours', closed: 'closed hours' },
    forCalls: (number: string | null, hours: string | null) =>
      [number && `calls to ${number}`, hours && `in ${hours}`].filter(Boolean).join(' '),
    states: {
      approved: 'approved',
      active: 'in use',
      review: 'in review',
      missing: 'not at Meta',
      rejected: 'rejected',
      paused: 'paused',
      held: 'awaits consent',
      differs: 'differs',
    },
    notAsked: 'Meta has not been asked about this template yet.',
    notTaken: (why: string) => `Meta did not take the template: ${why}`,
    changeIt: 'Change the text or the name, then submit again.',
    unknownText: 'The text is not known. Press “Ask Meta”.',
    meta: 'Meta',
    submit: 'Submit to Meta',
    submitHelp:
      'Creates every text that Meta does not have yet. Pressing it twice creates nothing twice.',
    sync: 'Ask Meta',
    asked: 'Meta was asked:',
    neverAsked: 'Meta has not been asked yet.',
    submitted: (count: number) =>
      count === 0
        ? 'Meta has all the texts already.'
        : count === 1
          ? 'One text was submitted. Meta usually decides within minutes.'
          : `${count} texts were submitted. Meta usually decides within minutes.`,
    notSubmitted: (count: number) =>
      count === 1
        ? 'Meta did not take one text. See below why.'
        : `Meta did not take ${count} texts. See below why.`,
    synced: 'Meta answered. The states below are new.',
    resubmitted: 'The text was submitted. Meta usually decides within minutes.',
    problems: {
      token_refused:
        'Meta does not accept the access token. Create a new one and enter it on the page “WhatsApp”.',
      account_refused:
        'The access token may not read the templates. Create one with the permission whatsapp_business_management.',
      account_unknown: 'Meta does not tell which account the number belongs to. Ask the operator.',
      unanswered: 'Meta did not answer. Try again in a minute; nothing is created twice.',
    },
    resubmit: 'Submit another text…',
    resubmitHelp: 'It must not offer anything. {{1}} and {{2}} stay as they are.',
    resubmitYes: 'Submit this text',
    body: 'Text',
    bodyHelp:
      'Empty = the text of Ringback. It must not begin or end with {{1}} or {{2}}, and must offer nothing.',
    buttons: 'Buttons under the message',
    buttonNames: { callback: 'call me back', stop: 'stop the messages' },
    name: 'Name of the template',
    nameHelp: 'A text of your own needs a name of its own.',
    language: 'Language',
    variable: (number: number) => `{{${number}}} stands for`,
    nothing: '– nothing –',
    variables: {
      business_name: 'the name of the business',
      caller_name: 'the customer’s name on WhatsApp',
      call_time: 'the time of the call',
      caller_phone: 'the customer’s number',
      what_happened: 'the reason for the notice',
    },
    change: 'Change',
    save: 'Save',
    saved: 'Saved. Submit the texts to Meta if they are new.',
    unchanged: 'No change.',
    pausedMeans: 'Messages of this kind are not sent.',
    resume: 'Resume',
    agree: 'Send it as marketing',
    agreeDiffers: 'Send it as Meta has it',
    resumed: 'The template is in use again.',
    reset: 'Reset to the default template…',
    resetMeans: 'The name, language and variables will be those of the default template.',
    resetYes: 'Reset to the default template',
    resetDone: 'The default template is in use.',
    remove: 'Remove…',
    removeMeans: 'These calls then get the text for all calls.',
    removeYes: 'Remove the text',
    removed: 'Removed.',
    settings: 'Languages and opening hours',
    mainLanguage: 'Customers are written to in',
    moreLanguages: 'Also submit the texts in',
    languages: { he: 'Hebrew', en: 'English', ar: 'Arabic', ru: 'Russian' },
    openingHours: 'Opening hours',
    openingHoursHelp:
      'For texts of open or closed hours. One per line: sun-thu 09:00-18:00. Empty = not used.',
    special: 'Texts for some calls only',
    specialHelp:
      'For one of your numbers, for open or closed hours, or both. The text that fits best and is approved is used.',
    add: 'Add a text',
    kind: 'Kind of message',
    number: 'Calls to',
    anyNumber: 'any number',
    when: 'When the message is sent',
    anyHours: 'any time',
  },
  {
    help: 'לקוחות שלא כתבו ב־24 השעות האחרונות מקבלים רק נוסחים ש־Meta אישרה. כך רואים אותם הלקוחות.',
    none: 'יש לחבר קודם WhatsApp.',
    kinds: {
      initial: 'הודעה ראשונה',
      reminder_1: 'תזכורת ראשונה',
      reminder_2: 'תזכורת אחרונה',
      owner_notice: 'עדכון לבעלי העסק',
    },
    hours: { open: 'שעות הפתיחה', closed: 'שעות הסגירה' },
    forCalls: (number, hours) =>
      [number && `שיחות אל ${number}`, hours && `ב${hours}`].filter(Boolean).join(' '),
    states: {
      approved: 'מאושרת',
      active: 'בשימוש',
      review: 'בבדיקה',
      missing: 'לא קיימת אצל Meta',
      rejected: 'נדחתה',
      paused: 'מושהית',
      held: 'ממתינה לאישור',
      differs: 'שונה',
    },
    notAsked: 'עוד לא שאלנו את Meta על התבנית הזאת.',
    notTaken: why => `Meta לא קיבלה את התבנית: ${why}`,
    changeIt: 'יש לשנות את הנוסח או את השם, ולהגיש שוב.',
    unknownText: 'הנוסח לא ידוע. אפשר ללחוץ על ״בדיקה אצל Meta״.',
    meta: 'Meta',
    submit: 'הגשה ל־Meta',
    submitHelp: 'יוצרת כל נוסח שעוד לא קיים אצל Meta. לחיצה נוספת לא יוצרת דבר פעמיים.',
    sync: 'בדיקה אצל Meta',
    asked: 'נבדק אצל Meta:',
    neverAsked: 'עוד לא בדקנו אצל Meta.',
    submitted: count =>
      count === 0
        ? 'כל הנוסחים כבר קיימים אצל Meta.'
        : count === 1
          ? 'נוסח אחד הוגש. בדרך כלל Meta מחליטה בתוך דקות.'
          : `${count} נוסחים הוגשו. בדרך כלל Meta מחליטה בתוך דקות.`,
    notSubmitted: count =>
      count === 1
        ? 'Meta לא קיבלה נוסח אחד. הסיבה כתובה למטה.'
        : `Meta לא קיבלה ${count} נוסחים. הסיבות כתובות למטה.`,
    synced: 'התקבלה תשובה מ־Meta. המצב שלמטה מעודכן.',
    resubmitted: 'הנוסח הוגש. בדרך כלל Meta מחליטה בתוך דקות.',
    problems: {
      token_refused: 'Meta דוחה את מפתח הגישה. יש ליצור מפתח חדש ולהזין אותו בדף ״WhatsApp״.',
      account_refused:
        'למפתח הגישה אין הרשאה לקרוא את התבניות. יש ליצור מפתח עם ההרשאה whatsapp_business_management.',
      account_unknown: 'Meta לא מוסרת לאיזה חשבון המספר שייך. יש לפנות למפעיל.',
      unanswered: 'Meta לא ענתה. אפשר לנסות שוב בעוד דקה; דבר לא נוצר פעמיים.',
    },
    resubmit: 'הגשת נוסח אחר…',
    resubmitHelp: 'אסור להציע בו דבר. {{1}} ו־{{2}} נשארים כמו שהם.',
    resubmitYes: 'הגשת הנוסח',
    body: 'נוסח',
    bodyHelp: 'ריק = הנוסח של Ringback. אסור להתחיל או לסיים ב־{{1}} או {{2}}, ואסור להציע דבר.',
    buttons: 'כפתורים מתחת להודעה',
    buttonNames: { callback: 'חזרו אליי', stop: 'להסרה' },
    name: 'שם התבנית',
    nameHelp: 'לנוסח משלך דרוש שם משלו.',
    language: 'שפה',
    variable: number => `במקום {{${number}}} יבוא`,
    nothing: '– ללא –',
    variables: {
      business_name: 'שם העסק',
      caller_name: 'שם הלקוח ב־WhatsApp',
      call_time: 'שעת השיחה',
      caller_phone: 'מספר הלקוח',
      what_happened: 'נושא העדכון',
    },
    change: 'שינוי',
    save: 'שמירה',
    saved: 'נשמר. נוסחים חדשים יש להגיש ל־Meta.',
    unchanged: 'אין שינוי.',
    pausedMeans: 'הודעות מהסוג הזה לא נשלחות.',
    resume: 'חידוש',
    agree: 'אישור שליחה כפרסומת',
    agreeDiffers: 'אישור שליחה לפי Meta',
    resumed: 'התבנית שוב בשימוש.',
    reset: 'חזרה לתבנית ברירת המחדל…',
    resetMeans: 'השם, השפה והמשתנים יהיו אלה של תבנית ברירת המחדל.',
    resetYes: 'חזרה לתבנית ברירת המחדל',
    resetDone: 'תבנית ברירת המחדל בשימוש.',
    remove: 'הסרה…',
    removeMeans: 'השיחות האלה יקבלו את הנוסח שלכל השיחות.',
    removeYes: 'הסרת הנוסח',
    removed: 'הוסר.',
    settings: 'שפות ושעות פתיחה',
    mainLanguage: 'השפה של ההודעות ללקוחות',
    moreLanguages: 'הגשת הנוסחים גם ב',
    languages: { he: 'עברית', en: 'אנגלית', ar: 'ערבית', ru: 'רוסית' },
    openingHours: 'שעות פתיחה',
    openingHoursHelp:
      'לנוסחים של שעות פתיחה או סגירה. אחת בכל שורה: \u200esun-thu 09:00-18:00. ריק = לא בשימוש.',
    special: 'נוסחים לשיחות מסוימות',
    specialHelp:
      'לאחד המספרים שלך, לשעות הפתיחה או הסגירה, או לשניהם. נשלח הנוסח המאושר המתאים ביותר.',
    add: 'הוספת נוסח',
    kind: 'סוג ההודעה',
    number: 'שיחות אל',
    anyNumber: 'כל מספר',
    when: 'מתי ההודעה נשלחת',
    anyHours: 'בכל שעה',
  },
)

/** Example values of the variables, in the language of the text. */
export const sampleValues = (language: string, businessName: string): Record<string, string> => ({
  business_name: businessName,
  call_time: '14:05',
  caller_phone: '050-123-4567',
  ...(SAMPLES[language] ?? SAMPLES['he']),
})
const SAMPLES: Record<string, { caller_name: string; what_happened: string }> = {
  he: { caller_name: 'דנה', what_happened: '– הודעה חדשה: אפשר לקבוע תור?' },
  en: { caller_name: 'Dana', what_happened: '– wrote: Can I book an appointment?' },
  ar: { caller_name: 'دانا', what_happened: '– رسالة جديدة: هل يمكنني حجز موعد؟' },
  ru: { caller_name: 'Дана', what_happened: '– новое сообщение: Можно записаться?' },
}

/** Why Meta rejected a template. Other words of Meta's are shown as they are. */
export const templateRejection = (language: Language, reason: string): string =>
  REJECTIONS[language][reason] ?? reason
const REJECTIONS: Record<Language, Record<string, string>> = {
  en: {
    PROMOTIONAL: 'the text promotes something',
    INCORRECT_CATEGORY: 'the text is not of the category utility',
    TAG_CONTENT_MISMATCH: 'the text does not fit the category or the language',
    INVALID_FORMAT: 'the variables or the format of the text',
    ABUSIVE_CONTENT: 'the content of the text',
    SCAM: 'Meta takes it for a fraud',
  },
  he: {
    PROMOTIONAL: 'הנוסח מפרסם משהו',
    INCORRECT_CATEGORY: 'הנוסח לא מתאים לקטגוריה utility',
    TAG_CONTENT_MISMATCH: 'הנוסח לא מתאים לקטגוריה או לשפה',
    INVALID_FORMAT: 'המשתנים או המבנה של הנוסח',
    ABUSIVE_CONTENT: 'תוכן הנוסח',
    SCAM: 'Meta חושדת בהונאה',
  },
}
