/**
 * Whether a person is on the line with the tenant, from the events that Voicenter reports while a call lasts. Nothing
 * here depends on the order in which the events arrived.
 */
import type { HoldReason } from '../states.ts'
import type { Milliseconds } from './rules.ts'

export const PHASES = ['ringing', 'talking', 'hangup'] as const
export type Phase = (typeof PHASES)[number]

/** An event about one leg of a call: the phone of one extension. */
export type LiveEvent = {
  callId: string
  extension: string
  phase: Phase
  /** Unix seconds by Voicenter's clock; 0 = not answered, or not told. */
  answeredAt: number
  isAnswered: boolean
  /** Voicenter sent it when it happened, or it was seen in an answer of Active Calls. */
  source: 'popup' | 'active_calls'
  /** When it came for the first time, by our clock. */
  receivedAt: Date
}

const SECOND = 1000

/** A leg that has rung for longer has ended, and its Hangup was lost. */
export const RINGS_AT_MOST: Milliseconds = 10 * 60 * SECOND
/** How long to wait, after a leg ended without an answer, for an event that says otherwise. */
export const SETTLES_WITHIN: Milliseconds = 30 * SECOND
/** Another phone of a ring group may report its missed call seconds after the talk. */
const ECHO: Milliseconds = 5 * SECOND
/** Active Calls sends no event when a call ends, so it is asked again. */
const ASKS_AGAIN_AFTER: Milliseconds = 30 * SECOND
/** Events are deleted after a day. A talk without a Hangup must count as over before that. */
const TALKS_AT_MOST: Milliseconds = 23 * 60 * 60 * SECOND

export type Line = {
  /** If they are on the line: when to check again, unless an event comes earlier. Null = they are not. */
  busyUntil: Date | null
  /** Only another answer of Active Calls can tell that they no longer are. */
  mustAskAgain: boolean
  /** Five seconds after the end of the last talk with them. Calls of theirs that began before need no message. Null = no talk, or it is not over. */
  reachedUntil: Date | null
  /** From this time on the last call without an answer counts as over. Null = there was none. */
  settledAt: Date | null
}

/**
 * @param events all events about one person within a day
 * @param talkLimit a talk without a Hangup counts as over after this time
 */
export const lineFrom = (
  events: readonly LiveEvent[],
  now: Date,
  talkLimit: Milliseconds,
): Line => {
  const legs = Map.groupBy(events, ({ callId, extension }) => JSON.stringify([callId, extension]))
  const ends = [...legs.values()].map(leg => endOf(leg, talkLimit))
  const open = ends.filter(({ until, isEnded }) => !isEnded && until > now)
  if (open.length > 0) {
    const mustAskAgain = open.some(({ source }) => source === 'active_calls')
    const latest = last(open.map(({ until }) => until)) ?? now
    const again = plus(now, ASKS_AGAIN_AFTER)
    const busyUntil = mustAskAgain && again < latest ? again : latest
    return { busyUntil, mustAskAgain, reachedUntil: null, settledAt: null }
  }
  const untils = (answered: boolean) =>
    ends.flatMap(({ isAnswered, until }) => (isAnswered === answered ? [until] : []))
  return {
    busyUntil: null,
    mustAskAgain: false,
    reachedUntil: last(untils(true)),
    settledAt: last(untils(false)),
  }
}

type End = { isEnded: boolean; isAnswered: boolean; until: Date; source: LiveEvent['source'] }

/** When a leg ended, or when it counts as over if no Hangup comes. */
const endOf = (leg: readonly LiveEvent[], talkLimit: Milliseconds): End => {
  const [newest, ...others] = leg.toSorted((a, b) => compare(b, a) || compareReceipt(a, b))
  if (!newest) throw new Error('a leg without an event')
  const { phase, source, receivedAt } = newest
  // The Hangup does not always say that the leg was answered. An earlier Talking does.
  const isAnswered = [newest, ...others].some(one => one.isAnswered || one.phase === 'talking')
  const lasts = {
    ringing: RINGS_AT_MOST,
    talking: Math.min(talkLimit, TALKS_AT_MOST),
    hangup: isAnswered ? ECHO : SETTLES_WITHIN,
  }
  const until = plus(receivedAt, lasts[phase])
  return { isEnded: phase === 'hangup', isAnswered, until, source }
}

/** Events of one leg come in any order. The one with the later answer is newer, and then the one with the later phase. */
const compare = (a: LiveEvent, b: LiveEvent): number =>
  a.answeredAt - b.answeredAt || PHASES.indexOf(a.phase) - PHASES.indexOf(b.phase)

/** Of events that say the same, the first one counts. If two came at once, that of Active Calls does: then it is asked again. */
const compareReceipt = (a: LiveEvent, b: LiveEvent): number =>
  a.receivedAt.getTime() - b.receivedAt.getTime() || a.source.localeCompare(b.source)

const plus = (at: Date, span: Milliseconds): Date => new Date(at.getTime() + span)
const last = (dates: readonly Date[]): Date | null =>
  dates.length === 0 ? null : new Date(Math.max(...dates.map(date => date.getTime())))

/** What holds a message of this person because of their calls. Null = nothing. */
export const heldBy = (
  { busyUntil, settledAt }: Line,
  dueAt: Date,
  now: Date,
): { until: Date; why: Extract<HoldReason, 'in_call' | 'after_call'> } | null => {
  if (busyUntil) return { until: busyUntil, why: 'in_call' }
  return settledAt && settledAt > dueAt && settledAt > now
    ? { until: settledAt, why: 'after_call' }
    : null
}

/**
 * The time from which a message that was held counts as late: the end of the hold. Further calls do not extend that
 * without limit, because a message about a call of yesterday is of no use.
 */
export const dueAfterCall = ({ settledAt }: Line, dueAt: Date): Date => {
  const latest = plus(dueAt, RINGS_AT_MOST + SETTLES_WITHIN)
  if (!settledAt || settledAt < dueAt) return dueAt
  return settledAt < latest ? settledAt : latest
}
