/** The parts of an erasure, one function for each table. */
import { type RawBuilder, sql } from 'kysely'
import { splitByBytes } from '../batcher.ts'
import { phoneHash } from '../crypto.ts'
import { sqlJobKey } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import type { Call } from '../db/locks.ts'
import { moveCalls, moveMessages } from '../db/transitions.ts'
import { userError } from '../errors.ts'
import { ERASED } from '../voicenter/stored_calls.ts'

/** A person, as one tenant knows them. */
export type Person = {
  leadIds: string[]
  /** Every number of the person, in each of its spellings, E.164. */
  phones: string[]
  /** WhatsApp's ids of the person: digits, or the user id of a person who hides their number. */
  identities: string[]
}

/** Whether the message `m` is from the person, to them, or in one of their conversations. */
const isTheirs = ({ leadIds, phones, identities }: Person): RawBuilder<boolean> => sql<boolean>`(
  m.lead_id = any(${leadIds}::bigint[]) or m.wa_id = any(${identities}::text[]) or m.to_phone = any(${phones}::text[])
  or m.lead_conversation_id in (select id from lead_conversations where lead_id = any(${leadIds}::bigint[])))`

/** WhatsApp's ids of the person's messages. A wamid contains the number in base64. */
export const messageIdsOf = async (
  trx: Trx,
  tenantId: string,
  person: Person,
): Promise<string[]> => {
  const { rows } = await sql<{ wamid: string }>`
    select distinct wamid from messages m
    where m.tenant_id = ${tenantId} and m.wamid is not null and ${isTheirs(person)}`.execute(trx)
  return rows.map(({ wamid }) => wamid)
}

/**
 * Cancels the person's outreach, as the operator can, and removes their jobs. It cannot stop a message that is being
 * sent at this moment. The state of that row becomes `unknown`.
 *
 * @returns how many jobs there were
 */
export const cancelAll = async (trx: Trx, tenantId: string, person: Person): Promise<number> => {
  const { leadIds } = person
  const { rows } = await sql<{ key: string }>`
    with calls as (select id from missed_calls where lead_id = any(${leadIds}::bigint[])),
    conversations as (select id from lead_conversations where lead_id = any(${leadIds}::bigint[]))
    select j.key from graphile_worker.jobs j join (
      select ${sqlJobKey('lead_outreach', sql`id`)} from calls
      union all select ${sqlJobKey('live_call', sql`id`)} from unnest(${leadIds}::bigint[]) as lead (id)
      union all select ${sqlJobKey('lead_silence', sql`id`)} from conversations
      union all select ${sqlJobKey('lead_reminder', sql`id || ':' || n`)} from conversations, generate_series(1, 2) n
      union all select m.kind || ':' || m.id from messages m
        where m.tenant_id = ${tenantId} and m.kind in ('owner_notice', 'opt_out_confirmation', 'manual')
          and m.state in ('scheduled', 'sending') and ${isTheirs(person)}
    ) as theirs (key) on j.key = theirs.key
    order by j.key`.execute(trx)
  await sql`
    select cancel_outreach(id) from missed_calls
    where lead_id = any(${leadIds}::bigint[]) order by id`.execute(trx)
  for (const { key } of rows) await sql`select graphile_worker.remove_job(${key})`.execute(trx)
  return rows.length
}

/**
 * Removes texts, numbers, and ids that contain a number. The rows stay, so that nothing is sent again. An outgoing
 * message loses its connection, so that no later status report finds the row and writes the number back. A message that
 * was being sent may have arrived, so it becomes `unknown`.
 *
 * @param quoting messages of other people that name this person: only their texts are removed
 */
export const redactMessages = async (
  trx: Trx,
  tenantId: string,
  person: Person,
  quoting: string[],
): Promise<number> => {
  const theirs = sql<boolean>`
    id in (select m.id from messages m where m.tenant_id = ${tenantId} and ${isTheirs(person)})`
  const ended = [
    ...(await moveMessages(trx, 'cancel', 'by_operator').where(theirs).returning('id').execute()),
    ...(await moveMessages(trx, 'lose', ERASED).where(theirs).returning('id').execute()),
  ]
  const { numAffectedRows: own = 0n } = await sql`
    update messages m set
      text = null, wamid = null, wa_id = null, occasion = null, idempotency_key = null, lead_id = null,
      to_phone = case when m.kind = 'owner_notice' then m.to_phone end,
      whatsapp_connection_id = case when m.direction = 'in' then m.whatsapp_connection_id end
    where m.tenant_id = ${tenantId} and ${isTheirs(person)}
      -- A reminder that was never sent holds no personal data.
      and (m.id = any(${ended.map(({ id }) => id)}::bigint[]) or num_nonnulls(m.text, m.wamid, m.wa_id, m.occasion, m.idempotency_key, m.lead_id,
        case when m.kind <> 'owner_notice' then m.to_phone end,
        case when m.direction = 'out' then m.whatsapp_connection_id end) > 0)`.execute(trx)
  const { numAffectedRows: quotes = 0n } = await sql`
    update messages set text = null
    where id = any(${quoting}::bigint[]) and text is not null`.execute(trx)
  return Number(own + quotes)
}

/**
 * Deletes the events about the person, also those that are not delivered yet, and those that the erasure itself causes, such
 * as a cancelled message. An event about a call without a lead is found by its number.
 */
export const deleteEvents = async (trx: Trx, tenantId: string, { leadIds, phones }: Person) => {
  // An attempt locks the endpoint before the delivery.
  await sql`
    select from event_endpoints where tenant_id = ${tenantId} order by id for no key update`.execute(
    trx,
  )
  const { rows } = await sql<{ id: string }>`
    select id from events
    where tenant_id = ${tenantId} and (lead_id = any(${leadIds}::bigint[]) or data ->> 'phone' = any(${phones}::text[]))
    order by id for update`.execute(trx)
  const ids = rows.map(({ id }) => id)
  const { numAffectedRows: deliveries = 0n } = await sql`
    delete from event_deliveries where event_id = any(${ids}::bigint[])`.execute(trx)
  const { numAffectedRows: events = 0n } = await sql`
    delete from events where id = any(${ids}::bigint[])`.execute(trx)
  return { events: Number(events), event_deliveries: Number(deliveries) }
}

/** Deletes the leads, and the links to their pages. Missed calls and conversations stay, without a lead. */
export const eraseLead = async (trx: Trx, tenantId: string, { leadIds, phones }: Person) => {
  // WhatsApp may have accepted a message that was being sent. No later answer finds its row.
  await moveCalls(trx, 'lose', 'no_answer')
    .where('tenant_id', '=', tenantId)
    .where(
      sql<boolean>`(lead_id = any(${leadIds}::bigint[]) or caller_phone = any(${phones}::text[]))`,
    )
    .execute()
  const { numAffectedRows: calls = 0n } = await sql`
    update missed_calls set
      lead_id = null, caller_phone = null,
      -- WhatsApp's id of a call contains the number.
      call_id = case source when 'whatsapp' then ${ERASED} || ' ' || id else call_id end
    where tenant_id = ${tenantId}
      and (lead_id = any(${leadIds}::bigint[]) or caller_phone = any(${phones}::text[]))`.execute(
    trx,
  )
  const { numAffectedRows: conversations = 0n } = await sql`
    update lead_conversations set lead_id = null where lead_id = any(${leadIds}::bigint[])`.execute(
    trx,
  )
  const { numAffectedRows: identities = 0n } = await sql`
    delete from lead_identities where lead_id = any(${leadIds}::bigint[])`.execute(trx)
  // The links to their page.
  const { numAffectedRows: links = 0n } = await sql`
    delete from sessions where lead_id = any(${leadIds}::bigint[])`.execute(trx)
  const { numAffectedRows: leads = 0n } = await sql`
    delete from leads where id = any(${leadIds}::bigint[])`.execute(trx)
  return {
    missed_calls: Number(calls),
    lead_conversations: Number(conversations),
    lead_identities: Number(identities),
    sessions: Number(links),
    leads: Number(leads),
  }
}

/** Deletes the events about the person's calls, and that an agent asked about them. */
export const deleteLiveCalls = async (trx: Trx, tenantId: string, { phones }: Person) => {
  const { numAffectedRows: events = 0n } = await sql`
    delete from live_calls where tenant_id = ${tenantId} and phone = any(${phones}::text[])`.execute(
    trx,
  )
  const { numAffectedRows: lookups = 0n } = await sql`
    delete from popup_lookups where tenant_id = ${tenantId} and phone = any(${phones}::text[])`.execute(
    trx,
  )
  return { live_calls: Number(events), popup_lookups: Number(lookups) }
}

/**
 * Replaces the number of an opt-out or exclusion by its keyed hash, and removes the note. Two rows of the same person
 * become one.
 */
export const hashNumbers = async (
  trx: Trx,
  table: 'opt_outs' | 'excluded_numbers',
  tenantId: string,
  { phones }: Person,
): Promise<number> => {
  const { rows } = await sql<{ id: string; phone: string }>`
    select id, phone from ${sql.table(table)}
    where tenant_id = ${tenantId} and phone = any(${phones}::text[]) order by id for update`.execute(
    trx,
  )
  for (const { id, phone } of rows) {
    const hash = phoneHash(phone)
    await sql`
      delete from ${sql.table(table)}
      where tenant_id = ${tenantId} and phone_hash = ${hash} and id <> ${id}`.execute(trx)
    await sql`
      update ${sql.table(table)}
      set phone = null, phone_hash = ${hash} ${table === 'excluded_numbers' ? sql`, note = null` : sql``}
      where id = ${id}`.execute(trx)
  }
  return rows.length
}

/** The calls of these CDRs, and the person's calls with CDRs that are already empty. */
export const callsOf = async (
  trx: Trx,
  { tenantId, unassigned }: { tenantId: string; unassigned: boolean },
  { phones }: Person,
  cdrIds: string[],
): Promise<Call[]> => {
  const { rows } = await sql<Call>`
    select tenant_id as "tenantId", root_call_id as "rootCallId" from raw_cdrs
    where (tenant_id = ${tenantId} or ${unassigned} and tenant_id is null)
      and (id = any(${cdrIds}::bigint[]) or reached_phone = any(${phones}::text[])
           or customer_phone = any(${phones}::text[]) or business_phone = any(${phones}::text[]))
    union
    select tenant_id, call_id from missed_calls
    where tenant_id = ${tenantId} and caller_phone = any(${phones}::text[])
    order by 1, 2`.execute(trx)
  return rows
}

/** How much one statement may empty: Postgres deletes the long values in pieces of two kilobytes. */
export const MAX_EMPTIED_BYTES = 64_000_000
/** What each row of a statement costs besides its content, as bytes. */
const ROW_BYTES = 20_000

/**
 * Empties rows in several statements, so that none takes long.
 *
 * @param emptied the columns whose content is removed
 * @param redact the statement for some of the rows
 * @returns how many rows were changed
 */
const redactInBatches = async (
  trx: Trx,
  table: 'raw_cdrs' | 'whatsapp_events' | 'rejected_deliveries',
  emptied: readonly string[],
  ids: readonly string[],
  redact: (ids: string[]) => RawBuilder<unknown>,
): Promise<number> => {
  const size = sql.join(
    emptied.map(column => sql`coalesce(pg_column_size(${sql.ref(column)}), 0)`),
    sql` + `,
  )
  const { rows } = await sql<{ id: string; bytes: number }>`
    select id, ${size} + ${ROW_BYTES}::int as bytes from ${sql.table(table)}
    where id = any(${ids}::bigint[]) order by id`.execute(trx)
  let changed = 0
  for (const batch of splitByBytes(rows, MAX_EMPTIED_BYTES)) {
    const { numAffectedRows = 0n } = await redact(batch.map(({ id }) => id)).execute(trx)
    changed += Number(numAffectedRows)
  }
  return changed
}

/**
 * Empties every CDR of these calls, including legs that name only a colleague or a recording. CDRs keep their
 * verdict. A CDR without a verdict gets one, so that its job does not look for one again.
 */
export const redactCdrs = async (trx: Trx, calls: Call[], { phones }: Person): Promise<number> => {
  const { rows } = await sql<{ id: string }>`
    select r.id
    from unnest(${calls.map(call => call.tenantId)}::bigint[], ${calls.map(call => call.rootCallId)}::text[])
      as call (tenant_id, root_call_id)
    join raw_cdrs r on r.root_call_id = call.root_call_id and r.tenant_id is not distinct from call.tenant_id
    where r.payload is not null or r.body is not null or r.reason is distinct from ${ERASED}`.execute(
    trx,
  )
  return redactInBatches(
    trx,
    'raw_cdrs',
    ['payload', 'body'],
    rows.map(({ id }) => id),
    ids => sql`
      update raw_cdrs set
        payload = null, body = null, facts = null, campaign = null, reached_phone = null, reached_until = null, customer_phone = null,
        verdict = coalesce(verdict, 'unknown'), reason = ${ERASED},
        -- The number dialled in an unmatched call may be the person's.
        business_phone = case when business_phone <> all(${phones}::text[]) then business_phone end
      where id = any(${ids}::bigint[])`,
  )
}

/**
 * Locks these events, so that no task handles them.
 *
 * @throws UserError if one of them is a message that has not been read yet, because it may be "stop"
 */
export const lockEvents = async (trx: Trx, ids: string[]): Promise<void> => {
  const { rows } = await sql<{ unread: boolean }>`
    select outcome is null and kind in ('message', 'preference') and exists (
      select from graphile_worker.jobs j
      where j.key = 'whatsapp_event:' || e.id and j.attempts < j.max_attempts) as unread
    from whatsapp_events e where id = any(${ids}::bigint[]) and payload is not null
    order by id for update`.execute(trx)
  if (rows.some(({ unread }) => unread))
    throw userError(
      'unread',
      'a message from this person has not been read yet: try again in a minute',
    )
}

export const redactEvents = async (trx: Trx, events: string[]): Promise<number> => {
  const emptied = await redactInBatches(
    trx,
    'whatsapp_events',
    ['payload'],
    events,
    ids => sql`
      update whatsapp_events set payload = null, person_ids = null, outcome = coalesce(outcome, ${ERASED})
      where id = any(${ids}::bigint[])`,
  )
  await sql`
    select graphile_worker.remove_job(j.key) from graphile_worker.jobs j
    where j.key = any(${events.map(id => `whatsapp_event:${id}`)}::text[])`.execute(trx)
  return emptied
}

export const redactRejected = (trx: Trx, deliveries: string[]): Promise<number> =>
  redactInBatches(
    trx,
    'rejected_deliveries',
    ['body'],
    deliveries,
    ids => sql`update rejected_deliveries set body = null where id = any(${ids}::bigint[])`,
  )

/** The subject of an alert about an unknown number may be the person's number. */
export const redactAlerts = async (
  trx: Trx,
  { tenantId, unassigned }: { tenantId: string; unassigned: boolean },
  { phones }: Person,
): Promise<number> => {
  const { numAffectedRows = 0n } = await sql`
    update alerts set subject = ${ERASED} || ' ' || id
    where subject = any(${phones}::text[])
      and (tenant_id = ${tenantId} or ${unassigned} and tenant_id is null)`.execute(trx)
  return Number(numAffectedRows)
}
