/**
 * Recognises opt-outs ("stop", "נא להסיר אותי מהרשימה") and their opposite ("start") in what people write.
 *
 * A message is an opt-out only if all of it says so. A wrong opt-out loses a customer, and any other message is a reply,
 * which stops everything pending as well. So in case of doubt a message is a reply: a question always is one.
 */
import {
  ASIDE,
  corrected,
  FILLERS,
  GREETING,
  NAMES,
  NO_THANKS,
  OPT_IN,
  OPT_OUT,
  POLITE,
  WEAK,
  withoutForms,
} from './sentences.ts'
import { LABELS } from '../whatsapp/own_templates.ts'

export type Keyword = 'stop' | 'start'

/** Longer messages say more than "stop". */
const MAX_LENGTH = 250

/** Marks such as niqqud, invisible characters, the Arabic tatweel, and signs within words (don't, לנג'ס). */
const IGNORED = /[\p{M}\p{Cf}\u0640'’‘`´׳״"“”„]/gu
const QUESTION = /[?؟❓❔]/u
/** S.T.O.P. */
const SPELLED = /^\P{L}*(?:\p{L}[\p{P}\p{S}\s]+)+\p{L}\P{L}*$/u

const without = (text: string, left: RegExp): string =>
  text.replace(left, ' ').replace(/ +/g, ' ').trim()

/** The clauses of a text: in lower case, with corrected spelling, without punctuation and polite words. */
const clausesIn = (text: string): string[] => {
  const plain = withoutForms(
    text
      .toLowerCase()
      .replace(IGNORED, '')
      // Letters that people write in several ways.
      .replace(/[أإآ]/g, 'ا')
      .replace(/ى/g, 'ي')
      .replace(/ة/g, 'ه')
      .replace(/ё/g, 'е')
      // "stoppp", "דייי"
      .replace(/(\p{L})\1{2,}/gu, '$1'),
  )
  return (SPELLED.test(plain) ? plain.replace(/\P{L}/gu, '') : plain)
    .replace(NO_THANKS, 'no.')
    .split(/[.,;:!،؛\n|]+|\s[-–—]+\s/)
    .map(clause =>
      without(clause, /[\p{P}\p{S}\s]+/gu)
        .split(' ')
        .map(corrected)
        .join(' '),
    )
    .map(clause => without(clause.replace(GREETING, 'HI'), POLITE))
    .filter(clause => clause !== '')
}

const named = (clause: string): string =>
  NAMES.reduce((text, [name, pattern]) => text.replace(pattern, name), clause)

/** "Remove me, please, from your list" is one sentence. */
const joined = (clauses: string[]): string[] =>
  clauses.reduce<string[]>(
    (all, clause) =>
      all.length > 0 && /^(?:LIST|MORE|ME|NUMBER|DATA)(?: |$)/.test(clause) && !OPT_OUT.test(clause)
        ? [...all.slice(0, -1), `${all.at(-1)} ${clause}`]
        : [...all, clause],
    [],
  )

/** Recognises a keyword, or a sentence of the same meaning, if it is the whole message. */
export const parseKeyword = (text: string): Keyword | null => {
  const normal = text.normalize('NFKC')
  if (normal.length > MAX_LENGTH || QUESTION.test(normal)) return null
  const clauses = clausesIn(normal)
  const words = clauses.map(clause => without(clause, /HI/g)).filter(clause => clause !== '')
  if (words.length === 0) return null
  if (words.every(word => WEAK.test(word))) return 'stop'
  if (words.length === 1 && OPT_IN.test(named(words[0] ?? ''))) return 'start'
  const sentences = joined(
    clauses.map(clause => named(without(clause, FILLERS))).filter(clause => clause !== ''),
  )
  const isOptOut = (sentence: string) => OPT_OUT.test(without(sentence, /HI/g))
  return sentences.some(isOptOut) &&
    sentences.every(sentence => isOptOut(sentence) || ASIDE.test(sentence))
    ? 'stop'
    : null
}

/** A payload as it is compared: without invisible characters, and without the kind of a space or of a letter. */
const plainPayload = (payload: string): string =>
  without(payload.normalize('NFKC').replace(IGNORED, '').toLowerCase(), /\s+/g)

/**
 * Whether the payload of a tapped button says stop. Without a payload of ours, Meta puts the label there. A word such as
 * "cancel" does not count: as a payload it is about an appointment.
 */
export const isStopPayload = (payload = ''): boolean => {
  const plain = plainPayload(payload)
  return plain === 'ringback:stop' || (!WEAK.test(plain) && parseKeyword(payload) === 'stop')
}

/** What the button "call me back" carries, or its label. */
const CALLBACK_PAYLOADS = new Set([
  'ringback:callback',
  ...LABELS.map(({ callback }) => callback.toLowerCase()),
])

/** Whether the payload of a tapped button asks for a call. */
export const isCallbackPayload = (payload = ''): boolean =>
  CALLBACK_PAYLOADS.has(plainPayload(payload))
