import type { EvidenceCode, ProblemCode, StepName, StepState } from '../../../tenants/checklist.ts'
import { translations } from '../language.ts'

/** The values in a text. `about` is a number, an account or a template, `remedy` the advice for an error of Meta. */
type Told = { about: string; reason: string; remedy: string; calls: number }
/** The problem, and its remedy. */
type Advice = { why: string; whatNow: string }

export const checklistTexts = translations(
  {
    title: 'Checklist',
    progress: (done: number, all: number) => `${done} of ${all} steps are done.`,
    ready: 'Everything is set up.',
    evidence: 'Evidence',
    states: {
      done: 'done',
      open: 'to do',
      wrong: 'needs attention',
      waiting: 'in progress',
    } satisfies Record<StepState, string>,
    steps: {
      calls: 'Voicenter reports calls',
      numbers: 'The numbers that customers dial are right',
      whatsapp: 'Meta confirmed the WhatsApp number',
      events: 'Meta reports what happens',
      templates: 'Meta approved the messages',
      test: 'A test message arrived',
      quiet: 'Quiet times were chosen',
    } satisfies Record<StepName, string>,
    proofs: {
      first_call: () => 'First call report:',
      last_call: () => 'Last call report:',
      number_called: (about: string) => `First call to ${about}:`,
      number_confirmed: (about: string) => `${about} was confirmed by hand:`,
      graph_confirmed: (about: string) => `Meta confirmed the access token and ${about}:`,
      account_confirmed: (about: string) => `The number belongs to the account ${about}:`,
      webhook_verified: () => 'Meta verified the address:',
      signed_event: (about: string) => `Signed report about ${about}:`,
      template_approved: (about: string) => `Approved: ${about},`,
      test_delivered: () => 'The test message was delivered:',
      test_read: () => 'The test message was read:',
      quiet_chosen: (about: string) =>
        about === ''
          ? 'Messages may be sent at any time. Chosen:'
          : `No messages: ${about}. Chosen:`,
    } satisfies Record<EvidenceCode, (about: string) => string>,
    problems: {
      no_calls: {
        why: 'Voicenter has not reported a call yet.',
        whatNow:
          'Enter the webhook URL in Voicenter’s CPanel under Integrations, CDR Notification, with the method POST-JSON. Then call the business. The URL was shown when the business was added; if it was not kept, create a new one.',
      },
      no_number: {
        why: 'No number that customers dial is entered, so no call belongs to the business.',
        whatNow: 'The operator adds the numbers on the page “Numbers”.',
      },
      unknown_number: ({ about, calls }: Told) => ({
        why:
          calls === 1
            ? `A customer called ${about}, which is not entered here, and got no message.`
            : `Customers called ${about} ${calls} times. It is not entered here, so they got no message.`,
        whatNow:
          'If it is a number of the business, the operator adds it or corrects the wrong one.',
      }),
      number_unseen: ({ about }: Told) => ({
        why: `No call to ${about} has come yet.`,
        whatNow: 'Call it, or confirm that customers dial exactly this number.',
      }),
      not_connected: {
        why: 'No WhatsApp number is connected.',
        whatNow:
          'The operator connects it on the page “WhatsApp” with its Phone number ID and an access token from Meta.',
      },
      connection_unconfirmed: ({ about }: Told) => ({
        why: `Meta could not be asked about ${about} yet, so the access token may be wrong.`,
        whatNow: 'Ask again. Ringback also asks every night.',
      }),
      token_wrong: ({ about }: Told) => ({
        why: `Meta does not accept the access token of ${about}. It has expired, was revoked or has no permission.`,
        whatNow:
          'Create a new token of a system user in Meta Business (with whatsapp_business_messaging and whatsapp_business_management), and enter it on the page “WhatsApp”.',
      }),
      number_id_wrong: ({ about, reason }: Told) => ({
        why: `Meta knows no number with the ID ${reason} for ${about}, or the access token may not use it.`,
        whatNow:
          'Copy the Phone number ID from Meta’s App Dashboard (WhatsApp, API Setup), and connect the number again.',
      }),
      account_wrong: ({ about, reason }: Told) => ({
        why: `The WhatsApp Business account ${reason} does not have ${about}, or the access token may not see the account.`,
        whatNow:
          'Copy the WhatsApp Business Account ID from Meta’s App Dashboard (WhatsApp, API Setup), and connect the number again with it.',
      }),
      account_unknown: ({ about }: Told) => ({
        why: `Meta does not tell which WhatsApp Business account ${about} belongs to.`,
        whatNow:
          'Enter a token with the permission whatsapp_business_management, or connect the number again with the WhatsApp Business Account ID.',
      }),
      connection_paused: ({ about, reason, remedy }: Told) => ({
        why: `${about} is paused. ${reason}`,
        whatNow: remedy,
      }),
      app_secret_missing: {
        why: 'The app secret is not set (WHATSAPP_APP_SECRET). Replies and requests for no messages do not arrive, and no reminder is sent.',
        whatNow:
          'The operator copies it from Meta’s App Dashboard (App settings, Basic), sets the variable and restarts Ringback.',
      },
      app_secret_wrong: ({ about }: Told) => ({
        why: `Meta’s reports about ${about} are signed with another app secret, so they are rejected.`,
        whatNow:
          'The operator copies the secret of the app again (App settings, Basic) into WHATSAPP_APP_SECRET and restarts Ringback.',
      }),
      verify_token_missing: {
        why: 'The verify token is not set (WHATSAPP_VERIFY_TOKEN), so Meta cannot verify the address.',
        whatNow:
          'The operator sets the variable to a text of their choice, restarts Ringback and enters the same text at Meta.',
      },
      verify_token_wrong: {
        why: 'Meta tried to verify the address with another verify token.',
        whatNow:
          'Enter these two values in Meta’s App Dashboard under WhatsApp, Configuration, and press “Verify and save”.',
      },
      not_verified: {
        why: 'Meta has not verified the address for reports yet. Without it, replies do not arrive.',
        whatNow:
          'Enter these two values in Meta’s App Dashboard under WhatsApp, Configuration, and press “Verify and save”.',
      },
      no_events: ({ about }: Told) => ({
        why: `Meta verified the address, but has reported nothing about ${about}.`,
        whatNow:
          'In Meta’s App Dashboard under WhatsApp, Configuration, Webhook fields, subscribe to “messages”, “standby”, “calls”, “user_preferences”, “smb_message_echoes”, “message_template_status_update” and “template_category_update”. The app must also be subscribed to the WhatsApp Business account. Then write to the number from any phone.',
      }),
      template_unknown: ({ about }: Told) => ({
        why: `${about}: it is not known whether Meta has approved it.`,
        whatNow: 'Submit the messages to Meta. What Meta has already is not created twice.',
      }),
      template_missing: ({ about }: Told) => ({
        why: `${about}: Meta does not have this message.`,
        whatNow: 'Submit the messages to Meta.',
      }),
      template_pending: ({ about }: Told) => ({
        why: `${about}: Meta is reviewing it.`,
        whatNow: 'Nothing to do. It usually takes minutes.',
      }),
      template_refused: ({ about, reason }: Told) => ({
        why: `${about}: Meta did not take it (${reason}).`,
        whatNow: 'Change the text or the name on the page “Templates”, and submit again.',
      }),
      template_rejected: ({ about, reason }: Told) => ({
        why: `${about}: Meta rejected it${reason && ` (${reason})`}.`,
        whatNow:
          'Submit another text on the page “Templates”. It must not offer or promote anything.',
      }),
      template_paused: ({ about, reason, remedy }: Told) => ({
        why: `${about}: ${reason}`,
        whatNow: remedy,
      }),
      template_marketing: ({ about }: Told) => ({
        why: `${about}: Meta counts it as marketing, which costs more and needs consent. Reminders wait.`,
        whatNow:
          'On the page “Templates”, submit another text, or agree that it is sent as marketing.',
      }),
      template_differs: ({ about }: Told) => ({
        why: `${about}: Meta has it otherwise than it was set here.`,
        whatNow: 'Look at it on the page “Templates”, and agree or change it.',
      }),
      no_owner_phone: {
        why: 'The owner’s phone is not entered, so there is nowhere to send a test message.',
        whatNow: 'Enter it in the settings.',
      },
      no_test: {
        why: 'No test message has been sent yet.',
        whatNow: 'Send one to the owner’s phone. If it arrives, number, token and template work.',
      },
      test_pending: {
        why: 'The test message is on its way.',
        whatNow: 'Look at the owner’s phone. This page shows when it has arrived.',
      },
      test_failed: ({ reason, remedy }: Told) => ({
        why: `The last test message failed.${reason && ` ${reason}`}`,
        whatNow: `${remedy} Then send another one.`,
      }),
      test_unanswered: {
        why: 'WhatsApp did not answer, so the test message may or may not have been sent.',
        whatNow: 'Look at the owner’s phone, and send another one.',
      },
      no_quiet_windows: {
        why: 'No quiet times were chosen yet.',
        whatNow: 'Choose here, or set other times in the settings.',
      },
    } satisfies Record<ProblemCode, Advice | ((told: Told) => Advice)>,
    connectFirst: 'Connect a WhatsApp number first.',
    open: (page: string) => `Open the page “${page}”`,
    newUrl: 'Create a webhook URL',
    addNumber: 'Add the number',
    confirmNumber: 'Customers dial this number',
    askAgain: 'Ask Meta now',
    submit: 'Submit to Meta',
    local:
      'Meta cannot reach this address, because it is on this machine only. The operator sets PUBLIC_URL to the public address.',
    values: {
      callback: 'Callback URL',
      verifyToken: 'Verify token',
      subscribe: 'Subscribes the app to the account, with the access token in WHATSAPP_TOKEN',
      displayNumber: 'The number, as Meta writes it',
    },
  },
  {
    title: 'רשימת בדיקה',
    progress: (done, all) => `${done} מתוך ${all} שלבים הושלמו.`,
    ready: 'הכול מוכן.',
    evidence: 'הוכחות',
    states: {
      done: 'בוצע',
      open: 'לביצוע',
      wrong: 'דורש טיפול',
      waiting: 'בתהליך',
    },
    steps: {
      calls: 'מתקבלים דיווחי שיחות מ־Voicenter',
      numbers: 'המספרים שהלקוחות מחייגים נכונים',
      whatsapp: 'מספר ה־WhatsApp אושר על ידי Meta',
      events: 'מתקבלים דיווחים מ־Meta',
      templates: 'נוסחי ההודעות אושרו על ידי Meta',
      test: 'הודעת בדיקה הגיעה',
      quiet: 'נבחרו זמנים שקטים',
    },
    proofs: {
      first_call: () => 'דיווח השיחה הראשון:',
      last_call: () => 'דיווח השיחה האחרון:',
      number_called: about => `השיחה הראשונה אל ${about}:`,
      number_confirmed: about => `המספר ${about} אושר ידנית:`,
      graph_confirmed: about => `Meta אישרה את מפתח הגישה ואת ${about}:`,
      account_confirmed: about => `המספר שייך לחשבון ${about}:`,
      webhook_verified: () => 'Meta אימתה את הכתובת:',
      signed_event: about => `דיווח חתום על ${about}:`,
      template_approved: about => `אושר: ${about},`,
      test_delivered: () => 'הודעת הבדיקה הגיעה:',
      test_read: () => 'הודעת הבדיקה נקראה:',
      quiet_chosen: about =>
        about === '' ? 'אפשר לשלוח בכל זמן. נבחר:' : `לא נשלחות הודעות: ${about}. נבחר:`,
    },
    problems: {
      no_calls: {
        why: 'עוד לא התקבל דיווח שיחה מ־Voicenter.',
        whatNow:
          'יש להזין את כתובת ה־Webhook ב־CPanel של Voicenter, תחת Integrations, CDR Notification, בשיטה POST-JSON, ואז להתקשר לעסק. הכתובת הוצגה כשהעסק נוסף; אם היא לא נשמרה, אפשר ליצור כתובת חדשה.',
      },
      no_number: {
        why: 'לא הוזן מספר שהלקוחות מחייגים, ולכן שום שיחה לא משויכת לעסק.',
        whatNow: 'המפעיל צריך להוסיף את המספרים בדף ״מספרים״.',
      },
      unknown_number: ({ about, calls }) => ({
        why:
          calls === 1
            ? `התקבלה שיחה אל ${about}, מספר שלא הוזן כאן, ולא נשלחה עליה הודעה.`
            : `התקבלו ${calls} שיחות אל ${about}, מספר שלא הוזן כאן, ולא נשלחו עליהן הודעות.`,
        whatNow: 'אם זה מספר של העסק, המפעיל צריך להוסיף אותו או לתקן את המספר השגוי.',
      }),
      number_unseen: ({ about }) => ({
        why: `עוד לא התקבלה שיחה אל ${about}.`,
        whatNow: 'יש להתקשר אליו, או לאשר שהלקוחות מחייגים בדיוק את המספר הזה.',
      }),
      not_connected: {
        why: 'לא מחובר מספר WhatsApp.',
        whatNow:
          'המפעיל צריך לחבר אותו בדף ״WhatsApp״, עם מזהה המספר (Phone number ID) ומפתח גישה מ־Meta.',
      },
      connection_unconfirmed: ({ about }) => ({
        why: `עוד לא הצלחנו לבדוק את ${about} מול Meta, ולכן ייתכן שמפתח הגישה שגוי.`,
        whatNow: 'אפשר לבדוק שוב. Ringback בודקת גם בכל לילה.',
      }),
      token_wrong: ({ about }) => ({
        why: `Meta לא מקבלת את מפתח הגישה של ${about}. תוקפו פג, הוא בוטל או שאין לו הרשאה.`,
        whatNow:
          'יש ליצור ב־Meta Business מפתח חדש של משתמש מערכת (עם whatsapp_business_messaging ו־whatsapp_business_management), ולהזין אותו בדף ״WhatsApp״.',
      }),
      number_id_wrong: ({ about, reason }) => ({
        why: `Meta לא מכירה מספר עם המזהה ${reason} עבור ${about}, או שאין למפתח הגישה הרשאה להשתמש בו.`,
        whatNow:
          'יש להעתיק את ה־Phone number ID מה־App Dashboard של Meta ‏(WhatsApp, API Setup) ולחבר את המספר מחדש.',
      }),
      account_wrong: ({ about, reason }) => ({
        why: `בחשבון ה־WhatsApp Business ‏${reason} אין את ${about}, או שאין למפתח הגישה הרשאה לראות את החשבון.`,
        whatNow:
          'יש להעתיק את ה־WhatsApp Business Account ID מה־App Dashboard של Meta ‏(WhatsApp, API Setup) ולחבר איתו את המספר מחדש.',
      }),
      account_unknown: ({ about }) => ({
        why: `Meta לא מגלה לאיזה חשבון WhatsApp Business שייך ${about}.`,
        whatNow:
          'יש להזין מפתח גישה עם ההרשאה whatsapp_business_management, או לחבר את המספר מחדש עם ה־WhatsApp Business Account ID.',
      }),
      connection_paused: ({ about, reason, remedy }) => ({
        why: `המספר ${about} מושהה. ${reason}`,
        whatNow: remedy,
      }),
      app_secret_missing: {
        why: 'ה־app secret לא הוגדר (WHATSAPP_APP_SECRET). תשובות ובקשות הסרה לא מגיעות, ולא נשלחות תזכורות.',
        whatNow:
          'המפעיל צריך להעתיק אותו מה־App Dashboard של Meta ‏(App settings, Basic), להגדיר את המשתנה ולהפעיל מחדש את Ringback.',
      },
      app_secret_wrong: ({ about }) => ({
        why: `הדיווחים של Meta על ${about} חתומים ב־app secret אחר, ולכן הם נדחים.`,
        whatNow:
          'המפעיל צריך להעתיק מחדש את ה־secret של האפליקציה (App settings, Basic) ל־WHATSAPP_APP_SECRET ולהפעיל מחדש את Ringback.',
      }),
      verify_token_missing: {
        why: 'ה־verify token לא הוגדר (WHATSAPP_VERIFY_TOKEN), ולכן Meta לא יכולה לאמת את הכתובת.',
        whatNow:
          'המפעיל צריך להגדיר במשתנה טקסט כלשהו, להפעיל מחדש את Ringback ולהזין אצל Meta את אותו הטקסט.',
      },
      verify_token_wrong: {
        why: 'Meta ניסתה לאמת את הכתובת עם verify token אחר.',
        whatNow:
          'יש להזין את שני הערכים האלה ב־App Dashboard של Meta, תחת WhatsApp, Configuration, וללחוץ על ״Verify and save״.',
      },
      not_verified: {
        why: 'Meta עוד לא אימתה את הכתובת לדיווחים. בלי זה התשובות לא מגיעות.',
        whatNow:
          'יש להזין את שני הערכים האלה ב־App Dashboard של Meta, תחת WhatsApp, Configuration, וללחוץ על ״Verify and save״.',
      },
      no_events: ({ about }) => ({
        why: `Meta אימתה את הכתובת, אבל עוד לא דיווחה דבר על ${about}.`,
        whatNow:
          'ב־App Dashboard של Meta, תחת WhatsApp, Configuration, Webhook fields, יש להירשם (subscribe) לשדות messages, standby, calls, user_preferences, smb_message_echoes, message_template_status_update, template_category_update. גם האפליקציה צריכה להיות רשומה לחשבון ה־WhatsApp Business. אחר כך יש לכתוב למספר מטלפון כלשהו.',
      }),
      template_unknown: ({ about }) => ({
        why: `${about}: לא ידוע אם Meta אישרה את הנוסח.`,
        whatNow: 'יש להגיש את הנוסחים ל־Meta. מה שכבר קיים שם לא ייווצר שוב.',
      }),
      template_missing: ({ about }) => ({
        why: `${about}: הנוסח לא קיים אצל Meta.`,
        whatNow: 'יש להגיש את הנוסחים ל־Meta.',
      }),
      template_pending: ({ about }) => ({
        why: `${about}: הנוסח בבדיקה אצל Meta.`,
        whatNow: 'אין צורך לעשות דבר. בדרך כלל זה לוקח דקות.',
      }),
      template_refused: ({ about, reason }) => ({
        why: `${about}: Meta לא קיבלה את הנוסח (${reason}).`,
        whatNow: 'יש לשנות את הנוסח או את השם בדף ״תבניות״, ולהגיש שוב.',
      }),
      template_rejected: ({ about, reason }) => ({
        why: `${about}: Meta דחתה את הנוסח${reason && ` (${reason})`}.`,
        whatNow: 'יש להגיש נוסח אחר בדף ״תבניות״. אסור שיציע או יפרסם משהו.',
      }),
      template_paused: ({ about, reason, remedy }) => ({
        why: `${about}: ${reason}`,
        whatNow: remedy,
      }),
      template_marketing: ({ about }) => ({
        why: `${about}: Meta מחשיבה את הנוסח כפרסומת. פרסומת יקרה יותר ודורשת הסכמה, והתזכורות ממתינות.`,
        whatNow: 'בדף ״תבניות״ אפשר להגיש נוסח אחר, או לאשר לשלוח אותו כפרסומת.',
      }),
      template_differs: ({ about }) => ({
        why: `${about}: הנוסח אצל Meta שונה ממה שהוגדר כאן.`,
        whatNow: 'יש לבדוק אותו בדף ״תבניות״, ולאשר או לשנות.',
      }),
      no_owner_phone: {
        why: 'הטלפון של בעלי העסק לא הוזן, ולכן אין לאן לשלוח הודעת בדיקה.',
        whatNow: 'יש להזין אותו בהגדרות.',
      },
      no_test: {
        why: 'עוד לא נשלחה הודעת בדיקה.',
        whatNow: 'אפשר לשלוח אותה לטלפון של בעלי העסק. אם היא מגיעה, המספר, המפתח והתבנית תקינים.',
      },
      test_pending: {
        why: 'הודעת הבדיקה בדרך.',
        whatNow: 'כדאי להסתכל בטלפון של בעלי העסק. הדף יראה כשהיא תגיע.',
      },
      test_failed: ({ reason, remedy }) => ({
        why: `הודעת הבדיקה האחרונה נכשלה.${reason && ` ${reason}`}`,
        whatNow: `${remedy} אחר כך יש לשלוח הודעה נוספת.`,
      }),
      test_unanswered: {
        why: 'WhatsApp לא ענה, ולכן לא ידוע אם הודעת הבדיקה נשלחה.',
        whatNow: 'כדאי להסתכל בטלפון של בעלי העסק, ולשלוח הודעה נוספת.',
      },
      no_quiet_windows: {
        why: 'עוד לא נבחר מתי לא לשלוח הודעות ללקוחות.',
        whatNow: 'אפשר לבחור כאן, או לקבוע זמנים אחרים בהגדרות.',
      },
    },
    connectFirst: 'יש לחבר קודם מספר WhatsApp.',
    open: page => `לדף ״${page}״`,
    newUrl: 'יצירת כתובת Webhook',
    addNumber: 'הוספת המספר',
    confirmNumber: 'הלקוחות מחייגים את המספר הזה',
    askAgain: 'בדיקה מול Meta',
    submit: 'הגשה ל־Meta',
    local:
      'Meta לא יכולה להגיע לכתובת הזאת, כי היא פועלת רק במחשב הזה. המפעיל צריך להגדיר ב־PUBLIC_URL את הכתובת הציבורית.',
    values: {
      callback: 'כתובת לדיווחים (Callback URL)',
      verifyToken: 'Verify token',
      subscribe: 'רושם את האפליקציה לחשבון, עם מפתח הגישה במשתנה WHATSAPP_TOKEN',
      displayNumber: 'המספר, כפי שהוא נרשם אצל Meta',
    },
  },
)
