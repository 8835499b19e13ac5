/** What happened in a call and because of it, in order. Pure. */
import { isByHand } from '../../outreach/opt_outs.ts'
import { typeName } from '../../voicenter/call_kind.ts'
import { answeredBy, statusOf } from '../../voicenter/classify.ts'
import { actorText } from './actor.ts'
import type { CallFacts, CallRecord, SentMessage } from './call_facts.ts'
import { dateTime, duration } from './format.ts'
import { html, type Html } from './html.ts'
import type { Language } from './language.ts'
import { callTexts } from './locales/call.ts'
import { whyTexts } from './locales/why.ts'
import { missedReason, verdictBadge } from './why.ts'

export type TimelineEntry = {
  sortBy: Date
  /** The time that is shown. null = it is not stored. */
  at: Date | null
  isPlanned?: boolean
  text: Html | string
  details?: (Html | string | null | false)[]
}

export const timeline = (facts: CallFacts, language: Language): TimelineEntry[] =>
  [
    ...callEntries(facts, language),
    ...dueEntry(facts, language),
    ...facts.messages.flatMap(message => messageEntries(message, language, facts.now)),
    ...answerEntries(facts, language),
    ...actionEntries(facts, language),
  ].toSorted((a, b) => a.sortBy.getTime() - b.sortBy.getTime())

const recordEntry = (
  { cdr, deliveries, clock, receivedAt, source }: CallRecord,
  language: Language,
): TimelineEntry => {
  const texts = callTexts[language]
  const statuses: Record<string, string> = whyTexts[language].statuses
  const status = cdr && statusOf(cdr)
  const person = cdr && answeredBy(cdr) ? (cdr.representative ?? cdr.agent ?? null) : null
  const meaning = status && status !== 'ANSWER' ? statuses[status.toLowerCase()] : undefined
  const report = html`<code>${status ?? '–'}</code>${meaning !== undefined && ` (${meaning})`}`
  return {
    sortBy: receivedAt,
    at: receivedAt,
    text: source === 'call_log' ? texts.found(report) : texts.reported(report),
    details: [
      cdr?.type ? (texts.types[typeName(cdr)] ?? cdr.type) : null,
      person !== null && texts.answeredBy(html`<bdi>${person}</bdi>`),
      !!cdr?.ringSeconds && texts.rang(duration(cdr.ringSeconds, language)),
      !!cdr?.talkSeconds && texts.talked(duration(cdr.talkSeconds, language)),
      deliveries > 1 && texts.times(deliveries),
      clock === 'received' && texts.noClock,
      clock === 'call_id' && texts.clockOfId,
      cdr === null && texts.emptied,
    ],
  }
}

const callEntries = (facts: CallFacts, language: Language): TimelineEntry[] => {
  const texts = callTexts[language]
  const { records, missed, outcome } = facts
  const began = records
    .map(({ calledAt, receivedAt }) => calledAt ?? receivedAt)
    .toSorted((a, b) => a.getTime() - b.getTime())[0]
  const onWhatsApp = missed?.source === 'whatsapp' ? missed.calledAt : null
  const decidedAt = missed?.recordedAt ?? records.at(-1)?.receivedAt
  return [
    ...(onWhatsApp ? [{ sortBy: onWhatsApp, at: onWhatsApp, text: texts.calledOnWhatsApp }] : []),
    ...(began ? [{ sortBy: began, at: began, text: texts.began }] : []),
    ...records.map(record => recordEntry(record, language)),
    ...(outcome.verdict !== null && decidedAt
      ? [
          {
            sortBy: decidedAt,
            // The time of the decision is stored only for missed calls.
            at: missed && outcome.verdict === 'missed' ? missed.recordedAt : null,
            text: texts.decision(verdictBadge(language, outcome)),
            details: [missedReason(language, outcome)],
          },
        ]
      : []),
  ]
}

const dueEntry = ({ missed, outcome, now }: CallFacts, language: Language): TimelineEntry[] => {
  const texts = callTexts[language]
  if (!missed?.dueAt) return []
  const isOff = outcome.outreachState === 'cancelled' || outcome.outreachState === 'skipped'
  const isScheduled = outcome.outreachState === 'scheduled'
  return [
    {
      sortBy: missed.dueAt,
      at: missed.dueAt,
      isPlanned: isScheduled || missed.dueAt > now,
      text: isOff ? texts.wouldBeDue : isScheduled ? texts.willBeDue : texts.due,
    },
  ]
}

const errorText = ({ errorCode, reason }: SentMessage, language: Language): string | null => {
  const texts = callTexts[language]
  if (errorCode === null) return reason === 'never_arrived' ? texts.neverArrived : reason
  const known = texts.errors[errorCode]
  return known === undefined ? texts.error(errorCode) : `${texts.error(errorCode)}: ${known}`
}

/** Why a message that was tried waits for its next try. null = it was not tried yet, or does not wait. */
export const whyTriedAgain = (message: SentMessage, language: Language): string | null => {
  const { state, reason, claimedAt, errorCode } = message
  if (state !== 'scheduled' || claimedAt === null) return null
  const texts = callTexts[language]
  if (reason === 'never_arrived') return `${texts.neverArrived} ${texts.triedAgain}`
  const error = errorCode === null ? '' : ` (${errorText(message, language)})`
  return `${texts.notAccepted}${error}. ${texts.triedAgain}`
}

/** Planned, sent, and what WhatsApp reported. */
const messageEntries = (message: SentMessage, language: Language, now: Date): TimelineEntry[] => {
  const texts = callTexts[language]
  const name = texts.kinds[message.kind]
  const { state, reason, dueAt, claimedAt, acceptedAt, reports } = message
  const sentAt = acceptedAt ?? claimedAt ?? dueAt ?? now
  const entry = (text: string): TimelineEntry => ({ sortBy: sentAt, at: sentAt, text })
  switch (state) {
    case 'scheduled':
      return [
        {
          sortBy: dueAt ?? now,
          at: dueAt,
          isPlanned: true,
          text: texts.planned(name),
          details: [whyTriedAgain(message, language)],
        },
      ]
    case 'sending':
      return [entry(texts.sending(name))]
    case 'shadow':
      return [entry(texts.wouldHaveBeenSent(name))]
    case 'unknown':
      return [entry(texts.sentUnknown(name))]
    case 'cancelled':
    case 'skipped': {
      const why = texts.whyNotSent[reason ?? ''] ?? null
      const isPlanned = dueAt !== null && dueAt > now
      const text = isPlanned ? texts.willNotBeSent(name, why) : texts.notSent(name, why)
      return [{ sortBy: dueAt ?? sentAt, at: dueAt, isPlanned, text }]
    }
  }
  const reported = reports.map(({ status, at }): TimelineEntry => ({
    // WhatsApp reports whole seconds and its clock may be behind: no report may be sorted before the message.
    sortBy: at > sentAt ? at : sentAt,
    at,
    text: texts.reports[status]?.(name) ?? status,
    details: [status === 'failed' && errorText(message, language)],
  }))
  const isReported = state === 'accepted' || reports.some(({ status }) => status === state)
  return [
    ...(acceptedAt || state !== 'failed' ? [entry(texts.accepted(name))] : []),
    ...reported,
    ...(isReported ? [] : [finalEntry(message, language, sentAt)]),
  ]
}

/** The final state, if no report shows it: the report was deleted, or the operator set the state. */
const finalEntry = (message: SentMessage, language: Language, sentAt: Date): TimelineEntry => {
  const texts = callTexts[language]
  const isFailed = message.state === 'failed'
  return {
    sortBy: sentAt,
    at: isFailed ? sentAt : null,
    text: texts.reports[message.state]?.(texts.kinds[message.kind]) ?? message.state,
    details: [isFailed && errorText(message, language)],
  }
}

const answerEntries = (facts: CallFacts, language: Language): TimelineEntry[] => {
  const texts = callTexts[language]
  const { replies, optOut, talk, notices, missed, timezone } = facts
  const entry = (at: Date, text: Html | string): TimelineEntry => ({ sortBy: at, at, text })
  return [
    ...replies.map(reply =>
      entry(
        reply.at,
        html`${texts.wrote}
          <blockquote dir="auto">${reply.text ?? texts.noText}</blockquote>`,
      ),
    ),
    ...(optOut
      ? [
          entry(
            optOut.at,
            isByHand(optOut.source)
              ? texts.optedOutByHand
              : missed && optOut.at < missed.calledAt
                ? texts.optedOutBefore
                : texts.optedOut,
          ),
        ]
      : []),
    ...(talk
      ? [
          entry(
            talk.at,
            texts.talkedWith(
              html`<a href="/ops/calls/${talk.id}">${texts.thatCall}</a>
                (${dateTime(talk.at, language, timezone)})`,
            ),
          ),
        ]
      : []),
    ...notices.map(({ at, occasion, state }) => ({
      ...entry(at, texts.notices[occasion]),
      details: [texts.noticeStates[state] ?? null],
    })),
  ]
}

const actionEntries = ({ actions }: CallFacts, language: Language): TimelineEntry[] => {
  const texts = callTexts[language]
  return actions.map(({ at, who, action }) => ({
    sortBy: at,
    at,
    text: texts.actions[action] ?? action,
    details: [texts.by(actorText(who, language) ?? texts.tenant)],
  }))
}
