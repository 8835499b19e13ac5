/** What an owner reads: after the name of the business and its number, before "now is the time to call back". */

type About = { subjects: string[]; lastWebhook: Date | null; timezone: string }

/** Of more numbers than this only the first are named: a template's variable must not grow long. */
const NAMED = 3

const WORDS: Record<string, (about: About) => string> = {
  webhooks_silent: ({ lastWebhook, timezone }) =>
    `– לא נרשמה אצלנו אף שיחה מאז ${lastWebhook ? dayAndTime(lastWebhook, timezone) : ''}, וזה לא רגיל. ייתכן שהחיבור למרכזייה נותק ויש לקוחות שלא נענו`,
  unmatched_number: ({ subjects }) =>
    subjects.length === 1
      ? `– התקבלה שיחה למספר ${subjects[0]}, שאינו רשום אצלנו כקו של העסק, ולמי שחייג לא נשלחה הודעה`
      : `– התקבלו שיחות ל-${subjects.length} מספרים שאינם רשומים אצלנו כקווים של העסק (${subjects.slice(0, NAMED).join(', ')}${subjects.length > NAMED ? ' ועוד' : ''}), ולמי שחייג לא נשלחה הודעה`,
  connection_paused: () =>
    '– אחד ממספרי ה-WhatsApp של העסק הושהה, ולקוחות שלא נענו אינם מקבלים ממנו הודעות',
  template_paused: () => '– נוסח של הודעה הושהה על ידי WhatsApp, ולקוחות שלא נענו אינם מקבלים אותה',
}

/** Null = this kind is the operator's own business. */
export const alertText = (kind: string, about: About): string | null => WORDS[kind]?.(about) ?? null

const dayAndTime = (at: Date, timezone: string): string =>
  new Intl.DateTimeFormat('he-IL', {
    timeZone: timezone,
    weekday: 'long',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  }).format(at)
