/** Finds a person: their leads, numbers and WhatsApp ids, and the rows that name them. */
import { sql } from 'kysely'
import type { Trx } from '../db/kysely.ts'
import { spellings } from '../phone.ts'
import { writerPhone } from '../replies/contacts.ts'
import { mentions, type Names, readable, sieve } from './mentions.ts'

/** The columns with content from outside, in which a person may be named anywhere. */
const SEARCHED = {
  // The payload comes from the body, and the body is faster to search.
  raw_cdrs: { text: sql`null::text`, bytes: sql`body` },
  whatsapp_events: { text: sql`payload::text`, bytes: sql`null::bytea` },
  rejected_deliveries: { text: sql`null::text`, bytes: sql`body` },
  messages: { text: sql`text`, bytes: sql`null::bytea` },
}

/** How many rows one statement reads. It takes about a tenth of the statement timeout. */
const SLICE = 5000

/**
 * The ids of the rows that name a person anywhere, sorted.
 *
 * @param where `unassigned` includes rows that belong to no business
 */
export const rowsNaming = async (
  trx: Trx,
  table: keyof typeof SEARCHED,
  names: Names,
  where: { tenantId: string; unassigned: boolean },
): Promise<string[]> => {
  const { text, bytes } = SEARCHED[table]
  const pattern = sieve(names)
  const isNamed = mentions(names)
  const found: string[] = []
  const { rows: ends } = await sql<{ last: string }>`
    select coalesce(max(id), 0) as last from ${sql.table(table)}`.execute(trx)
  const last = BigInt(ends[0]?.last ?? 0)
  for (let from = 0n; from < last; from += BigInt(SLICE)) {
    // Postgres selects candidates with the sieve. `mentions` decides, with one rule for all spellings.
    const { rows } = await sql<{ id: string; text: string | null; bytes: Buffer | null }>`
      select id, ${text} as text, ${bytes} as bytes from ${sql.table(table)}
      where id > ${String(from)} and id <= ${String(from + BigInt(SLICE))}
        and (tenant_id = ${where.tenantId} or ${where.unassigned} and tenant_id is null)
        and (${text} ~ ${pattern.text} or encode(${bytes}, 'escape') ~ ${pattern.bytes})
      order by id`.execute(trx)
    for (const row of rows)
      if (isNamed(row.text ?? '') || (row.bytes && isNamed(readable(row.bytes)))) found.push(row.id)
  }
  return found
}

/** A person, as one business knows them. */
export type Person = {
  leadIds: string[]
  /** Every number of the person, in each of its spellings, E.164. */
  phones: string[]
  /** WhatsApp's ids of the person: digits, or the user id of a person who hides their number. */
  identities: string[]
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
