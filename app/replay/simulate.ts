import type { Milliseconds, OutreachSettings } from '../outreach/rules.ts'
import { identify, personOf } from '../phone.ts'
import {
  advance,
  missed,
  type Person,
  reached,
  type SimulatedCall,
  wasNotMissed,
} from './person.ts'
import {
  byStart,
  classify,
  type ClassifyRules,
  type Leg,
  usesNumberOf,
} from '../voicenter/classify.ts'

/** Settings are in seconds; here everything is compared with moments. */
export const SECOND = 1000

/** Everything of a tenant that decides about a call: its columns, its lines, and whether it can write at all. */
export type Rules = OutreachSettings & {
  mode: string
  /** It has a WhatsApp connection; whether that was paused at times is not known any more. */
  connected: boolean
  contactForeign: boolean
  reminder1After: Milliseconds
  reminder2After: Milliseconds
  unresponsiveAfter: Milliseconds
  missedStatuses: readonly string[]
  minRingSeconds: number
  /** The numbers customers dial, and those it writes from. */
  lines: ReadonlySet<string>
}

/** What may be asked "what if" about. */
export type Changes = Partial<
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

/** What `judge` needs to know of them. */
export const judging = ({ missedStatuses, minRingSeconds, lines }: Rules): ClassifyRules<Leg> => ({
  missedStatuses,
  minRingSeconds,
  isOurs: usesNumberOf(lines),
})

/** How long after a call something may still follow from it, short of quiet windows. */
export const reachOf = (rules: Rules): Milliseconds =>
  rules.outreachDelay + rules.reminder2After + rules.repeatWindow

/** What would have been decided about calls, and sent, under some rules: a world of its own, with its own time. */

/** What is known of people from elsewhere than their calls, by any spelling of their numbers. */
export type Known = {
  optedOutAt: (phones: readonly string[]) => Date | null
  /** When they wrote, in order. */
  repliesOf: (phones: readonly string[]) => readonly Date[]
}

export type Outcome = { verdict: string; reason: string; missed: SimulatedCall | null }

export type Simulation = {
  rules: Rules
  judging: ClassifyRules<Leg>
  known: Known
  people: Map<string, Person>
  /** The same by their numbers as the exchange writes them, for reading one takes long. */
  spelled: Map<string, Person>
  /** By root id. */
  calls: Map<string, Outcome>
}

export const newSimulation = (rules: Rules, known: Known): Simulation => ({
  rules,
  judging: judging(rules),
  known,
  people: new Map(),
  spelled: new Map(),
  calls: new Map(),
})

const personFor = (simulation: Simulation, written: string | null | undefined): Person => {
  const { people, spelled } = simulation
  const known = spelled.get(written ?? '')
  if (known) return known
  const identity = identify(written)
  // A withheld number is a different person each time.
  if (identity.caller.kind !== 'number') return newPerson(simulation, identity)
  const name = personOf(identity.caller.e164)
  const person = people.get(name) ?? newPerson(simulation, identity)
  people.set(name, person)
  spelled.set(written ?? '', person)
  return person
}

const newPerson = ({ known }: Simulation, identity: ReturnType<typeof identify>): Person => ({
  ...identity,
  optedOutAt: known.optedOutAt(identity.phones),
  replies: known.repliesOf(identity.phones),
  talkedAt: null,
  wroteAt: null,
  sentAt: null,
  open: [],
  passedOver: [],
})

/**
 * A record has come, and its call is judged, with all records that have come of it so far: as the task
 * voicenter_cdr does (tasks/voicenter_cdr.ts), at the moment the record came.
 *
 * @param legs in order (leg.ts)
 */
export const addCdr = (
  simulation: Simulation,
  rootCallId: string,
  legs: readonly Leg[],
  now: Date,
): void => {
  const { rules, calls } = simulation
  const verdict = classify(legs, simulation.judging)
  const known = calls.get(rootCallId)?.missed ?? null
  const outcome: Outcome = { verdict: verdict.verdict, reason: verdict.reason, missed: known }
  calls.set(rootCallId, outcome)

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
    outcome.missed = missed(rules, person, verdict.missed.calledAt, now)
  } else if (verdict.verdict !== 'missed' && known) {
    advance(rules, known.person, now)
    wasNotMissed(rules, known, now)
  }
  for (const { person, calledAt } of talks) reached(rules, person, calledAt, now)
}

/** No more records: what is due until then happens. */
export const finish = ({ rules, people }: Simulation, until: Date): void => {
  for (const person of people.values()) advance(rules, person, until)
}

/** One record, as it came. */
export type Heard = {
  rootCallId: string
  receivedAt: Date
  leg: Leg
  /** How many its call has in all; null = nobody has counted. */
  records: number | null
}

export type Replayed = {
  records: number
  /** Records that could not be read any more. */
  unreadable: number
  /** When the first record of each call came, by root id. */
  heardAt: Map<string, Date>
}

/**
 * Plays records, which must come in the order of their receipt, through several simulations at once: each is read
 * only once, and only calls with records to come are kept.
 *
 * @param until when the simulations end
 * @param tell is told, of every record, how many there have been and when it came
 */
export const replay = async (
  heard: AsyncIterable<Heard | null> | Iterable<Heard | null>,
  simulations: readonly Simulation[],
  until: Date,
  tell: (records: number, at: Date) => void = () => {},
): Promise<Replayed> => {
  const replayed: Replayed = { records: 0, unreadable: 0, heardAt: new Map() }
  const unfinished = new Map<string, Leg[]>()
  for await (const record of heard) {
    replayed.records++
    if (record === null) {
      replayed.unreadable++
      continue
    }
    const { rootCallId, receivedAt, leg, records } = record
    const others = unfinished.get(rootCallId)
    const legs = others ? byStart([...others, leg]) : [leg]
    if (legs.length === records) unfinished.delete(rootCallId)
    else unfinished.set(rootCallId, legs)
    if (!replayed.heardAt.has(rootCallId)) replayed.heardAt.set(rootCallId, receivedAt)
    for (const simulation of simulations) addCdr(simulation, rootCallId, legs, receivedAt)
    tell(replayed.records, receivedAt)
  }
  for (const simulation of simulations) finish(simulation, until)
  return replayed
}
