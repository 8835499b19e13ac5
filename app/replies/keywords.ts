/**
 * The last line: the texts of the button that Meta adds to marketing templates.
 *
 * English: the default lists of SMS providers. They include the ambiguous "end", "quit" and "cancel", since silence does
 * less harm than an unwanted message. Hebrew: the footers of Israeli advertisements, and the usual answers to them.
 */
const STOP = new Set(
  `stop, stopall, stop all, unsubscribe, opt out, optout, remove, remove me, revoke, end, quit, cancel,
   הסר, הסירו, הסרה, להסרה, להסיר, הסר אותי, הסירו אותי, תסיר אותי, תסירי אותי, תסירו, תסירו אותי,
   עצור, עצרו, הפסק, הפסיקו, תפסיקו, די, סטופ,
   stop promotions, הפסקת מבצעים`.split(/,\s+/),
)
/** What the button "stop" of a template carries. Without a payload of ours, Meta puts the label there. */
const STOP_PAYLOADS = new Set(['stop', 'ringback:stop', 'stop promotions'])
/** Not "yes", which answers a question. */
const START = new Set(['start', 'unstop', 'subscribe', 'התחל', 'הצטרף'])

/** Hebrew vowel points, invisible marks that phones add to Hebrew, and variation selectors of emoji. */
const INVISIBLE = /[\ufe0e\ufe0f\u0591-\u05c7\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g

const plain = (text: string): string =>
  text
    .normalize('NFKC')
    .replace(INVISIBLE, '')
    .toLowerCase()
    .replace(/[\p{P}\p{S}\s]+/gu, ' ')
    .trim()

/**
 * Recognises a keyword if it is the whole message, apart from punctuation and emoji. "Please stop by tomorrow" and "not
 * interested" are ordinary answers.
 */
export const parseKeyword = (text: string): 'stop' | 'start' | null => {
  const word = plain(text)
  return STOP.has(word) ? 'stop' : START.has(word) ? 'start' : null
}

/** Whether the payload of a tapped button says stop. */
export const isStopPayload = (payload: string | undefined): boolean =>
  STOP_PAYLOADS.has(payload?.trim().toLowerCase() ?? '')
