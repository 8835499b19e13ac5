/** Advisory locks. A transaction holds them until it ends. */
import { sql } from 'kysely'
import { personOf, readPhone } from '../phone.ts'
import type { Trx } from './kysely.ts'

/** All records of one tenant with one root id. A null tenant means that no tenant is known yet. */
export type Call = { tenantId: string | null; rootCallId: string }

/** Only the holder may classify these calls or erase their records. */
export const lockCalls = (trx: Trx, calls: readonly Call[]): Promise<void> =>
  lockNames(
    trx,
    calls.map(({ tenantId, rootCallId }) => `call ${tenantId} ${rootCallId}`),
  )

/**
 * Only the holder may record that one of these people was missed or reached. A lock on their leads is not enough:
 * before the first lead exists, two transactions would not see what the other is about to write.
 *
 * @param people from peopleOf
 */
export const lockPeople = (trx: Trx, people: readonly string[]): Promise<void> =>
  lockNames(
    trx,
    people.map(person => `person ${person}`),
  )

/** One name for each customer of the tenant behind these numbers. Withheld numbers and texts give none. */
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

/** Always in the same order, so that two transactions never wait for each other. */
const lockNames = async (trx: Trx, names: string[]): Promise<void> => {
  const sorted = [...new Set(names)].toSorted()
  if (sorted.length === 0) return
  await sql`
    /* lock */
    select pg_advisory_xact_lock(hashtextextended(name, 0)) from unnest(${sorted}::text[]) as name`.execute(
    trx,
  )
}
