import { sql } from 'kysely'
import type { Trx } from '../db/kysely.ts'
import { isObject } from '../json.ts'
import { personOf } from '../phone.ts'
import { writerPhone } from '../replies/contacts.ts'
import { phoneHash } from '../crypto.ts'
import { readSettings } from '../tenants/settings.ts'
import { readCdr } from '../voicenter/parse.ts'
import { legOf } from '../voicenter/classify.ts'
import type { Heard } from './replay.ts'
import { type Rules, SECOND } from './rules.ts'
import type { Known } from './simulate.ts'

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
