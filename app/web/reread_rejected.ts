/** Reads rejected deliveries again, after the program or a setting was mended. Repeating it does no harm. */
import { sql } from 'kysely'
import { type Actor, audit } from '../audit.ts'
import type { Trx } from '../db/kysely.ts'
import { notFound, userError } from '../errors.ts'
import { readJson } from '../json.ts'
import type { CdrSource } from '../rejected_deliveries.ts'
import { MARGIN, readEntry } from '../voicenter/call_log/entries.ts'
import { ingest, partition } from '../voicenter/ingest.ts'
import { type BodyElement, readDelivery } from '../voicenter/body.ts'
import { readText, storeUpdates } from './whatsapp.ts'
import { updatesIn } from '../whatsapp/webhook.ts'

/** The most of one transaction, so that no other transaction waits for it for long. */
const MAX_DELIVERIES = 50
const MAX_BYTES = 5_000_000

type Which = {
  /** Only deliveries that came with this tenant's credential. Null = any (the operator). */
  tenantId: string | null
  /** Only this delivery. Null = all. */
  id: string | null
  /** With `id`: also those of the same sender that were rejected for the same reason. */
  alike?: boolean
  /** Only deliveries that were not read again since then. */
  since?: Date | undefined
}

/** `more`: the next transaction has further deliveries to read. */
export type RereadCounts = { stored: number; rejected: number; more: boolean }

/**
 * Reads rejected deliveries again, as if they had just arrived with the same credential. A delivery that is readable now is
 * stored with its jobs and leaves the list. Deliveries that were never read again come first.
 *
 * @throws UserError if there is no such delivery, or its content was deleted
 */
export const rereadDeliveries = async (
  trx: Trx,
  actor: Actor,
  which: Which,
): Promise<RereadCounts> => {
  const { id, tenantId, alike = false, since = null } = which
  if (id !== null && !(await isOpen(trx, id, tenantId)))
    return { stored: 0, rejected: 0, more: false }
  const { rows } = await sql<{ id: string; tenantId: string | null; bytes: number }>`
    select r.id, r.tenant_id as "tenantId", octet_length(r.body) as bytes
    from rejected_deliveries r left join rejected_deliveries named on named.id = ${id}
    where r.discarded_at is null and r.reread_result is distinct from 'stored' and r.body is not null
      and (${tenantId}::bigint is null or r.tenant_id = ${tenantId})
      and (${id}::bigint is null or r.id = ${id} or (
        ${alike}::boolean and r.tenant_id is not distinct from named.tenant_id
        and r.source = named.source and r.reason = named.reason))
      and (${since}::timestamptz is null or r.reread_at is null or r.reread_at < ${since})
    order by r.reread_at nulls first, r.id limit ${MAX_DELIVERIES + 1}
    for update of r skip locked`.execute(trx)
  let bytes = 0
  const chosen = rows
    .slice(0, MAX_DELIVERIES)
    .filter((row, at) => (bytes += row.bytes) <= MAX_BYTES || at === 0)
  const results: { tenantId: string | null; id: string; isStored: boolean }[] = []
  for (const row of chosen) results.push({ ...row, isStored: await reread(trx, row.id) })
  for (const [ofTenant, ones] of Map.groupBy(results, one => one.tenantId)) {
    const stored = ones.filter(({ isStored }) => isStored).length
    await audit(trx, actor, {
      tenantId: ofTenant,
      action: 'delivery.reread',
      subject: `rejected_deliveries ${ones[0]?.id}`,
      before: null,
      after: { stored, rejected: ones.length - stored },
    })
  }
  const stored = results.filter(({ isStored }) => isStored).length
  return { stored, rejected: results.length - stored, more: rows.length > results.length }
}

/** @returns false if it has been read again and stored */
const isOpen = async (trx: Trx, id: string, tenantId: string | null): Promise<boolean> => {
  const found = await trx
    .selectFrom('rejected_deliveries')
    .select(['reread_result', sql<boolean>`body is null`.as('isEmpty')])
    .where('id', '=', id)
    .$if(tenantId !== null, query => query.where('tenant_id', '=', tenantId))
    .executeTakeFirst()
  if (!found) throw notFound(`rejected delivery ${id}`)
  if (found.reread_result === 'stored') return false
  if (found.isEmpty)
    throw userError('content_deleted', `the content of rejected delivery ${id} was deleted`)
  return true
}

/** @returns whether it is stored now */
const reread = async (trx: Trx, id: string): Promise<boolean> => {
  const row = await trx
    .selectFrom('rejected_deliveries')
    .select(['tenant_id', 'source', 'content_type', 'body', 'received_at'])
    .where('id', '=', id)
    .executeTakeFirstOrThrow()
  const body = row.body ?? Buffer.alloc(0)
  const { tenant_id: tenantId, content_type: contentType, received_at: receivedAt } = row
  const isLogged = row.source === 'call_log'
  const sender: CdrSource = { tenantId, source: isLogged ? 'call_log' : 'push' }
  const wrong =
    row.source === 'whatsapp'
      ? await storeEvents(trx, body, receivedAt)
      : await storeRecords(
          trx,
          isLogged ? logElements(body, receivedAt) : readDelivery(body).elements,
          { sender, contentType, receivedAt },
        )
  await trx
    .updateTable('rejected_deliveries')
    .set({
      reread_at: sql<Date>`clock_timestamp()`,
      reread_result: wrong === null ? 'stored' : 'rejected',
      ...(wrong !== null && { reason: wrong }),
    })
    .where('id', '=', id)
    .execute()
  return wrong === null
}

/** The body is an entry as the Call Log returned it. The period that was asked for ended MARGIN before that. */
const logElements = (body: Buffer, receivedAt: Date): BodyElement[] => {
  const json = readJson(body.toString('utf8'))
  return 'wrong' in json
    ? [{ bytes: body, wrong: json.wrong }]
    : [{ ...readEntry(json.value, new Date(receivedAt.getTime() - MARGIN)).element, bytes: body }]
}

type Source = { sender: CdrSource; contentType: string | null; receivedAt: Date }

/**
 * Stores the CDRs as of the time when they arrived, because a call without a time of its own would look new, and its
 * caller would get a message days later.
 *
 * @returns why nothing was stored; null if it was. An unreadable CDR in an array becomes a rejected delivery of its own.
 */
const storeRecords = async (
  trx: Trx,
  elements: BodyElement[],
  { sender, contentType, receivedAt }: Source,
): Promise<string | null> => {
  const { valid, rejected } = partition(elements)
  const [only] = rejected
  if (only && elements.length === 1) return only.reason
  await ingest(sender, elements, contentType, trx)
  // now() is the start of the transaction, so these are the rows that it has added.
  const callIds = [...new Set(valid.map(({ callId }) => callId))]
  await sql`
    update raw_cdrs set received_at = ${receivedAt}
    where call_id = any(${callIds}::text[]) and received_at = now()`.execute(trx)
  return null
}

/** @returns why nothing was stored; null if it was */
const storeEvents = async (trx: Trx, body: Buffer, receivedAt: Date): Promise<string | null> => {
  const json = readText(body)
  if ('wrong' in json) return json.wrong
  await storeUpdates(updatesIn(json.value), trx)
  await sql`
    update whatsapp_events set received_at = ${receivedAt}
    where outcome is null and received_at = now()`.execute(trx)
  return null
}
