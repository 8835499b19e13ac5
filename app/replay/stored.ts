/** Call records from a file, one JSON record per line, as Voicenter would have posted them. */
import { sql } from 'kysely'
import { z } from 'zod'
import { phoneHash, sha256 } from '../crypto.ts'
import type { Trx } from '../db/kysely.ts'
import { canonical, isObject, type JsonObject, readJson } from '../json.ts'
import { personOf } from '../phone.ts'
import { type Heard, type Known, type Rules, SECOND } from './simulate.ts'
import { writerPhone } from '../replies/contacts.ts'
import { readSettings } from '../tenants/settings.ts'
import { legOf } from '../voicenter/classify.ts'
import { type Cdr, readCdr, rootOf } from '../voicenter/parse.ts'
import { startOf } from '../voicenter/time.ts'

const moment = z.iso.datetime({ offset: true, local: false }).transform(text => new Date(text))

/**
 * Reads all lines and puts them in the order of their receipt, so a file is in memory as a whole. The same record
 * again counts once, as at the door.
 *
 * @param now the moment before which everything must have happened
 * @param wrong is told of every line that cannot be used, by its number
 */
export const recordsOf = async (
  lines: AsyncIterable<string>,
  now: Date,
  wrong: (line: number, why: string) => void,
): Promise<Heard[]> => {
  const heard: Heard[] = []
  const known = new Set<string>()
  let number = 0
  for await (const line of lines) {
    number++
    if (line.trim() === '') continue
    const read = readLine(line, now)
    if ('wrong' in read) {
      wrong(number, read.wrong)
      continue
    }
    if (known.has(read.key)) continue
    known.add(read.key)
    heard.push(read.heard)
  }
  return heard.toSorted((a, b) => a.receivedAt.getTime() - b.receivedAt.getTime())
}

const readLine = (line: string, now: Date): { heard: Heard; key: string } | { wrong: string } => {
  const json = readJson(line)
  if ('wrong' in json) return { wrong: json.wrong.replace('body', 'line') }
  if (!isObject(json.value)) return { wrong: 'not an object' }
  const { record, receivedAt } = unwrap(json.value)
  if (receivedAt === null) return { wrong: 'received_at is no moment such as 2026-07-01T10:00:00Z' }
  const read = readCdr(record)
  if ('wrong' in read) return read
  const at = receivedAt ?? endOf(read.cdr, now)
  if (at === null) return { wrong: 'neither received_at nor a time of its own that can be read' }
  return {
    heard: {
      rootCallId: rootOf(read.cdr),
      receivedAt: at,
      leg: legOf(read.cdr, at),
      records: null,
    },
    key: sha256(canonical(record)).toString('base64'),
  }
}

/** `{"received_at": ..., "record": {...}}`, or the record by itself; then nobody has said when it came. */
const unwrap = (value: JsonObject): { record: JsonObject; receivedAt?: Date | null } => {
  const { received_at, record } = value
  if (received_at === undefined || !isObject(record)) return { record: value }
  const { data, success } = moment.safeParse(received_at)
  return { record, receivedAt: success ? data : null }
}

/** When a call ended, as far as its record tells; no record can have come before. */
const endOf = (cdr: Cdr, now: Date): Date | null => {
  const start = startOf({ callId: cdr.callId, time: cdr.time ?? null }, now)
  if (start.clock === 'received') return null
  const seconds = (cdr.ringSeconds ?? 0) + (cdr.talkSeconds ?? 0)
  return new Date(start.at.getTime() + seconds * SECOND)
}

/**
 * How the tenant has it now.
 *
 * @throws Mistake when there is no such tenant
 */
export const readRules = async (trx: Trx, tenantId: string): Promise<Rules> => {
  const settings = await readSettings(trx, tenantId)
  const connections = await trx
    .selectFrom('whatsapp_connections')
    .select('display_phone_number as phone')
    .where('tenant_id', '=', tenantId)
    .execute()
  const numbers = await trx
    .selectFrom('tenant_numbers')
    .select('phone')
    .where('tenant_id', '=', tenantId)
    .execute()
  return {
    ...settings,
    outreachDelay: settings.outreachDelay * SECOND,
    reminder1After: settings.reminder1After * SECOND,
    reminder2After: settings.reminder2After * SECOND,
    unresponsiveAfter: settings.unresponsiveAfter * SECOND,
    repeatWindow: settings.repeatWindow * SECOND,
    oldestCall: settings.oldestCall * SECOND,
    grace: settings.grace * SECOND,
    reminderGrace: settings.reminderGrace * SECOND,
    connected: connections.length > 0,
    lines: new Set([...connections, ...numbers].map(({ phone }) => phone)),
  }
}

/** Who must not be written to, since when; and who wrote, when. */
export const readKnown = async (trx: Trx, tenantId: string, from: Date): Promise<Known> => {
  const optOuts = await trx
    .selectFrom('opt_outs')
    .select(['phone', 'phone_hash', 'created_at'])
    .where('tenant_id', '=', tenantId)
    .orderBy('created_at', 'desc')
    .execute()
  // The latest first, so that of several the earliest stays.
  const byPerson = new Map<string, Date>()
  const byHash = new Map<string, Date>()
  for (const { phone, phone_hash, created_at } of optOuts)
    if (phone) byPerson.set(personOf(phone), created_at)
    else if (phone_hash) byHash.set(phone_hash.toString('hex'), created_at)

  const inbound = await trx
    .selectFrom('messages')
    .leftJoin('leads', 'leads.id', 'messages.lead_id')
    .select(['messages.wa_id', 'leads.phone', 'messages.created_at'])
    .where('messages.tenant_id', '=', tenantId)
    .where('messages.direction', '=', 'in')
    .where('messages.created_at', '>=', from)
    .orderBy('messages.created_at')
    .execute()
  const replies = new Map<string, Date[]>()
  for (const { wa_id, phone, created_at } of inbound) {
    const names = [writerPhone({ waId: wa_id }), phone].flatMap(name =>
      name ? [personOf(name)] : [],
    )
    for (const name of new Set(names)) replies.set(name, [...(replies.get(name) ?? []), created_at])
  }

  // Of somebody who was erased only the hash is left. Hashing takes its time: only where there is one, and once.
  const hashed = new Map<string, Date | null>()
  const byHashOf = (phones: readonly string[], person: string): Date | null => {
    const found = hashed.get(person)
    if (found !== undefined) return found
    const at = phones.map(phone => byHash.get(phoneHash(phone).toString('hex'))).find(at => at)
    hashed.set(person, at ?? null)
    return at ?? null
  }
  return {
    optedOutAt: phones => {
      if (!phones[0]) return null
      const person = personOf(phones[0])
      return byPerson.get(person) ?? (byHash.size ? byHashOf(phones, person) : null)
    },
    repliesOf: ([phone]) => (phone === undefined ? [] : (replies.get(personOf(phone)) ?? [])),
  }
}

/** As many as are in memory at once. */
const BATCH = 500

type Row = {
  root_call_id: string
  payload: unknown
  received_at: Date
  records: number
  emptied: number
}

/**
 * The tenant's records in the order in which they came, through a cursor: a batch at a time, all as they were when
 * the transaction began. Null = one of a call that cannot be judged any more, for retention has emptied part of it.
 */
export async function* storedRecords(
  trx: Trx,
  tenantId: string,
  from: Date,
  to: Date,
): AsyncGenerator<Heard | null> {
  // With the number of records of its call, so that a call is forgotten once all of them have come.
  await sql`
    declare replay no scroll cursor for
    -- Neither is read, and a transcript is longer than all the rest.
    select r.root_call_id, r.payload - '{IVR,aiData}'::text[] as payload, r.received_at, call.records, call.emptied
    from raw_cdrs r, lateral (
      select count(*)::int as records, count(*) filter (where o.payload is null)::int as emptied
      from raw_cdrs o where o.root_call_id = r.root_call_id and o.tenant_id = r.tenant_id) as call
    where r.tenant_id = ${tenantId} and r.received_at >= ${from} and r.received_at < ${to}
    order by r.tenant_id, r.received_at, r.id`.execute(trx)
  const nextBatch = () => sql<Row>`fetch ${sql.lit(BATCH)} from replay`.execute(trx)
  let next = nextBatch()
  for (;;) {
    const { rows } = await next
    if (rows.length === 0) return
    // Postgres looks for the next ones while these are played.
    next = nextBatch()
    for (const row of rows) yield read(row)
  }
}

const read = ({ root_call_id, payload, received_at, records, emptied }: Row): Heard | null => {
  const result = emptied === 0 && isObject(payload) ? readCdr(payload) : null
  if (!result || 'wrong' in result) return null
  const leg = legOf(result.cdr, received_at)
  return { rootCallId: root_call_id, receivedAt: received_at, leg, records }
}
