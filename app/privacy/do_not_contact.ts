/** The two lists of people who get no messages: opt-outs, and excluded numbers (staff, suppliers). */
import { sql } from 'kysely'
import { z } from 'zod'
import { type Actor, audit } from '../audit.ts'
import { removeJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import { moveMessages } from '../db/transitions.ts'
import { notFound, userError } from '../errors.ts'
import { cancelPending } from '../outreach/cancel.ts'
import { isAbout } from '../outreach/exclusions.ts'
import { resumeLead } from '../outreach/resume.ts'
import { spellings } from '../phone.ts'
import { isByHand, optOut } from '../outreach/opt_outs.ts'
import { dialledNumber, phoneNumber, tenantId } from '../tenants/schema.ts'

const note = z
  .string()
  .trim()
  .max(200, 'a note of at most 200 characters')
  .refine(written => !/\p{Cc}/u.test(written), 'a note in one line')
  .transform(written => written || undefined)
  .optional()

export const optOutInput = z.object({ tenantId, number: phoneNumber })
export const exclusionInput = z.object({ tenantId, number: dialledNumber, note })
export const removedExclusion = exclusionInput.omit({ note: true })
/** Several numbers with one note, as the page takes them. */
export const exclusionsInput = exclusionInput.omit({ number: true }).extend({
  numbers: z.array(dialledNumber).min(1, 'at least one number').max(200, 'at most 200 numbers'),
})
/** Of one tenant, E.164. */
export type TenantNumbers = { tenantId: string; numbers: readonly string[] }
type TenantNumber = { tenantId: string; number: string }

/** A list, how it takes a number, and what follows for a lead. */
type List = {
  table: 'opt_outs' | 'excluded_numbers'
  /** In the audit log: opt_out.add, { opted_out: true }. */
  noun: 'opt_out' | 'exclusion'
  state: 'opted_out' | 'excluded'
  /** @returns whether the number is new on the list */
  add: (trx: Trx, tenantId: string, number: string) => Promise<boolean>
  cancel: (trx: Trx, leadId: string) => Promise<void>
}

const optOuts = (source: 'operator' | 'import'): List => ({
  table: 'opt_outs',
  noun: 'opt_out',
  state: 'opted_out',
  add: (trx, tenantId, number) => optOut(trx, tenantId, number, source),
  cancel: async (trx, leadId) => {
    await cancelPending(trx, leadId, 'opted_out')
  },
})

const exclusions = (note?: string): List => ({
  table: 'excluded_numbers',
  noun: 'exclusion',
  state: 'excluded',
  add: async (trx, tenantId, number) => {
    const known = await trx
      .updateTable('excluded_numbers')
      // The number of a person who was erased is stored again, since the tenant has entered it again.
      .set(eb => ({
        phone: eb.fn.coalesce('phone', eb.val(number)),
        ...(note !== undefined && { note }),
      }))
      .where('tenant_id', '=', tenantId)
      .where(isAbout(number))
      .returning('id')
      .execute()
    if (known.length > 0) return false
    const added = await trx
      .insertInto('excluded_numbers')
      .values({ tenant_id: tenantId, phone: number, note: note ?? null })
      .onConflict(conflict => conflict.doNothing())
      .returning('id')
      .executeTakeFirst()
    return added !== undefined
  },
  cancel: async (trx, leadId) => {
    await cancelPending(trx, leadId, 'by_operator')
    const notices = await moveMessages(trx, 'cancel', 'by_operator')
      .where('lead_id', '=', leadId)
      .where('kind', '=', 'owner_notice')
      .returning('id')
      .execute()
    for (const { id } of notices) await removeJob(trx, 'owner_notice', id)
  },
})

const requireTenant = async (trx: Trx, tenantId: string): Promise<void> => {
  const tenant = trx.selectFrom('tenants').select('id').where('id', '=', tenantId)
  if (!(await tenant.executeTakeFirst())) throw notFound(`tenant ${tenantId}`)
}

type Lead = { id: string; phone: string }

/**
 * Locks the leads with one of these numbers or WhatsApp ids, in the order of all locks on leads. What holds for a number
 * holds for the person's other number too: they may have changed it.
 */
const lockLeadsWith = async (trx: Trx, { tenantId, numbers }: TenantNumbers): Promise<Lead[]> => {
  await requireTenant(trx, tenantId)
  const phones = numbers.flatMap(spellings)
  const { rows } = await sql<Lead>`
    select id, phone from leads
    where tenant_id = ${tenantId} and (phone = any(${phones}::text[]) or id in (
      select lead_id from lead_identities
      where tenant_id = ${tenantId} and identity = any(${phones.map(phone => phone.slice(1))}::text[])))
    order by id for update`.execute(trx)
  return rows
}

const addAll = async (trx: Trx, { tenantId, numbers }: TenantNumbers, { add, cancel }: List) => {
  const leads = await lockLeadsWith(trx, { tenantId, numbers })
  let added = 0
  for (const number of numbers) if (await add(trx, tenantId, number)) added++
  for (const { id, phone } of leads) {
    await add(trx, tenantId, phone)
    await cancel(trx, id)
  }
  return { leads, added }
}

/** The rows of a list that are about a number or about one of these leads. */
const rowsOf = async (trx: Trx, list: List, { tenantId, number }: TenantNumber, leads: Lead[]) => {
  const about = isAbout(number, ...leads.map(({ phone }) => phone))
  const { rows } = await sql<{ id: string }>`
    select id from ${sql.table(list.table)} where tenant_id = ${tenantId} and ${about} order by id`.execute(
    trx,
  )
  return rows.map(({ id }) => id)
}

/** The audit log holds ids, never numbers or notes. */
const auditChange = (
  trx: Trx,
  actor: Actor,
  { table, noun, state }: List,
  {
    tenantId,
    leads: [lead],
    ids: [id],
    to,
  }: { tenantId: string; leads: Lead[]; ids: string[]; to: boolean },
): Promise<void> =>
  audit(trx, actor, {
    tenantId,
    action: `${noun}.${to ? 'add' : 'remove'}`,
    subject: lead ? `leads ${lead.id}` : `${table} ${id}`,
    before: { [state]: !to },
    after: { [state]: to },
  })

type Added = { phone: string; added: boolean }
type Removed = { phone: string; removed: boolean }

const addOne = async (
  trx: Trx,
  actor: Actor,
  list: List,
  { tenantId, number }: TenantNumber,
): Promise<Added> => {
  const { leads, added } = await addAll(trx, { tenantId, numbers: [number] }, list)
  if (added === 0) return { phone: number, added: false }
  const ids = await rowsOf(trx, list, { tenantId, number }, leads)
  await auditChange(trx, actor, list, { tenantId, leads, ids, to: true })
  return { phone: number, added: true }
}

const removeOne = async (
  trx: Trx,
  actor: Actor,
  list: List,
  { tenantId, number }: TenantNumber,
  leads: Lead[],
): Promise<Removed> => {
  const ids = await rowsOf(trx, list, { tenantId, number }, leads)
  if (ids.length === 0) return { phone: number, removed: false }
  await trx
    .deleteFrom(list.table)
    .where('tenant_id', '=', tenantId)
    .where('id', 'in', ids)
    .execute()
  await auditChange(trx, actor, list, { tenantId, leads, ids, to: false })
  return { phone: number, removed: true }
}

/** Opts a person out by hand, and cancels what is pending for them. They get no confirmation. */
export const addOptOut = (
  trx: Trx,
  actor: Actor,
  person: z.infer<typeof optOutInput>,
): Promise<Added> => addOne(trx, actor, optOuts('operator'), person)

/**
 * Removes an opt-out that was set by hand. The lead gets the state that they had. Only later calls cause messages again.
 *
 * @throws UserError if the person said so themselves
 */
export const removeOptOut = async (
  trx: Trx,
  actor: Actor,
  person: z.infer<typeof optOutInput>,
): Promise<Removed> => {
  const { tenantId, number } = person
  const leads = await lockLeadsWith(trx, { tenantId, numbers: [number] })
  const sources = await trx
    .selectFrom('opt_outs')
    .select('source')
    .where('tenant_id', '=', tenantId)
    .where(isAbout(number, ...leads.map(({ phone }) => phone)))
    .execute()
  if (sources.some(({ source }) => !isByHand(source)))
    throw userError(
      'opted_out_by_person',
      'this person asked for no messages: only their own START ends the opt-out (opted_out_by_person)',
    )
  const result = await removeOne(trx, actor, optOuts('operator'), person, leads)
  for (const { id } of leads) await resumeLead(trx, id)
  return result
}

/** Excludes a number. What is pending for it is cancelled, also notices about the person. */
export const addExclusion = (
  trx: Trx,
  actor: Actor,
  { note, ...person }: z.infer<typeof exclusionInput>,
): Promise<Added> => addOne(trx, actor, exclusions(note), person)

/** Ends the exclusion of a number. Only later calls cause messages. */
export const removeExclusion = async (
  trx: Trx,
  actor: Actor,
  person: z.infer<typeof removedExclusion>,
): Promise<Removed> => {
  const leads = await lockLeadsWith(trx, { tenantId: person.tenantId, numbers: [person.number] })
  return removeOne(trx, actor, exclusions(), person, leads)
}

export type Exclusion = { phone: string; note: string | null; createdAt: Date }

/** The excluded numbers, the newest first. Of a person who was erased only a hash is left, which is not listed. */
export const listExclusions = async (
  trx: Trx,
  tenantId: string,
  limit?: number,
): Promise<Exclusion[]> => {
  await requireTenant(trx, tenantId)
  const { rows } = await sql<Exclusion>`
    select phone, note, created_at as "createdAt" from excluded_numbers
    where tenant_id = ${tenantId} and phone is not null order by id desc limit ${limit ?? null}`.execute(
    trx,
  )
  return rows
}

export type Imported = { added: number; known: number }

/**
 * Opts out people from a list that the tenant has. It cancels their pending messages, as if they had written "stop".
 * A second run with the same list changes nothing.
 */
export const importOptOuts = (trx: Trx, actor: Actor, numbers: TenantNumbers): Promise<Imported> =>
  importList(trx, actor, optOuts('import'), numbers)

/** Excludes the numbers of a list, all with the same note. */
export const importExclusions = (
  trx: Trx,
  actor: Actor,
  { note, ...numbers }: TenantNumbers & { note?: string | undefined },
): Promise<Imported> => importList(trx, actor, exclusions(note), numbers)

const importList = async (
  trx: Trx,
  actor: Actor,
  list: List,
  { tenantId, numbers }: TenantNumbers,
): Promise<Imported> => {
  const { added } = await addAll(trx, { tenantId, numbers }, list)
  const counts = { added, known: numbers.length - added }
  await audit(trx, actor, {
    tenantId,
    action: `${list.noun}s.add`,
    subject: `tenants ${tenantId}`,
    before: null,
    after: counts,
  })
  return counts
}

/**
 * The number of a lead, for the actions on a person's page.
 *
 * @param tenantScope only leads of this tenant; null = all
 * @throws UserError if there is no such lead
 */
export const numberOfLead = async (
  trx: Trx,
  leadId: string,
  tenantScope: string | null,
): Promise<TenantNumber> => {
  const lead = await trx
    .selectFrom('leads')
    .select(['tenant_id', 'phone'])
    .where('id', '=', leadId)
    .$if(tenantScope !== null, query => query.where('tenant_id', '=', tenantScope))
    .executeTakeFirst()
  if (!lead) throw notFound(`lead ${leadId}`)
  return { tenantId: lead.tenant_id, number: lead.phone }
}
