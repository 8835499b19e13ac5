/** Erases one person at one business. docs/privacy.md says what remains. */
import { sql } from 'kysely'
import { z } from 'zod'
import { type Actor, audit } from '../audit.ts'
import type { Trx } from '../db/kysely.ts'
import { lockCalls, lockPeople, peopleOf } from '../db/locks.ts'
import { notFound, userError } from '../errors.ts'
import { phoneNumber, tenantId } from '../tenants/schema.ts'
import { findPerson, type Person, rowsNaming } from './find_person.ts'
import {
  callsOf,
  cancelAll,
  eraseLead,
  hashOptOuts,
  lockEvents,
  messageIdsOf,
  redactAlerts,
  redactCdrs,
  redactEvents,
  redactMessages,
  redactRejected,
} from './redact.ts'

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
  | 'leads'
  | 'opt_outs'
  | 'alerts'
  | 'jobs',
  number
>

/** A shorter id could occur in any text. Meta's ids of people are far longer. */
const MIN_ID_LENGTH = 8

/**
 * Erases a person: cancels what is pending for them, and removes their number, name and texts from every row of the
 * business. Rows and keys stay, so that a repeated delivery is recognised and sent messages stay counted. An opt-out
 * stays as a keyed hash of the number. Later records of an erased call are emptied when they are classified. A new call
 * of the person creates a new lead.
 *
 * Records that belong to no business are searched too, except if the business itself asks.
 *
 * The order of the locks is the same everywhere: calls, events, people, leads.
 *
 * @throws UserError if there is no such business, if the number is its own, or if a message from the person has not been
 * read yet
 */
export const erase = async (
  trx: Trx,
  actor: Actor,
  { tenantId, number }: z.infer<typeof eraseInput>,
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
  const records = await rowsNaming(trx, 'raw_cdrs', names, where)
  const calls = await callsOf(trx, where, person, records)
  // No task may classify one of these calls from records that are about to be emptied.
  await lockCalls(trx, calls)
  const events = await rowsNaming(trx, 'whatsapp_events', names, where)
  await lockEvents(trx, events)
  await lockPeople(trx, peopleOf(tenantId, person.phones))
  await lockLeads(trx, person)
  // The locks were taken after reading. If something arrived in between, it would stay.
  const hasMoreCalls = (await callsOf(trx, where, person, records)).length > calls.length
  if (hasMoreCalls || !isSame(person, await findPerson(trx, tenantId, number)))
    throw userError('heard_of', 'new data about this person has just arrived: try again')

  const jobs = await cancelAll(trx, tenantId, person)
  const rejected = await rowsNaming(trx, 'rejected_deliveries', names, where)
  const quoting = await rowsNaming(trx, 'messages', names, where)
  // Before the lead, because messages are found through it.
  const messages = await redactMessages(trx, tenantId, person, quoting)
  const erased: Erased = {
    raw_cdrs: await redactCdrs(trx, calls, person),
    whatsapp_events: await redactEvents(trx, events),
    rejected_deliveries: await redactRejected(trx, rejected),
    messages,
    ...(await eraseLead(trx, tenantId, person)),
    opt_outs: await hashOptOuts(trx, tenantId, person),
    alerts: await redactAlerts(trx, person),
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
): Promise<Erased> => {
  await sql`savepoint before_erase`.execute(trx)
  const erased = await erase(trx, actor, person)
  await sql`rollback to savepoint before_erase`.execute(trx)
  return erased
}

/** The business's own number occurs in all of its records, so erasing it would empty them all. */
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

const lockLeads = async (trx: Trx, { leadIds }: Person): Promise<void> => {
  await sql`select from leads where id = any(${leadIds}::bigint[]) order by id for update`.execute(
    trx,
  )
}

const isSame = (a: Person, b: Person): boolean => JSON.stringify(a) === JSON.stringify(b)
