/** Erases a person: finds their leads, numbers and WhatsApp ids, and every row that names them. docs/privacy.md says what remains. */
import { sql } from 'kysely'
import { z } from 'zod'
import { type Actor, audit } from '../audit.ts'
import type { Trx } from '../db/kysely.ts'
import { lockCalls, lockLeads, lockPeople, peopleOf } from '../db/locks.ts'
import { notFound, userError } from '../errors.ts'
import { spellings } from '../phone.ts'
import { splitByBytes } from '../batcher.ts'
import { mentions, type Names, readable, sieve } from './mentions.ts'
import {
  callsOf,
  cancelAll,
  deleteEvents,
  deleteLiveCalls,
  eraseLead,
  hashNumbers,
  lockEvents,
  messageIdsOf,
  redactAlerts,
  redactCdrs,
  redactEvents,
  redactMessages,
  redactRejected,
  type Person,
} from './redact.ts'
import { writerPhone } from '../replies/contacts.ts'
import { phoneNumber, tenantId } from '../tenants/schema.ts'

/** The size of a jsonb as text, without reading it: compressed, it may be as large as the largest request. */
const JSON_BYTES = sql`case when pg_column_compression(payload) is null then pg_column_size(payload) else 4000000 end`

/** The columns with content from outside, in which a person may be named anywhere. Postgres knows the `bytes` without reading them. */
const SEARCHED = {
  // The payload comes from the body, and the body is faster to search.
  raw_cdrs: { text: sql`null::text`, body: sql`body`, bytes: sql`octet_length(body)` },
  whatsapp_events: { text: sql`payload::text`, body: sql`null::bytea`, bytes: JSON_BYTES },
  rejected_deliveries: { text: sql`null::text`, body: sql`body`, bytes: sql`octet_length(body)` },
  messages: { text: sql`text`, body: sql`null::bytea`, bytes: sql`octet_length(text)` },
}

/** How many rows one statement reads. It takes about a tenth of the statement timeout. */
const SLICE = 5000
/** How many bytes one statement searches: in half a second, on a slow machine in two. */
const SLICE_BYTES = 8_000_000

/** Is called after each statement that searches. `percent` of the rows of the table have been searched. */
export type OnProgress = (table: string, percent: number) => void

/**
 * The ids of the rows that name a person anywhere, sorted.
 *
 * @param where `unassigned` includes rows that belong to no tenant
 */
export const rowsNaming = async (
  trx: Trx,
  table: keyof typeof SEARCHED,
  names: Names,
  where: { tenantId: string; unassigned: boolean },
  onProgress: OnProgress = () => {},
): Promise<string[]> => {
  const { text, body, bytes } = SEARCHED[table]
  const pattern = sieve(names)
  const isNamed = mentions(names)
  const isTheirs = sql`(tenant_id = ${where.tenantId} or ${where.unassigned} and tenant_id is null)`
  const found: string[] = []
  const { rows: ends } = await sql<{ last: string }>`
    select coalesce(max(id), 0) as last from ${sql.table(table)}`.execute(trx)
  const last = BigInt(ends[0]?.last ?? 0)
  for (let from = 0n; from < last; from += BigInt(SLICE)) {
    const { rows: sizes } = await sql<{ id: string; bytes: number }>`
      select id, coalesce(${bytes}, 0) as bytes from ${sql.table(table)}
      where id > ${String(from)} and id <= ${String(from + BigInt(SLICE))} and ${isTheirs}
      order by id`.execute(trx)
    for (const slice of splitByBytes(sizes, SLICE_BYTES)) {
      // Postgres selects candidates with the sieve. `mentions` decides, with one rule for all spellings.
      const { rows } = await sql<{ id: string; text: string | null; body: Buffer | null }>`
        select id, ${text} as text, ${body} as body from ${sql.table(table)}
        where id between ${slice[0]?.id} and ${slice.at(-1)?.id} and ${isTheirs}
          and (${text} ~ ${pattern.text} or encode(${body}, 'escape') ~ ${pattern.bytes})
        order by id`.execute(trx)
      for (const row of rows)
        if (isNamed(row.text ?? '') || (row.body && isNamed(readable(row.body)))) found.push(row.id)
      onProgress(table, Number((BigInt(slice.at(-1)?.id ?? 0) * 100n) / last))
    }
  }
  return found
}

/** How often a person may have changed their number. */
const MAX_NUMBER_CHANGES = 5

/** The person with this number: follows their leads to further numbers and ids until nothing new is found. */
export const findPerson = async (trx: Trx, tenantId: string, e164: string): Promise<Person> => {
  let person: Person = {
    leadIds: [],
    phones: spellings(e164),
    identities: digitsOf(spellings(e164)),
  }
  for (let change = 0; change < MAX_NUMBER_CHANGES; change++) {
    const { rows } = await sql<{ id: string; phone: string; identities: string[] }>`
      select l.id, l.phone, array(select identity from lead_identities i where i.lead_id = l.id) as identities
      from leads l
      where l.tenant_id = ${tenantId} and (l.phone = any(${person.phones}::text[]) or l.id in (
        select lead_id from lead_identities
        where tenant_id = ${tenantId} and identity = any(${person.identities}::text[])))
      order by l.id`.execute(trx)
    const identities = rows.flatMap(row => row.identities)
    const phones = [
      ...rows.map(({ phone }) => phone),
      ...identities.flatMap(waId => (/^\d+$/.test(waId) ? (writerPhone({ waId }) ?? []) : [])),
    ].flatMap(spellings)
    const next = {
      leadIds: rows.map(({ id }) => id),
      phones: sorted([...person.phones, ...phones]),
      identities: sorted([...person.identities, ...identities, ...digitsOf(phones)]),
    }
    if (JSON.stringify(next) === JSON.stringify(person)) break
    person = next
  }
  return person
}

const digitsOf = (phones: string[]): string[] => phones.map(phone => phone.slice(1))
const sorted = (values: string[]): string[] => [...new Set(values)].toSorted()

export const eraseInput = z.object({ tenantId, number: phoneNumber })

/** How many rows of each table held the person's data. `jobs` counts their pending jobs. */
export type Erased = Record<
  | 'raw_cdrs'
  | 'whatsapp_events'
  | 'rejected_deliveries'
  | 'missed_calls'
  | 'lead_conversations'
  | 'messages'
  | 'lead_identities'
  | 'live_calls'
  | 'popup_lookups'
  | 'sessions'
  | 'events'
  | 'event_deliveries'
  | 'leads'
  | 'opt_outs'
  | 'excluded_numbers'
  | 'alerts'
  | 'jobs',
  number
>

/** A shorter id could occur in any text. Meta's ids of people are far longer. */
const MIN_ID_LENGTH = 8

/**
 * Erases a person: cancels their pending messages, and removes their number, name and texts from every row of the
 * tenant. Rows and keys stay, so that a repeated delivery is recognised and sent messages stay counted. An opt-out or
 * an exclusion stays as a keyed hash of the number. Later CDRs of an erased call are emptied when they are classified. A new call
 * of the person creates a new lead.
 *
 * CDRs that belong to no tenant are searched too, except if the tenant itself asks.
 *
 * The order of the locks is the same everywhere: calls, events, people, leads.
 *
 * @throws UserError if there is no such tenant, if the number is its own, or if a message from the person has not been
 * read yet
 */
export const erase = async (
  trx: Trx,
  actor: Actor,
  { tenantId, number }: z.infer<typeof eraseInput>,
  onProgress?: OnProgress,
): Promise<Erased> => {
  const where = { tenantId, unassigned: actor.as !== 'tenant' }
  const person = await findPerson(trx, tenantId, number)
  await rejectOwnNumber(trx, tenantId, person)
  const names = {
    phones: person.phones,
    others: [
      ...person.identities.filter(
        id => id.length >= MIN_ID_LENGTH && !person.phones.includes(`+${id}`),
      ),
      ...(await messageIdsOf(trx, tenantId, person)),
    ],
  }
  const records = await rowsNaming(trx, 'raw_cdrs', names, where, onProgress)
  const calls = await callsOf(trx, where, person, records)
  // No task may classify one of these calls from CDRs that are about to be emptied.
  await lockCalls(trx, calls)
  const events = await rowsNaming(trx, 'whatsapp_events', names, where, onProgress)
  await lockEvents(trx, events)
  await lockPeople(trx, peopleOf(tenantId, person.phones))
  await lockLeads(trx, sql`id = any(${person.leadIds}::bigint[])`)
  // The locks were taken after reading. If something arrived in between, it would stay.
  const hasMoreCalls = (await callsOf(trx, where, person, records)).length > calls.length
  if (hasMoreCalls || !isSame(person, await findPerson(trx, tenantId, number)))
    throw userError('new_data', 'new data about this person has just arrived: try again')

  const jobs = await cancelAll(trx, tenantId, person)
  const rejected = await rowsNaming(trx, 'rejected_deliveries', names, where, onProgress)
  const quoting = await rowsNaming(trx, 'messages', names, where, onProgress)
  // Before the lead, because messages are found through it.
  const messages = await redactMessages(trx, tenantId, person, quoting)
  const erased: Erased = {
    raw_cdrs: await redactCdrs(trx, calls, person),
    whatsapp_events: await redactEvents(trx, events),
    rejected_deliveries: await redactRejected(trx, rejected),
    messages,
    ...(await deleteLiveCalls(trx, tenantId, person)),
    // Before the lead, because events are found through it.
    ...(await deleteEvents(trx, tenantId, person)),
    ...(await eraseLead(trx, tenantId, person)),
    opt_outs: await hashNumbers(trx, 'opt_outs', tenantId, person),
    excluded_numbers: await hashNumbers(trx, 'excluded_numbers', tenantId, person),
    alerts: await redactAlerts(trx, where, person),
    jobs,
  }
  await audit(trx, actor, {
    tenantId,
    action: 'person.forget',
    subject: `tenants ${tenantId}`,
    before: { leads: person.leadIds },
    after: erased,
  })
  return erased
}

/** What `erase` would do. It changes nothing, because it rolls back to a savepoint. */
export const previewErase = async (
  trx: Trx,
  actor: Actor,
  person: z.infer<typeof eraseInput>,
  onProgress?: OnProgress,
): Promise<Erased> => {
  await sql`savepoint before_erase`.execute(trx)
  const erased = await erase(trx, actor, person, onProgress)
  await sql`rollback to savepoint before_erase`.execute(trx)
  return erased
}

/** The tenant's own number occurs in all of its CDRs, so erasing it would empty them all. */
const rejectOwnNumber = async (trx: Trx, tenantId: string, { phones }: Person): Promise<void> => {
  const { rows } = await sql<{ line: boolean; owner: boolean | null }>`
    select t.owner_phone = any(${phones}::text[]) as owner,
           exists (select from tenant_numbers n where n.tenant_id = t.id and n.phone = any(${phones}::text[]))
           or exists (select from whatsapp_connections c
                      where c.tenant_id = t.id and c.display_phone_number = any(${phones}::text[])) as line
    from tenants t where t.id = ${tenantId}`.execute(trx)
  const [own] = rows
  if (!own) throw notFound(`tenant ${tenantId}`)
  if (own.line) throw userError('own_number', 'this is a number of the business itself', 'number')
  if (own.owner)
    throw userError(
      'owner_phone',
      "this is the owner's phone, which gets the notices: remove it from the settings first",
      'number',
    )
}

const isSame = (a: Person, b: Person): boolean => JSON.stringify(a) === JSON.stringify(b)
