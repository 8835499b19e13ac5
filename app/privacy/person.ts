import { sql } from 'kysely'
import type { Trx } from '../db/kysely.ts'
import { spellings } from '../phone.ts'
import { writerPhone } from '../replies/contacts.ts'

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
export const whoHas = async (trx: Trx, tenantId: string, e164: string): Promise<Person> => {
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
