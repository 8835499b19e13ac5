/**
 * One person in a simulation: what is pending for her, and what has passed. Time only goes forward: whoever tells
 * something about her first lets pass what was due until then.
 */
import {
  type Decision,
  decide,
  type ContactContext,
  type History,
  contactHistory,
  isTooLate,
  isTooOld,
} from '../outreach/rules.ts'
import type { identify } from '../phone.ts'
import { firstAllowed } from '../outreach/quiet_hours.ts'
import type { Rules } from './simulate.ts'

export type Kind = 'initial' | 'reminder_1' | 'reminder_2'
export type Sent = { kind: Kind; at: Date }
type Due = { kind: Kind | 'silence'; at: Date }

/** A missed call, as `missed_calls`, its conversation and its messages would tell of it. */
export type SimulatedCall = {
  person: Person
  calledAt: Date
  state: Decision['state'] | 'sent'
  reason: string
  sent: Sent[]
  /** What is still to come, each with its moment: messages, and the end of a conversation in silence. */
  pending: Due[]
}

type Stop = 'reached_by_phone' | 'replied' | 'opted_out'

export type Person = ReturnType<typeof identify> & {
  optedOutAt: Date | null
  /** When she wrote, in order; those to come. */
  replies: readonly Date[]
  talkedAt: Date | null
  wroteAt: Date | null
  sentAt: Date | null
  /** Calls with something pending. */
  open: SimulatedCall[]
  /** Calls nobody wrote about since another message was pending: decided again should that be cancelled. */
  passedOver: SimulatedCall[]
}

const latest = (moments: readonly Date[]): Date | null =>
  moments.toSorted((a, b) => b.getTime() - a.getTime())[0] ?? null

/** What `decide` is told about her now. */
const factsOf = (
  rules: Rules,
  person: Person,
  call: Pick<SimulatedCall, 'calledAt'>,
  now: Date,
): Omit<ContactContext, 'late'> => {
  const pending = person.open.filter(other => other !== call).flatMap(other => other.pending)
  const lastOf = (...kinds: string[]) =>
    latest(pending.filter(({ kind }) => kinds.includes(kind)).map(({ at }) => at))
  const history: History = {
    sending: false,
    firstDueAt: lastOf('initial'),
    reminderDueAt: lastOf('reminder_1', 'reminder_2'),
    sentAt: person.sentAt,
    talkedAt: person.talkedAt,
    wroteAt: person.wroteAt,
  }
  return {
    caller: person.caller,
    ownNumber: person.lines.some(line => rules.lines.has(line)),
    contactForeign: rules.contactForeign,
    optedOut: person.optedOutAt !== null && person.optedOutAt <= now,
    mode: rules.mode,
    connection: rules.connected ? 'active' : null,
    ...contactHistory(history, call.calledAt, now, rules),
  }
}

const setDecision = (rules: Rules, call: SimulatedCall, decision: Decision, now: Date): void => {
  call.state = decision.state
  call.reason = decision.reason
  if (decision.state !== 'scheduled') return
  const due = new Date(now.getTime() + rules.outreachDelay)
  call.pending = [{ kind: 'initial', at: firstAllowed(due, rules.quietWindows, rules.timezone) }]
  call.person.open.push(call)
}

/** A call of hers was judged as missed: as recordMissedCalls (app/outreach/missed_call.ts). */
export const missed = (rules: Rules, person: Person, calledAt: Date, now: Date): SimulatedCall => {
  const late = isTooOld(now, calledAt, rules.oldestCall)
  const decision = decide({ ...factsOf(rules, person, { calledAt }, now), late })
  const call: SimulatedCall = { person, calledAt, ...decision, sent: [], pending: [] }
  setDecision(rules, call, decision, now)
  if (decision.reason === 'already_contacted') {
    // What is too old by now will never be written about, so it need not be kept.
    person.passedOver = person.passedOver.filter(
      other => !isTooOld(now, other.calledAt, rules.oldestCall),
    )
    person.passedOver.push(call)
  }
  return call
}

/** Nothing follows from it any more. */
const close = (call: SimulatedCall): void => {
  call.pending = []
  call.person.open = call.person.open.filter(other => other !== call)
}

/** As stopChase (app/outreach/stop.ts). */
const stop = (reason: Stop, calls: readonly SimulatedCall[]): void => {
  for (const call of calls) {
    if (call.state === 'scheduled') {
      call.state = 'cancelled'
      call.reason = reason
    }
    close(call)
  }
}

/** As decideAgain (app/outreach/decide_again.ts). */
const decideAgain = (rules: Rules, person: Person, since: Date, now: Date): void => {
  const skipped = person.passedOver
    .filter(({ calledAt }) => calledAt > since)
    .toSorted((a, b) => a.calledAt.getTime() - b.calledAt.getTime())
  for (const call of skipped) {
    const late = isTooOld(now, call.calledAt, rules.oldestCall)
    const decision = decide({ ...factsOf(rules, person, call, now), late })
    if (decision.state !== 'scheduled') continue
    setDecision(rules, call, decision, now)
    person.passedOver = person.passedOver.filter(other => other !== call)
  }
}

/** Somebody talked with her in a call that began at `at`: as personReached (app/outreach/reached.ts). */
export const reached = (rules: Rules, person: Person, at: Date, now: Date): void => {
  const calls = person.open.filter(({ calledAt }) => calledAt <= at)
  if (calls.length === 0) return
  stop('reached_by_phone', calls)
  decideAgain(rules, person, at, now)
}

/** What was recorded as missed was not: as callWasNotMissed (app/outreach/reached.ts). */
export const wasNotMissed = (rules: Rules, call: SimulatedCall, now: Date): void => {
  stop('reached_by_phone', [call])
  decideAgain(rules, call.person, call.calledAt, now)
}

/** The first message has its moment: as claimFirstMessage, and its record as accepted (app/messages/). */
const sendFirst = (rules: Rules, call: SimulatedCall, now: Date): void => {
  const { person } = call
  const late = isTooLate(now, now, rules.grace)
  const decision = decide({ ...factsOf(rules, person, call, now), late })
  if (decision.state !== 'scheduled' || rules.mode === 'shadow') {
    call.state = decision.state === 'scheduled' ? 'skipped' : decision.state
    call.reason = decision.state === 'scheduled' ? 'shadow' : decision.reason
    return close(call)
  }
  send(call, 'initial', now)
  call.state = 'sent'
  call.reason = 'accepted'
  const due = (span: number) =>
    firstAllowed(new Date(now.getTime() + span), rules.quietWindows, rules.timezone)
  call.pending = [
    { kind: 'reminder_1', at: due(rules.reminder1After) },
    { kind: 'reminder_2', at: due(rules.reminder2After) },
  ]
}

const send = (call: SimulatedCall, kind: Kind, at: Date): void => {
  call.sent.push({ kind, at })
  call.person.sentAt = at
}

/** As claimReminder (app/messages/claim_reminder.ts), of a message that has arrived. */
const remind = (rules: Rules, call: SimulatedCall, kind: Kind, now: Date): void => {
  const { person } = call
  const decision = decide({ ...factsOf(rules, person, call, now), contacted: false, late: false })
  if (decision.reason === 'opted_out') return stop('opted_out', person.open)
  if (decision.state === 'cancelled') return stop(decision.reason, [call])
  call.pending = call.pending.filter(step => step.kind !== kind)
  // A quiet window has brought both to one moment: the last one says it all.
  const nextIsDue = call.pending.some(({ at }) => at <= now)
  if (decision.state === 'scheduled' && !nextIsDue) send(call, kind, now)
  if (kind === 'reminder_2')
    call.pending = [{ kind: 'silence', at: new Date(now.getTime() + rules.unresponsiveAfter) }]
}

type Step =
  { at: Date; what: 'opt_out' | 'reply' } | { at: Date; what: Due['kind']; call: SimulatedCall }

/** What happens to her next, by itself. Of two at one moment what ends the chase comes first. */
const nextStep = ({ open, optedOutAt, replies: [reply] }: Person): Step | undefined => {
  if (open.length === 0) return reply && { at: reply, what: 'reply' }
  const steps: Step[] = []
  if (optedOutAt) steps.push({ at: optedOutAt, what: 'opt_out' })
  if (reply) steps.push({ at: reply, what: 'reply' })
  for (const call of open)
    for (const { kind, at } of call.pending) steps.push({ at, what: kind, call })
  return steps.reduce((next, step) => (step.at < next.at ? step : next))
}

const take = (rules: Rules, person: Person, step: Step): void => {
  switch (step.what) {
    case 'opt_out':
      return stop('opted_out', person.open)
    case 'reply':
      person.replies = person.replies.slice(1)
      person.wroteAt = step.at
      return stop('replied', person.open)
    case 'initial':
      return sendFirst(rules, step.call, step.at)
    case 'silence':
      return close(step.call)
    default:
      return remind(rules, step.call, step.what, step.at)
  }
}

/** Lets time pass for her. */
export const advance = (rules: Rules, person: Person, to: Date): void => {
  for (let step = nextStep(person); step && step.at <= to; step = nextStep(person))
    take(rules, person, step)
}
