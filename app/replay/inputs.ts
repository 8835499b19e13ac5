/**
 * The inputs of a replay: call records from a file or from the database, the tenant's rules, its opt-outs and replies.
 */
import { sql } from 'kysely'
import { z } from 'zod'
import { phoneHash, sha256 } from '../crypto.ts'
import type { Trx } from '../db/kysely.ts'
import { canonical, isObject, type JsonObject, readJson } from '../json.ts'
import { personOf } from '../phone.ts'
import { writerPhone } from '../replies/contacts.ts'
import { readSettings } from '../tenants/settings.ts'
import { legOf, MAX_LEGS, type TenantReading } from '../voicenter/classify.ts'
import { type Cdr, readCdr, readIfPossible, rootOf, type StoredCdr } from '../voicenter/parse.ts'
import { linkedRecord, rootsOf } from '../voicenter/roots.ts'
import { startOf } from '../voicenter/time.ts'
import { type Rules, SECOND, type Contacts, type ReceivedCdr } from './simulate.ts'
const timestamp = z.iso.datetime({ offset: true, local: false }).transform(text => new Date(text))

/**
 * Reads CDRs from lines of JSON and sorts them by the time of arrival, so all of a file is in memory. A repeated
 * CDR counts once, as for webhooks.
 *
 * @param now no CDR may have arrived later
 * @param onWrongLine is called for each line that cannot be used
 */
export const readRecordLines = async (
  lines: AsyncIterable<string>,
  now: Date,
  onWrongLine: (line: number, why: string) => void,
  reading: TenantReading,
): Promise<ReceivedCdr[]> => {
  const cdrs: ReceivedCdr[] = []
  const known = new Set<string>()
  let number = 0
  for await (const line of lines) {
    number++
    if (line.trim() === '') continue
    const read = readLine(line, now, reading)
    if ('wrong' in read) {
      onWrongLine(number, read.wrong)
      continue
    }
    if (known.has(read.key)) continue
    known.add(read.key)
    cdrs.push(read.cdr)
  }
  const sorted = cdrs.toSorted((a, b) => a.receivedAt.getTime() - b.receivedAt.getTime())
  const roots = rootsOf(
    sorted.map(({ leg, rootCallId }, i) =>
      linkedRecord(leg, { id: String(i), rootCallId }, reading.isOwnLine),
    ),
  )
  return sorted.map((cdr, i) => ({ ...cdr, rootCallId: roots.get(String(i)) ?? cdr.rootCallId }))
}

const readLine = (
  line: string,
  now: Date,
  reading: TenantReading,
): { cdr: ReceivedCdr; key: string } | { wrong: string } => {
  const json = readJson(line)
  if ('wrong' in json) return { wrong: json.wrong.replace('body', 'line') }
  if (!isObject(json.value)) return { wrong: 'not an object' }
  const { record, receivedAt } = unwrap(json.value)
  if (receivedAt === null)
    return { wrong: 'received_at is not a time such as 2026-07-01T10:00:00Z' }
  const read = readCdr(record)
  if ('wrong' in read) return read
  const at = receivedAt ?? endOf(read.cdr, now, reading.timezone)
  if (at === null) return { wrong: 'it has neither received_at nor a readable time of its own' }
  return {
    cdr: {
      rootCallId: rootOf(read.cdr),
      receivedAt: at,
      leg: legOf(read.cdr, at, reading),
      legCount: null,
    },
    key: sha256(canonical(record)).toString('base64'),
  }
}

/** A line is `{"received_at": ..., "record": {...}}`, or only the CDR. `receivedAt` is null if it is invalid. */
const unwrap = (value: JsonObject): { record: JsonObject; receivedAt?: Date | null } => {
  const { received_at, record } = value
  if (received_at === undefined || !isObject(record)) return { record: value }
  const { data, success } = timestamp.safeParse(received_at)
  return { record, receivedAt: success ? data : null }
}

/** When a call ended, according to its CDR. The CDR cannot have arrived earlier. */
const endOf = (cdr: Cdr, now: Date, timezone: string): Date | null => {
  const start = startOf({ callId: cdr.callId, time: cdr.time ?? null }, now, timezone)
  if (start.clock === 'received') return null
  const seconds = (cdr.ringSeconds ?? 0) + (cdr.talkSeconds ?? 0)
  return new Date(start.at.getTime() + seconds * SECOND)
}

/**
 * The tenant's current rules.
 *
 * @throws UserError if there is no such tenant
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

/** Reads the tenant's opt-outs and excluded numbers, and the messages that it received since `from`. */
export const readContacts = async (trx: Trx, tenantId: string, from: Date): Promise<Contacts> => {
  const optOuts = await trx
    .selectFrom('opt_outs')
    .select(['phone', 'phone_hash', 'created_at'])
    .where('tenant_id', '=', tenantId)
    .orderBy('created_at', 'desc')
    .execute()
  // Sorted by latest first, so that the earliest of several opt-outs stays in the map.
  const byPerson = new Map<string, Date>()
  const byHash = new Map<string, Date>()
  for (const { phone, phone_hash, created_at } of optOuts)
    if (phone) byPerson.set(personOf(phone), created_at)
    else if (phone_hash) byHash.set(phone_hash.toString('hex'), created_at)

  const exclusions = await trx
    .selectFrom('excluded_numbers')
    .select(['phone', 'phone_hash'])
    .where('tenant_id', '=', tenantId)
    .execute()
  const excluded = new Set(exclusions.flatMap(({ phone }) => phone ?? []))
  // Of people who were erased.
  const excludedHashes = new Set(
    exclusions.flatMap(({ phone, phone_hash }) =>
      phone ? [] : (phone_hash?.toString('hex') ?? []),
    ),
  )

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

  // For an erased person only the hash is left. Hashing is slow, so it happens only if there is such an opt-out, and
  // once.
  const hashed = new Map<string, Date | null>()
  const byHashOf = (phones: readonly string[], person: string): Date | null => {
    const found = hashed.get(person)
    if (found !== undefined) return found
    const at = phones.map(phone => byHash.get(phoneHash(phone).toString('hex'))).find(at => at)
    hashed.set(person, at ?? null)
    return at ?? null
  }
  return {
    isExcluded: numbers =>
      numbers.some(
        number =>
          excluded.has(number) ||
          (excludedHashes.size > 0 && excludedHashes.has(phoneHash(number).toString('hex'))),
      ),
    optedOutAt: phones => {
      if (!phones[0]) return null
      const person = personOf(phones[0])
      return byPerson.get(person) ?? (byHash.size ? byHashOf(phones, person) : null)
    },
    repliesOf: ([phone]) => (phone === undefined ? [] : (replies.get(personOf(phone)) ?? [])),
  }
}

/** The number of rows in memory at once. */
const BATCH = 500

type Row = StoredCdr & {
  root_call_id: string
  received_at: Date
  /** How many CDRs its call has. The count stops at MAX_LEGS + 1. */
  records: number
  emptied: number
}

/**
 * The tenant's CDRs in the order in which they arrived, through a cursor. All are as they were when the transaction
 * began. Null stands for a CDR of a call that cannot be classified any more, because retention has emptied part of
 * it.
 */
export async function* storedRecords(
  trx: Trx,
  tenantId: string,
  from: Date,
  to: Date,
  reading: TenantReading,
): AsyncGenerator<ReceivedCdr | null> {
  // Each row has the number of CDRs of its call, so that a call is released when all of them have arrived.
  await sql`
    declare replay no scroll cursor for
    select r.root_call_id, r.facts, case when r.facts is null then r.payload end as payload, r.received_at,
           call.records, call.emptied
    from raw_cdrs r, lateral (
      select count(*)::int as records, count(*) filter (where o.payload is null)::int as emptied
      from (select payload from raw_cdrs o
            -- With "=", until the table is analysed, Postgres would read all index entries of the tenant for each CDR.
            where o.root_call_id = r.root_call_id and o.tenant_id is not distinct from r.tenant_id
            limit ${sql.lit(MAX_LEGS + 1)}) o) as call
    where r.tenant_id = ${tenantId} and r.received_at >= ${from} and r.received_at < ${to}
    order by r.tenant_id, r.received_at, r.id`.execute(trx)
  const nextBatch = () => sql<Row>`fetch ${sql.lit(BATCH)} from replay`.execute(trx)
  let next = nextBatch()
  for (;;) {
    const { rows } = await next
    if (rows.length === 0) return
    // Postgres reads the next batch while this one is played.
    next = nextBatch()
    for (const row of rows) yield readRow(row, reading)
  }
}

const readRow = (
  { root_call_id, received_at, records, emptied, ...stored }: Row,
  reading: TenantReading,
): ReceivedCdr | null => {
  const cdr = emptied === 0 ? readIfPossible(stored) : null
  if (!cdr) return null
  const leg = legOf(cdr, received_at, reading)
  const legCount = records > MAX_LEGS ? null : records
  return { rootCallId: root_call_id, receivedAt: received_at, leg, legCount }
}
