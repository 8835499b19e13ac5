/** Which calls are asked for: those that began from `from` up to `until`. */
export type Window = { from: Date; until: Date }

const MINUTE = 60_000
const HOUR = 60 * MINUTE

/** A call enters the log, and its webhook comes, minutes after its end. Sooner there is nothing to compare. */
const MARGIN = 5 * MINUTE

/** How far every check looks behind the one before: a call that lasts hours began long before it is logged. */
const OVERLAP = 6 * HOUR

/** After a long time away one day at a time, so that what was reached is kept ("daily chunks", Voicenter). */
const LONGEST = 24 * HOUR

/** No check comes so late unless we were away. */
const AWAY = 90 * MINUTE

/**
 * What the next check has to look at, and when the one after it is due: at once where more is left than this
 * one takes; soon where we were away, for the webhooks of the last minutes were lost too; else in its turn.
 */
export const windowOf = (
  { watchedSince, checkedUntil }: { watchedSince: Date; checkedUntil: Date },
  now: Date,
): Window & { next: 'at_once' | 'soon' | 'in_turn' } => {
  const latest = now.getTime() - MARGIN
  const until = Math.min(latest, checkedUntil.getTime() + LONGEST)
  const from = Math.max(watchedSince.getTime(), checkedUntil.getTime() - OVERLAP)
  return {
    // A moment too many rather than a window of nothing: it would be refused.
    from: new Date(Math.min(from, until - MINUTE)),
    until: new Date(until),
    next: until < latest ? 'at_once' : latest - checkedUntil.getTime() > AWAY ? 'soon' : 'in_turn',
  }
}

/** The two halves of a window with more calls than one answer holds, the earlier first. */
export const halves = ({ from, until }: Window): [Window, Window] => {
  const middle = new Date((from.getTime() + until.getTime()) / 2)
  return [
    { from, until: middle },
    { from: middle, until },
  ]
}
