/** Looks at the database all the time, past the proxy: what waits, since when, and what is known about whom. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Pool } from 'pg'
import type { Work } from './times.ts'

const EVERY_MS = 250

/** Somebody who must not be written to because of calls up to `upTo`, and since when we have seen it written down. */
export type Stop = { tenantId: string; phone: string; why: string; upTo: number; seenAt: number }

type Row = { kind: string; id: string; since: Date; now: Date }

/**
 * Work that nobody has claimed, and claims ("claim"). Not what waits by itself: a try after an answer that told
 * us to wait, a reminder whose forerunner has not been reported on.
 */
const WAITING = `
  select 'cdr' as kind, id::text, received_at as since, now() from raw_cdrs where verdict is null
  union all
  select 'event', id::text, received_at, now() from whatsapp_events where outcome is null
  union all
  select 'outreach', k.id::text, k.outreach_due_at, now() from missed_calls k
  where k.outreach_state = 'scheduled' and k.outreach_reason = 'waiting' and k.outreach_due_at <= now()
    and not exists (select from messages m join lead_conversations c on c.id = m.lead_conversation_id
                    where c.missed_call_id = k.id and m.attempts > 0)
  union all
  select 'claim', id::text, claimed_at, now() from messages where state = 'sending'`

const STOPS = `
  select tenant_id::text as "tenantId", reached_phone as phone, 'reached_by_phone' as why, called_at as "upTo", now()
  from raw_cdrs where reached_phone is not null
  union all
  select tenant_id::text, '+' || wa_id, 'replied', created_at, now() from messages where direction = 'in' and wa_id is not null
  union all
  select tenant_id::text, phone, 'opted_out', 'infinity', now() from opt_outs where phone is not null`

export type Watch = ReturnType<typeof watch>

export const watch = (database: Pool) => {
  const waiting = new Map<string, Row>()
  const work: Work[] = []
  const claims: Work[] = []
  const stops = new Map<string, Stop>()
  let looks = 0
  let lastLook = 0
  let stopped = false

  const look = async () => {
    const started = Date.now()
    const { rows } = await database.query<Row>(WAITING)
    // Without rows the query brings no time of its own; then everything that waited is done by now.
    const now = rows[0]?.now.getTime() ?? Date.now()
    const there = new Set<string>()
    for (const row of rows) {
      const key = `${row.kind} ${row.id} ${row.since.getTime()}`
      there.add(key)
      if (!waiting.has(key)) waiting.set(key, row)
    }
    for (const [key, { kind, since }] of waiting) {
      if (there.has(key)) continue
      waiting.delete(key)
      const list = kind === 'claim' ? claims : work
      list.push({ kind, since: since.getTime(), done: now })
    }
    lastLook = started
  }
  const lookAtPeople = async () => {
    const { rows } = await database.query<{
      tenantId: string
      phone: string
      why: string
      upTo: Date | number
      now: Date
    }>(STOPS)
    for (const { tenantId, phone, why, upTo, now } of rows) {
      const until = Number(upTo)
      const key = `${tenantId} ${phone} ${why} ${until}`
      if (!stops.has(key))
        stops.set(key, { tenantId, phone, why, upTo: until, seenAt: now.getTime() })
    }
  }
  const go = async () => {
    for (; !stopped; await sleep(EVERY_MS))
      try {
        await look()
        if (looks++ % 4 === 0) await lookAtPeople()
      } catch {
        // Postgres is away; that is what the run is about.
      }
  }
  const gone = go()

  return {
    /** When we last saw it. */
    looked: () => lastLook,
    waiting: () => [...waiting.values()],
    work: () => work,
    claims: () => claims,
    stops: () => [...stops.values()],
    stop: async () => {
      stopped = true
      await gone
    },
  }
}
