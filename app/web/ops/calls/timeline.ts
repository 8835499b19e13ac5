/** What happened in a call and because of it, in order. Pure. */
import { typeName } from '../../../voicenter/call_kind.ts'
import { answeredBy, statusOf } from '../../../voicenter/classify.ts'
import { html } from '../html.ts'
import type { CallRecord, Facts } from './facts.ts'
import { type Moment, momentsOf } from './sent.ts'
import { span, when } from '../format.ts'
import type { Language } from '../language.ts'
import { verdictBadge } from './parts.ts'
import { howMissed } from '../why.ts'
import { callWords } from '../words/call.ts'
import { layoutWords } from '../words/layout.ts'
import { whyWords } from '../words/why.ts'

/** Everything, whatever of it there is. */
export const timelineOf = (facts: Facts, language: Language): Moment[] =>
  [
    ...callItself(facts, language),
    ...dueMoment(facts, language),
    ...facts.messages.flatMap(message => momentsOf(message, language, facts.now)),
    ...answers(facts, language),
    ...byHand(facts, language),
  ].toSorted((a, b) => a.order.getTime() - b.order.getTime())

const reportOf = (
  { cdr, deliveries, clock, receivedAt, source }: CallRecord,
  language: Language,
): Moment => {
  const words = callWords[language]
  const statuses: Record<string, string> = whyWords[language].statuses
  const types: Record<string, string> = words.types
  const status = cdr && statusOf(cdr)
  const someone = cdr && answeredBy(cdr) ? (cdr.representative ?? cdr.agent ?? null) : null
  const plain = status && status !== 'ANSWER' ? statuses[status.toLowerCase()] : undefined
  const what = html`<code>${status ?? '–'}</code>${plain !== undefined && ` (${plain})`}`
  return {
    order: receivedAt,
    at: receivedAt,
    what: source === 'call_log' ? words.found(what) : words.reported(what),
    more: [
      cdr?.type ? (types[typeName(cdr)] ?? cdr.type) : null,
      someone !== null && words.answeredBy(html`<bdi>${someone}</bdi>`),
      !!cdr?.ringSeconds && words.rang(span(cdr.ringSeconds, language)),
      !!cdr?.talkSeconds && words.talked(span(cdr.talkSeconds, language)),
      deliveries > 1 && words.times(deliveries),
      clock === 'received' && words.noClock,
      cdr === null && words.emptied,
    ],
  }
}

const callItself = (facts: Facts, language: Language): Moment[] => {
  const words = callWords[language]
  const { records, missed, stand } = facts
  const began = records
    .map(({ calledAt, receivedAt }) => calledAt ?? receivedAt)
    .toSorted((a, b) => a.getTime() - b.getTime())[0]
  const last = records.at(-1)?.receivedAt ?? missed?.recordedAt
  const judged = missed?.recordedAt ?? last
  return [
    ...(began ? [{ order: began, at: began, what: words.began }] : []),
    ...records.map(record => reportOf(record, language)),
    ...(stand.verdict !== null && judged
      ? [
          {
            order: judged,
            // When it was judged is written down only where it was missed.
            at: missed && stand.verdict === 'missed' ? missed.recordedAt : null,
            what: words.judged(verdictBadge(language, stand)),
            more: [howMissed(language, stand)],
          },
        ]
      : []),
  ]
}

const dueMoment = ({ missed, stand, now }: Facts, language: Language): Moment[] => {
  const words = callWords[language]
  if (!missed?.dueAt) return []
  const isOff = stand.outreachState === 'cancelled' || stand.outreachState === 'skipped'
  const planned = stand.outreachState === 'scheduled'
  return [
    {
      order: missed.dueAt,
      at: missed.dueAt,
      planned: planned || missed.dueAt > now,
      what: isOff ? words.wouldBeDue : planned ? words.willBeDue : words.due,
    },
  ]
}

const answers = (facts: Facts, language: Language): Moment[] => {
  const words = callWords[language]
  const { replies, optOut, talk, notices, missed, timezone } = facts
  const at = (moment: Date) => ({ order: moment, at: moment })
  return [
    ...replies.map(reply => ({
      ...at(reply.at),
      what: html`${words.wrote}
        <blockquote dir="auto">${reply.text ?? words.noWords}</blockquote>`,
    })),
    ...(optOut
      ? [
          {
            ...at(optOut.at),
            what: missed && optOut.at < missed.calledAt ? words.askedOutBefore : words.askedOut,
          },
        ]
      : []),
    ...(talk
      ? [
          {
            ...at(talk.at),
            what: words.talkedWith(
              html`<a href="/ops/calls/${talk.id}">${words.thatCall}</a>
                (${when(talk.at, language, timezone)})`,
            ),
          },
        ]
      : []),
    ...notices.map(notice => ({
      ...at(notice.at),
      what: words.notices[notice.occasion],
      more: [words.noticeStates[notice.state] ?? null],
    })),
  ]
}

const byHand = ({ deeds }: Facts, language: Language): Moment[] => {
  const words = callWords[language]
  const nameOf = (who: string) =>
    who === 'operator'
      ? layoutWords[language].operator
      : who === 'command line'
        ? words.who['command line']
        : words.who.tenant
  return deeds.map(({ at, who, action }) => ({
    order: at,
    at,
    what: words.deeds[action] ?? action,
    more: [words.by(nameOf(who))],
  }))
}
