import { type RawBuilder, sql } from 'kysely'
import { personOf, readPhone } from '../phone.ts'
import { notFound } from '../errors.ts'
import type { Trx } from './kysely.ts'

// A transaction holds its locks until it ends. docs/locking.md says who locks what, in which order, and why.

/** All CDRs of one tenant with one root id. A null tenant means that no tenant is known yet. */
export type Call = { tenantId: string | null; rootCallId: string }

/**
 * Only the holder may classify these calls or erase their CDRs. Calls of several callers with one CallID (CallID and
 * CallID#2) have one lock.
 */
export const lockCalls = (trx: Trx, calls: readonly Call[]): Promise<void> =>
  lockNames(
    trx,
    calls.map(
      ({ tenantId, rootCallId }) => `call ${tenantId} ${rootCallId.replace(/##?\d+$/, '')}`,
    ),
  )

/**
 * Only the holder may record that one of these people was missed or reached. A lock on their leads is not enough:
 * before the first lead exists, two transactions would not see each other's changes.
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

/** Locks the rows of leads, in the order of their ids. Returns the ids. */
export const lockLeads = async (trx: Trx, which: RawBuilder<unknown>): Promise<string[]> => {
  const { rows } = await sql<{ id: string }>`
    select id from leads where ${which} order by id for update`.execute(trx)
  return rows.map(({ id }) => id)
}

/**
 * Locks the row of one lead. Every transaction that claims, cancels or records a message of this person does so first.
 * So a call is cancelled or its message is sent, never both.
 *
 * @param lead its id, or a subquery for it; if it is null, nothing is locked
 */
export const lockLead = async (
  trx: Trx,
  lead: string | null | RawBuilder<unknown>,
): Promise<void> => {
  await lockLeads(trx, sql`id = ${lead}`)
}

/**
 * Locks a tenant until the end of the transaction, so that no other change comes between reading and writing.
 * Changes by hand, sign-ins with a link, the nightly question to Graph and the claims of notices with a link wait for this
 * lock. Inserting a row that references the tenant does not.
 *
 * @throws UserError if there is no such tenant
 */
export const lockTenant = async (trx: Trx, tenantId: string) => {
  const tenant =
    /^\d{1,18}$/.test(tenantId) &&
    (await trx
      .selectFrom('tenants')
      .select(['id', 'mode', 'owner_phone', 'ops_password', 'languages'])
      .where('id', '=', tenantId)
      .forNoKeyUpdate()
      .executeTakeFirst())
  if (!tenant) throw notFound(`tenant ${tenantId}`)
  return tenant
}
