/** What a change of the rules would have changed, from two simulations of the same records. */
import { isQuiet } from '../outreach/quiet_hours.ts'
import type { Sent } from './person.ts'
import type { Outcome, Simulation } from './simulate.ts'

type Count = Record<string, number>

export type Sums = {
  /** Calls by verdict. */
  verdicts: Count
  /** Calls recorded as missed, by state and reason: `skipped too_late`. */
  outreach: Count
  messages: { initial: number; reminder_1: number; reminder_2: number; total: number }
  atNight: number
  /** Messages to people who had opted out when they went out. Anything but 0 is a defect. */
  toOptedOut: number
}

/** What became of one call. */
export type Story = { verdict: string; outreach: string | null; messages: Sent[] }

/** Calls that would have gone otherwise, all in the same way. */
export type Change = {
  before: string
  after: string
  calls: number
  examples: { callId: string; before: Story; after: Story }[]
}

export type Comparison = {
  calls: number
  before: Sums
  after: Sums
  /** Messages that would have gone out in addition, not at all, or at another time. */
  more: number
  fewer: number
  moved: number
  changedCalls: number
  /** The most frequent first. */
  changes: Change[]
}

export type Span = {
  /** Calls of which the first record came then are counted; those around only play their part. */
  counts: (heardAt: Date) => boolean
  /** A quiet window: when people do not want to be written to. */
  night: string
}

/** As many of each change as a person looks at. */
const EXAMPLES = 3

export const compare = (
  before: Simulation,
  after: Simulation,
  heardAt: ReadonlyMap<string, Date>,
  { counts, night }: Span,
): Comparison => {
  const isNight = (at: Date): boolean => isQuiet(at, [night], before.rules.timezone)
  const comparison: Comparison = {
    calls: 0,
    before: noSums(),
    after: noSums(),
    more: 0,
    fewer: 0,
    moved: 0,
    changedCalls: 0,
    changes: [],
  }
  const changes = new Map<string, Change>()
  for (const [callId, at] of heardAt) {
    const was = before.calls.get(callId)
    const would = after.calls.get(callId)
    if (!was || !would || !counts(at)) continue
    comparison.calls++
    add(comparison.before, was, isNight)
    add(comparison.after, would, isNight)
    const difference = differ(was.missed?.sent ?? [], would.missed?.sent ?? [])
    comparison.more += difference.more
    comparison.fewer += difference.fewer
    comparison.moved += difference.moved
    const [from, to] = [inWords(was), inWords(would)]
    if (from === to && difference.moved === 0) continue
    comparison.changedCalls++
    const change = changes.get(`${from} ${to}`) ?? {
      before: from,
      after: from === to ? `${to}, at another time` : to,
      calls: 0,
      examples: [],
    }
    changes.set(`${from} ${to}`, change)
    change.calls++
    if (change.examples.length < EXAMPLES)
      change.examples.push({ callId, before: storyOf(was), after: storyOf(would) })
  }
  comparison.changes = [...changes.values()].toSorted((a, b) => b.calls - a.calls)
  return comparison
}

const noSums = (): Sums => ({
  verdicts: {},
  outreach: {},
  messages: { initial: 0, reminder_1: 0, reminder_2: 0, total: 0 },
  atNight: 0,
  toOptedOut: 0,
})

const count = (counts: Count, what: string): void => {
  counts[what] = (counts[what] ?? 0) + 1
}

const add = (sums: Sums, { verdict, missed }: Outcome, isNight: (at: Date) => boolean): void => {
  count(sums.verdicts, verdict)
  if (!missed) return
  count(sums.outreach, `${missed.state} ${missed.reason}`)
  // Asked of the messages themselves, not of what decided about them.
  const { optedOutAt } = missed.person
  for (const { kind, at } of missed.sent) {
    sums.messages[kind]++
    sums.messages.total++
    if (isNight(at)) sums.atNight++
    if (optedOutAt && optedOutAt <= at) sums.toOptedOut++
  }
}

/** Of a call's messages, kind by kind. */
const differ = (was: readonly Sent[], would: readonly Sent[]) => {
  const same = would.filter(({ kind }) => was.some(message => message.kind === kind))
  return {
    more: would.length - same.length,
    fewer: was.length - same.length,
    moved: same.filter(
      ({ kind, at }) => !was.some(m => m.kind === kind && m.at.getTime() === at.getTime()),
    ).length,
  }
}

const storyOf = ({ verdict, reason, missed }: Outcome): Story => ({
  verdict: `${verdict} ${reason}`,
  outreach: missed && `${missed.state} ${missed.reason}`,
  messages: missed?.sent ?? [],
})

const inWords = ({ verdict, reason, missed }: Outcome): string => {
  if (!missed) return `${verdict} ${reason}`
  const reminders = missed.sent.filter(({ kind }) => kind !== 'initial').length
  const after = ['', ', 1 reminder', ', 2 reminders'][reminders] ?? ''
  return `${missed.state} ${missed.reason}${after}`
}
