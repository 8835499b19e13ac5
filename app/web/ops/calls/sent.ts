/** The way of one message, in the words of the page. Pure. */
import type { Html } from '../html.ts'
import type { Language } from '../language.ts'
import { callWords } from '../words/call.ts'
import type { Sent } from './messages.ts'

/** Something that happened, or is to happen. */
export type Moment = {
  /** By this they stand in order. */
  order: Date
  /** Null = nobody has written down when. */
  at: Date | null
  planned?: boolean
  what: Html | string
  more?: (Html | string | null | false)[]
}

const errorOf = ({ errorCode, reason }: Sent, language: Language): string | null => {
  const words = callWords[language]
  if (errorCode === null) return reason === 'never_arrived' ? words.neverArrived : reason
  const known = words.errors[errorCode]
  return known === undefined ? words.error(errorCode) : `${words.error(errorCode)}: ${known}`
}

/** The way of one message: planned, sent, and what was reported on it. */
export const momentsOf = (message: Sent, language: Language, now: Date): Moment[] => {
  const words = callWords[language]
  const name = words.kinds[message.kind]
  const { state, reason, dueAt, claimedAt, acceptedAt, reports } = message
  const order = acceptedAt ?? claimedAt ?? dueAt ?? now
  const moment = (what: string, more: Moment['more'] = []): Moment => ({
    order,
    at: order,
    what,
    more,
  })
  if (state === 'scheduled')
    return [
      {
        ...moment(words.planned(name), [claimedAt !== null && words.triedAgain]),
        order: dueAt ?? now,
        at: dueAt,
        planned: true,
      },
    ]
  if (state === 'sending') return [moment(words.sending(name))]
  if (state === 'shadow') return [moment(words.wouldHaveBeenSent(name))]
  if (state === 'cancelled' || state === 'skipped') {
    const why = words.whyNotSent[reason ?? ''] ?? reason ?? ''
    const isAhead = dueAt !== null && dueAt > now
    const what = isAhead ? words.willNotBeSent(name, why) : words.notSent(name, why)
    return [{ ...moment(what), order: dueAt ?? order, at: dueAt, planned: isAhead }]
  }
  if (state === 'unknown') return [moment(words.sentUnknown(name))]
  const reported = reports.map(({ status, at }): Moment => ({
    // WhatsApp's clock knows whole seconds only, and may be behind ours: no report comes before the message.
    order: at > order ? at : order,
    at,
    what: words.reports[status]?.(name) ?? status,
    more: [status === 'failed' && errorOf(message, language)],
  }))
  const last: Moment[] = reports.some(({ status }) => status === state || state === 'accepted')
    ? []
    : lastKnown(message, language, order)
  return [
    ...(acceptedAt || state !== 'failed' ? [moment(words.accepted(name))] : []),
    ...reported,
    ...last,
  ]
}

/** What no report tells any more, or what a person has settled. */
const lastKnown = (message: Sent, language: Language, order: Date): Moment[] => {
  const words = callWords[language]
  if (message.state === 'accepted') return []
  const what = words.reports[message.state]?.(words.kinds[message.kind]) ?? message.state
  const failed = message.state === 'failed'
  return [{ order, at: failed ? order : null, what, more: [failed && errorOf(message, language)] }]
}
