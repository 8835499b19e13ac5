/** Decides from all the records of a call whether the call was missed. */
import { lineOf, readPhone } from '../phone.ts'
import { callKind, type CallKind, isNotInbound, transferKind, typeName } from './call_kind.ts'
import { type Cdr, rootOf } from './parse.ts'
import { type Start, startOf } from './time.ts'

/** One record of a call, with its values interpreted. */
export type Leg = Cdr & {
  calledAt: Date
  clock: Start['clock']
  /** The business's number: the number dialled, or in an outgoing call the number shown. */
  businessPhone: string | null
  /** The customer's number in E.164: the caller, or the number that the business called. Null if withheld. */
  customerPhone: string | null
  /** The number in E.164 of the customer with whom someone at the business talked. */
  reachedPhone: string | null
}

/** @param receivedAt when the record arrived */
export const legOf = (cdr: Cdr, receivedAt: Date): Leg => {
  const { at: calledAt, clock } = startOf(
    { callId: cdr.callId, time: cdr.time ?? null },
    receivedAt,
  )
  const reached = readPhone(reachedIn(cdr))
  return {
    ...cdr,
    calledAt,
    clock,
    businessPhone: businessLine(cdr),
    customerPhone: customerIn(cdr),
    reachedPhone: reached.kind === 'number' ? reached.e164 : null,
  }
}

export const businessLine = (cdr: Cdr): string | null =>
  lineOf(callKind(cdr) === 'outgoing' ? cdr.numberShown : cdr.did)

const customerIn = (cdr: Cdr): string | null => {
  const kind = callKind(cdr)
  if (isNotInbound(kind) && kind !== 'outgoing') return null
  const phone = readPhone(kind === 'outgoing' ? cdr.target : cdr.caller)
  return phone.kind === 'number' || phone.kind === 'service' ? phone.e164 : null
}

/** Sorts by start. Legs that began at the same time keep the order in which they arrived. */
export const byStart = <L extends Leg>(legs: readonly L[]): L[] =>
  legs.toSorted((a, b) => a.calledAt.getTime() - b.calledAt.getTime())

/** Different spellings of the same status. ABANDONE without D is Voicenter's own spelling. */
const SAME_STATUS: Record<string, string> = {
  ABANDON: 'ABANDONE',
  ABANDONED: 'ABANDONE',
  ANSWERED: 'ANSWER',
  'NO ANSWER': 'NOANSWER',
  NO_ANSWER: 'NOANSWER',
}

export const KNOWN_STATUSES = new Set(
  `ANSWER NOANSWER BUSY CANCEL ABANDONE TIMEOUT FULL EXIT JOINEMPTY VOEND TE NOTCALLED VOICEMAIL
   NOTDIALED CONGESTION CHANUNAVAIL INVALIDARGS SSWPREAUTH`.split(/\s+/),
)

/** The status in Voicenter's own spelling. */
export const statusOf = ({ status: written }: Pick<Cdr, 'status'>): string => {
  const status = written.trim().toUpperCase().replace(/\s+/g, ' ')
  return SAME_STATUS[status] ?? status
}

const isVoicemail = (leg: Cdr): boolean =>
  typeName(leg) === 'voicemail' || statusOf(leg) === 'VOICEMAIL'

/**
 * Why this record shows that someone at the business talked with the customer, or null.
 *
 * ANSWER alone does not show it: an IVR or an announcement also answers ("External IVR"). An agent field that is
 * present but empty means that no agent was reached. An absent agent field means nothing, because the queue records
 * that Voicenter publishes have none. A transferred leg counts in any direction: to an outside phone it may say
 * "outgoing".
 */
export const answeredBy = (leg: Cdr): string | null => {
  const kind = callKind(leg)
  const answered = statusOf(leg) === 'ANSWER'
  if (kind === 'outgoing') return answered ? 'called_back' : null
  if (isNotInbound(kind) && !transferKind(leg)) return null
  if (leg.agent) return answered || leg.isAnswer ? 'agent' : null
  if (kind === 'unknown') return null
  if (isVoicemail(leg) || leg.representative?.toLowerCase() === 'external ivr') return null
  // A transfer goes to a person, who may be outside the business and have no extension.
  if (answered && transferKind(leg)) return 'transfer'
  if (answered && (typeName(leg) === 'queue' || leg.agent === undefined)) return 'answer'
  const talked = leg.agent === undefined && leg.isAnswer && (leg.talkSeconds ?? 0) > 0
  return talked ? 'talk_time' : null
}

/** The customer with whom someone talked in this record, as written. Null if no one did, or the number is unknown. */
export const reachedIn = (leg: Cdr): string | null => {
  if (!answeredBy(leg)) return null
  const kind = callKind(leg)
  if (kind === 'outgoing') return leg.target ?? null
  return isNotInbound(kind) || kind === 'unknown' ? null : (leg.caller ?? null)
}

/** The verdict on a whole call, and its reason. `missed` is the record in which the call was missed. */
export type Verdict<L extends Cdr> =
  | { verdict: 'missed'; reason: string; missed: L }
  | { verdict: 'answered' | 'not_inbound' | 'unmatched_number' | 'unknown'; reason: string }

/** The settings of one business: columns of `tenants`, and whether the number dialled belongs to it. */
export type ClassifyRules<L extends Cdr> = {
  missedStatuses: readonly string[]
  minRingSeconds: number
  isOurs: (leg: L) => boolean
}

/** Whether a record names one of these lines as the business's number. */
export const usesNumberOf =
  (lines: ReadonlySet<string>): ClassifyRules<Leg>['isOurs'] =>
  leg =>
    leg.businessPhone !== null && lines.has(leg.businessPhone)

/**
 * Classifies a call from all its records. The order in which they arrived does not matter.
 *
 * @param legs at least one, sorted by start: all the records with the same tenant and root id
 */
export const classify = <L extends Cdr>(
  legs: readonly L[],
  rules: ClassifyRules<L>,
): Verdict<L> => {
  const fromCustomer = legs.filter(leg => !isNotInbound(callKind(leg)))
  if (fromCustomer.length === 0) return { verdict: 'not_inbound', reason: kindOfFirst(legs) }

  const [opening] = endings(openingLegs(legs), rules)
  if (!opening) return withoutOpening(legs, fromCustomer)
  if (!fromCustomer.some(rules.isOurs))
    return { verdict: 'unmatched_number', reason: 'number_dialled' }

  const answered = legs.map(answeredBy).find(reason => reason !== null)
  if (answered) return { verdict: 'answered', reason: answered }

  const { verdict, reason } = opening
  if (verdict === 'missed') return { verdict, reason, missed: opening.leg }

  // An IVR answered and forwarded the call to someone who did not answer. The record of the customer's own call counts,
  // because the forwarded leg may show another caller. A transfer says nothing here: a person made it.
  const [forwarded] = endings(
    legs.filter(leg => transferKind(leg) === 'forward'),
    rules,
  )
  if (forwarded?.verdict === 'missed') {
    const missed = { ...opening.leg, status: forwarded.leg.status }
    return { verdict: 'missed', reason: forwarded.reason, missed }
  }
  return { verdict, reason }
}

/** The first record of its call, and not a transferred part of it. */
const isRoot = (leg: Cdr): boolean => !transferKind(leg) && leg.callId === rootOf(leg)

const kindOfFirst = (legs: readonly Cdr[]): CallKind => {
  const first = legs.find(isRoot) ?? legs[0]
  return first ? callKind(first) : 'other'
}

/** The records that can make a call missed: a customer's own call, or a forwarded one whose root never arrived. */
const openingLegs = <L extends Cdr>(legs: readonly L[]): L[] => {
  const inbound = legs.filter(leg => callKind(leg) === 'inbound')
  if (inbound.length || legs.some(isRoot)) return inbound
  return legs.filter(
    leg =>
      callKind(leg) === 'forward' &&
      leg.direction?.trim().toLowerCase() === 'incoming' &&
      !answeredBy(leg),
  )
}

const WAITING: Partial<Record<CallKind, string>> = {
  transfer: 'waiting_for_root',
  forward: 'waiting_for_root',
  click_to_queue: 'click_to_queue',
}

/** The verdict on a call if none of its records can make it missed. */
const withoutOpening = (legs: readonly Cdr[], fromCustomer: readonly Cdr[]): Verdict<never> => {
  const roots = legs.filter(isRoot)
  const kinds = (roots.length ? roots : fromCustomer).map(leg => callKind(leg))
  // The business transferred a call that it had made itself.
  const ownCall = kinds.find(isNotInbound)
  if (ownCall) return { verdict: 'not_inbound', reason: ownCall }
  const reason = kinds.flatMap(kind => WAITING[kind] ?? [])[0] ?? 'unknown_direction'
  return { verdict: 'unknown', reason }
}

type Ending<L> = { leg: L; verdict: 'missed' | 'answered' | 'unknown'; reason: string }

/** One missed record makes the call missed, even if a machine answered another. */
const PRECEDENCE = { missed: 0, answered: 1, unknown: 2 }

/** How each record ended if no person answered. A missed one comes first. */
const endings = <L extends Cdr>(legs: readonly L[], rules: ClassifyRules<L>): Ending<L>[] =>
  legs
    .map(leg => ({ leg, ...endingOf(leg, rules) }))
    .toSorted((a, b) => PRECEDENCE[a.verdict] - PRECEDENCE[b.verdict])

const endingOf = <L extends Cdr>(
  leg: L,
  { missedStatuses, minRingSeconds }: ClassifyRules<L>,
): Omit<Ending<L>, 'leg'> => {
  const status = isVoicemail(leg) ? 'VOICEMAIL' : statusOf(leg)
  const reason = KNOWN_STATUSES.has(status) ? status.toLowerCase() : 'unknown_status'
  if (!missedStatuses.some(missed => statusOf({ status: missed }) === status))
    return status === 'ANSWER'
      ? { verdict: 'answered', reason: 'machine' }
      : { verdict: 'unknown', reason }
  const misdialled =
    status === 'CANCEL' && leg.ringSeconds !== null && leg.ringSeconds < minRingSeconds
  return misdialled ? { verdict: 'unknown', reason: 'short_ring' } : { verdict: 'missed', reason }
}
