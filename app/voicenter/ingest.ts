import { sql } from 'kysely'
import { again } from '../db/again.ts'
import { MAX_ATTEMPTS } from '../db/jobs.ts'
import { webDb } from '../db/kysely.ts'
import { sha256 } from '../secrets.ts'
import type { Element } from './body.ts'
import { readCdr, rootOf } from './cdr.ts'
import { canonical } from '../json.ts'
import { isKept, onlyCounted, type Refused, remember } from './refusals.ts'

/**
 * Whose credential the records came with; null = an unbound token. And which way: pushed to us, unless it is
 * said that they were found in Voicenter's call log.
 */
export type Sender = { tenantId: string | null; source?: 'push' | 'call_log' }

type Good = {
  key: string
  callId: string
  rootCallId: string
  payload: string
  body: Buffer
  hash: Buffer
}

/**
 * Stores the good records together with their jobs, and keeps the bad ones aside: one statement, one
 * commit. When this returns, everything is in the database; when it throws, nothing is.
 *
 * @param database whose connections are used: those of requests, unless it is said otherwise
 * @returns what is wrong with the bad ones; empty if all are good
 */
export const ingest = async (
  sender: Sender,
  elements: readonly Element[],
  contentType: string | null,
  database = webDb,
): Promise<string[]> => {
  const sorted = elements.map(sortOut)
  const good = sorted.filter(record => 'payload' in record)
  const bad = sorted.filter(record => 'reason' in record)
  const kept = bad.length === 0 || (await isKept(sender)) ? bad : bad.map(onlyCounted)
  const stored = await store(database, sender, count(good), count(kept), contentType)
  await remember(sender, stored)
  return bad.map(({ reason }) => reason)
}

const sortOut = (element: Element): Good | Refused => {
  const read = 'wrong' in element ? element : readCdr(element.record)
  if ('wrong' in read || 'wrong' in element) {
    const hash = sha256(element.bytes)
    return {
      key: hash.toString('hex'),
      reason: 'wrong' in read ? read.wrong : '',
      body: element.bytes,
      hash,
    }
  }
  const payload = canonical(element.record)
  const hash = sha256(payload)
  const { callId } = read.cdr
  return {
    key: `${callId} ${hash.toString('hex')}`,
    callId,
    rootCallId: rootOf(read.cdr),
    payload,
    body: element.bytes,
    hash,
  }
}

/**
 * The same record twice in one array counts twice and is stored once, for Postgres cannot update a row
 * twice in one statement. In order of the key, since two posts that lock the same rows in different
 * orders would wait for each other.
 */
const count = <Row extends { key: string }>(rows: Row[]): (Row & { deliveries: number })[] => {
  const counted = new Map<string, Row & { deliveries: number }>()
  for (const row of rows)
    counted.set(row.key, { ...row, deliveries: (counted.get(row.key)?.deliveries ?? 0) + 1 })
  return [...counted.values()].toSorted((a, b) => (a.key < b.key ? -1 : 1))
}

type Counted = { deliveries: number }

/**
 * All bodies as one parameter, and where each begins, counted from 1. In an array each would be written out in
 * hex and escaped, at five times its size.
 */
const packed = (rows: { body: Buffer | null }[]) => {
  let next = 1
  const starts = rows.map(({ body }) => (next += body?.length ?? 0) - (body?.length ?? 0))
  return {
    bytes: Buffer.concat(rows.flatMap(({ body }) => body ?? [])),
    starts,
    lengths: rows.map(({ body }) => body?.length ?? null),
  }
}

/**
 * @returns how much was refused that had not been refused before
 *
 * Only a record that is new adds a job; a repeat raises `deliveries`. A job's key alone would not do:
 * it is forgotten as soon as the job is done, and a repeat of yesterday's call would run again.
 */
const store = async (
  database: typeof webDb,
  { tenantId, source = 'push' }: Sender,
  good: (Good & Counted)[],
  bad: (Refused & Counted)[],
  contentType: string | null,
): Promise<{ records: number; bytes: number }> => {
  const goods = packed(good)
  const bads = packed(bad)
  const statement = sql<{ records: number; bytes: number }>`
    with stored as (
      insert into raw_cdrs as r
        (token_tenant_id, tenant_id, source, call_id, root_call_id, payload, body, content_hash, deliveries)
      select ${tenantId}::bigint, ${tenantId}::bigint, ${source}::text, call_id, root_call_id, payload::jsonb,
             substring(${goods.bytes}::bytea from start for length), hash, deliveries
      from unnest(
        ${good.map(row => row.callId)}::text[],
        ${good.map(row => row.rootCallId)}::text[],
        ${good.map(row => row.payload)}::text[],
        ${goods.starts}::int[],
        ${goods.lengths}::int[],
        ${good.map(row => row.hash)}::bytea[],
        ${good.map(row => row.deliveries)}::int[]
      ) as good (call_id, root_call_id, payload, start, length, hash, deliveries)
      on conflict on constraint raw_cdrs_same_record
        do update set deliveries = r.deliveries + excluded.deliveries
      returning r.call_id, r.xmax = 0 as is_new
    ), refused as (
      insert into rejected_deliveries as r (tenant_id, source, reason, content_type, body, body_hash, deliveries)
      select ${tenantId}::bigint, ${source === 'push' ? 'voicenter' : source}::text, reason, ${contentType}::text,
             substring(${bads.bytes}::bytea from start for length), hash, deliveries
      from unnest(
        ${bad.map(row => row.reason)}::text[],
        ${bads.starts}::int[],
        ${bads.lengths}::int[],
        ${bad.map(row => row.hash)}::bytea[],
        ${bad.map(row => row.deliveries)}::int[]
      ) as bad (reason, start, length, hash, deliveries)
      on conflict on constraint rejected_deliveries_same_body
        do update set deliveries = r.deliveries + excluded.deliveries
      returning octet_length(r.body) as bytes, r.xmax = 0 as is_new
    ), jobs as (
      select count(*) as wanted, array_agg(
        row('voicenter_cdr', json_build_object('callId', call_id), null, null, ${MAX_ATTEMPTS.voicenter_cdr}::smallint,
            'voicenter_cdr:' || call_id, null, null)::graphile_worker.job_spec order by call_id) as specs
      from (select distinct call_id from stored where is_new) as calls
    )
    select
      (select assert_all_queued(wanted, (select count(*) from graphile_worker.add_jobs(specs)))
       from jobs where wanted > 0),
      (select count(*)::int from refused where is_new) as records,
      (select coalesce(sum(bytes), 0)::int from refused where is_new) as bytes`
  const { rows } = await again(() => statement.execute(database))
  return rows[0] ?? { records: 0, bytes: 0 }
}
