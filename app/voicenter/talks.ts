/** A talk is a span of time: a call that is missed while it lasts comes from a person who is already being served. */
import type { Cdr } from './parse.ts'

const SECOND = 1000

/** The talk of a CDR that says nothing of its length. */
const UNKNOWN_TALK_SECONDS = 60

/** Another phone of a ring group may report its missed call seconds after the talk. */
const ECHO_SECONDS = 5

/** How far two measures of the same time may differ, because each is rounded. */
const ROUNDING_SECONDS = 1

type Durations = Pick<Cdr, 'talkSeconds' | 'duration' | 'waitingSeconds' | 'ringSeconds'>

/** The time that a CDR gives for the talk itself. In a queue it may be the time of waiting, which is no talk. */
export const talkSecondsOf = ({
  talkSeconds,
  waitingSeconds,
}: Pick<Durations, 'talkSeconds' | 'waitingSeconds'>): number => {
  const talked = talkSeconds ?? 0
  return isWaiting(talked, waitingSeconds) ? 0 : talked
}

/** After a wait of a second or two, or none, a talk of the same length is as likely. */
const isWaiting = (seconds: number, waitingSeconds: number | null): boolean =>
  waitingSeconds !== null &&
  (seconds === waitingSeconds ||
    (waitingSeconds > 2 * ROUNDING_SECONDS &&
      Math.abs(seconds - waitingSeconds) <= ROUNDING_SECONDS))

/**
 * The time until which a missed call of the same person belongs to this talk: the start of the call, plus the ringing, the
 * talk and five seconds. A call that is missed later is a new one.
 *
 * @param startedAt when the call of the CDR began
 * @param receivedAt when the CDR arrived; the talk had ended by then
 */
export const reachedUntil = (durations: Durations, startedAt: Date, receivedAt: Date): Date => {
  const { duration, waitingSeconds, ringSeconds } = durations
  const known = [talkSecondsOf(durations), duration ?? 0].find(
    seconds => seconds > 0 && !isWaiting(seconds, waitingSeconds),
  )
  // Where only the time of waiting is known, the talk began after it. The ringing is part of the waiting.
  const before = Math.max(ringSeconds ?? 0, known === undefined ? (waitingSeconds ?? 0) : 0)
  const seconds = before + (known ?? UNKNOWN_TALK_SECONDS)
  const end = Math.min(startedAt.getTime() + seconds * SECOND, receivedAt.getTime())
  return new Date(Math.max(end, startedAt.getTime()) + ECHO_SECONDS * SECOND)
}
