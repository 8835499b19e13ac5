/** Who called whom: Voicenter's `type` (or CdrType, its number) and `direction` in our own words. */
import { lineOf, readPhone } from '../phone.ts'
import { type Cdr, rootOf } from './parse.ts'
import { type Start, startOf } from './time.ts'

export type CallKind =
  /** A customer called in: can be missed. */
  | 'inbound'
  /** A call handed on: belongs to its root and never opens a case alone. */
  | 'transfer'
  /** As a transfer, but without its root it may have been the customer's call itself. */
  | 'forward'
  /** Of the dialer's family, though it says "Incoming"; Voicenter does not publish what it means. */
  | 'click_to_queue'
  /** A person of the business called a customer. */
  | 'outgoing'
  /** A machine called, or the leg to the agent's own phone: nobody talks with a customer in it. */
  | 'dialer'
  | 'internal'
  | 'other'
  | 'unknown'

type Described = { number: string; kind: CallKind; overridesDirection?: true }

/** Names from the CDR Notification page, numbers from the Call Log page (2, 12, 16, 20: integrators). */
const TYPES: Record<string, Described> = {
  'incoming call': { number: '1', kind: 'inbound' },
  queue: { number: '8', kind: 'inbound' },
  voicemail: { number: '11', kind: 'inbound' },
  xfercdr: { number: '13', kind: 'transfer', overridesDirection: true },
  'attended cdr leg1': { number: '21', kind: 'transfer', overridesDirection: true },
  'attended cdr leg2': { number: '22', kind: 'transfer', overridesDirection: true },
  'auto forward': { number: '23', kind: 'forward', overridesDirection: true },
  'click 2 queue incoming': { number: '19', kind: 'click_to_queue', overridesDirection: true },
  'click 2 ivr': { number: '17', kind: 'dialer', overridesDirection: true },
  'click 2 ivr incoming': { number: '18', kind: 'dialer', overridesDirection: true },
  'click2call leg1': { number: '9', kind: 'dialer', overridesDirection: true },
  'click2call leg2': { number: '10', kind: 'outgoing', overridesDirection: true },
  'productivecall leg1': { number: '14', kind: 'dialer', overridesDirection: true },
  'productivecall leg2': { number: '15', kind: 'outgoing', overridesDirection: true },
  'extension outgoing': { number: '4', kind: 'outgoing' },
  cc: { number: '2', kind: 'other' },
  callference: { number: '12', kind: 'other' },
  scrubber: { number: '16', kind: 'other' },
  faxcdr: { number: '20', kind: 'other' },
}

const NAME_OF = new Map(Object.entries(TYPES).map(([name, { number }]) => [number, name]))

type WhoCalled = {
  type?: string | null | undefined
  direction?: string | null | undefined
  did?: string | null | undefined
  callerExtension?: string | null | undefined
}

/** The type's name, lower-cased with single spaces, also where its number came. */
export const typeName = ({ type }: WhoCalled): string => {
  const written = (type ?? '').trim().toLowerCase().replace(/\s+/g, ' ')
  return NAME_OF.get(written) ?? written
}

const describe = (record: WhoCalled): Described | undefined => {
  const name = typeName(record)
  return Object.hasOwn(TYPES, name) ? TYPES[name] : undefined
}

/** Whether the record is a later part of another call, whichever direction it says it went. */
export const transferKind = (record: WhoCalled): 'transfer' | 'forward' | null => {
  const kind = describe(record)?.kind
  return kind === 'transfer' || kind === 'forward' ? kind : null
}

/**
 * `direction` wins over `type`, except over those types that never open a case. Where both are missing
 * or unknown (records that have only CallID, caller, DID, DialStatus), a call is inbound if a number
 * of the business was dialled and no extension dialled it.
 */
export const callKind = (record: WhoCalled): CallKind => {
  const described = describe(record)
  const direction = (record.direction ?? '').trim().toLowerCase()
  // Part of a call that the business made: the other end of it is a colleague, not a customer.
  if (direction === 'outgoing' && transferKind(record)) return 'internal'
  if (described?.overridesDirection) return described.kind
  if (direction === 'incoming') return 'inbound'
  if (direction === 'outgoing' || direction === 'internal') return direction
  if (described) return described.kind
  return record.did && !record.callerExtension ? 'inbound' : 'unknown'
}

/** No customer called in. */
export const isNotInbound = (kind: CallKind): boolean =>
  kind === 'outgoing' || kind === 'internal' || kind === 'dialer' || kind === 'other'

/** What became of a whole call, and why. `missed` is the record in which it was missed. */
export type Verdict<Leg extends Cdr> =
  | { verdict: 'missed'; reason: string; missed: Leg }
  | { verdict: 'answered' | 'not_inbound' | 'unmatched_number' | 'unknown'; reason: string }

/** How this business sees it: columns of `tenants`, and whether the number dialled is one of its own. */
export type ClassifyRules<Leg extends Cdr> = {
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
  if (isNotInbound(kind) && !transferKind(leg)) return null
  if (leg.agent) return answered || leg.isAnswer ? 'agent' : null
  if (kind === 'unknown') return null
  if (isVoicemail(leg) || leg.representative?.toLowerCase() === 'external ivr') return null
  // A transfer goes to a person, also to one outside who has no extension.
  if (answered && transferKind(leg)) return 'transfer'
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
const isRoot = (leg: Cdr): boolean => !transferKind(leg) && leg.callId === rootOf(leg)

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
export const classify = <Leg extends Cdr>(
  legs: readonly Leg[],
  settings: ClassifyRules<Leg>,
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
  const [inVain] = endings(legs.filter(leg => transferKind(leg) === 'forward'))
  if (inVain?.ending[0] === 'missed')
    return {
      verdict: 'missed',
      reason: inVain.ending[1],
      missed: { ...opening.leg, status: inVain.leg.status },
    }
  return { verdict, reason }
}

/** One record of a call, read. */
export type Leg = Cdr & {
  calledAt: Date
  clock: Start['clock']
  /** The business's line in it: the number dialled, or of an outgoing call the number shown. */
  businessPhone: string | null
  /** The customer in it, E.164: who called, or whom the business called. Null where no number shows. */
  customerPhone: string | null
  /** The customer with whom a person talked in it, E.164. */
  reachedPhone: string | null
}

/** What a record says of its call, given when it reached us. */
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

/** In the order in which they began; of those that began together the first to come stays first. */
export const byStart = <L extends Leg>(legs: readonly L[]): L[] =>
  legs.toSorted((a, b) => a.calledAt.getTime() - b.calledAt.getTime())

/** Whether a record names one of these lines as the business's. */
export const usesNumberOf =
  (lines: ReadonlySet<string>): ClassifyRules<Leg>['isOurs'] =>
  leg =>
    leg.businessPhone !== null && lines.has(leg.businessPhone)
