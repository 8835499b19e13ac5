/**
 * The sentences that mean "send me nothing more", in English, Hebrew, Russian and Arabic: a small grammar of verb, object and
 * source ("remove" "my number" "from your list"). First, a name in capitals (NUMBER, LIST) replaces what people write in many
 * ways, so that the sentences stay short. A text is compared in lower case, so it cannot contain such a name itself.
 */

/** Alternatives, written as a list with commas and line breaks. */
const any = (lines: string): string =>
  `(?:${lines
    .trim()
    .split(/\s*[,\n]\s*/)
    .join('|')})`
/** Alternatives, one in each line. */
const anyLine = (lines: string): string =>
  `(?:${lines
    .trim()
    .split(/\s*\n\s*/)
    .join('|')})`
const wholeWords = (pattern: string): RegExp => new RegExp(`(?<!\\S)(?:${pattern})(?!\\S)`, 'g')
const wholeText = (pattern: string): RegExp => new RegExp(`^(?:${pattern})$`)

// Each word is corrected first.

/** A word that differs from one of these in one letter is that word. */
const LONG_WORDS =
  `unsubscribe messages message messaging sending texting contacting remove number please mailing whatsapp
  הודעות ההודעות מהרשימה בבקשה מעוניין מעוניינת לשלוח`.split(/\s+/)
/** Except these, which are words of their own: a spa sells massages. */
const OTHER_WORDS = new Set(
  `massage massages massaging spending lending bending mending tending ending vending testing removed removes remover remote
   numbers passage passages pleased mailings הדעות הודעה ההודעה תודעות מעוניינות לסלוח לשלוט לשלול לשלוף לצלוח מהרשומה`.split(
    /\s+/,
  ),
)
const TYPOS: Record<string, RegExp> = {
  stop: /^(?:stpo|sotp|tsop|stopp|sttop|stopt|dtop|stopall|סטופ|דאםפ|стоп|ايقاف|اوقف)$/,
  dont: /^(?:donot|dnt|doont|dotn|never)$/,
  from: /^(?:frm|fom|fron|form|ffrom)$/,
  list: /^(?:lsit|lits|llist|lst|lists)$/,
  your: /^(?:ur|yuor|youre|yours|yor)$/,
  you: /^(?:u|ya)$/,
  unsubscribe: /^(?:unsub|unsubscribed)$/,
  'unsubscribe me': /^unsubscribeme$/,
  'remove me': /^removeme$/,
  'opt out': /^optout$/,
  // The letters of הסר on an English keyboard.
  הסר: /^(?:vxr|הסיר|הסרר)$/,
  להסיר: /^(?:להסר|לההסיר|להסירר|להשיר|kvxhr)$/,
  הסירו: /^(?:הסרו|הסירוו|היסירו|הסיירו|vxhru)$/,
  תסירו: /^(?:תסרו|תסירוו|תסיור|תסיירו|תהסירו|תסירןו)$/,
  תפסיקו: /^(?:תפסקו|תפיסקו|תפסיקוו|תפסיוק|תפסיקן|תפסיכו)$/,
  הפסיקו: /^(?:הפסקו|הפיסקו|הפסיקוו)$/,
  תשלחו: /^(?:תישלחו|תשלחוו|תשלכו|תשחלו|תשלוחו)$/,
  מעוניין: /^(?:מעונין|מעוניינת|מעונינת|מעוניינים|מעונינים|מעוניינות|מעונינות)$/,
  אותי: /^(?:אותיי|אוטי|אתי|אותו?יי)$/,
  // Formal Hebrew joins "me" or "us" to the verb.
  'להסיר אותי': /^ו?להסירני$/,
  'להסיר אותנו': /^ו?להסירנו$/,
  'הסירו אותי': /^ו?[הת]סיר[יו]?ני$/,
  'הסירו אותנו': /^ו?[הת]סירונו$/,
  'למחוק אותי': /^ו?למחקני$/,
  'מחקו אותי': /^ו?ת?מחקוני$/,
  'להוריד אותי': /^ו?להורידני$/,
  'הורידו אותי': /^ו?[הת]וריד[יו]?ני$/,
  'להוציא אותי': /^ו?להוציאני$/,
  'הוציאו אותי': /^ו?[הת]וציא[יו]?ני$/,
  'להטריד אותי': /^להטרידני$/,
  'תטרידו אותי': /^תטריד[יו]?ני$/,
  די: /^(?:דיי)$/,
  отписаться: /^(?:отписатся|отписаца)$/,
}

/** Whether one insertion, deletion, substitution or swap of neighbours, after the first letter, makes the words equal. */
const isOneEditAway = (a: string, b: string): boolean => {
  let same = 0
  while (same < a.length && a[same] === b[same]) same++
  if (same === 0) return false
  const [x, y] = [a.slice(same), b.slice(same)]
  return (
    [x, x.slice(1)].some(rest => rest === y.slice(1)) ||
    x.slice(1) === y ||
    (x[0] === y[1] && x[1] === y[0] && x.slice(2) === y.slice(2))
  )
}

/** Hebrew that addresses everybody: הסר/י, תסיר.י, הסר/הסירי, מבקש/ת. */
const FORMS = /(?<!\p{L})(\p{Script=Hebrew}{2,})((?:[/\\.]\p{Script=Hebrew}+)+)(?!\p{L})/gu
const ENDINGS = new Set(['י', 'ו', 'ה', 'ת', 'ן'])
/** The letters that the forms of one word share. */
const stemOf = (word: string): string =>
  word.charAt(0) + word.slice(1).replace(/[יו]/g, '').replace(/[תה]$/, '')

/** Keeps the first of the forms of a word. */
export const withoutForms = (text: string): string =>
  text.replace(FORMS, (whole, first: string, others: string) =>
    others
      .split(/[/\\.]/)
      .slice(1)
      .every(other => ENDINGS.has(other) || stemOf(other) === stemOf(first))
      ? first
      : whole,
  )

/** A word of the list stays as it is: "message" is not a wrong "messages". */
export const corrected = (word: string): string =>
  Object.keys(TYPOS).find(name => TYPOS[name]?.test(word)) ??
  (LONG_WORDS.includes(word) || OTHER_WORDS.has(word)
    ? word
    : (LONG_WORDS.find(long => isOneEditAway(word, long)) ?? word))

// What does not change the meaning is left out.

/** "Good evening", also as a wish at the end. The longest comes first: "שבת שלום" is more than "שלום". */
export const GREETING = wholeWords(
  any(`
  (?:and )?(?:have an? )?(?:very )?(?:good|nice|great|lovely) (?:morning|afternoon|evening|day|night|week|weekend|one)
  (?:and )?(?:shabbat shalom|happy (?:new year|holidays?)|merry christmas|shalom)
  (?:hi|hii|hello|helo|hey|heya)(?: there| all| guys| team)?, dear
  ו?(?:שיהיה (?:לכם |לך )?)?ה?(?:המשך )?(?:בוקר|ערב|יום|שבוע|לילה|סופש|שבת|חג|צהריים) (?:טוב|טובה|טובים|נעים|נעימה|נפלא|מקסים|מצוין|אור|שמח|מבורך|מבורכת)(?: לכם| לך| לכולם)?
  ו?(?:שבת שלום|שנה טובה|גמר חתימה טובה|(?:חנוכה|פורים|פסח|סוכות|חג שבועות|חג (?:חנוכה|פורים|פסח|סוכות)) (?:שמח|כשר)|חג כשר ושמח|צום קל)(?: ומתוקה| ומבורך)?(?: לכם| לך| לכולם)?
  שלום(?: רב| לכם)?, היי, הי, אהלן, הלו
  здравствуйте, привет, (?:и )?(?:добр(?:ый|ого|ое|ой)|хороше(?:го|й)|спокойной) (?:день|дня|вечера?|утро|утра|ночи|недели)
  مرحبا, السلام عليكم(?: ورحمه الله)?(?: وبركاته)?, (?:صباح|مساء) (?:الخير|النور), اهلا`),
)
/** What people thank for. */
const FAVOUR_HE = any(
  `הודעה, הודעות, פנייה, פניה, עדכון, תזכורת, מידע, שירות, עזרה, הבנה, זמן, תשובה, הצעה, יחס, הכל, חזרה`,
)
export const POLITE = wholeWords(
  any(`
  please, pleas, pls, plz, plss, kindly, thankyou, ty, cheers, sorry, excuse me, (?:best |kind )?regards
  (?:many )?(?:thanks|thank you|thx|thnx|tnx)(?: a lot| so much| very much| in advance)?(?: for (?:reaching out|calling|writing|contacting (?:me|us)|(?:the|your|all the) (?:messages?|reply|replies|answer|updates?|reminders?|info|information|call|offer|help|service|time)))?
  sir or madam, sir, madam, bye, goodbye
  ו?ב?תודה(?: רבה)?(?: מראש)?(?: לכם| לך)?(?: על ה?${FAVOUR_HE}(?: שלכם| שלך)?)?, תודא, בבקשה, בבקש, נא, נה, אנא, סליחה, מצטערת?
  חברים, צוות יקר, ביי, בברכה
  пожалуй?ста, пжл, пж, плиз, извините, простите, до свидания, всего доброго, (?:большое )?спасибо(?: большое)?(?: за (?:сообщени[ея]|ответ|информацию|звонок))?
  من فضلكم?, عفوا, لو سمحتم?, رجاء, شكرا(?: جزيلا)?(?: لكم| لك)?(?: علي (?:الرساله|الرسائل|رسالتكم|الرد))?`),
)
export const NO_THANKS = wholeWords('(?:no|לא),? (?:thanks|thank you|תודה)')
/** Not after a negation: "don't text me now" may mean "write later". */
const NOW = '(?<!(?<!\\S)(?:dont|don t|not|אל|על|לא) .*)(?:right now|now|עכשיו|כרגע)'
export const FILLERS = wholeWords(
  any(`
  ${NOW}, right away, immediately, asap, as soon as possible, at once, once and for all, already, just, really, also, but, ok, okay, bro, man, guys
  כבר, מיד, מייד, מיידית, באופן מיידי, דחוף, בדחיפות, לאלתר, פשוט, ממש, גם, אבל, אחי, אוקיי, אוקי
  בהקדם(?: האפשרי)?, כמה שיותר מהר, אחת ולתמיד
  уже, немедленно, срочно, просто, же, فورا, حالا, بسرعه`),
)

// What can be written in many ways gets a name. A pattern may use the names before it.

const THE = any(
  `the, these, those, this, that, your, any, all, all of, such, other, further, so many, too many`,
)
const PHONE = any(`phone, cell, cellphone, mobile, whatsapp, telephone`)
const NOUN =
  any(`messages?, msgs?, msg, texts?, txts?, sms, smses, whatsapps?, spam, ads, adverts?, advertisements?, promotions?, promos?
  reminders?, notifications?, offers, junk, crap, shit, garbage, communications?`)
const KIND =
  any(`whatsapp, wa, text, sms, additional, marketing, promotional, promo, spam, automated, automatic, auto, advertising, ad, reminder
  unwanted, annoying, stupid`)
const AUDIENCE =
  any(`mailing, mail, contacts?, distribution, messages?, messaging, sms, whatsapp, text, texting, marketing
  subscribers?, subscription, customers?, clients?, promotions?, broadcast, notification, phone, call, calling`)
const LISTED = `(?:${THE} )*(?:${AUDIENCE} )*(?:list|database|data base|system|records|contacts|distribution|mailings?)`
/** ווטסאפ, וואטסאפ, ווצאפ, וואטצאפ, ווטספ */
const WHATSAPP_HE = 'ו(?:[וא]+(?:טס|ט?צ)א?|(?:טס|צ)א)[פף]'
const NOUN_HE =
  any(`הודעות, הודאות, מסרונים, מסרים, סמסים, סמס, sms, ${WHATSAPP_HE}(?:ים)?, פרסומות, פירסומות
  פרסומים, ספאם, תזכורות, מבצעים, דיוור, דיוורים, דואר זבל, הטרדות`)
const KIND_HE = any(
  `ב?${WHATSAPP_HE}, ב?sms, ב?סמס, נוספות, נוספים, שיווקיות, פרסומיות, פרסומת, ספאם, אוטומטיות, טקסט`,
)
const AUDIENCE_HE =
  any(`ה?תפוצה, ה?דיוור, ה?הודעות, ה?לקוחות, ה?קשר, אנשי ה?קשר, ה?פרסום, ה?פרסומות, ה?שיווק, ה?מבצעים, ה?תזכורות
  ה?${WHATSAPP_HE}, ה?סמסים, ה?sms, ה?נמענים, ה?מנויים, ה?נתונים, ה?מידע`)
const YOURS_HE = any(
  `שלכם, שלך, שלכן, האלה, האלו, הללו, כאלה, כאלו, הזאת, הזו, הזה, זאת, זו, זה, מכם, ממך`,
)

const verbs = (lines: string): string => `[וש]?${any(lines)}`
const REMOVE_HE = verbs('הסר, הסירי, הסירו, תסיר, תסירי, תסירו, להסיר')

export const NAMES: [name: string, pattern: RegExp][] = [
  ['dont', wholeWords('don t|do not|dont ever')],
  ['stop', wholeWords('stop (?:it|this|that|all)|s t o p')],
  ['whatsapp', wholeWords('whats app')],
  ['NOMORE', wholeWords('no (?:more|further|additional)|לא עוד')],
  // Not "no whatsapp", which they may not have.
  [
    'NOMESSAGES',
    wholeWords('no (?:(?:text|sms|whatsapp|marketing|such) )?(?:messages|msgs|texts|spam)'),
  ],
  // A person who asks not to be sent "massages" means messages.
  ['MESSAGES', wholeWords(`(?<=send(?:ing)? me (?:${THE} )*)massages?`)],
  [
    'DATA',
    wholeWords(
      '(?:my|our) (?:(?:contact|contacts|phone|personal) )?(?:details|info|information|data)',
    ),
  ],
  [
    'NUMBER',
    wholeWords(`(?:my|our|this) (?:${PHONE} )*(?:number|num|contact)(?: \\d[\\d ]{5,16})?`),
  ],
  ['DETAILS', wholeWords(`(?:my|our) (?:${PHONE}|contacts|name)`)],
  [
    'LIST',
    wholeWords(`(?:from|off|off of|out of|of) (?:each |each of |every |every single )?${LISTED}`),
  ],
  ['ONLIST', wholeWords(`(?:on|in|to) ${LISTED}`)],
  [
    'HERE',
    wholeWords(
      '(?:from|off) (?:here|this|you|you guys|your (?:company|business|side)|everything|everywhere|all)',
    ),
  ],
  ['MORE', wholeWords('(?:on|via|by|through) (?:whatsapp|sms|text)')],
  // "Remove the messages" means "remove me from them". To remove ads, junk or one message is other work.
  [
    'LIST',
    wholeWords(
      `(?<=remove )(?:${THE} )*(?:${KIND} )*messages|(?<=${REMOVE_HE}(?: לי)? )(?:(?:את|כל) )*ה?הודעות(?: ${KIND_HE})*(?: ${YOURS_HE})*`,
    ),
  ],
  ['MESSAGES', wholeWords(`(?:(?:${THE}|more|any ?more) )*(?:${KIND} )*${NOUN}`)],
  ['LIST', wholeWords('(?:from|off|of) MESSAGES')],
  [
    'MORE',
    wholeWords(
      'any ?more|(?:ever )?again|ever|from now on|more|permanently|forever|for ever|for good',
    ),
  ],
  ['ME', wholeWords('(?:to |for )?(?:me|us|myself)|(?:to|on) NUMBER')],
  [
    'LIST',
    wholeWords(
      `(?:מ(?:כל )?ה?|מן ה|מתוך ה?)(?:רשימה|רשימות|רשימת|רשמה|רישמה|רשימתכם|רשימתך|רשימותיכם|קבוצ[הת]? ה?(?:תפוצה|דיוור|פרסום|פרסומות|שיווק))(?: ${AUDIENCE_HE})*(?: ${YOURS_HE})*`,
    ),
  ],
  [
    'LIST',
    wholeWords(
      `(?:מ(?:כל )?ה?(?:מאגר|מאגרים|מאגרי|מערכת|תפוצה|תפוצות|מנויים|${NOUN_HE})|מקבלת ${NOUN_HE}|מה?אנשי ה?קשר)(?: ${AUDIENCE_HE}| ${KIND_HE})*(?: ${YOURS_HE})*`,
    ),
  ],
  [
    'NUMBER',
    wholeWords(
      `ו?(?:את |ת ?)?ה?מספר(?: ה?(?:טלפון|נייד|פלאפון))? (?:שלי|שלנו|הזה|זה)(?: \\d[\\d ]{5,16})?`,
    ),
  ],
  [
    'TOME',
    wholeWords(
      'לי|אלי|אליי|לנו|אלינו|למספרי|למספר(?: ה?(?:טלפון|נייד|פלאפון))? (?:הזה|זה|שלי|שלנו)',
    ),
  ],
  ['HERE', wholeWords('מכאן|מפה|מכם|ממכם|מהכו?ל|מכל מקום')],
  ['NUMBER', wholeWords(`ו?(?:את )?(?:מספרי|מספר(?: ה?טלפון)? \\d[\\d ]{5,16})`)],
  ['ANUMBER', wholeWords('ו?(?:את )?המספר(?: ה?(?:טלפון|נייד|פלאפון))?')],
  [
    'DATA',
    wholeWords('ו?(?:את )?(?:כל )?(?:פרטיי|ה?(?:פרטים|מידע|נתונים)(?: האישיים| האישי)? שלי)'),
  ],
  ['DETAILS', wholeWords('ו?(?:את )?(?:שמי|ה?(?:טלפון|נייד|פלאפון|שם) שלי)')],
  ['SUBSCRIPTION', wholeWords('(?:את )?(?:ה?(?:מנוי|הרשמה|רישום)(?: שלי| שלנו)?|הרשמתי)')],
  ['ME', wholeWords('אותי|אותנו|(?:את )?עצמי|(?:את )?עצמנו')],
  [
    'MESSAGES',
    wholeWords(
      `(?:(?:את|עם|כל|שום|אף|עוד|יותר) )*[בל]?ה?${NOUN_HE}(?: ${KIND_HE})*(?: ${YOURS_HE})*`,
    ),
  ],
  [
    'MESSAGE',
    wholeWords('(?:שום|אף|עוד|יותר) הודעה(?: נוספת)?|הודעה נוספת|(?<=תשלח[יו]? TOME )הודעה'),
  ],
  [
    'MORE',
    wholeWords('יותר|עוד|שוב|לעולם|אף פעם|בכלל|בחיים|לצמיתות|לתמיד|לנצח|מעכשיו|מהיום(?: והלאה)?'),
  ],
  [
    'LIST',
    wholeWords(
      '(?:из|от|с) (?:(?:вашей|вашего|этой|этого|ваших|всех|базы|списка) )*(?:рассылк[иу]|рассылок|списка|списков|базы(?: данных)?|контактов|сообщений|уведомлений|подписки)(?: (?:рассылки|контактов))?',
    ),
  ],
  ['HERE', wholeWords('от вас|отсюда|منكم')],
  [
    'NUMBER',
    wholeWords(
      '(?:мой|этот|наш) номер(?: телефона)?|мой контакт|رقمي|رقم (?:هاتفي|تلفوني)|هذا الرقم',
    ),
  ],
  ['DATA', wholeWords('(?:мои|наши) данные|بياناتي|معلوماتي')],
  ['SUBSCRIPTION', wholeWords('(?:мою )?подписку|подписки|(?:ال)?اشتراك|اشتراكي')],
  ['ME', wholeWords('меня|нас')],
  ['TOME', wholeWords('мне|нам|на NUMBER|لي|الي|لنا|الينا|(?:علي|الي) NUMBER|لهذا الرقم')],
  [
    'LIST',
    wholeWords(
      'من (?:هذه )?(?:ال)?(?:قائم|قوائم|لائح|قاعد)(?:ه|تكم|كم)?(?: (?:الرسائل|التوزيع|البيانات|المراسله|الاتصال))?',
    ),
  ],
  [
    'MESSAGES',
    wholeWords(
      `(?:(?:ваши|ваших|эти|этих|свои|своих|все|всех|такие|рекламные|рекламных) )*(?:сообщени[еяй]|смс|смски|рассылк[ауи]|уведомлени[яй]|спам|рекламу|напоминани[яй]|спама)(?: (?:на|в) (?:whatsapp|ватсап|вотсап|вацап))?`,
    ),
  ],
  [
    'MESSAGES',
    wholeWords(
      '(?:(?:اي|هذه|كل|المزيد من|مزيد من) )*(?:ال)?(?:رسائل|رسايل|رساله|مسجات|اشعارات)(?: (?:اخري|الواتساب|واتساب|نصيه))?(?: كهذه| هذه)?',
    ),
  ],
  [
    'MORE',
    wholeWords(
      'больше|никогда|впредь|навсегда|вообще|بعد الان|بعد اليوم|مره اخري|مره ثانيه|ابدا|مجددا|نهائيا|بعد',
    ),
  ],
]

// The sentences, one in each line.

const SENDING =
  any(`send, sending, texting, txting, messaging, msging, spamming, whatsapping, contacting, bothering
  harassing, pestering, annoying, disturbing, writing, writting, spaming`)
const SEND = any(`send, write, contact, bother, disturb, harass, MESSAGES`)
const THING = any(`this, these, those, them, it, that, anything(?: else)?, things, stuff`)
const TAIL = '(?: ME| MORE| LIST| HERE)*'
const ENGLISH = anyLine(`
  (?:MORE )?(?:remove|delete|erase) (?:ME|NUMBER|DATA)(?: and (?:NUMBER|DATA))?(?: LIST| HERE| MORE)*|(?:remove|delete|erase) LIST(?: ME)?(?: MORE)?
  (?:remove|delete|erase|drop|exclude|take|get|cross|strike|leave|keep|pull) (?:ME|NUMBER|DATA|DETAILS) LIST(?: MORE)?
  take (?:ME|NUMBER) off(?: MORE)?
  unsubscribe(?: all)?(?: to)?(?: ME| NUMBER| LIST| HERE| MESSAGES| MORE)*
  (?:im |i am |i )?(?:opt|opting) (?:ME )?(?:out(?: LIST| MESSAGES)?|LIST)|(?:i )?(?:revoke|withdraw) my consent
  (?:have )?(?:ME|NUMBER) (?:removed|deleted|taken)(?: off)?(?: LIST)?|be (?:removed|taken|deleted|unsubscribed)(?: off)?(?: LIST)?
  removal LIST|removal request|request removal
  lose NUMBER|leave ME alone|NOMORE (?:contact|texting|messaging|spamming)|dont contact
  (?:stop|quit|cease|cease and desist|discontinue) (?:to )?${SENDING}(?: ME| NUMBER)?(?: MESSAGES| ${THING})?${TAIL}
  (?:stop|quit|cease) (?:calling|phoning|ringing|write|call)(?: and (?:texting|messaging))? (?:to )?(?:ME|NUMBER)(?: MESSAGES)?${TAIL}
  (?:stop|quit|cease) (?:receiving|getting) MESSAGES${TAIL}
  (?:stop|end|cease|quit|cancel|discontinue|NOMORE|enough) (?:with |of )?MESSAGES${TAIL}
  (?:NOMORE|enough) LIST|NOMESSAGES(?: ME| MORE)*
  dont ${SEND}(?: to)? (?:ME|NUMBER)(?: (?:or|and) (?:call|MESSAGES|contact)(?: ME)?)?(?:(?: a)? MESSAGES| ${THING})?${TAIL}
  dont send (?:MESSAGES|anything(?: else)?|things|stuff)${TAIL}|dont ${SEND} MORE
  dont (?:call|phone|ring) ME MORE
  (?:i |we )?(?:dont|no longer)(?: MORE)? (?:want|wanna|wish|care|consent|agree)(?: to)?(?: get| receive| getting| receiving| see)?(?: MORE)? MESSAGES${TAIL}
  (?:i |we )?(?:dont|no longer) (?:want|wish)(?: for)? you (?:to )?(?:${SEND}|${SENDING})(?: to)?(?: ME| NUMBER)(?: MESSAGES| ${THING})?${TAIL}
  (?:i |we )?(?:dont|no longer) (?:want|wish) to be (?:contacted|messaged|texted|ONLIST)${TAIL}|(?:i |we )?(?:dont|no longer) (?:want|wish) to hear HERE${TAIL}
  (?:im |i am |we are )?(?:not|no longer) interested in (?:receiving |getting )?MESSAGES${TAIL}`)
const ASK = anyLine(`
  (?:can|could|would|will) you|(?:can|could|may) (?:i|we)
  (?:i |we )?(?:want|would like|wanna|wish|need|ask|request|demand|am asking|asked|told)(?: you)?(?: to| that you| for)?
  (?:id|wed) (?:like|appreciate it if)(?: you)?(?: to)?|(?:im|we are) asking you to|let ME|you (?:must|should|need to|have to)`)

const DELETE_HE = verbs('מחק, מחקי, מחקו, תמחק, תמחקי, תמחקו, תימחק, תימחקו, תמחוק, למחוק')
const TAKE_HE =
  verbs(`הורד, הורידי, הורידו, תוריד, תורידי, תורידו, להוריד, הוצא, הוציאי, הוציאו, תוציא, תוציאי, תוציאו, להוציא
  נתק, נתקי, נתקו, תנתק, תנתקי, תנתקו, לנתק, תעיף, תעיפי, תעיפו, להעיף`)
const STOP_HE =
  verbs(`הפסק, הפסיקי, הפסיקו, תפסיק, תפסיקי, תפסיקו, להפסיק, עצור, עצרי, עצרו, תעצור, תעצרי, תעצרו, לעצור, חדל, חדלי
  חדלו, תחדל, תחדלי, תחדלו, לחדול`)
const CANCEL_HE = verbs('בטל, בטלי, בטלו, תבטל, תבטלי, תבטלו, לבטל')
const ENOUGH_HE = any('די, מספיק, חלאס, חאלס, די די')
const TO_SEND_HE = `מ?ל${any('שלוח, שלח, סמס, כתוב, הטריד, הציק, חפור, ספאם, נגס, פנות, הפציץ, התקשר ולשלוח')}`
const SEND_HE = any('תשלח, תשלחי, תשלחו')
const WRITE_HE =
  any(`תכתוב, תכתבי, תכתבו, תסמס, תסמסי, תסמסו, תפנה, תפני, תפנו, תטריד, תטרידי, תטרידו, תציק, תציקי, תציקו, תחפור
  תחפרי, תחפרו`)
const CALL_HE = any('תתקשר, תתקשרי, תתקשרו, תצלצל, תצלצלי, תצלצלו')
const NOT_WANT_HE = `(?:אני |אנחנו |אנו )?(?:לא|איני|אינני) (?:MORE )?${any('רוצה, רוצים, מעוניין, מסכים, מסכימה, מאשר, מאשרת, מוכן, מוכנה')}(?: MORE)?`
const TAIL_HE = '(?: TOME| MORE| HERE| כל הזמן)*'
const HEBREW = anyLine(`
  (?:MORE )?(?:${REMOVE_HE}|${DELETE_HE})(?: TOME)?(?: ME| A?NUMBER| DATA)+(?: LIST| HERE| MORE)*
  (?:${REMOVE_HE}|${DELETE_HE}|${TAKE_HE})(?: TOME)? LIST(?: ME| NUMBER)?(?: MORE)?
  (?:${REMOVE_HE}|${DELETE_HE}|${TAKE_HE})(?: TOME)?(?: ME| A?NUMBER| DATA| DETAILS)+ LIST(?: MORE)?|${TAKE_HE}(?: TOME)? NUMBER
  ל?(?:הסרה|מחיקה) LIST|ל?(?:הסרת|מחיקת) A?NUMBER(?: LIST)?|בקשת הסרה(?: LIST)?|ש?NUMBER (?:יוסר|ימחק|יימחק)(?: LIST)?
  (?:לצאת|להתנתק|לרדת|להימחק|להיות מוסר) LIST
  (?:stop|${STOP_HE}) ${TO_SEND_HE}(?: ME)?(?: TOME| MORE| MESSAGES| דברים| שטויות| זבל| כל הזמן)*
  ${ENOUGH_HE} ${TO_SEND_HE}(?: TOME| כל הזמן)* MESSAGES${TAIL_HE}|די ${TO_SEND_HE} (?:TOME|ME)|(?:די|מספיק) ל(?:הציק|הטריד|חפור)
  (?:${STOP_HE}|${ENOUGH_HE}) (?:להתקשר|לצלצל|לטלפן) TOME${TAIL_HE}
  (?:${STOP_HE}|${ENOUGH_HE}) לקבל (?:HERE )?MESSAGES${TAIL_HE}
  (?:${STOP_HE}|${ENOUGH_HE}|${CANCEL_HE}|NOMORE|בלי|ביטול|הפסקת|עצירת)(?: קבלת| שליחת)?(?: TOME)? MESSAGES${TAIL_HE}
  ${CANCEL_HE}(?: TOME)?(?: ME LIST| SUBSCRIPTION(?: LIST| MESSAGES)?| LIST)
  (?:${STOP_HE}|${ENOUGH_HE}) עם זה
  ו?(?:אל|על) ${SEND_HE}(?: TOME| MORE| MESSAGES?| דברים| כלום| שום דבר)+
  ו?(?:אל|על) ${WRITE_HE} (?:TOME|ME)(?: MORE| MESSAGES)*|(?:אל (?:תטריד|תטרידי|תטרידו|תציק|תציקי|תציקו)|לא ל(?:הטריד|הציק))(?: MORE)*
  ו?(?:אל|על) ${CALL_HE} (?:TOME MORE|MORE TOME)
  (?:ו?אל תיצ(?:ור|רי|רו)|לא ליצור)(?: MORE)? (?:(?:איתי|עמי) קשר|קשר (?:איתי|עמי))(?: MORE)*
  לא לשלוח(?: TOME)?(?: MESSAGES?| MORE)+(?: TOME)?|לא ל(?:כתוב|פנות|סמס|הטריד|הציק) (?:TOME|ME)(?: MESSAGES| MORE)*
  שלא ${SEND_HE}(?: TOME)?(?: MORE| MESSAGES)+(?: TOME)?|שלא ${WRITE_HE} (?:TOME|ME)(?: MORE| MESSAGES)*
  (?:${NOT_WANT_HE}|מעדיפה? לא|לא) (?:לקבל|בקבלת)(?: HERE)?(?: MORE)? MESSAGES${TAIL_HE}
  ${NOT_WANT_HE} לקבל HERE (?:כלום|שום דבר)
  ${NOT_WANT_HE}(?: HERE)? MESSAGES${TAIL_HE}
  ${NOT_WANT_HE} ש(?:${SEND_HE}|ישלחו)(?: TOME)?(?: MORE| MESSAGES)+(?: TOME)?|${NOT_WANT_HE} (?:לכם )?לשלוח TOME(?: MORE| MESSAGES)+
  ${NOT_WANT_HE} ש(?:${WRITE_HE}|יכתבו|יפנו|יטרידו) (?:TOME|ME)(?: MORE| MESSAGES)*
  ${NOT_WANT_HE} להיות (?:MORE )?ב(?:רשימה|רשימת|רשימות)(?: ${AUDIENCE_HE})*(?: ${YOURS_HE})*
  אין לי (?:עניין|ענין|רצון|חשק)(?: לקבל)? MESSAGES${TAIL_HE}
  ת?(?:עזוב|עזבי|עזבו) ME (?:במנוחה|בשקט|לנפשי)`)

const REMOVE_RU = any('отпишите, отпиши, отписать, удалите, удали, удалить')
const TAKE_RU = any('уберите, убери, убрать, исключите, исключить, вычеркните, вычеркнуть')
const STOP_RU = any(
  'stop, перестаньте, перестань, прекратите, прекрати, прекратить, хватит, достаточно, довольно',
)
const TO_SEND_RU = any(
  `писать, слать, присылать, посылать, отправлять, рассылать, беспокоить, спамить, надоедать, доставать`,
)
const SEND_RU =
  any(`пишите, пиши, присылайте, присылай, шлите, шли, отправляйте, отправляй, посылайте, посылай, беспокойте
  беспокой, ${TO_SEND_RU}`)
const TAIL_RU = '(?: ME| TOME| MORE| HERE| MESSAGES| ничего)'
const NOT_WANT_RU =
  '(?:я |мы )?(?:MORE )?не (?:хочу|хотим|желаю|желаем|согласен|согласна)(?: MORE)?'
const RUSSIAN = anyLine(`
  (?:MORE )?(?:${REMOVE_RU}) (?:ME|NUMBER|DATA)(?: и (?:NUMBER|DATA))?(?: LIST| HERE| MORE)*
  (?:${REMOVE_RU}|${TAKE_RU}) (?:(?:ME|NUMBER|DATA) )?LIST(?: ME| NUMBER)?(?: MORE)?|(?:${REMOVE_RU}|${TAKE_RU}) LIST (?:ME|NUMBER)
  (?:отписаться|отписываюсь|отпишусь|отписка)(?: LIST| HERE)*|(?:отказаться|отказываюсь|отказ) LIST
  (?:отменить|отмените|отключить|отключите|отмена) (?:SUBSCRIPTION|MESSAGES)
  ${STOP_RU}(?: ME| TOME)? ${TO_SEND_RU}${TAIL_RU}*|${STOP_RU}(?: TOME)? MESSAGES|(?:без|никаких) MESSAGES
  (?:(?:ME|TOME|MORE) )+(?:не|не надо) ${SEND_RU}${TAIL_RU}*|(?:не|не надо) ${SEND_RU}${TAIL_RU}+|не (?:надо|нужно)(?: TOME| MORE)+ ${TO_SEND_RU}${TAIL_RU}*
  не (?:беспокойте|беспокоить)
  (?:(?:TOME|MORE) )+не звоните|не звоните (?:TOME MORE|MORE(?: TOME)?)
  ${NOT_WANT_RU}(?: получать)?(?: HERE| MORE| никаких)* MESSAGES(?: HERE| MORE)*
  оставьте ME в покое|отстаньте(?: от ME)?`)
const ASK_RU = any(
  `(?:я |мы )?(?:хочу|хотим|хотел бы|хотела бы|прошу|просим|требую), просьба, можно, нужно, надо, можете`,
)

const REMOVE_AR = any(
  'احذف, احذفي, احذفوا, احذفو, حذف, ازاله, ازل, ازيلوا, امسح, امسحوا, امسحو, شيل, شيلوا, شيلو',
)
/** The verb and "me" or "us" are one word. */
const REMOVE_ME_AR = any(
  `احذفو?(?:ني|نا), ازيلو(?:ني|نا), ازلني, امسحو?(?:ني|نا), شيلو?(?:ني|نا), حذفي, ازالتي`,
)
const STOP_AR = any(
  'stop, توقف, التوقف, توقفي, توقفوا, توقفو, اوقفوا, اوقفو, اوقفي, وقف, وقفوا, وقفو, كفي, كفايه, بكفي, بطلوا',
)
const SEND_AR = any(
  `ترسل, ترسلي, ترسلوا, ترسلو, تبعت, تبعتوا, تبعتو, تبعث, تبعثوا, تبعثو, تكتب, تكتبوا, تكتبو`,
)
const TAIL_AR = '(?: TOME| MORE| HERE| MESSAGES| شي| شيئا)'
const ARABIC = anyLine(`
  ${REMOVE_ME_AR}(?: LIST| MORE)*|${REMOVE_AR} (?:NUMBER|DATA)(?: LIST| MORE)*
  (?:الغاء|الغوا|الغو|الغي|stop) (?:SUBSCRIPTION|MESSAGES)(?: LIST| HERE| MORE)*
  ${STOP_AR}(?: عن)?(?: ارسال| بعث)?(?: TOME)? MESSAGES${TAIL_AR}*|${STOP_AR} عن (?:الارسال|مراسلتي|مراسلتنا|ازعاجي|ازعاجنا|الكتابه TOME|الارسال TOME)(?: MORE)*
  و?(?:لا|ما) ${SEND_AR}${TAIL_AR}+|و?(?:لا|ما) (?:تبع[تث]و?لي|ترسلولي|تكتبولي|تراسلو?(?:ني|نا)|تزعجو?(?:ني|نا)|تتواصلو?ا? معي)(?: MORE| MESSAGES)*
  (?:انا )?(?:لا (?:اريد|ارغب|اود)|ما بدي|مش عايز|مش عاوز)(?: (?:استلام|تلقي|استقبال|باستلام|بتلقي|في تلقي|في استلام))?(?: HERE)? MESSAGES(?: MORE| HERE)*
  عدم (?:ارسال MESSAGES|مراسلتي|مراسلتنا|ازعاجي|التواصل معي)(?: TOME| MORE)*
  اتركو?ني (?:وشاني|بحالي|لحالي)`)
const ASK_AR = any('(?:انا )?(?:اريد|ارجو|اود|ارغب في|بدي|اطلب), الرجاء, يرجي, نرجو, ممكن')
const ASK_HE = `(?:אני |אנחנו |אנו |אתם )?${any(`רוצה, רוצים, מבקש, מבקשת, מבקשים, אבקש, אבקשכם, נבקש, אשמח, נשמח, מעוניין, ברצוני
  צריך, צריכה, דורש, דורשת, אפשר, ניתן, תוכל, תוכלי, תוכלו, יכול, יכולה, יכולים, אודה, נודה, יש, אמרתי, ביקשתי, בקשתי`)}(?: לכם| HERE| אם| ש)*`

/** These say it without an object. "תודה והסר" leaves "והסר". */
const ALONE = `(?:stop|remove|перестаньте|прекратите|توقف|توقفوا|اوقفوا|ו?${any(`הסר, הסירי, הסירו, תסיר, תסירי, תסירו, להסיר, הסרה, להסרה, הפסק, הפסיקי, הפסיקו, תפסיק
  תפסיקי, תפסיקו, להפסיק, עצור, עצרי, עצרו, תעצור, תעצרי, תעצרו, חדל, חדלו`)})`
/** So do these, but they often mean something else ("cancel" an appointment), so they count only if nothing else is said. */
export const WEAK = wholeText(
  any('end, quit, cancel, revoke, בטל, בטלי, לבטל, די(?: כבר)?(?: די)*, хватит, الغاء, كفي'),
)
const SENTENCE = `(?:${ENGLISH}|${HEBREW}|${RUSSIAN}|${ARABIC})`
const SAID = `(?:${ASK}|${ASK_HE}|${ASK_RU}|${ASK_AR}) ${SENTENCE}|(?:(?:i said|i told you to|(?:אני )?(?:אמרתי|ביקשתי|מבקשת?|מבקשים|אבקש)) )?(?:${SENTENCE}|${ALONE})`
const NOT_INTERESTED = '(?:im |i am )?not interested|(?:אני )?לא (?:מעוניין|רלוונטי)'
/** Not "no need to remove me", nor "no removal request". */
const NO = 'no(?! (?:need|want|wanna|wish|ask|request|demand|removal|opting)(?: |$))'
export const OPT_OUT = wholeText(
  // Not "לא מעוניין להסיר": that is one sentence.
  `(?:(?:${NO}|enough|די|wrong number|טעות(?: במספר)?|(?:${NOT_INTERESTED})(?! [לבש])) )?(?:and )?(?:${SAID})(?: (?:and |и |و )?(?:${SAID})){0,3}(?: ${ALONE}| enough| די| מספיק)*(?: (?:${NOT_INTERESTED}))?(?: \\d[\\d ]{6,16})?`,
)
/** These may come with an opt-out. */
export const ASIDE = wholeText(
  anyLine(`
  нет|(?:мне )?не ?интересно|(?:вы )?ошиблись номером|لا|no|nope|enough|${NOT_INTERESTED}|not relevant|(?:you have the )?wrong number|you have the wrong NUMBER
  לא|(?:אני )?לא (?:מעוניין|רלוונטית?|צריך|צריכה|רוצה) MORE|לא (?:רלוונטית|צריך|צריכה|רוצה)|נמאס(?: TOME)?(?: LIST)?|טעות(?: במספר)?|מספר (?:שגוי|לא נכון)|מספיק|די|\\d[\\d ]{6,16}
  HI(?: (?!(?:dont|not|no|לא|אל|על|אין|не|нет|لا|stop)(?: |$))\\S+){0,2}`),
)
/** Not להתחיל, להצטרף or הרשמה: they also ask for a treatment or a course, and an opt-in is not listed as a reply. */
export const OPT_IN = wholeText(
  anyLine(`
  start(?: MORE)?|unstop|(?:re ?)?subscribe(?: ME)?(?: MORE)?|opt (?:ME )?(?:back )?in|optin|(?:add|put) ME back(?: ONLIST)?
  (?:start|resume)(?: sending)?(?: ME)? MESSAGES${TAIL}
  התחל|התחיל[יו]|תתחיל[יו]?|הצטרף|הצטרפ[יו]|סטארט|старт|ابدا|(?:להחזיר|תחזירו|החזירו) ME לרשימה(?: ${YOURS_HE})?
  (?:ת?חזרו|תחזור|תחזרי|התחיל[יו]|תתחיל[יו]?) לשלוח(?: TOME)?(?: MORE)? MESSAGES(?: TOME)?`),
)
