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
  byStart,
  classify,
  type ClassifyRules,
  type Leg,
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
})

/** How long a call can affect others, apart from quiet windows. */
export const effectSpan = (rules: Rules): Milliseconds =>
  rules.outreachDelay + rules.reminder2After + rules.repeatWindow

/** Plays stored calls under some rules, with a simulated time: what would have been decided and sent. */

/** What is known about people apart from their calls, by any spelling of their numbers. */
export type Contacts = {
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
  /** People by their numbers as written in the records, because reading a number is slow. */
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
  /** The number of records that its call has in all; null if unknown. */
  legCount: number | null
}

export type Replayed = {
  records: number
  /** Records that cannot be read any more. */
  unreadable: number
  /** When the first record of each call arrived, by root id. */
  receivedAt: Map<string, Date>
}

/**
 * Plays records through several simulations at once, so that each record is read only once. Only calls with records to
 * come are kept in memory.
 *
 * @param cdrs in the order in which they arrived; null for a record that cannot be read any more
 * @param until when the simulations end
 * @param onProgress is called for each record with the number of records so far and its time
 */
export const replay = async (
  cdrs: AsyncIterable<ReceivedCdr | null> | Iterable<ReceivedCdr | null>,
  simulations: readonly Simulation[],
  until: Date,
  onProgress: (records: number, at: Date) => void = () => {},
): Promise<Replayed> => {
  const replayed: Replayed = { records: 0, unreadable: 0, receivedAt: new Map() }
  const unfinished = new Map<string, Leg[]>()
  for await (const cdr of cdrs) {
    replayed.records++
    if (cdr === null) {
      replayed.unreadable++
      continue
    }
    const { rootCallId, receivedAt, leg, legCount } = cdr
    const others = unfinished.get(rootCallId)
    const legs = others ? byStart([...others, leg]) : [leg]
    if (legs.length === legCount) unfinished.delete(rootCallId)
    else unfinished.set(rootCallId, legs)
    if (!replayed.receivedAt.has(rootCallId)) replayed.receivedAt.set(rootCallId, receivedAt)
    for (const simulation of simulations) addLegs(simulation, rootCallId, legs, receivedAt)
    onProgress(replayed.records, receivedAt)
  }
  for (const { rules, people } of simulations)
    for (const person of people.values()) advance(rules, person, until)
  return replayed
}

/**
 * A record has arrived, and its call is classified, as in classifyCalls (app/voicenter/calls.ts).
 *
 * @param legs all the records of the call so far, sorted by start
 */
const addLegs = (
  simulation: Simulation,
  rootCallId: string,
  legs: readonly Leg[],
  now: Date,
): void => {
  const { rules, outcomes } = simulation
  const verdict = classify(legs, simulation.classifyRules)
  const known = outcomes.get(rootCallId)?.missed ?? null
  const outcome: Outcome = { verdict: verdict.verdict, reason: verdict.reason, missed: known }
  outcomes.set(rootCallId, outcome)

  const talks = legs.flatMap(({ reachedPhone, calledAt }) =>
    reachedPhone ? [{ person: personFor(simulation, reachedPhone), calledAt }] : [],
  )
  for (const { person, calledAt } of talks) {
    advance(rules, person, now)
    if (!person.talkedAt || calledAt > person.talkedAt) person.talkedAt = calledAt
  }
  if (verdict.verdict === 'missed' && !known) {
    const person = personFor(simulation, verdict.missed.caller)
    advance(rules, person, now)
    outcome.missed = addMissedCall(rules, person, verdict.missed.calledAt, now)
  } else if (verdict.verdict !== 'missed' && known) {
    advance(rules, known.person, now)
    withdraw(rules, known, now)
  }
  for (const { person, calledAt } of talks) addTalk(rules, person, calledAt, now)
}

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
  optedOutAt: contacts.optedOutAt(identity.phones),
  replies: contacts.repliesOf(identity.phones),
  talkedAt: null,
  repliedAt: null,
  sentAt: null,
  openCalls: [],
  skippedCalls: [],
})
