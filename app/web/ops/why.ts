/** What became of a call and why, in one sentence. Pure. */
import { ERASED } from '../../voicenter/calls.ts'
import type { Language } from './language.ts'
import { whyWords } from './words/why.ts'

/** How a call stands, in the words of the columns. */
export type Stand = {
  verdict: string | null
  reason: string | null
  /** Null = it was never recorded as missed. */
  outreachState: string | null
  outreachReason: string | null
  /** Of its own conversation; null = no message was ever begun. */
  conversationState: string | null
  conversationReason: string | null
}

type Words = (typeof whyWords)['en']

/** What a newer version wrote, and this one has no words for, is told as it is. */
const look = (table: Record<string, string>, key: string | null): string | null =>
  key !== null && Object.hasOwn(table, key) ? (table[key] ?? null) : null

/** How the call itself went: `missed: it rang and nobody answered`. Null where the sentence says it all. */
export const howMissed = (language: Language, { verdict, reason }: Stand): string | null =>
  verdict === 'missed' ? (look(whyWords[language].statuses, reason) ?? reason) : null

const verdictSentence = (words: Words, { verdict, reason }: Stand): string => {
  if (verdict === null || reason === null) return words.unjudged
  if (reason === ERASED) return words.erased
  const how = look(words.statuses, reason) ?? reason
  if (verdict === 'missed') return words.missed(how)
  const known =
    verdict === 'answered'
      ? look(words.answered, reason)
      : verdict === 'not_inbound'
        ? look(words.not_inbound, reason)
        : verdict === 'unmatched_number'
          ? look(words.unmatched_number, reason)
          : look(words.unknown, reason)
  return known ?? (verdict === 'unknown' ? words.undecided(how) : `${verdict}: ${reason}`)
}

const outreachSentence = (words: Words, stand: Stand): string => {
  const { outreachState, outreachReason, conversationState, conversationReason } = stand
  if (outreachState === 'sent')
    return (
      (conversationState === 'stopped' && look(words.stopped, conversationReason)) ||
      look(words.sent, conversationState) ||
      words.outreach['sent.accepted']
    )
  const key = `${outreachState}.${outreachReason}`
  return look(words.outreach, key) ?? key
}

/** The one sentence that answers "what became of this call, and why?" */
export const whyOf = (language: Language, stand: Stand): string => {
  const words = whyWords[language]
  if (stand.outreachState === null) return verdictSentence(words, stand)
  if (stand.verdict === 'missed') return outreachSentence(words, stand)
  // Recorded as missed, and then it turned out not to be.
  const sent = stand.outreachState === 'sent' || stand.outreachState === 'unknown'
  return `${verdictSentence(words, stand)}${sent ? ` ${words.sentBefore}` : ''}`
}
