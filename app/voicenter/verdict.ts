import { type CallKind, callKind, handedOn, isNotInbound, typeName } from './call_kind.ts'
import { type Cdr, rootOf } from './cdr.ts'

/** What became of a whole call, and why. `missed` is the record in which it was missed. */
export type Verdict<Leg extends Cdr> =
  | { verdict: 'missed'; reason: string; missed: Leg }
  | { verdict: 'answered' | 'not_inbound' | 'unmatched_number' | 'unknown'; reason: string }

/** How this business sees it: columns of `tenants`, and whether the number dialled is one of its own. */
export type Settings<Leg extends Cdr> = {
  missedStatuses: readonly string[]
  minRingSeconds: number
  isOurs: (leg: Leg) => boolean
}

/** Spellings that stand for one status. ABANDONE without D is Voicenter's own. */
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
export const statusOf = (leg: Pick<Cdr, 'status'>): string => {
  const status = leg.status.trim().toUpperCase().replace(/\s+/g, ' ')
  return SAME_STATUS[status] ?? status
}

const isVoicemail = (leg: Cdr): boolean =>
  typeName(leg) === 'voicemail' || statusOf(leg) === 'VOICEMAIL'

/**
 * Why this record shows that a person of the business talked with the customer, or null.
 *
 * ANSWER alone does not: an IVR or an announcement answers too ("External IVR"). An agent field that is
 * there and empty means that no agent was reached; one that is not there at all means nothing, for the
 * queue records that Voicenter publishes have none. A part handed on counts whatever its direction: to
 * an outside phone it may say "outgoing".
 */
export const answeredBy = (leg: Cdr): string | null => {
  const kind = callKind(leg)
  const answered = statusOf(leg) === 'ANSWER'
  if (kind === 'outgoing') return answered ? 'called_back' : null
  if (isNotInbound(kind) && !handedOn(leg)) return null
  if (leg.agent) return answered || leg.isAnswer ? 'agent' : null
  if (kind === 'unknown') return null
  if (isVoicemail(leg) || leg.representative?.toLowerCase() === 'external ivr') return null
  // A transfer goes to a person, also to one outside who has no extension.
  if (answered && handedOn(leg)) return 'transfer'
  if (answered && (typeName(leg) === 'queue' || leg.agent === undefined)) return 'answer'
  const talked = leg.agent === undefined && leg.isAnswer && (leg.talkSeconds ?? 0) > 0
  return talked ? 'talk_time' : null
}

/** The customer a person talked with in this record, as written; null if nobody did, or nobody knows who. */
export const reachedIn = (leg: Cdr): string | null => {
  if (!answeredBy(leg)) return null
  const kind = callKind(leg)
  if (kind === 'outgoing') return leg.target ?? null
  return isNotInbound(kind) || kind === 'unknown' ? null : (leg.caller ?? null)
}

/** The first record of its call, not a part of it that was handed on. */
const isRoot = (leg: Cdr): boolean => !handedOn(leg) && leg.callId === rootOf(leg)

/** The records that can open a case: a customer's own call, or a forwarded one whose root never came. */
const openingRecords = <Leg extends Cdr>(legs: readonly Leg[]): Leg[] => {
  const inbound = legs.filter(leg => callKind(leg) === 'inbound')
  if (inbound.length || legs.some(isRoot)) return inbound
  return legs.filter(
    leg =>
      callKind(leg) === 'forward' &&
      leg.direction?.trim().toLowerCase() === 'incoming' &&
      !answeredBy(leg),
  )
}

const WHY_NOT_OPENED: Partial<Record<CallKind, string>> = {
  transfer: 'waiting_for_root',
  forward: 'waiting_for_root',
  click_to_queue: 'click_to_queue',
}

const kindOfFirst = (legs: readonly Cdr[]): CallKind => {
  const first = legs.find(isRoot) ?? legs[0]
  return first ? callKind(first) : 'other'
}

type Ending = 'missed' | 'answered' | 'unknown'

/** How one record ended, as long as no person answered any. */
const ending = (
  leg: Cdr,
  missedStatuses: readonly string[],
  minRingSeconds: number,
): [Ending, string] => {
  const status = isVoicemail(leg) ? 'VOICEMAIL' : statusOf(leg)
  const reason = KNOWN_STATUSES.has(status) ? status.toLowerCase() : 'unknown_status'
  if (!missedStatuses.some(missed => statusOf({ status: missed }) === status))
    return status === 'ANSWER' ? ['answered', 'machine'] : ['unknown', reason]
  const misdialled =
    status === 'CANCEL' && leg.ringSeconds !== null && leg.ringSeconds < minRingSeconds
  return misdialled ? ['unknown', 'short_ring'] : ['missed', reason]
}

/** One missed record makes a missed call, even if a machine answered another. */
const WEIGHT: Record<Ending, number> = { missed: 0, answered: 1, unknown: 2 }

/**
 * Judges a call from all its records, in whichever order they came.
 *
 * @param legs at least one, sorted by their start; all records with the same tenant and root id
 */
export const judge = <Leg extends Cdr>(
  legs: readonly Leg[],
  settings: Settings<Leg>,
): Verdict<Leg> => {
  const fromCustomer = legs.filter(leg => !isNotInbound(callKind(leg)))
  if (fromCustomer.length === 0) return { verdict: 'not_inbound', reason: kindOfFirst(legs) }

  const endings = (records: readonly Leg[]) =>
    records
      .map(leg => ({ leg, ending: ending(leg, settings.missedStatuses, settings.minRingSeconds) }))
      .toSorted((a, b) => WEIGHT[a.ending[0]] - WEIGHT[b.ending[0]])
  const [opening] = endings(openingRecords(legs))
  if (!opening) {
    const roots = legs.filter(isRoot)
    const kinds = (roots.length ? roots : fromCustomer).map(leg => callKind(leg))
    // What was handed on was a call of the business's own.
    const ownCall = kinds.find(isNotInbound)
    if (ownCall) return { verdict: 'not_inbound', reason: ownCall }
    const kind = kinds.find(kind => WHY_NOT_OPENED[kind])
    return { verdict: 'unknown', reason: (kind && WHY_NOT_OPENED[kind]) ?? 'unknown_direction' }
  }
  if (!fromCustomer.some(settings.isOurs))
    return { verdict: 'unmatched_number', reason: 'number_dialled' }

  const answered = legs.map(answeredBy).find(reason => reason !== null)
  if (answered) return { verdict: 'answered', reason: answered }

  const [verdict, reason] = opening.ending
  if (verdict === 'missed') return { verdict, reason, missed: opening.leg }

  // An IVR took the call and forwarded it to somebody who did not. It stays the customer's own call, for
  // a part may show another caller. A transfer tells nothing here: a person made it.
  const [inVain] = endings(legs.filter(leg => handedOn(leg) === 'forward'))
  if (inVain?.ending[0] === 'missed')
    return {
      verdict: 'missed',
      reason: inVain.ending[1],
      missed: { ...opening.leg, status: inVain.leg.status },
    }
  return { verdict, reason }
}
