import { sql } from 'kysely'
import type { Trx } from '../db/kysely.ts'
import { spellings } from '../phone.ts'
import { mentions, type Names, readable, sieve } from './mentions.ts'
import { writerPhone } from '../replies/contacts.ts'

/** Where words of others are kept as they came: everything that may name a person anywhere. */
const PLACES = {
  // The payload was read from the body, which is quicker to search.
  raw_cdrs: { text: sql`null::text`, bytes: sql`body` },
  whatsapp_events: { text: sql`payload::text`, bytes: sql`null::bytea` },
  rejected_deliveries: { text: sql`null::text`, bytes: sql`body` },
  messages: { text: sql`text`, bytes: sql`null::bytea` },
}

/** How many rows one statement looks through: a tenth of the time that it may take. */
const SLICE = 5000

/**
 * The ids of the rows that name a person, wherever in them, in order.
 *
 * @param unassigned also those that belong to no business (yet)
 */
export const rowsNaming = async (
  trx: Trx,
  table: keyof typeof PLACES,
  names: Names,
  { tenantId, unassigned }: { tenantId: string; unassigned: boolean },
): Promise<string[]> => {
  const { text, bytes } = PLACES[table]
  const pattern = sieve(names)
  const isNamed = mentions(names)
  const found: string[] = []
  const { rows: ends } = await sql<{ last: string }>`
    select coalesce(max(id), 0) as last from ${sql.table(table)}`.execute(trx)
  const last = BigInt(ends[0]?.last ?? 0)
  for (let from = 0n; from < last; from += BigInt(SLICE)) {
    // The sieve lets through what is read here, and decided by one rule for all spellings.
    const { rows } = await sql<{ id: string; text: string | null; bytes: Buffer | null }>`
      select id, ${text} as text, ${bytes} as bytes from ${sql.table(table)}
      where id > ${String(from)} and id <= ${String(from + BigInt(SLICE))}
        and (tenant_id = ${tenantId} or ${unassigned} and tenant_id is null)
        and (${text} ~ ${pattern.text} or encode(${bytes}, 'escape') ~ ${pattern.bytes})
      order by id`.execute(trx)
    for (const row of rows)
      if (isNamed(row.text ?? '') || (row.bytes && isNamed(readable(row.bytes)))) found.push(row.id)
  }
  return found
}

/** One person, as one business knows her. */
export type Person = {
  leadIds: string[]
  /** Every number that is hers, in each of its spellings, E.164. */
  phones: string[]
  /** The names under which WhatsApp knows her: digits, or the user id of somebody who hides her number. */
  identities: string[]
}

/** She moved to another number, and from there perhaps to a third. */
const MOVES = 5

/** Who it is that has this number: all her leads, and all names that they are known by. */
export const findPerson = async (trx: Trx, tenantId: string, e164: string): Promise<Person> => {
  let person: Person = {
    leadIds: [],
    phones: spellings(e164),
    identities: digitsOf(spellings(e164)),
  }
  for (let move = 0; move < MOVES; move++) {
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
const sorted = (names: string[]): string[] => [...new Set(names)].toSorted()
