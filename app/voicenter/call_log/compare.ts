import { sql } from 'kysely'
import { db } from '../../db/kysely.ts'
import { sha256 } from '../../crypto.ts'
import { ingest } from '../ingest.ts'
import type { Answer } from './answer.ts'
import { type Logged, readLogged } from './record.ts'
import type { Window } from './window.ts'

/** Of the calls in the log: how many had not come by webhook, and how many of those could be taken in. */
export type Counts = { inLog: number; missing: number; takenIn: number }
type Failed = Extract<Answer, { kind: 'failed' }>

/** How many calls are looked up at once. In between others have their turn: a webhook is answered in time. */
const AT_ONCE = 500

/**
 * Compares what the log holds with what has come, and takes in what is missing through the door that webhooks
 * come through, with the tenant as its sender. What cannot be read is kept in `rejected_deliveries`.
 *
 * A call of which a webhook came is left alone. Of one that is known only from here, further records are
 * taken in as the log gets them: a queue's, then the agent's who answered out of it.
 */
export const compare = async (
  tenantId: string,
  answers: AsyncIterable<Answer>,
  { until }: Pick<Window, 'until'>,
): Promise<Counts | Failed> => {
  const seen = new Set<string>()
  const counts = { inLog: 0, missing: 0, takenIn: 0 }
  for await (const answer of answers) {
    if (answer.kind === 'failed') return answer
    const calls = Map.groupBy(
      answer.records.map(record => withHash(readLogged(record, until))),
      ({ callId, hash }) => callId ?? hash,
    )
    const ids = [...calls.keys()]
    for (let start = 0; start < ids.length; start += AT_ONCE) {
      const some = ids
        .slice(start, start + AT_ONCE)
        .map(id => ({ id, logged: calls.get(id) ?? [] }))
      const known = await lookUp(
        tenantId,
        some.flatMap(({ logged }) => logged),
      )
      const fresh = some.map(({ id, logged }) => ({
        id,
        logged: known.pushed.has(id) ? [] : logged.filter(({ hash }) => !known.stored.has(hash)),
      }))
      const elements = fresh.flatMap(({ logged }) => logged.map(({ element }) => element))
      if (elements.length)
        await ingest({ tenantId, source: 'call_log' }, elements, 'application/json', db)
      for (const { id, logged } of fresh) {
        // The halves of a window meet at a second, which both bring.
        if (seen.has(id)) continue
        seen.add(id)
        counts.inLog++
        if (known.recovered.has(id) || logged.length === 0) continue
        counts.missing++
        if (logged.some(({ element }) => 'record' in element)) counts.takenIn++
      }
    }
  }
  return counts
}

type Hashed = Logged & { hash: string }

const withHash = (logged: Logged): Hashed => ({
  ...logged,
  hash: sha256(logged.element.bytes).toString('hex'),
})

/**
 * What we have of these: calls of which a webhook came, calls known from the log, and single records of it.
 * A webhook with an unbound token counts whoever's number it named: such an account has the calls of several
 * businesses in its one log.
 */
const lookUp = async (tenantId: string, logged: Hashed[]) => {
  const callIds = logged.flatMap(({ callId }) => callId ?? [])
  const hashes = logged.map(({ hash }) => Buffer.from(hash, 'hex'))
  const { rows } = await sql<{ call_id: string | null; source: string; hash: string | null }>`
    select call_id, source, case when source = 'call_log' then encode(sha256(body), 'hex') end as hash
    from raw_cdrs
    where call_id = any(${callIds}::text[]) and (tenant_id = ${tenantId} or token_tenant_id is null)
    union all
    select null, source, encode(body_hash, 'hex')
    from rejected_deliveries
    where source = 'call_log' and tenant_id = ${tenantId} and body_hash = any(${hashes}::bytea[])`.execute(
    db,
  )
  const callsOf = (source: string) =>
    new Set(rows.flatMap(row => (row.source === source ? (row.call_id ?? []) : [])))
  return {
    pushed: callsOf('push'),
    recovered: callsOf('call_log'),
    stored: new Set(rows.flatMap(({ hash }) => hash ?? [])),
  }
}
