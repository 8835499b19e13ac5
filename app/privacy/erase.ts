import { sql } from 'kysely'
import { z } from 'zod'
import { type Actor, audit } from '../audit.ts'
import type { Trx } from '../db/kysely.ts'
import { notFound, userError } from '../errors.ts'
import { findPerson, type Person, rowsNaming } from './find_person.ts'
import {
  callsOf,
  eraseLead,
  hashOptOuts,
  lockEvents,
  messageIdsOf,
  redactAlerts,
  redactCdrs,
  redactEvents,
  redactMessages,
  redactRejected,
  stopAll,
} from './redact.ts'
import { telephone, tenantId } from '../tenants/schema.ts'
import { lockCalls, lockPeople, peopleOf } from '../db/locks.ts'

export const eraseInput = z.object({ tenantId, number: telephone })

/** How many rows of each table held something of hers; `jobs` are those that waited. */
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

/** Shorter, and it may stand in any text. Meta's ids of people are far longer. */
const SHORTEST_NAME = 8

/**
 * Erases a person: stops what is pending for her, and removes her number, name and words from every row of this
 * business. Rows and keys stay, for they are what a repeat is recognised by, and what was sent stays counted. If
 * she had opted out, that is still known, by the keyed hash of her number. What comes of her calls later is
 * emptied as it is read; a new call of hers is that of a person nobody knows.
 *
 * Unless a business itself asks, records that belong to no business are searched too.
 *
 * It locks in the order in which everything else does: calls, events, people, leads.
 *
 * @throws Mistake when there is no such business, the number is its own, or she wrote a moment ago
 */
export const erase = async (
  trx: Trx,
  signIn: Actor,
  { tenantId, number }: z.infer<typeof eraseInput>,
): Promise<Erased> => {
  const where = { tenantId, unassigned: signIn.as !== 'tenant' }
  const person = await findPerson(trx, tenantId, number)
  await refuseItsOwn(trx, tenantId, person)
  const names = {
    phones: person.phones,
    others: [
      ...person.identities.filter(
        name => name.length >= SHORTEST_NAME && !person.phones.includes(`+${name}`),
      ),
      ...(await messageIdsOf(trx, tenantId, person)),
    ],
  }
  const records = await rowsNaming(trx, 'raw_cdrs', names, where)
  const calls = await callsOf(trx, where, person, records)
  // Nobody is judging one of them from what is about to go.
  await lockCalls(trx, calls)
  const events = await rowsNaming(trx, 'whatsapp_events', names, where)
  await lockEvents(trx, events)
  await lockPeople(trx, peopleOf(tenantId, person.phones))
  await lockLeads(trx, person)
  const isMore = (await callsOf(trx, where, person, records)).length > calls.length
  if (isMore || !isSame(person, await findPerson(trx, tenantId, number)))
    throw userError('heard_of', 'something of hers came in at this very moment: try again')

  const jobs = await stopAll(trx, tenantId, person)
  const refusals = await rowsNaming(trx, 'rejected_deliveries', names, where)
  const quoting = await rowsNaming(trx, 'messages', names, where)
  // Messages before the lead: it is by her that they are known to be hers.
  const messages = await redactMessages(trx, tenantId, person, quoting)
  const erased: Erased = {
    raw_cdrs: await redactCdrs(trx, calls, person),
    whatsapp_events: await redactEvents(trx, events),
    rejected_deliveries: await redactRejected(trx, refusals),
    messages,
    ...(await eraseLead(trx, tenantId, person)),
    opt_outs: await hashOptOuts(trx, tenantId, person),
    alerts: await redactAlerts(trx, person),
    jobs,
  }
  await audit(trx, signIn, {
    tenantId,
    action: 'person.forget',
    subject: `tenants ${tenantId}`,
    before: { leads: person.leadIds },
    after: erased,
  })
  return erased
}

/** What `forget` would erase. Changes nothing: what it did is undone within the transaction. */
export const previewErase = async (
  trx: Trx,
  signIn: Actor,
  person: z.infer<typeof eraseInput>,
): Promise<Erased> => {
  await sql`savepoint before_forgetting`.execute(trx)
  const erased = await erase(trx, signIn, person)
  await sql`rollback to savepoint before_forgetting`.execute(trx)
  return erased
}

/** All of its records name it: they would go with the person. */
const refuseItsOwn = async (trx: Trx, tenantId: string, { phones }: Person): Promise<void> => {
  const { rows } = await sql<{ line: boolean; owner: boolean | null }>`
    select t.owner_phone = any(${phones}::text[]) as owner,
           exists (select from tenant_numbers n where n.tenant_id = t.id and n.phone = any(${phones}::text[]))
           or exists (select from whatsapp_connections c
                      where c.tenant_id = t.id and c.display_phone_number = any(${phones}::text[])) as line
    from tenants t where t.id = ${tenantId}`.execute(trx)
  const [its] = rows
  if (!its) throw notFound(`tenant ${tenantId}`)
  if (its.line) throw userError('own_number', 'this is a number of the business itself', 'number')
  if (its.owner)
    throw userError(
      'owner_phone',
      'this is the phone on which the owner is told of leads: take it out of the settings first',
      'number',
    )
}

const lockLeads = async (trx: Trx, { leadIds }: Person): Promise<void> => {
  await sql`select from leads where id = any(${leadIds}::bigint[]) order by id for update`.execute(
    trx,
  )
}

const isSame = (a: Person, b: Person): boolean => JSON.stringify(a) === JSON.stringify(b)
