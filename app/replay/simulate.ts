/** What would have been decided about calls, and sent, under some rules: a world of its own, with its own time. */
import { identify, personOf } from '../phone.ts'
import { type Leg, classify, type ClassifyRules } from '../voicenter/classify.ts'
import {
  advance,
  missed,
  type SimulatedCall,
  type Person,
  reached,
  wasNotMissed,
} from './person.ts'
import { judging, type Rules } from './rules.ts'

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
export const hear = (
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
