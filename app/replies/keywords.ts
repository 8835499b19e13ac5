/** What a whole message means for whether somebody wants to be written to. */

/**
 * English: the default lists of SMS providers, where "end", "quit" and "cancel" are ambiguous and yet taken as
 * a wish to be left alone, for an unwanted silence is the smaller harm. Hebrew: the footers of
 * advertisements here, and what people answer to them.
 */
const STOP = new Set(
  `stop, stopall, stop all, unsubscribe, opt out, optout, remove, remove me, revoke, end, quit, cancel,
   הסר, הסירו, הסרה, להסרה, להסיר, הסר אותי, הסירו אותי, תסיר אותי, תסירי אותי, תסירו, תסירו אותי,
   עצור, עצרו, הפסק, הפסיקו, תפסיקו, די, סטופ`.split(/,\s+/),
)
/** Not "yes": that answers a question. */
const START = new Set(['start', 'unstop', 'subscribe', 'התחל', 'הצטרף'])

/** Niqqud; invisible marks that phones add to Hebrew; variation selectors of emoji. */
const INVISIBLE = /[\ufe0e\ufe0f\u0591-\u05c7\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g

const plain = (text: string): string =>
  text
    .normalize('NFKC')
    .replace(INVISIBLE, '')
    .toLowerCase()
    .replace(/[\p{P}\p{S}\s]+/gu, ' ')
    .trim()

/**
 * The whole message must be the word, whatever stands around it in dots and emoji: "please stop by
 * tomorrow" is an answer, and so is "not interested".
 */
export const parseKeyword = (text: string): 'stop' | 'start' | null => {
  const word = plain(text)
  return STOP.has(word) ? 'stop' : START.has(word) ? 'start' : null
}
