/** A call in words: who called, whether it was answered, and its result. */
import { readPhone } from '../../phone.ts'
import { ERASED } from '../../voicenter/stored_calls.ts'
import type { Cdr } from '../../voicenter/parse.ts'
import { telephone } from './format.ts'
import { html, type Html } from './html.ts'
import type { Language } from './language.ts'
import { whyTexts } from './locales/why.ts'

/** The states and reasons of a call, as the tables hold them. */
export type CallOutcome = {
  verdict: string | null
  reason: string | null
  /** null = the call is not in `missed_calls`. */
  outreachState: string | null
  outreachReason: string | null
  /** null = no message was sent or planned. */
  conversationState: string | null
  conversationReason: string | null
}

type Texts = (typeof whyTexts)['en']

/** null = a newer version wrote a value that this one does not know. */
const lookUp = (texts: Record<string, string>, key: string | null): string | null =>
  key !== null && Object.hasOwn(texts, key) ? (texts[key] ?? null) : null

/** The reason why the call was missed. null = it was not missed. */
export const missedReason = (
  language: Language,
  { verdict, reason }: Pick<CallOutcome, 'verdict' | 'reason'>,
): string | null =>
  verdict === 'missed' ? (lookUp(whyTexts[language].statuses, reason) ?? reason) : null

const explainVerdict = (texts: Texts, { verdict, reason }: CallOutcome): string => {
  if (verdict === null || reason === null) return texts.unclassified
  if (reason === ERASED) return texts.erased
  const status = lookUp(texts.statuses, reason) ?? reason
  switch (verdict) {
    case 'missed':
      return texts.missed(status)
    case 'unknown':
      return lookUp(texts.unknown, reason) ?? texts.undecided(status)
    case 'answered':
    case 'not_inbound':
    case 'unmatched_number':
      return lookUp(texts[verdict], reason) ?? `${verdict}: ${reason}`
    default:
      return `${verdict}: ${reason}`
  }
}

const explainOutreach = (texts: Texts, outcome: CallOutcome): string => {
  const { outreachState, outreachReason, conversationState, conversationReason } = outcome
  if (outreachState === 'sent')
    return (
      (conversationState === 'stopped' && lookUp(texts.stopped, conversationReason)) ||
      lookUp(texts.sent, conversationState) ||
      texts.outreach['sent.accepted']
    )
  const key = `${outreachState}.${outreachReason}`
  return lookUp(texts.outreach, key) ?? key
}

/** One sentence: the result of the call, and the reason. */
export const explainCall = (language: Language, outcome: CallOutcome): string => {
  const texts = whyTexts[language]
  if (outcome.outreachState === null) return explainVerdict(texts, outcome)
  if (outcome.verdict === 'missed') return explainOutreach(texts, outcome)
  // It was missed at first. A later call record changed the verdict.
  const isSent = outcome.outreachState === 'sent' || outcome.outreachState === 'unknown'
  return `${explainVerdict(texts, outcome)}${isSent ? ` ${texts.sentBefore}` : ''}`
}

const BADGES: Record<string, string> = {
  missed: 'warn',
  answered: 'good',
  unmatched_number: 'bad',
  unknown: 'warn',
}

export const verdictBadge = (language: Language, { verdict }: { verdict: string | null }): Html => {
  const { verdicts } = whyTexts[language]
  const text = lookUp(verdicts, verdict ?? 'unclassified') ?? verdict
  return html`<span class="badge ${BADGES[verdict ?? '']}">${text}</span>`
}

/** The phone system may send a text of any length instead of a number. */
const MAX_CALLER_LENGTH = 40

type Caller = {
  verdict: string | null
  outreachReason: string | null
  customerPhone: string | null
  customerName: string | null
  /** A call record without a number. */
  record: Cdr | null
}

/** Name and number; without a number, what the phone system sent instead. */
export const callerName = (language: Language, call: Caller): Html => {
  const { customerPhone, customerName } = call
  if (customerPhone !== null)
    return html`${customerName !== null && html`<bdi>${customerName}</bdi> `}${telephone(customerPhone)}`
  const { withheld } = whyTexts[language]
  if (call.outreachReason === 'withheld_number') return html`${withheld}`
  // An outgoing or internal call has no caller.
  if (!call.record || call.verdict === 'not_inbound') return telephone(null)
  const { caller = null } = call.record
  return readPhone(caller).kind === 'withheld'
    ? html`${withheld}`
    : html`<bdi>${caller?.slice(0, MAX_CALLER_LENGTH)}</bdi>`
}
