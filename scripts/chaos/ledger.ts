/** The run in figures, as a text for the terminal and for docs/reliability.md. */
import { type Failpoint, FAILPOINTS } from '../../app/failpoints.ts'
import type { Counts } from './check.ts'
import { GOALS, type Plan } from './plan.ts'
import { percentile } from './times.ts'

export type Ledger = {
  plan: Plan
  /** Promises that were not kept; a run without is a good one. */
  violations: string[]
  counts: Counts
  posts: number
  answers: Map<string, number>
  acknowledgedIn: number[]
  replies: number
  requests: number
  failedRequests: number
  faults: Map<string, number>
  points: Map<Failpoint, number>
  recoveries: number[]
  /** From each claim until it was settled or given up. */
  claims: number[]
  fullDisk: string
  stopMs: number
  seconds: number
  postgres: string
}

const ms = (value: number): string => `${Math.round(value)} ms`
const spread = (values: readonly number[]): string =>
  values.length === 0
    ? 'none'
    : `p50 ${ms(percentile(values, 0.5))}, p99 ${ms(percentile(values, 0.99))}, max ${ms(Math.max(...values))}`

/** The goals that are times, where the run missed them. */
export const missedGoals = ({ recoveries, claims }: Ledger): string[] => {
  const recovery = percentile(recoveries, 0.99)
  const claim = Math.max(0, ...claims)
  return [
    ...(recovery > GOALS.recoveryP99
      ? [
          `work went on ${ms(recovery)} (p99) after the program or Postgres was back; the goal is ${ms(GOALS.recoveryP99)}`,
        ]
      : []),
    ...(claim > GOALS.claimSettled
      ? [`a claim was settled after ${ms(claim)}; the goal is ${ms(GOALS.claimSettled)}`]
      : []),
  ]
}

/** Name and figure of every line. */
export const lines = (ledger: Ledger): [name: string, figure: string][] => {
  const { counts, faults, points, plan } = ledger
  const acknowledged = (ledger.answers.get('200') ?? 0) + (ledger.answers.get('400') ?? 0)
  return [
    ['seed', String(plan.seed)],
    ['records sent (repeats and hostile bodies included)', String(ledger.posts)],
    ['requests it took (repeated until answered)', String(sum(ledger.answers))],
    ['acknowledged: 200, or 400 and kept aside', String(acknowledged)],
    ['records stored', String(counts.stored)],
    ['bodies in quarantine', String(counts.quarantined)],
    ['missed calls', String(counts.missedCalls)],
    [
      'requests to the Graph API, of which failed or lost',
      `${ledger.requests}, ${share(ledger.failedRequests, ledger.requests)}`,
    ],
    ['messages taken by WhatsApp', String(counts.accepted)],
    ['replies and opt-outs by customers', String(ledger.replies)],
    ['acknowledged but missing', String(counts.lost)],
    ['stored twice', String(counts.storedTwice)],
    ['sent twice', String(counts.sentTwice)],
    [
      "taken although WhatsApp's answer said it was not (its word, not ours)",
      String(counts.wordBroken),
    ],
    ['answer lost, settled by a report', String(counts.settledByReport)],
    ['unknown in the end, each listed', String(counts.unknown.length)],
    [
      'kills of the program at named points',
      `${sum(points)} at ${points.size} of ${FAILPOINTS.length}`,
    ],
    ...[...faults]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([kind, n]): [string, string] => [kind, String(n)]),
    ['disk full', ledger.fullDisk],
    [
      'work goes on after the program or Postgres is back',
      `${spread(ledger.recoveries)} (${ledger.recoveries.length} single faults that left work waiting)`,
    ],
    ['a claim is settled or unknown', spread(ledger.claims)],
    ['a record is acknowledged, under faults', spread(ledger.acknowledgedIn)],
    ['SIGTERM until both copies had ended', ms(ledger.stopMs)],
    ['duration', `${Math.round(ledger.seconds)} s`],
  ]
}

export const sum = (counts: Map<string, number>): number =>
  [...counts.values()].reduce((a, b) => a + b, 0)
const share = (part: number, all: number): string =>
  all === 0 ? '0' : `${part} (${Math.round((100 * part) / all)} %)`

export const print = (ledger: Ledger): string => {
  const { counts, points } = ledger
  const width = Math.max(...lines(ledger).map(([name]) => name.length))
  const problems = [...ledger.violations, ...missedGoals(ledger)]
  return [
    '',
    ...lines(ledger).map(([name, figure]) => `${name.padEnd(width)}  ${figure}`),
    '',
    'kills by point:',
    ...FAILPOINTS.map(point => `  ${point.padEnd(28)} ${points.get(point) ?? 0}`),
    '',
    counts.unknown.length ? 'unknown:' : 'unknown: none',
    ...counts.unknown.map(
      ({ id, kind, reason }) => `  message ${id}  ${kind.padEnd(10)} ${reason ?? ''}`,
    ),
    '',
    problems.length
      ? `${problems.length} VIOLATIONS\n${problems
          .slice(0, 100)
          .map(text => `  ${text}`)
          .join('\n')}`
      : 'every promise was kept',
  ].join('\n')
}
