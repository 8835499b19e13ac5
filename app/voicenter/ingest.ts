import { sql } from 'kysely'
import { batcher, concatBuffers, dedupe } from '../batcher.ts'
import { sha256 } from '../crypto.ts'
import { MAX_ATTEMPTS } from '../db/jobs.ts'
import { webDb } from '../db/kysely.ts'
import { retryOnConflict } from '../db/retry.ts'
import { STORE_TIMEOUT_MS } from '../errors.ts'
import { canonical } from '../json.ts'
import { countRejected, isKept, onlyCounted, type RejectedElement } from '../rejected_deliveries.ts'
import { type BodyElement, readCdr, rootOf } from './parse.ts'

/**
 * Whose credential the records came with; null = an unbound token. And which way: pushed to us, unless it is
 * said that they were found in Voicenter's call log. `token`: the hash in hex of what was shown, if it must
 * still be valid when they are stored.
 */
export type DeliverySource = {
  tenantId: string | null
  source?: 'push' | 'call_log'
  token?: string
}

/** A record that can be read, as it will be stored: `payload` is its canonical form, `body` the bytes as they came. */
export type ValidCdr = {
  callId: string
  rootCallId: string
  payload: Buffer
  body: Buffer
  hash: Buffer
}

/** One POST, or one page of the call log: what of it is a record, and what is none. */
export type Delivery = {
  sender: DeliverySource
  contentType: string | null
  good: ValidCdr[]
  bad: RejectedElement[]
}

/** Reads each element for itself: a bad one takes no other with it. */
export const partition = (
  elements: readonly BodyElement[],
): { good: ValidCdr[]; bad: RejectedElement[] } => {
  const good: ValidCdr[] = []
  const bad: RejectedElement[] = []
  for (const element of elements) {
    const read = 'wrong' in element ? element : readCdr(element.record)
    if ('wrong' in read || 'wrong' in element) {
      const reason = 'wrong' in read ? read.wrong : ''
      bad.push({ reason, body: element.bytes, hash: sha256(element.bytes) })
      continue
    }
    const payload = Buffer.from(canonical(element.record))
    const { callId } = read.cdr
    good.push({
      callId,
      rootCallId: rootOf(read.cdr),
      payload,
      body: element.bytes,
      hash: sha256(payload),
    })
  }
  return { good, bad }
}

/**
 * Stores the good records together with their jobs, and keeps the bad ones aside: one statement, one
 * commit. When this returns, everything is in the database; when it throws, nothing is.
 *
 * @param database where nobody waits for an answer: its connections are used, and the delivery is stored by itself;
 * without it, together with all others that have come at this moment
 * @returns what is wrong with the bad ones; empty if all are good
 * @throws NoLongerValid when the sender's token was revoked meanwhile
 */
export const ingest = async (
  sender: DeliverySource,
  elements: readonly BodyElement[],
  contentType: string | null,
  database?: typeof webDb,
): Promise<string[]> => {
  const { good, bad } = partition(elements)
  const kept = bad.length === 0 || (await isKept(sender)) ? bad : bad.map(onlyCounted)
  const delivery = { sender, contentType, good, bad: kept }
  const fresh = database
    ? (await storeAll(database, [delivery]))[0]
    : await storeWithOthers(delivery)
  if (fresh) await countRejected(sender, fresh)
  return bad.map(({ reason }) => reason)
}

/** A token was shown that is not valid any more; nothing that came with it is stored. */
export class NoLongerValid extends Error {}

/** Of what was refused, what had not been refused before. */
type Fresh = { records: number; bytes: number }

/**
 * Stores many deliveries in one statement, for what a commit costs hardly depends on how much it holds; one for each
 * would reach a fraction of the rate, since NOTIFY makes all commits wait for each other.
 *
 * Only a record that is new adds a job; a repeat raises `deliveries`. A job's key alone would not do:
 * it is forgotten as soon as the job is done, and a repeat of yesterday's call would run again.
 *
 * Nothing is stored unless every token that was shown is valid at this moment, and the same business's as it was.
 *
 * @returns for each delivery, what of it was refused and had not been before
 * @throws NoLongerValid
 */
export const storeAll = async (database: typeof webDb, all: Delivery[]): Promise<Fresh[]> => {
  const good = dedupe(
    all.flatMap(({ sender, good }) => good.map(record => ({ ...sender, ...record }))),
    ({ tenantId, callId, hash }) => `${callId} ${hash.toString('hex')} ${tenantId}`,
  )
  const bad = dedupe(
    all.flatMap(({ sender, contentType, bad }, of) =>
      bad.map(refused => ({ ...sender, ...refused, contentType, of })),
    ),
    ({ tenantId, source = 'push', hash }) => `${source} ${hash.toString('hex')} ${tenantId}`,
  )
  const payloads = concatBuffers(good.map(({ payload }) => payload))
  const bodies = concatBuffers(good.map(({ body }) => body))
  const refusals = concatBuffers(bad.map(({ body }) => body))
  const shown = dedupe(
    all.flatMap(({ sender: { token, tenantId } }) => (token ? { token, tenantId } : [])),
    ({ token, tenantId }) => `${token} ${tenantId}`,
  )
  type Outcome = { is_valid: boolean; fresh: { of: number; bytes: number }[] | null }
  const statement = sql<Outcome>`
    /* store */
    with shown as (
      select count(*) = ${shown.length}::int as is_valid
      from unnest(
        ${shown.map(({ token }) => token)}::text[],
        ${shown.map(({ tenantId }) => tenantId)}::bigint[]
      ) as shown (token, tenant_id)
      join webhook_tokens t on t.hash = decode(shown.token, 'hex')
      where t.revoked_at is null and t.tenant_id is not distinct from shown.tenant_id
    ), stored as (
      insert into raw_cdrs as r
        (token_tenant_id, tenant_id, source, call_id, root_call_id, payload, body, content_hash, deliveries)
      select tenant_id, tenant_id, source, call_id, root_call_id,
             convert_from(substring(${payloads.bytes}::bytea from payload_start for payload_length), 'UTF8')::jsonb,
             substring(${bodies.bytes}::bytea from body_start for body_length), hash, deliveries
      from unnest(
        ${good.map(row => row.tenantId)}::bigint[],
        ${good.map(row => row.source ?? 'push')}::text[],
        ${good.map(row => row.callId)}::text[],
        ${good.map(row => row.rootCallId)}::text[],
        ${payloads.starts}::int[],
        ${payloads.lengths}::int[],
        ${bodies.starts}::int[],
        ${bodies.lengths}::int[],
        ${good.map(row => row.hash)}::bytea[],
        ${good.map(row => row.deliveries)}::int[]
      ) as good (tenant_id, source, call_id, root_call_id,
               payload_start, payload_length, body_start, body_length, hash, deliveries)
      where (select is_valid from shown)
      on conflict on constraint raw_cdrs_same_record
        do update set deliveries = r.deliveries + excluded.deliveries
      returning r.call_id, r.xmax = 0 as is_new
    ), bad as (
      select *
      from unnest(
        ${bad.map(row => row.of)}::int[],
        ${bad.map(row => row.tenantId)}::bigint[],
        ${bad.map(row => (row.source === 'call_log' ? 'call_log' : 'voicenter'))}::text[],
        ${bad.map(row => row.reason)}::text[],
        ${bad.map(row => row.contentType)}::text[],
        ${refusals.starts}::int[],
        ${refusals.lengths}::int[],
        ${bad.map(row => row.hash)}::bytea[],
        ${bad.map(row => row.deliveries)}::int[]
      ) as bad (of, tenant_id, source, reason, content_type, start, length, hash, deliveries)
    ), refused as (
      insert into rejected_deliveries as r (tenant_id, source, reason, content_type, body, body_hash, deliveries)
      select tenant_id, source, reason, content_type, substring(${refusals.bytes}::bytea from start for length), hash, deliveries
      from bad
      where (select is_valid from shown)
      on conflict on constraint rejected_deliveries_same_body
        do update set deliveries = r.deliveries + excluded.deliveries
      returning r.tenant_id, r.source, r.body_hash, octet_length(r.body) as bytes, r.xmax = 0 as is_new
    ), jobs as (
      select count(*) as wanted, array_agg(
        row('voicenter_cdr', json_build_object('callId', call_id), null, null, ${MAX_ATTEMPTS.voicenter_cdr}::smallint,
            'voicenter_cdr:' || call_id, null, null)::graphile_worker.job_spec order by call_id) as specs
      from (select distinct call_id from stored where is_new) as calls
    )
    select
      (select is_valid from shown),
      (select assert_all_queued(wanted, (select count(*) from graphile_worker.add_jobs(specs)))
       from jobs where wanted > 0),
      (select json_agg(json_build_object('of', bad.of, 'bytes', coalesce(r.bytes, 0)))
       from refused r
       join bad on bad.hash = r.body_hash and bad.source = r.source and bad.tenant_id is not distinct from r.tenant_id
       where r.is_new) as fresh`
  const [outcome] = (await retryOnConflict(() => statement.execute(database))).rows
  if (!outcome?.is_valid) throw new NoLongerValid('a token that was shown is not valid any more')
  const fresh = all.map(() => ({ records: 0, bytes: 0 }))
  for (const { of, bytes } of outcome.fresh ?? []) {
    const one = fresh[of]
    if (!one) continue
    one.records++
    one.bytes += bytes
  }
  return fresh
}

/** A statement holds so many records, or so many bytes: larger ones take long, and what waits with them. */
const MOST_RECORDS = 256
const MOST_BYTES = 1_000_000

const storeWithOthers = batcher((all: Delivery[]) => storeAll(webDb, all), {
  most: 1,
  weigh: ({ good, bad }) => {
    const records = [...good, ...bad]
    const bytes = records.reduce((sum, { body }) => sum + (body?.length ?? 0), 0)
    return records.length / MOST_RECORDS + bytes / MOST_BYTES
  },
  waiting: 2000,
  patienceMs: STORE_TIMEOUT_MS,
})
