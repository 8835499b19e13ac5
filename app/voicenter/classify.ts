/** Decides from all the CDRs of a call whether the call was missed. */
import { dialledLine, lineOf, personOf, readPhone } from '../phone.ts'
import { callKind, type CallKind, isNotInbound, transferKind, typeName } from './call_kind.ts'
import { type Cdr, rootOf } from './parse.ts'
import { reachedUntil, talkSecondsOf } from './talks.ts'
import { DEFAULT_TIMEZONE, type Start, startOf } from './time.ts'

/** One CDR of a call, with its values interpreted. */
export type Leg = Cdr & {
  calledAt: Date
  clock: Start['clock']
  /** The tenant's number: the number dialled, or in an outgoing call the number shown. */
  businessPhone: string | null
  /** The customer's number in E.164: the caller, or the number that the tenant called. Null if withheld. */
  customerPhone: string | null
  /** The number in E.164 of the customer with whom someone at the tenant talked. */
  reachedPhone: string | null
  /** A call of that customer that began before this time needs no message. Null if no one talked. */
  reachedUntil: Date | null
}

/** What the reading of a CDR depends on, apart from the CDR: the tenant's time zone and lines. */
export type TenantReading = {
  timezone: string
  /** @param line as lineOf (app/phone.ts) */
  isOwnLine: (line: string) => boolean
}

const NO_LINES: TenantReading = { timezone: DEFAULT_TIMEZONE, isOwnLine: () => false }

/** @param receivedAt when the CDR arrived */
export const legOf = (
  cdr: Cdr,
  receivedAt: Date,
  { timezone, isOwnLine }: TenantReading = NO_LINES,
): Leg => {
  const { at: calledAt, clock } = startOf(
    { callId: cdr.callId, time: cdr.time ?? null },
    receivedAt,
    timezone,
  )
  const reached = readPhone(reachedIn(cdr, isOwnLine))
  return {
    ...cdr,
    calledAt,
    clock,
    businessPhone: businessLine(cdr),
    customerPhone: customerIn(cdr, isOwnLine),
    reachedPhone: reached.kind === 'number' ? reached.e164 : null,
    reachedUntil: answeredBy(cdr) ? reachedUntil(cdr, calledAt, receivedAt) : null,
  }
}

/** An inbound CDR without a number dialled may still name it as its target. */
export const businessLine = (cdr: Cdr): string | null => {
  const kind = callKind(cdr)
  if (kind === 'outgoing') return lineOf(cdr.numberShown)
  return dialledLine(cdr.did) ?? (kind === 'inbound' ? dialledLine(cdr.target) : null)
}

const customerIn = (cdr: Cdr, isOwnLine: TenantReading['isOwnLine']): string | null => {
  const kind = callKind(cdr)
  if (isNotInbound(kind) && kind !== 'outgoing') return null
  const phone = readPhone(customerOf(cdr, kind, isOwnLine))
  return phone.kind === 'number' || phone.kind === 'service' ? phone.e164 : null
}

/**
 * The customer's number in a CDR, as written. When the queue calls back, it is the target, unless that is a line of the
 * tenant.
 */
const customerOf = (
  cdr: Cdr,
  kind: CallKind,
  isOwnLine: TenantReading['isOwnLine'],
): string | null => {
  const { caller = null, target = null } = cdr
  if (kind === 'outgoing') return target
  if (kind !== 'click_to_queue') return caller
  const line = dialledLine(target)
  const isOurLine = line === null || line === dialledLine(cdr.did) || isOwnLine(line)
  return isOurLine ? caller : target
}

/** The person whose number this is, or null. */
const personIn = (written: string | null | undefined): string | null => {
  const phone = readPhone(written)
  return phone.kind === 'number' ? personOf(phone.e164) : null
}

/**
 * The caller of a call, as written: from the first CDR that has a number. Some CDRs show a line of the tenant instead.
 *
 * @param legs sorted by start
 */
const callerOf = (legs: readonly Cdr[], isOwnLine: TenantReading['isOwnLine']): string | null => {
  const [only, ...others] = legs
  if (only && others.length === 0) return only.caller ?? null
  const lines = new Set(legs.map(leg => personIn(businessLine(leg))))
  const callers = [
    ...legs.filter(leg => callKind(leg) === 'inbound'),
    ...legs.filter(leg => transferKind(leg) && callKind(leg) !== 'internal'),
  ].flatMap(({ caller }) => caller ?? [])
  const isCustomer = (caller: string): boolean => {
    const phone = readPhone(caller)
    return phone.kind === 'number' && !lines.has(personOf(phone.e164)) && !isOwnLine(phone.e164)
  }
  const isNamed = (caller: string): boolean => readPhone(caller).kind !== 'withheld'
  return callers.find(isCustomer) ?? callers.find(isNamed) ?? callers[0] ?? null
}

/**
 * Completes the CDRs of one call from each other: where a CDR does not name the customer, someone talked with the
 * caller of the call.
 *
 * @param call sorted by start: CDRs of the call that name its caller, if these are not all
 * @returns the CDRs, sorted by start
 */
export const completeLegs = <L extends Leg>(
  legs: readonly L[],
  isOwnLine: TenantReading['isOwnLine'],
  call?: readonly L[],
): L[] => {
  const sorted = byStart(legs)
  const all = call ?? sorted
  if (all.length < 2) return sorted
  const caller = readPhone(callerOf(all, isOwnLine))
  if (caller.kind !== 'number') return sorted
  const lines = new Set(all.map(leg => leg.businessPhone))
  return sorted.map(leg => {
    const kind = callKind(leg)
    const isReached = leg.reachedUntil !== null && kind !== 'outgoing' && kind !== 'click_to_queue'
    const isKnown =
      leg.reachedPhone !== null && !lines.has(leg.reachedPhone) && !isOwnLine(leg.reachedPhone)
    return isReached && !isKnown ? { ...leg, reachedPhone: caller.e164 } : leg
  })
}

/**
 * The caller, if this is the first CDR of a call and no transfer made it. Null for any other CDR, and if the caller is
 * hidden or is the tenant itself.
 */
export const firstCaller = (leg: Leg, isOwnLine: (e164: string) => boolean): string | null => {
  if (callKind(leg) !== 'inbound') return null
  const phone = readPhone(leg.caller)
  if (phone.kind !== 'number' || phone.e164 === leg.businessPhone || isOwnLine(phone.e164))
    return null
  return personOf(phone.e164)
}

/** Sorts by start. Legs that began at the same time keep the order in which they arrived. */
export const byStart = <L extends Leg>(legs: readonly L[]): L[] =>
  legs.toSorted((a, b) => a.calledAt.getTime() - b.calledAt.getTime())

export const KNOWN_STATUSES = new Set(
  `ANSWER NOANSWER BUSY CANCEL ABANDONE TIMEOUT FULL EXIT JOINEMPTY VOEND TE NOTCALLED VOICEMAIL
   NOTDIALED CONGESTION CHANUNAVAIL INVALIDARGS SSWPREAUTH`.split(/\s+/),
)

/** Different words for the same status. ABANDONE without D is Voicenter's own spelling. */
const SAME_STATUS: Record<string, string> = {
  ABANDON: 'ABANDONE',
  ABANDONED: 'ABANDONE',
  ANSWERED: 'ANSWER',
  NOANSWERED: 'NOANSWER',
  NOTANSWERED: 'NOANSWER',
  UNANSWERED: 'NOANSWER',
  CANCELED: 'CANCEL',
  CANCELLED: 'CANCEL',
  TIMEDOUT: 'TIMEOUT',
}

/** The status in Voicenter's own spelling. Case, spaces, hyphens and underscores say nothing. */
export const statusOf = ({ status: written }: Pick<Cdr, 'status'>): string => {
  const status = written.trim().toUpperCase().replace(/\s+/g, ' ')
  const folded = status.replace(/[\s_.\p{Pd}]+/gu, '')
  const known = SAME_STATUS[folded] ?? folded
  return KNOWN_STATUSES.has(known) ? known : status
}

const isVoicemail = (leg: Cdr): boolean =>
  typeName(leg) === 'voicemail' || statusOf(leg) === 'VOICEMAIL'

/**
 * Why this CDR shows that someone at the tenant talked with the customer, or null.
 *
 * ANSWER alone does not show it: an IVR or an announcement also answers ("External IVR"). An agent field that is
 * present but empty means that no agent was reached. An absent agent field means nothing, because the queue CDRs
 * that Voicenter publishes have none. A transferred leg counts in any direction: to an outside phone it may say
 * "outgoing". Voicemail is never a person, although its CDR may name the extension of the mailbox.
 */
export const answeredBy = (leg: Cdr): string | null => {
  if (isVoicemail(leg)) return null
  const kind = callKind(leg)
  const answered = statusOf(leg) === 'ANSWER'
  if (kind === 'outgoing' || kind === 'click_to_queue') return answered ? 'called_back' : null
  if (isNotInbound(kind) && !transferKind(leg)) return null
  if (leg.agent) return answered || leg.isAnswer ? 'agent' : null
  if (kind === 'unknown') return null
  if (leg.representative && /^external[\s_-]*ivr$/i.test(leg.representative)) return null
  // A transfer goes to a person, who may be outside the business and have no extension.
  if (answered && transferKind(leg)) return 'transfer'
  if (answered && (typeName(leg) === 'queue' || leg.agent === undefined)) return 'answer'
  const talked = leg.agent === undefined && leg.isAnswer && talkSecondsOf(talkTimesOf(leg)) > 0
  return talked ? 'talk_time' : null
}

const UNANSWERED = new Set(['ABANDONE', 'NOANSWER', 'BUSY', 'CANCEL', 'TIMEOUT'])

/** In a queue, `duration` includes the time of waiting: if the status says that the caller was not answered, it shows no talk. */
const talkTimesOf = (leg: Cdr): Pick<Cdr, 'talkSeconds' | 'waitingSeconds'> => {
  const isQueue = typeName(leg) === 'queue' || (leg.waitingSeconds ?? 0) > 0
  return isQueue && UNANSWERED.has(statusOf(leg))
    ? { ...leg, talkSeconds: leg.actualTalkSeconds ?? null }
    : leg
}

/** The customer with whom someone talked in this CDR, as written. Null if no one did, or the number is unknown. */
export const reachedIn = (
  leg: Cdr,
  isOwnLine: TenantReading['isOwnLine'] = NO_LINES.isOwnLine,
): string | null => {
  if (!answeredBy(leg)) return null
  const kind = callKind(leg)
  if (kind === 'unknown' || (isNotInbound(kind) && kind !== 'outgoing')) return null
  return customerOf(leg, kind, isOwnLine)
}

/** The verdict on a whole call, and its reason. `missed` is the CDR in which the call was missed. */
export type Verdict<L extends Cdr> =
  | { verdict: 'missed'; reason: string; missed: L }
  | { verdict: 'answered' | 'not_inbound' | 'unmatched_number' | 'unknown'; reason: string }

/** The settings of one tenant: columns of `tenants`, and which numbers belong to it. */
export type ClassifyRules<L extends Cdr> = Pick<TenantReading, 'isOwnLine'> & {
  missedStatuses: readonly string[]
  minRingSeconds: number
  /** Whether the number dialled belongs to the tenant. */
  isOurs: (leg: L) => boolean
}

/** Whether a CDR names one of these lines as the tenant's number. */
export const usesNumberOf =
  (lines: ReadonlySet<string>): ClassifyRules<Leg>['isOurs'] =>
  leg =>
    leg.businessPhone !== null && lines.has(leg.businessPhone)

/** Raise this number when CDRs are read or classified differently. Then the large calls are read again as a whole. */
export const READING_VERSION = 3

/** How long a transferred CDR waits for the CDR that it names as its root. */
export const ROOT_WAIT_SECONDS = 120

/**
 * Classifies a call from all its CDRs. The order in which they arrived does not matter.
 *
 * @param legs at least one, sorted by start: all the CDRs with the same tenant and root id
 * @param hasWaited the CDRs have waited long enough for a root that has not arrived
 */
export const classify = <L extends Cdr>(
  legs: readonly L[],
  rules: ClassifyRules<L>,
  hasWaited = false,
): Verdict<L> => {
  const fromCustomer = legs.filter(leg => !isNotInbound(callKind(leg)))
  if (fromCustomer.length === 0) return { verdict: 'not_inbound', reason: kindOfFirst(legs) }

  const isWaiting = !hasWaited && !hasRoot(legs)
  const [opening] = endings(isWaiting ? [] : openingLegs(legs), rules)
  if (!opening) return withoutOpening(legs, fromCustomer, isWaiting)
  if (!fromCustomer.some(rules.isOurs))
    return { verdict: 'unmatched_number', reason: 'number_dialled' }

  const answered = legs.map(answeredBy).find(reason => reason !== null)
  if (answered) return { verdict: 'answered', reason: answered }

  const { verdict, reason } = opening
  const caller = callerOf(legs, rules.isOwnLine)
  const isNamed = caller === (opening.leg.caller ?? null)
  const leg = isNamed ? opening.leg : { ...opening.leg, caller }
  if (verdict === 'missed') return { verdict, reason, missed: leg }

  // An IVR answered and forwarded the call to someone who did not answer. The CDR of the customer's own call counts,
  // because the forwarded leg may show another caller. A transfer says nothing here: a person made it.
  const [forwarded] = endings(
    legs.filter(leg => transferKind(leg) === 'forward'),
    rules,
  )
  if (forwarded?.verdict === 'missed') {
    const missed = { ...leg, status: forwarded.leg.status }
    return { verdict: 'missed', reason: forwarded.reason, missed }
  }
  return { verdict, reason }
}

/**
 * A call with more CDRs than this is large: a phone system sends a handful. Of a large call not all CDRs are read
 * again when another one arrives.
 */
export const MAX_LEGS = 20

/** How many different callers, and how many lines, of a large call are considered. */
const MAX_NAMES = 8

/**
 * The CDRs that decide the verdict on a large call, at most a few dozen. They stand for all the others: `classify`
 * returns the same for them as for all, also together with CDRs that arrive later. So the next CDR of such a call
 * costs the same, however many there are.
 *
 * They are the first of each kind that `classify` asks for, by start. It is not exact for a call with more than MAX_NAMES
 * callers or lines, nor for transfers that name each other in a circle. A circle is detected two minutes later.
 *
 * @param legs sorted by start
 */
export const decidingLegs = <L extends Leg>(legs: readonly L[], rules: ClassifyRules<L>): L[] => {
  const isFromCustomer = (leg: L) => !isNotInbound(callKind(leg))
  const isInbound = (leg: L) => callKind(leg) === 'inbound'
  const isCallBack = (leg: L) => callKind(leg) === 'click_to_queue'
  const endsAs = (leg: L, verdict: string) => endingOf(leg, rules).verdict === verdict
  const firsts = [
    () => true,
    isRoot,
    isFromCustomer,
    (leg: L) => leg.callId === rootOf(leg),
    (leg: L) => isFromCustomer(leg) && rules.isOurs(leg),
    (leg: L) => answeredBy(leg) !== null,
    (leg: L) => firstCaller(leg, rules.isOwnLine) !== null,
    (leg: L) => isRoot(leg) && isNotInbound(callKind(leg)),
    (leg: L) => isRoot(leg) && isCallBack(leg),
    (leg: L) => isRoot(leg) && isCallBack(leg) && answeredBy(leg) !== null,
    isCallBack,
    (leg: L) => isCallBack(leg) && answeredBy(leg) !== null,
    ...Object.keys(PRECEDENCE).flatMap(verdict => [
      (leg: L) => isInbound(leg) && endsAs(leg, verdict),
      (leg: L) => isHandedOn(leg) && endsAs(leg, verdict),
      (leg: L) => transferKind(leg) === 'forward' && endsAs(leg, verdict),
    ]),
  ]
  const deciding = new Set(firsts.flatMap(isWanted => legs.find(isWanted) ?? []))
  const firstOfEach = (nameOf: (leg: L) => string | null | undefined) => {
    const names = new Set<string>()
    for (const leg of legs) {
      const name = nameOf(leg)
      if (!name || names.has(name) || names.size === MAX_NAMES) continue
      names.add(name)
      deciding.add(leg)
    }
  }
  firstOfEach(leg => (isInbound(leg) ? leg.caller : null))
  firstOfEach(leg => (transferKind(leg) && callKind(leg) !== 'internal' ? leg.caller : null))
  firstOfEach(leg => leg.businessPhone)
  // The rules for a single CDR differ.
  for (const leg of legs.slice(0, 2)) deciding.add(leg)
  return legs.filter(leg => deciding.has(leg))
}

/** The first CDR of its call, and not a transferred part of it. */
const isRoot = (leg: Cdr): boolean => !transferKind(leg) && leg.callId === rootOf(leg)

const kindOfFirst = (legs: readonly Cdr[]): CallKind => {
  const first = legs.find(isRoot) ?? legs[0]
  return first ? callKind(first) : 'other'
}

/**
 * Whether the first CDR of the call has arrived, or a customer's own call is among the CDRs. If transfers name each other
 * in a circle, there is no other root to wait for.
 */
const hasRoot = (legs: readonly Cdr[]): boolean => {
  if (legs.some(leg => callKind(leg) === 'inbound' || leg.callId === rootOf(leg))) return true
  const arrived = new Set(legs.map(({ callId }) => callId))
  return legs.every(leg => arrived.has(rootOf(leg)))
}

/**
 * The CDRs that can make a call missed: a customer's own call. If all CDRs are transferred or forwarded and name a number
 * that was dialled, the customer's own call was forwarded before Voicenter recorded it.
 */
const openingLegs = <L extends Cdr>(legs: readonly L[]): L[] => {
  const inbound = legs.filter(leg => callKind(leg) === 'inbound')
  if (inbound.length || legs.some(isRoot)) return inbound
  return legs.filter(isHandedOn)
}

/** A transferred or forwarded CDR that names a number that was dialled. */
const isHandedOn = (leg: Cdr): boolean =>
  transferKind(leg) !== null && callKind(leg) !== 'internal' && !!leg.did

/** The verdict on a call if none of its CDRs can make it missed. */
const withoutOpening = (
  legs: readonly Cdr[],
  fromCustomer: readonly Cdr[],
  isWaiting: boolean,
): Verdict<never> => {
  const roots = legs.filter(isRoot)
  const first = roots.length ? roots : fromCustomer
  const kinds = first.map(leg => callKind(leg))
  // The tenant transferred a call that it had made itself.
  const ownCall = kinds.find(isNotInbound)
  if (ownCall) return { verdict: 'not_inbound', reason: ownCall }
  if (kinds.includes('click_to_queue')) {
    const isCallBack = first.some(leg => answeredBy(leg) === 'called_back')
    return { verdict: isCallBack ? 'not_inbound' : 'unknown', reason: 'click_to_queue' }
  }
  return { verdict: 'unknown', reason: isWaiting ? 'waiting_for_root' : 'unknown_direction' }
}

type Ending<L> = { leg: L; verdict: 'missed' | 'answered' | 'unknown'; reason: string }

/** One missed CDR makes the call missed, even if a machine answered another. */
const PRECEDENCE = { missed: 0, answered: 1, unknown: 2 }

/** How each CDR ended if no person answered. A missed one comes first. */
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
