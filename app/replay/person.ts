/**
 * One person in a simulation: past events and pending messages. Time only moves forward: before anything
 * new about a person is added, `advance` runs what was due before that.
 */
import { firstAllowed, quietTimesOf } from '../outreach/quiet_hours.ts'
import {
  type ContactContext,
  contactHistory,
  decide,
  type Decision,
  type History,
  isTooLate,
  isTooOld,
  type Milliseconds,
} from '../outreach/rules.ts'
import type { identify } from '../phone.ts'
import type { Rules } from './simulate.ts'

export type MessageKind = 'initial' | 'reminder_1' | 'reminder_2'
export type SimulatedMessage = { kind: MessageKind; at: Date }
type PendingStep = { kind: MessageKind | 'silence'; at: Date }

/** A missed call with the state that `missed_calls`, its conversation and its messages would have. */
export type SimulatedCall = {
  person: Person
  calledAt: Date
  /** In the order in which calls were recorded. */
  number: number
  recordedAt: Date
  state: Decision['state'] | 'sent'
  reason: string
  sent: SimulatedMessage[]
  /** What is still due: messages, and the end of the conversation if the person does not reply. */
  pending: PendingStep[]
}

type EndReason = 'reached_by_phone' | 'replied' | 'owner_replied' | 'opted_out'

export type Person = ReturnType<typeof identify> & {
  isExcluded: boolean
  optedOutAt: Date | null
  /** The times of their future replies, in order. */
  replies: readonly Date[]
  reachedUntil: Date | null
  repliedAt: Date | null
  sentAt: Date | null
  /** How many missed calls were recorded. */
  recordedCalls: number
  /** Calls for which something is pending. */
  openCalls: SimulatedCall[]
  /** Calls that were skipped because another message was pending. They are evaluated again if it is cancelled. */
  skippedCalls: SimulatedCall[]
}

/** Adds a call that was classified as missed, like recordMissedCalls (app/outreach/missed_calls.ts). */
export const addMissedCall = (
  rules: Rules,
  person: Person,
  calledAt: Date,
  now: Date,
): SimulatedCall => {
  const late = isTooOld(now, calledAt, rules.oldestCall)
  const decision = decide({ ...contextOf(rules, person, { calledAt }, now), late })
  const number = person.recordedCalls++
  const call: SimulatedCall = {
    person,
    calledAt,
    number,
    recordedAt: now,
    ...decision,
    sent: [],
    pending: [],
  }
  applyDecision(rules, call, decision, now)
  if (decision.reason === 'already_contacted') {
    person.skippedCalls = person.skippedCalls.filter(other => isRecent(rules, other, now))
    person.skippedCalls.push(call)
  }
  return call
}

/** Adds a talk with the person, like cancelForReached (app/outreach/cancel.ts). */
export const addTalk = (rules: Rules, person: Person, until: Date, now: Date): void => {
  const calls = person.openCalls.filter(({ calledAt }) => calledAt <= until)
  const pending = calls.filter(({ state }) => state === 'scheduled')
  cancel('reached_by_phone', calls)
  reevaluate(rules, person, pending, now)
  // Like resolveSkipped.
  const resolved = person.skippedCalls.filter(
    ({ calledAt, recordedAt }) =>
      calledAt <= until &&
      isRecent(rules, { recordedAt }, now) &&
      (person.sentAt === null ||
        person.sentAt.getTime() + rules.repeatWindow <= recordedAt.getTime()),
  )
  for (const call of resolved) applyDecision(rules, call, REACHED, now)
  person.skippedCalls = person.skippedCalls.filter(call => !resolved.includes(call))
}

/** Calls that were skipped longer ago are history, as in app/outreach/cancel.ts. */
const isRecent = (rules: Rules, { recordedAt }: Pick<SimulatedCall, 'recordedAt'>, now: Date) =>
  recordedAt.getTime() + Math.max(rules.repeatWindow, DAY) > now.getTime()
const DAY = 24 * 60 * 60 * 1000

const REACHED: Decision = { state: 'cancelled', reason: 'reached_by_phone' }

/** A call that was recorded as missed was not missed, as in withdrawMissedCall (app/outreach/cancel.ts). */
export const withdraw = (rules: Rules, call: SimulatedCall, now: Date): void => {
  cancel('reached_by_phone', [call])
  reevaluate(rules, call.person, [call], now)
}

/** Runs everything that is due until `to`. */
export const advance = (rules: Rules, person: Person, to: Date): void => {
  for (let step = nextStep(person); step && step.at <= to; step = nextStep(person))
    run(rules, person, step)
}

type Step =
  | { at: Date; what: 'opt_out' | 'reply' }
  | { at: Date; what: PendingStep['kind']; call: SimulatedCall }

/** At the same moment, an opt-out or a reply precedes a message. */
const nextStep = ({ openCalls, optedOutAt, replies: [reply] }: Person): Step | undefined => {
  if (openCalls.length === 0) return reply && { at: reply, what: 'reply' }
  const steps: Step[] = []
  if (optedOutAt) steps.push({ at: optedOutAt, what: 'opt_out' })
  if (reply) steps.push({ at: reply, what: 'reply' })
  for (const call of openCalls)
    for (const { kind, at } of call.pending) steps.push({ at, what: kind, call })
  return steps.reduce((next, step) => (step.at < next.at ? step : next))
}

const run = (rules: Rules, person: Person, step: Step): void => {
  switch (step.what) {
    case 'opt_out':
      return cancel('opted_out', person.openCalls)
    case 'reply':
      person.replies = person.replies.slice(1)
      person.repliedAt = step.at
      return cancel('replied', person.openCalls)
    case 'initial':
      return sendFirst(rules, step.call, step.at)
    case 'silence':
      return close(step.call)
    default:
      return remind(rules, step.call, step.what, step.at)
  }
}

/** The first message is due: like the claim of the first message and its record as accepted (app/messages/). */
const sendFirst = (rules: Rules, call: SimulatedCall, now: Date): void => {
  const late = isTooLate(now, now, rules.grace)
  const decision = decide({ ...contextOf(rules, call.person, call, now), late })
  if (decision.state !== 'scheduled' || rules.mode === 'shadow') {
    call.state = decision.state === 'scheduled' ? 'skipped' : decision.state
    call.reason = decision.state === 'scheduled' ? 'shadow' : decision.reason
    return close(call)
  }
  send(call, 'initial', now)
  call.state = 'sent'
  call.reason = 'accepted'
  call.pending = [
    dueAfter(rules, call, 'reminder_1', now, rules.reminder1After),
    dueAfter(rules, call, 'reminder_2', now, rules.reminder2After),
  ]
}

const dueAfter = (
  rules: Rules,
  { person: { caller } }: SimulatedCall,
  kind: MessageKind,
  now: Date,
  span: Milliseconds,
): PendingStep => {
  const due = new Date(now.getTime() + span)
  const phone = caller.kind === 'number' ? caller.e164 : undefined
  return { kind, at: firstAllowed(due, quietTimesOf(kind, rules), phone) }
}

/** A reminder is due: like its claim (app/messages/), for a first message that was delivered. */
const remind = (rules: Rules, call: SimulatedCall, kind: MessageKind, now: Date): void => {
  const context = contextOf(rules, call.person, call, now)
  const decision = decide({ ...context, contacted: false, late: false })
  if (decision.reason === 'opted_out') return cancel('opted_out', call.person.openCalls)
  if (decision.state === 'cancelled') return cancel(decision.reason, [call])
  call.pending = call.pending.filter(step => step.kind !== kind)
  // If a quiet window has moved both reminders to the same moment, only the second is sent.
  const nextIsDue = call.pending.some(({ at }) => at <= now)
  if (decision.state === 'scheduled' && !nextIsDue) send(call, kind, now)
  if (kind === 'reminder_2')
    call.pending = [{ kind: 'silence', at: new Date(now.getTime() + rules.unresponsiveAfter) }]
}

const send = (call: SimulatedCall, kind: MessageKind, at: Date): void => {
  call.sent.push({ kind, at })
  call.person.sentAt = at
}

const applyDecision = (rules: Rules, call: SimulatedCall, decision: Decision, now: Date): void => {
  call.state = decision.state
  call.reason = decision.reason
  if (decision.state !== 'scheduled') return
  call.pending = [dueAfter(rules, call, 'initial', now, rules.outreachDelay)]
  call.person.openCalls.push(call)
}

/** The same context that the program reads for `decide`. */
const contextOf = (
  rules: Rules,
  person: Person,
  call: Pick<SimulatedCall, 'calledAt'>,
  now: Date,
): Omit<ContactContext, 'late'> => {
  const pending = person.openCalls.filter(other => other !== call).flatMap(other => other.pending)
  const latestOf = (...kinds: string[]) =>
    latest(pending.filter(({ kind }) => kinds.includes(kind)).map(({ at }) => at))
  const history: History = {
    sending: false,
    firstDueAt: latestOf('initial'),
    reminderDueAt: latestOf('reminder_1', 'reminder_2'),
    sentAt: person.sentAt,
    reachedUntil: person.reachedUntil,
    wroteAt: person.repliedAt,
    // Of what the owner writes, a simulation knows nothing.
    ownerWroteAt: null,
  }
  return {
    caller: person.caller,
    ownNumber: person.lines.some(line => rules.lines.has(line)),
    excluded: person.isExcluded,
    contactForeign: rules.contactForeign,
    optedOut: person.optedOutAt !== null && person.optedOutAt <= now,
    mode: rules.mode,
    connection: rules.connected ? 'active' : null,
    ...contactHistory(history, call.calledAt, now, rules),
  }
}

const latest = (times: readonly Date[]): Date | null =>
  times.toSorted((a, b) => b.getTime() - a.getTime())[0] ?? null

/** Like cancelPending (app/outreach/cancel.ts). */
const cancel = (reason: EndReason, calls: readonly SimulatedCall[]): void => {
  for (const call of calls) {
    if (call.state === 'scheduled') {
      call.state = 'cancelled'
      call.reason = reason
    }
    close(call)
  }
}

const close = (call: SimulatedCall): void => {
  call.pending = []
  call.person.openCalls = call.person.openCalls.filter(other => other !== call)
}

/** Like reevaluate (app/outreach/cancel.ts). */
const reevaluate = (
  rules: Rules,
  person: Person,
  cancelled: readonly SimulatedCall[],
  now: Date,
): void => {
  const since = Math.min(...cancelled.map(({ number }) => number))
  const skipped = person.skippedCalls
    .filter(({ number }) => number > since)
    .toSorted((a, b) => a.calledAt.getTime() - b.calledAt.getTime())
  for (const call of skipped) {
    const late = isTooOld(now, call.calledAt, rules.oldestCall)
    const decision = decide({ ...contextOf(rules, person, call, now), late })
    if (decision.state === 'skipped') continue
    applyDecision(rules, call, decision, now)
    person.skippedCalls = person.skippedCalls.filter(other => other !== call)
  }
}
