import { sql } from 'kysely'
import type { Trx } from '../db/kysely.ts'
import { personOf, readPhone } from '../phone.ts'
import { type Call, nameOf } from './call.ts'

/** Whoever judges one of these calls waits here until this transaction ends. */
export const lockCalls = (trx: Trx, calls: readonly Call[]): Promise<void> =>
  lockNames(
    trx,
    calls.map(call => `call ${nameOf(call)}`),
  )

/**
 * Whoever records that one of these people was missed, or was talked with, waits here for each other. Their
 * leads would not do: until there is one, each would overlook what the other is about to write.
 */
export const lockPeople = (trx: Trx, people: readonly string[]): Promise<void> =>
  lockNames(
    trx,
    people.map(person => `person ${person}`),
  )

/** Who is behind these numbers, as customers of one tenant, each by one name; withheld numbers and words are nobody. */
export const peopleOf = (
  tenantId: string,
  numbers: readonly (string | null | undefined)[],
): string[] => {
  const people = numbers.flatMap(written => {
    const phone = readPhone(written)
    return phone.kind === 'number' ? `${tenantId} ${personOf(phone.e164)}` : []
  })
  return [...new Set(people)]
}

/** In one order always, so that no two transactions wait for each other. */
const lockNames = async (trx: Trx, names: string[]): Promise<void> => {
  const sorted = [...new Set(names)].toSorted()
  if (sorted.length === 0) return
  await sql`
    /* lock */
    select pg_advisory_xact_lock(hashtextextended(name, 0)) from unnest(${sorted}::text[]) as name`.execute(
    trx,
  )
}
