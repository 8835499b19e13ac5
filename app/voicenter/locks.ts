import { sql } from 'kysely'
import type { Trx } from '../db/kysely.ts'
import { personOf, readPhone } from '../outreach/phone.ts'
import { type Call, nameOf } from './call.ts'

/** Whoever judges one of these calls waits here until this transaction ends. */
export const lockCalls = (trx: Trx, calls: readonly Call[]): Promise<void> =>
  lockNames(trx, CALLS, calls.map(nameOf))

/**
 * Whoever records that one of these people was missed, or was talked with, waits here for each other. Their
 * leads would not do: until there is one, each would overlook what the other is about to write.
 */
export const lockPeople = (trx: Trx, people: readonly string[]): Promise<void> =>
  lockNames(trx, PEOPLE, people)

/** What a lock is of. Calls are locked before people, always. */
const [CALLS, PEOPLE] = [1, 2]

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

/**
 * Names share 256 locks, since all sessions together may hold only some thousand on a small Postgres
 * (max_locks_per_transaction), and whoever judges two hundred calls at once would take four hundred. Two that share a lock
 * by chance wait for each other for nothing, a tenth of a second in a rush.
 *
 * In one order always, so that no two transactions wait for each other for good.
 */
const lockNames = async (trx: Trx, what: number, names: readonly string[]): Promise<void> => {
  if (names.length === 0) return
  await sql`
    /* lock */
    select pg_advisory_xact_lock(${what}::int, lock) from (
      select distinct (hashtextextended(name, 0) & 255)::int as lock from unnest(${names}::text[]) as name order by lock
    ) as locks`.execute(trx)
}
