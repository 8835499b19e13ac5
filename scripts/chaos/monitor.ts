/** Watches a run from outside: reads the database without the proxy, records faults and outages, measures delays. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Pool } from 'pg'
import type { Failpoint } from '../../app/failpoints.ts'

/** Milliseconds since 1970. Chaos and the database share one machine's clock. */
export type Interval = { from: number; to: number }
/** Work that no process had claimed: since when it was due, and when it was seen done. */
export type Work = { kind: string; since: number; done: number }
export type Fault = {
  kind: string
  /** When it began, and when the program and Postgres were available again. */
  at: number
  back: number
  /** It came together with others, so the delay that it caused cannot be measured. */
  inBurst: boolean
}
/** From `seenAt` on, the database forbids messages to this person because of calls until `upTo`. */
export type Stop = { tenantId: string; phone: string; why: string; upTo: number; seenAt: number }

/** From `seenAt` until `endedAt` the database says that this person is on the line. */
export type Busy = { tenantId: string; phone: string; seenAt: number; endedAt: number }

export const count = <Key>(counts: Map<Key, number>, key: Key): void => {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}

export const sum = (counts: Map<unknown, number>): number =>
  [...counts.values()].reduce((a, b) => a + b, 0)

export type Journal = ReturnType<typeof newJournal>

/** What was done to the program, to Postgres and to the network, and when one of them was unavailable. */
export const newJournal = () => {
  const faults: Fault[] = []
  const kills = new Map<Failpoint, number>()
  const unexpectedExits: string[] = []
  const outages: Interval[] = []
  let instancesUp = 0
  let endOutage: (() => void) | null = null
  const notBack: Fault[] = []

  /** The program or Postgres is unavailable from now until the returned function is called. */
  const beginOutage = (): (() => void) => {
    const outage = { from: Date.now(), to: Infinity }
    outages.push(outage)
    return () => {
      outage.to = Math.min(outage.to, Date.now())
    }
  }
  const journal = {
    faults,
    kills,
    /** Exits that chaos did not cause: the program must survive everything but a kill. */
    unexpectedExits,
    outages,
    beginOutage,
    isBurst: true,
    ready: () => {
      instancesUp++
      endOutage?.()
      endOutage = null
      for (const fault of notBack.splice(0)) fault.back = Date.now()
    },
    /** @param killed by chaos: at a failpoint, or at a random moment */
    exited: (how: string, wasReady: boolean, killed: Failpoint | 'at random' | null) => {
      if (wasReady) instancesUp--
      const isServed = instancesUp > 0
      if (!isServed) endOutage ??= beginOutage()
      if (killed) {
        const kind = `program killed at ${killed === 'at random' ? 'any moment' : 'a failpoint'}`
        const at = Date.now()
        const fault = { kind, at, back: isServed ? at : Infinity, inBurst: journal.isBurst }
        faults.push(fault)
        if (!isServed) notBack.push(fault)
      } else if (wasReady) unexpectedExits.push(`the program exited by itself: ${how}`)
    },
  }
  return journal
}

/** The time between two moments, without the intervals. */
export const outside = (from: number, to: number, intervals: readonly Interval[]): number => {
  let total = 0
  let at = from
  for (const interval of intervals.toSorted((a, b) => a.from - b.from)) {
    if (interval.to <= at) continue
    if (interval.from >= to) break
    total += Math.max(0, interval.from - at)
    at = Math.min(to, interval.to)
  }
  return total + Math.max(0, to - at)
}

/**
 * For each single fault that left work waiting: the time from the moment when the program and Postgres were back until
 * all work that waited then was done. Where the other instance survived, the time counts from the kill.
 */
export const recoveries = (
  faults: readonly Fault[],
  work: readonly Work[],
  outages: readonly Interval[],
): number[] =>
  faults.flatMap(({ at, back, inBurst }) => {
    const left = work.filter(({ since, done }) => since <= back && done > Math.max(at, back))
    if (inBurst || left.length === 0) return []
    return [outside(back, Math.max(...left.map(({ done }) => done)), outages)]
  })

/** The value below which this share of the values lies; 0 if there are none. */
export const percentile = (values: readonly number[], share: number): number => {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? 0
}

/**
 * Work that no process has claimed, and claims. Work that waits for a reason is left out: a retry after an answer that
 * asked for a delay, and a reminder after a message without a status. A message that was held waits since its hold ended.
 */
const WAITING = `
  select 'cdr' as kind, id::text, received_at as since, now() from raw_cdrs where verdict is null
  union all
  select 'event', id::text, received_at, now() from whatsapp_events where outcome is null
  union all
  select 'outreach', k.id::text, greatest(k.outreach_due_at, k.hold_until), now() from missed_calls k
  where k.outreach_state = 'scheduled' and k.outreach_reason = 'waiting' and k.outreach_due_at <= now()
    and (k.hold_until is null or k.hold_until <= now())
    and not exists (select from messages m join lead_conversations c on c.id = m.lead_conversation_id
                    where c.missed_call_id = k.id and m.attempts > 0)
  union all
  select 'claim', id::text, claimed_at, now() from messages where state = 'sending'`

const STOPS = `
  select tenant_id::text as "tenantId", reached_phone as phone, 'reached_by_phone' as why, reached_until as "upTo", now()
  from raw_cdrs where reached_phone is not null
  union all
  select tenant_id::text, '+' || wa_id, 'replied', created_at, now() from messages where direction = 'in' and wa_id is not null
  union all
  select tenant_id::text, phone, 'opted_out', 'infinity', now() from opt_outs where phone is not null
  union all
  select tenant_id::text, phone, 'talked_on_the_line', received_at, now() from live_calls where phase = 'hangup' and is_answered`

const BUSY = `
  select tenant_id::text as "tenantId", phone, call_id as "callId", now(),
         max(received_at) filter (where phase = 'hangup') as ended
  from live_calls group by tenant_id, phone, call_id`

type WaitingRow = { kind: string; id: string; since: Date; now: Date }
type BusyRow = { tenantId: string; phone: string; callId: string; now: Date; ended: Date | null }
type StopRow = Pick<Stop, 'tenantId' | 'phone' | 'why'> & { upTo: Date | number; now: Date }

export type Monitor = ReturnType<typeof startMonitor>

/** Reads four times a second which work waits, and once a second who must not be written to. */
export const startMonitor = (database: Pool) => {
  const waiting = new Map<string, WaitingRow>()
  const work: Work[] = []
  const claims: Work[] = []
  const stops = new Map<string, Stop>()
  const busy = new Map<string, Busy>()
  let lastRead = 0
  let stopped = false

  const readWaiting = async () => {
    const started = Date.now()
    const { rows } = await database.query<WaitingRow>(WAITING)
    // Without rows the query returns no time of its own. Then all that waited is done by now.
    const now = rows[0]?.now.getTime() ?? Date.now()
    const current = new Map(rows.map(row => [`${row.kind} ${row.id} ${row.since.getTime()}`, row]))
    for (const [key, { kind, since }] of waiting)
      if (!current.has(key)) {
        waiting.delete(key)
        const list = kind === 'claim' ? claims : work
        list.push({ kind, since: since.getTime(), done: now })
      }
    for (const [key, row] of current) waiting.set(key, row)
    lastRead = started
  }
  const readStops = async () => {
    const { rows } = await database.query<StopRow>(STOPS)
    for (const { tenantId, phone, why, ...row } of rows) {
      const upTo = Number(row.upTo)
      const key = `${tenantId} ${phone} ${why} ${upTo}`
      if (!stops.has(key)) stops.set(key, { tenantId, phone, why, upTo, seenAt: row.now.getTime() })
    }
  }
  const readBusy = async () => {
    const { rows } = await database.query<BusyRow>(BUSY)
    for (const { tenantId, phone, callId, now, ended } of rows) {
      const known = busy.get(callId)
      if (known) known.endedAt = ended?.getTime() ?? Infinity
      else if (!ended)
        busy.set(callId, { tenantId, phone, seenAt: now.getTime(), endedAt: Infinity })
    }
  }
  const watch = async () => {
    for (let n = 0; !stopped; await sleep(250))
      try {
        await readWaiting()
        if (n++ % 4 === 0) await readStops()
        await readBusy()
      } catch {
        // Postgres is down: chaos has stopped it.
      }
  }
  const watching = watch()

  return {
    work,
    claims,
    stops,
    busy,
    waiting,
    /** All work that waited at this moment is done. */
    isDone: (since: number): boolean =>
      lastRead >= since + 500 &&
      ![...waiting.values()].some(row => row.kind !== 'claim' && row.since.getTime() <= since),
    stop: async () => {
      stopped = true
      await watching
    },
  }
}

/** The work that must end before a run is settled. Jobs that are due later are daily ones, and no part of the run. */
const OPEN = {
  'CDRs not classified': 'raw_cdrs where verdict is null',
  'events not handled': 'whatsapp_events where outcome is null',
  'calls scheduled or being sent': `missed_calls where outreach_state in ('scheduled', 'sending')`,
  'messages scheduled or being sent': `messages where state in ('scheduled', 'sending')`,
}
const countOpen = [
  `select 'calls held: ' || hold_reason, count(*)::int from missed_calls
   where outreach_state = 'scheduled' and hold_reason is not null group by hold_reason`,
  ...Object.entries(OPEN).map(
    ([what, from]) => `select '${what}' as what, count(*)::int as n from ${from}`,
  ),
  `select 'jobs ' || task_identifier || ' (the next in ' || greatest(ceil(extract(epoch from min(run_at) - now())), 0)
          || ' s, tried ' || max(attempts) || ' times)', count(*)::int
   from graphile_worker.jobs
   where attempts < max_attempts and run_at < now() + interval '10 minutes' group by task_identifier`,
].join(' union all ')

/**
 * Waits until no work is open.
 *
 * @param pending what chaos itself still waits for
 * @param onOpen gets what is open, at each look
 * @returns what was still open after that time
 */
export const settled = async (
  database: Pool,
  pending: () => Record<string, number>,
  withinMs: number,
  signal: AbortSignal,
  onOpen: (left: string[]) => void,
): Promise<string[]> => {
  for (const until = Date.now() + withinMs; ; await sleep(250)) {
    const mine = Object.entries(pending()).map(([what, n]) => ({ what, n }))
    const { rows } = await database
      .query<{ what: string; n: number }>(countOpen)
      .catch((error: unknown) => ({ rows: [{ what: `database error: ${String(error)}`, n: 1 }] }))
    const left = [...mine, ...rows].filter(({ n }) => n > 0).map(({ what, n }) => `${n} ${what}`)
    onOpen(left)
    if (left.length === 0 || Date.now() > until || signal.aborted) return left
  }
}
