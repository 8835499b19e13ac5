/** Compares two simulations of the same calls. */
import { isQuiet } from '../outreach/quiet_hours.ts'
import type { SimulatedMessage } from './person.ts'
import type { Outcome, Simulation } from './simulate.ts'

type Counts = Record<string, number>

export type Totals = {
  /** Calls by verdict. */
  verdicts: Counts
  /** Missed calls by state and reason, for example `skipped too_late`. */
  outreach: Counts
  messages: { initial: number; reminder_1: number; reminder_2: number; total: number }
  atNight: number
  /** Messages to people who had opted out when the message was sent. More than 0 is a bug. */
  toOptedOut: number
}

/** The outcome of one call, for a person to read. */
export type CallResult = { verdict: string; outreach: string | null; messages: SimulatedMessage[] }

/** Calls whose outcome changed in the same way. */
export type Change = {
  before: string
  after: string
  calls: number
  examples: { callId: string; before: CallResult; after: CallResult }[]
}

export type Comparison = {
  calls: number
  before: Totals
  after: Totals
  /** Messages that would be sent additionally, not at all, or at another time. */
  more: number
  fewer: number
  moved: number
  changedCalls: number
  /** The most frequent first. */
  changes: Change[]
}

export type Scope = {
  /** Calls whose first CDR arrived at such a time are counted. Other calls only affect them. */
  counts: (receivedAt: Date) => boolean
  /** A quiet window: the hours that count as night. */
  night: string
}

const MAX_EXAMPLES = 3

/** @param receivedAt when the first CDR of each call arrived, by root id */
export const compare = (
  before: Simulation,
  after: Simulation,
  receivedAt: ReadonlyMap<string, Date>,
  { counts, night }: Scope,
): Comparison => {
  const { timezone, location } = before.rules
  const isNight = (at: Date): boolean => isQuiet(at, { windows: [night], timezone, location })
  const comparison: Comparison = {
    calls: 0,
    before: newTotals(),
    after: newTotals(),
    more: 0,
    fewer: 0,
    moved: 0,
    changedCalls: 0,
    changes: [],
  }
  const changes = new Map<string, Change>()
  for (const [callId, at] of receivedAt) {
    const old = before.outcomes.get(callId)
    const changed = after.outcomes.get(callId)
    if (!old || !changed || !counts(at)) continue
    comparison.calls++
    addTo(comparison.before, old, isNight)
    addTo(comparison.after, changed, isNight)
    const messages = compareMessages(old.missed?.sent ?? [], changed.missed?.sent ?? [])
    comparison.more += messages.more
    comparison.fewer += messages.fewer
    comparison.moved += messages.moved
    const [from, to] = [describe(old), describe(changed)]
    if (from === to && messages.moved === 0) continue
    comparison.changedCalls++
    const change = changes.get(`${from} ${to}`) ?? {
      before: from,
      after: from === to ? `${to}, at another time` : to,
      calls: 0,
      examples: [],
    }
    changes.set(`${from} ${to}`, change)
    change.calls++
    if (change.examples.length < MAX_EXAMPLES)
      change.examples.push({ callId, before: resultOf(old), after: resultOf(changed) })
  }
  comparison.changes = [...changes.values()].toSorted((a, b) => b.calls - a.calls)
  return comparison
}

const newTotals = (): Totals => ({
  verdicts: {},
  outreach: {},
  messages: { initial: 0, reminder_1: 0, reminder_2: 0, total: 0 },
  atNight: 0,
  toOptedOut: 0,
})

const count = (counts: Counts, what: string): void => {
  counts[what] = (counts[what] ?? 0) + 1
}

const addTo = (
  totals: Totals,
  { verdict, missed }: Outcome,
  isNight: (at: Date) => boolean,
): void => {
  count(totals.verdicts, verdict)
  if (!missed) return
  count(totals.outreach, `${missed.state} ${missed.reason}`)
  // These are counted from the messages, not from the decisions, so that a wrong decision would show.
  const { optedOutAt } = missed.person
  for (const { kind, at } of missed.sent) {
    totals.messages[kind]++
    totals.messages.total++
    if (isNight(at)) totals.atNight++
    if (optedOutAt && optedOutAt <= at) totals.toOptedOut++
  }
}

const compareMessages = (
  before: readonly SimulatedMessage[],
  after: readonly SimulatedMessage[],
) => {
  const inBoth = after.filter(({ kind }) => before.some(message => message.kind === kind))
  return {
    more: after.length - inBoth.length,
    fewer: before.length - inBoth.length,
    moved: inBoth.filter(
      ({ kind, at }) => !before.some(m => m.kind === kind && m.at.getTime() === at.getTime()),
    ).length,
  }
}

const resultOf = ({ verdict, reason, missed }: Outcome): CallResult => ({
  verdict: `${verdict} ${reason}`,
  outreach: missed && `${missed.state} ${missed.reason}`,
  messages: missed?.sent ?? [],
})

const describe = ({ verdict, reason, missed }: Outcome): string => {
  if (!missed) return `${verdict} ${reason}`
  const reminders = missed.sent.filter(({ kind }) => kind !== 'initial').length
  const suffix = ['', ', 1 reminder', ', 2 reminders'][reminders] ?? ''
  return `${missed.state} ${missed.reason}${suffix}`
}
