import type { Milliseconds, OutreachSettings } from '../outreach/rules.ts'
import { identify, personOf } from '../phone.ts'
import {
  addMissedCall,
  addTalk,
  advance,
  type Person,
  type SimulatedCall,
  withdraw,
} from './person.ts'
import {
  classify,
  type ClassifyRules,
  byStart,
  completeLegs,
  decidingLegs,
  type Leg,
  MAX_LEGS,
  ROOT_WAIT_SECONDS,
  type TenantReading,
  usesNumberOf,
} from '../voicenter/classify.ts'

/** Settings are in seconds, a simulation computes in milliseconds. */
export const SECOND = 1000

/** Everything about a tenant that affects its calls: its settings, its numbers, and whether it can send at all. */
export type Rules = OutreachSettings & {
  mode: string
  /** The tenant has a WhatsApp connection. Pauses of the connection are not known any more. */
  connected: boolean
  contactForeign: boolean
  reminder1After: Milliseconds
  reminder2After: Milliseconds
  unresponsiveAfter: Milliseconds
  missedStatuses: readonly string[]
  minRingSeconds: number
  /** The numbers that customers dial, and the numbers that the tenant writes from. */
  lines: ReadonlySet<string>
}

/** The rules that a replay can change. */
export type RuleChanges = Partial<
  Pick<
    Rules,
    | 'outreachDelay'
    | 'repeatWindow'
    | 'oldestCall'
    | 'quietWindows'
    | 'reminderQuietWindows'
    | 'location'
    | 'missedStatuses'
    | 'minRingSeconds'
    | 'contactForeign'
    | 'mode'
    | 'connected'
  >
>

export const classifyRulesOf = ({
  missedStatuses,
  minRingSeconds,
  lines,
}: Rules): ClassifyRules<Leg> => ({
  missedStatuses,
  minRingSeconds,
  isOurs: usesNumberOf(lines),
  isOwnLine: e164 => lines.has(e164),
})

export const readingOf = ({ timezone, lines }: Rules): TenantReading => ({
  timezone,
  isOwnLine: e164 => lines.has(e164),
})

/** A message waits longest over Rosh Hashana and the Shabbat after it. */
const LONGEST_HOLIDAY = 3 * 24 * 60 * 60 * SECOND

/** How long a call can affect others, apart from clock windows of more than three days. */
export const effectSpan = (rules: Rules): Milliseconds =>
  rules.outreachDelay + rules.reminder2After + rules.repeatWindow + LONGEST_HOLIDAY

/** Plays stored calls under some rules, with a simulated time: what would have been decided and sent. */

/** What is known about people apart from their calls, by any spelling of their numbers. */
export type Contacts = {
  /** The tenant has excluded one of these numbers. This counts for the whole period, like its other settings. */
  isExcluded: (numbers: readonly string[]) => boolean
  optedOutAt: (phones: readonly string[]) => Date | null
  /** The times of their messages, in order. */
  repliesOf: (phones: readonly string[]) => readonly Date[]
}

export type Outcome = { verdict: string; reason: string; missed: SimulatedCall | null }

export type Simulation = {
  rules: Rules
  classifyRules: ClassifyRules<Leg>
  contacts: Contacts
  people: Map<string, Person>
  /** People by their numbers as written in the CDRs, because reading a number is slow. */
  peopleAsWritten: Map<string, Person>
  /** By root id. */
  outcomes: Map<string, Outcome>
}

export const newSimulation = (rules: Rules, contacts: Contacts): Simulation => ({
  rules,
  classifyRules: classifyRulesOf(rules),
  contacts,
  people: new Map(),
  peopleAsWritten: new Map(),
  outcomes: new Map(),
})

/** One call record, at the time when it arrived. */
export type ReceivedCdr = {
  rootCallId: string
  receivedAt: Date
  leg: Leg
  /** The number of CDRs that its call has in all; null if unknown. */
  legCount: number | null
}

export type Replayed = {
  records: number
  /** CDRs that cannot be read any more. */
  unreadable: number
  /** When the first CDR of each call arrived, by root id. */
  receivedAt: Map<string, Date>
}

/**
 * Plays CDRs through several simulations at once, so that each CDR is read only once. Only calls with CDRs to
 * come are kept in memory.
 *
 * @param cdrs in the order in which they arrived; null for a CDR that cannot be read any more
 * @param until when the simulations end
 * @param onProgress is called for each CDR with the number of CDRs so far and its time
 */
export const replay = async (
  cdrs: AsyncIterable<ReceivedCdr | null> | Iterable<ReceivedCdr | null>,
  simulations: readonly Simulation[],
  until: Date,
  onProgress: (records: number, at: Date) => void = () => {},
): Promise<Replayed> => {
  const replayed: Replayed = { records: 0, unreadable: 0, receivedAt: new Map() }
  const unfinished = new Map<string, Leg[]>()
  const waiting = new Map<string, { legs: readonly Leg[]; until: Date }>()
  const endWaits = (now: Date): void => {
    for (const [rootCallId, { legs, until }] of waiting) {
      if (until > now) continue
      waiting.delete(rootCallId)
      for (const simulation of simulations) addLegs(simulation, rootCallId, legs, until, true)
    }
  }
  for await (const cdr of cdrs) {
    replayed.records++
    if (cdr === null) {
      replayed.unreadable++
      continue
    }
    const { rootCallId, receivedAt, leg, legCount } = cdr
    endWaits(receivedAt)
    const others = unfinished.get(rootCallId)
    const legs = byStart([...(others ?? []), leg])
    if (legs.length === legCount) unfinished.delete(rootCallId)
    else unfinished.set(rootCallId, legs.length <= MAX_LEGS ? legs : decidingAny(legs, simulations))
    if (!replayed.receivedAt.has(rootCallId)) replayed.receivedAt.set(rootCallId, receivedAt)
    const since = replayed.receivedAt.get(rootCallId) ?? receivedAt
    const until = new Date(since.getTime() + ROOT_WAIT_SECONDS * SECOND)
    for (const simulation of simulations)
      addLegs(simulation, rootCallId, legs, receivedAt, receivedAt >= until)
    const isWaiting = simulations.some(
      ({ outcomes }) => outcomes.get(rootCallId)?.reason === 'waiting_for_root',
    )
    if (isWaiting) waiting.set(rootCallId, { legs, until })
    else waiting.delete(rootCallId)
    onProgress(replayed.records, receivedAt)
  }
  endWaits(until)
  for (const { rules, people } of simulations)
    for (const person of people.values()) advance(rules, person, until)
  return replayed
}

/** The CDRs of a large call that decide in one of the simulations. */
const decidingAny = (legs: readonly Leg[], simulations: readonly Simulation[]): Leg[] => {
  const deciding = new Set(
    simulations.flatMap(({ classifyRules }) => decidingLegs(legs, classifyRules)),
  )
  return legs.filter(leg => deciding.has(leg))
}

/**
 * A CDR has arrived, and its call is classified, as in classifyCalls (app/voicenter/calls.ts).
 *
 * @param incomplete all the CDRs of the call so far, sorted by start
 * @param hasWaited see classify
 */
const addLegs = (
  simulation: Simulation,
  rootCallId: string,
  incomplete: readonly Leg[],
  now: Date,
  hasWaited: boolean,
): void => {
  const { rules, outcomes } = simulation
  const legs = completeLegs(incomplete, readingOf(rules).isOwnLine)
  const verdict = classify(legs, simulation.classifyRules, hasWaited)
  const known = outcomes.get(rootCallId)?.missed ?? null
  const outcome: Outcome = { verdict: verdict.verdict, reason: verdict.reason, missed: known }
  outcomes.set(rootCallId, outcome)

  const talks = legs.flatMap(({ reachedPhone, reachedUntil: until }) =>
    reachedPhone && until ? [{ person: personFor(simulation, reachedPhone), until }] : [],
  )
  for (const { person, until } of talks) {
    advance(rules, person, now)
    if (!person.reachedUntil || until > person.reachedUntil) person.reachedUntil = until
  }
  if (verdict.verdict === 'missed') {
    const person = personFor(simulation, verdict.missed.caller)
    const shouldRecord = !known || (namesNoCustomer(known) && person.caller.kind !== 'withheld')
    if (shouldRecord) {
      advance(rules, person, now)
      outcome.missed = addMissedCall(rules, person, verdict.missed.calledAt, now)
    }
  } else if (known) {
    advance(rules, known.person, now)
    withdraw(rules, known, now)
  }
  for (const { person, until } of talks) addTalk(rules, person, until, now)
}

/** As NAMES_NO_CUSTOMER (app/outreach/missed_calls.ts): another CDR may name the customer. */
const namesNoCustomer = ({ reason, person }: SimulatedCall): boolean =>
  reason === 'withheld_number' ||
  reason === 'own_number' ||
  (reason === 'not_mobile' && person.caller.kind !== 'number')

const personFor = (simulation: Simulation, written: string | null | undefined): Person => {
  const { people, peopleAsWritten } = simulation
  const known = peopleAsWritten.get(written ?? '')
  if (known) return known
  const identity = identify(written)
  // A withheld number is another person each time.
  if (identity.caller.kind !== 'number') return newPerson(simulation, identity)
  const name = personOf(identity.caller.e164)
  const person = people.get(name) ?? newPerson(simulation, identity)
  people.set(name, person)
  peopleAsWritten.set(written ?? '', person)
  return person
}

const newPerson = ({ contacts }: Simulation, identity: ReturnType<typeof identify>): Person => ({
  ...identity,
  isExcluded: contacts.isExcluded(identity.lines),
  optedOutAt: contacts.optedOutAt(identity.phones),
  replies: contacts.repliesOf(identity.phones),
  reachedUntil: null,
  recordedCalls: 0,
  repliedAt: null,
  sentAt: null,
  openCalls: [],
  skippedCalls: [],
})
