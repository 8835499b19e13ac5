/** Stores call records together with their jobs. */
import { type RawBuilder, sql } from 'kysely'
import { batcher, concatBuffers, dedupe, plainArray } from '../batcher.ts'
import { sha256, sha256Hex } from '../crypto.ts'
import { jobSpec } from '../db/jobs.ts'
import { webDb } from '../db/kysely.ts'
import { retryOnConflict, retryStatement } from '../db/retry.ts'
import { STORE_TIMEOUT_MS } from '../errors.ts'
import { canonical } from '../json.ts'
import {
  countRejected,
  isKept,
  onlyCounted,
  type RejectedElement,
  type CdrSource,
} from '../rejected_deliveries.ts'
import type { BodyElement } from './body.ts'
import { campaignOf } from './campaign.ts'
import { factsOf, MAX_PAYLOAD_BYTES, readCdr, rootOf } from './parse.ts'

/** `tokenHash`: the hash in hex of the token in the request, if it must still be valid when the CDRs are stored. */
export type DeliverySource = CdrSource & { tokenHash?: string }

/**
 * A valid CDR as it will be stored. `payload` is its canonical form, `hash` the SHA-256 of that in hex, `body` its bytes
 * as received. `facts`: what is needed to classify its call, if the payload is too long for that; else null. `campaign`:
 * JSON, or null.
 */
export type ValidCdr = {
  callId: string
  rootCallId: string
  payload: string
  facts: string | null
  campaign: string | null
  body: Buffer
  hash: string
}

/** The CDRs of one POST or of one page of the call log, and the elements that are not valid CDRs. */
export type Delivery = {
  sender: DeliverySource
  contentType: string | null
  valid: ValidCdr[]
  rejected: RejectedElement[]
}

/**
 * Stores the valid CDRs with their jobs, and the rejected elements in `rejected_deliveries`. When this returns,
 * everything is stored. An array of many CDRs is stored in parts, one after the other, so that deliveries of others are
 * stored in between. If a part fails, this throws, and the sender sends everything again.
 *
 * @param database without it, the delivery is stored on the webhooks' connections, in one batch with all others that
 * arrive at the same time. With it, the delivery is stored alone: for work that no sender waits for.
 * @returns why elements were rejected; empty if all are valid
 * @throws NoLongerValid when the sender's token was revoked or its tenant was deleted meanwhile
 */
export const ingest = async (
  sender: DeliverySource,
  elements: readonly BodyElement[],
  contentType: string | null,
  database?: typeof webDb,
): Promise<string[]> => {
  // Nearly every delivery has one element.
  if (elements.length === 1) return ingestPart(sender, elements, contentType, database)
  const reasons: string[] = []
  for (const part of partsOf(elements))
    reasons.push(...(await ingestPart(sender, part, contentType, database)))
  return reasons
}

/** The limits of one statement. A larger one takes long, and other requests would wait for it. */
const MAX_RECORDS = 256
const MAX_BYTES = 1_000_000
/** How many CDRs of one delivery a statement stores, so that other deliveries need not wait long. */
const MAX_PART = 100

const partsOf = function* (elements: readonly BodyElement[]): Iterable<BodyElement[]> {
  let part: BodyElement[] = []
  let bytes = 0
  for (const element of elements) {
    bytes += element.bytes.length
    if (part.length === MAX_PART || (part.length > 0 && bytes > MAX_BYTES)) {
      yield part
      part = []
      bytes = element.bytes.length
    }
    part.push(element)
  }
  yield part
}

const ingestPart = async (
  sender: DeliverySource,
  elements: readonly BodyElement[],
  contentType: string | null,
  database: typeof webDb | undefined,
): Promise<string[]> => {
  const { valid, rejected } = partition(elements)
  const kept =
    rejected.length === 0 || (await isKept(sender)) ? rejected : rejected.map(onlyCounted)
  const delivery = { sender, contentType, valid, rejected: kept }
  const newlyRejected = database
    ? (await storeAll(database, [delivery]))[0]
    : await storeTogether(delivery)
  if (newlyRejected?.records) await countRejected(sender, newlyRejected)
  return rejected.map(({ reason }) => reason)
}

/** Reads each element separately: an invalid one does not affect the others. */
export const partition = (
  elements: readonly BodyElement[],
): Pick<Delivery, 'valid' | 'rejected'> => {
  const valid: ValidCdr[] = []
  const rejected: RejectedElement[] = []
  for (const element of elements) {
    const result = 'wrong' in element ? element : readCdr(element.record)
    if ('wrong' in element || 'wrong' in result) {
      const reason = 'wrong' in result ? result.wrong : ''
      rejected.push({ reason, body: element.bytes, hash: sha256(element.bytes) })
      continue
    }
    const payload = canonical(element.record)
    const campaign = campaignOf(element.record)
    valid.push({
      callId: result.cdr.callId,
      rootCallId: rootOf(result.cdr),
      payload,
      facts: Buffer.byteLength(payload) > MAX_PAYLOAD_BYTES ? factsOf(result.cdr) : null,
      campaign: campaign && JSON.stringify(campaign),
      body: element.bytes,
      hash: sha256Hex(payload),
    })
  }
  return { valid, rejected }
}

/** The sender's token is no longer valid, or its tenant was deleted. Nothing that came with it was stored. */
export class NoLongerValid extends Error {}

/** The elements of a delivery that had not been rejected before. */
type NewlyRejected = { records: number; bytes: number }

/** The job of a CDR, in a statement that has its `call_id`. */
export const CDR_JOB = jobSpec({
  task: 'voicenter_cdr',
  entity: sql`call_id`,
  payload: sql`json_build_object('callId', call_id)`,
  // Tenants may have calls with the same CallID.
  tenant: null,
})

/**
 * Stores many deliveries at once. The cost of a commit hardly depends on its size, and NOTIFY makes all commits wait for
 * each other. One statement for each delivery would be several times slower.
 *
 * Nothing is stored unless every token in the requests is still valid and still belongs to the same tenant, and every
 * tenant exists.
 *
 * @returns for each delivery, its newly rejected elements
 * @throws NoLongerValid
 */
export const storeAll = async (
  database: typeof webDb,
  deliveries: Delivery[],
): Promise<NewlyRejected[]> => {
  if (deliveries.every(({ rejected }) => rejected.length === 0)) {
    await retryStatement(database, () => storeValid(database, deliveries))
    return deliveries.map(() => ({ records: 0, bytes: 0 }))
  }
  if (deliveries.every(({ valid }) => valid.length === 0))
    return retryStatement(database, () => storeRejected(database, deliveries))
  const storeBoth = async (trx: typeof webDb) => {
    await storeValid(trx, deliveries)
    return storeRejected(trx, deliveries)
  }
  return database.isTransaction
    ? storeBoth(database)
    : retryOnConflict(() => database.transaction().execute(storeBoth))
}

/**
 * Checks the senders once for the whole batch, as a query with one row: `is_valid` if each token is valid and belongs to
 * its tenant, and each tenant exists. It locks the tenants as a foreign key does, so that none is deleted before the CDRs
 * are stored.
 */
const checkOf = (deliveries: Delivery[]): RawBuilder<unknown> => {
  // Requests with one token share this object (app/web/auth.ts). A token with two objects is checked twice.
  const senders = [...new Set(deliveries.map(({ sender }) => sender))]
  const shown = senders.filter(({ tokenHash }) => tokenHash)
  const tenants = [...new Set(senders.flatMap(({ tenantId }) => tenantId ?? []))]
  return sql`
    select count(*) = ${shown.length}::int and (
      select count(*) from (
        select from tenants where id = any(${tenants}::bigint[]) order by id for key share
      ) as locked
    ) = ${tenants.length}::int as is_valid
    from unnest(
      ${shown.map(({ tokenHash }) => tokenHash)}::text[],
      ${shown.map(({ tenantId }) => tenantId)}::bigint[]
    ) as shown (token_hash, tenant_id)
    join webhook_tokens t on t.hash = decode(shown.token_hash, 'hex')
    where t.revoked_at is null and t.tenant_id is not distinct from shown.tenant_id`
}

/**
 * Stores the valid CDRs with their jobs. Only a new CDR adds a job; a repeat increments `deliveries`. The job's key alone
 * would not prevent a second job: graphile-worker forgets the key when the job is done, and a repeat of yesterday's call
 * would run again.
 */
const storeValid = async (database: typeof webDb, deliveries: Delivery[]): Promise<void> => {
  const rows = dedupe(
    deliveries.flatMap(({ sender, valid }) => valid.map(cdr => ({ sender, cdr }))),
    ({ sender, cdr }) => `${cdr.callId} ${cdr.hash} ${sender.tenantId}`,
  )
  const bodies = concatBuffers(rows.map(({ cdr }) => cdr.body))
  // 32 bytes for each CDR, in the order of the rows.
  const hashes = Buffer.from(rows.map(({ cdr }) => cdr.hash).join(''), 'hex')
  const statement = sql<{ is_valid: boolean }>`
    /* store */
    with senders as (${checkOf(deliveries)}), stored as (
      insert into raw_cdrs as r
        (token_tenant_id, tenant_id, source, call_id, root_call_id, payload, body, facts, campaign, content_hash, deliveries)
      select tenant_id, tenant_id, source, call_id, root_call_id, payload,
             substring(${bodies.bytes}::bytea from body_start for body_length), facts::jsonb, campaign::jsonb,
             substring(${hashes}::bytea from (32 * n - 31)::int for 32), deliveries
      from rows from (
        unnest(${plainArray(rows.map(({ sender }) => sender.tenantId))}::bigint[]),
        unnest(${plainArray(rows.map(({ sender }) => sender.source ?? 'push'))}::text[]),
        unnest(${rows.map(({ cdr }) => cdr.callId)}::text[]),
        unnest(${rows.map(({ cdr }) => cdr.rootCallId)}::text[]),
        jsonb_array_elements(${`[${rows.map(({ cdr }) => cdr.payload).join()}]`}::jsonb),
        unnest(${plainArray(bodies.starts)}::int[]),
        unnest(${plainArray(bodies.lengths)}::int[]),
        unnest(${rows.map(({ cdr }) => cdr.facts)}::text[]),
        unnest(${rows.map(({ cdr }) => cdr.campaign)}::text[]),
        unnest(${plainArray(rows.map(({ deliveries }) => deliveries))}::int[])
      ) with ordinality as valid (tenant_id, source, call_id, root_call_id, payload, body_start, body_length,
                                  facts, campaign, deliveries, n)
      where (select is_valid from senders)
      on conflict on constraint raw_cdrs_same_record
        do update set deliveries = r.deliveries + excluded.deliveries
      -- xmax is 0 if the row was inserted, and not if it was updated.
      returning r.call_id, r.xmax = 0 as is_new
    ), jobs as (
      select count(*) as wanted, array_agg(${CDR_JOB} order by call_id) as specs
      from (select distinct call_id from stored where is_new) as calls
    )
    select
      (select is_valid from senders),
      (select assert_all_queued(wanted, (select count(*) from graphile_worker.add_jobs(specs)))
       from jobs where wanted > 0)`
  const { rows: results } = await statement.execute(database)
  assertValid(results)
}

/** Stores the elements that are not valid CDRs. */
const storeRejected = async (
  database: typeof webDb,
  deliveries: Delivery[],
): Promise<NewlyRejected[]> => {
  const rejected = dedupe(
    deliveries.flatMap(({ sender, contentType, rejected }, deliveryIndex) =>
      rejected.map(element => ({ ...sender, ...element, contentType, deliveryIndex })),
    ),
    ({ tenantId, source = 'push', hash }) => `${source} ${hash.toString('hex')} ${tenantId}`,
  )
  const bodies = concatBuffers(rejected.map(({ body }) => body))
  type Result = {
    is_valid: boolean
    newly_rejected: { delivery_index: number; bytes: number }[] | null
  }
  const statement = sql<Result>`
    /* store_rejected */
    with senders as (${checkOf(deliveries)}), rejected as (
      select *
      from unnest(
        ${rejected.map(row => row.deliveryIndex)}::int[],
        ${rejected.map(row => row.tenantId)}::bigint[],
        ${rejected.map(row => (row.source === 'call_log' ? 'call_log' : 'voicenter'))}::text[],
        ${rejected.map(row => row.reason)}::text[],
        ${rejected.map(row => row.contentType)}::text[],
        ${bodies.starts}::int[],
        ${bodies.lengths}::int[],
        ${rejected.map(row => row.hash)}::bytea[],
        ${rejected.map(row => row.deliveries)}::int[]
      ) as rejected (delivery_index, tenant_id, source, reason, content_type, start, length, hash, deliveries)
    ), kept as (
      insert into rejected_deliveries as r (tenant_id, source, reason, content_type, body, body_hash, deliveries)
      select tenant_id, source, reason, content_type, substring(${bodies.bytes}::bytea from start for length), hash, deliveries
      from rejected
      where (select is_valid from senders)
      on conflict on constraint rejected_deliveries_same_body
        do update set deliveries = r.deliveries + excluded.deliveries
      returning r.tenant_id, r.source, r.body_hash, octet_length(r.body) as bytes, r.xmax = 0 as is_new
    )
    select
      (select is_valid from senders),
      (select json_agg(json_build_object('delivery_index', rejected.delivery_index, 'bytes', coalesce(r.bytes, 0)))
       from kept r
       join rejected on rejected.hash = r.body_hash and rejected.source = r.source
         and rejected.tenant_id is not distinct from r.tenant_id
       where r.is_new) as newly_rejected`
  const { rows: results } = await statement.execute(database)
  const newlyRejected = deliveries.map(() => ({ records: 0, bytes: 0 }))
  for (const { delivery_index: index, bytes } of assertValid(results).newly_rejected ?? []) {
    const one = newlyRejected[index]
    if (!one) continue
    one.records++
    one.bytes += bytes
  }
  return newlyRejected
}

const assertValid = <Result extends { is_valid: boolean }>([result]: Result[]): Result => {
  if (!result?.is_valid) throw new NoLongerValid('a token or its tenant is not valid any more')
  return result
}

const storeTogether = batcher((deliveries: Delivery[]) => storeAll(webDb, deliveries), {
  // The weight of a delivery is its share of MAX_RECORDS and MAX_BYTES.
  most: 1,
  weigh: ({ valid, rejected }) => {
    const records = [...valid, ...rejected]
    const bytes = records.reduce((sum, { body }) => sum + (body?.length ?? 0), 0)
    return records.length / MAX_RECORDS + bytes / MAX_BYTES
  },
  waiting: 2000,
  patienceMs: STORE_TIMEOUT_MS,
  // Measured with 64 connections: 16 was slower.
  halveAbove: 32,
})
