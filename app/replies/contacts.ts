import { sql } from 'kysely'
import { addJob, EVENT_LANE, type Lane } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import { lockLeads } from '../db/locks.ts'
import { cancelPending } from '../outreach/cancel.ts'
import { copyOptOut } from '../outreach/opt_outs.ts'
import { readPhone, spellings } from '../phone.ts'
import type { Contacts } from '../whatsapp/webhook.ts'

/** The WhatsApp connection that an event came from. */
export type Connection = {
  tenantId: string
  /** The row of whatsapp_events. */
  eventId: string
  connectionId: string
  /** Of the tenant. */
  ownerPhone?: string | null
  /** Another app holds the conversation (field `standby`): we read, and do not answer. */
  isListening?: boolean
  /** When the event happened, if that was more than a minute ago. */
  happenedAt?: Date
}

/** How an event identifies its writer. Any field may be missing: people may hide their number. */
export type Writer = {
  /** The wamid of our message that theirs refers to. */
  context: string | null
  /** Digits. It is not always their phone number. */
  waId: string | null
  /** WhatsApp's other ids of the person, such as US.13491208655302741918. They may come without a number. */
  userIds: string[]
}

/** Sorts the identifiers of a person in an event: digits, with or without a plus, are a number; others are user ids. */
export const writerOf = (
  context: string | null,
  ...identifiers: (string | null | undefined)[]
): Writer => {
  const known = [...new Set(identifiers)].flatMap(identifier => identifier?.trim() || [])
  const isNumber = (identifier: string) => /^\+?\d+$/.test(identifier)
  return {
    context,
    waId: known.find(isNumber)?.replace('+', '') ?? null,
    userIds: known.filter(identifier => !isNumber(identifier)),
  }
}

/** The identifiers of the contact that came with an event. */
export const idsOf = (contacts: Contacts): (string | undefined)[] =>
  contacts.slice(0, 1).flatMap(one => [one.wa_id, one.user_id, one.parent_user_id])

/** The identifiers under which a person is stored. */
export const identitiesOf = ({ waId, userIds }: Pick<Writer, 'waId' | 'userIds'>) => [
  waId,
  ...userIds,
]

/** The person whom an event is about. They may have changed their number, and called from both. */
export type Found = {
  /** Null = not known. */
  leadId: string | null
  /** Other leads with one of their numbers. */
  others: string[]
  /** All their numbers in E.164: their lead's first, then those that WhatsApp has told, and the one they write from. */
  phones: string[]
}

/**
 * Finds the lead of this tenant whom an event is about, and stores the ids by which WhatsApp knows them now. All leads with one
 * of their numbers are locked, in one order: otherwise two events could wait for each other.
 */
export const findLead = async (trx: Trx, tenantId: string, writer: Writer): Promise<Found> => {
  const phone = writerPhone(writer)
  const { rows } = await sql<KnownLead>`
    select ${KNOWN_LEAD} from (
      -- The best evidence first: an answer to our message; a known identifier; the phone number.
      select 1 as rank, coalesce(c.lead_id, m.lead_id) as lead_id
      from messages m left join lead_conversations c on c.id = m.lead_conversation_id
      where m.tenant_id = ${tenantId} and m.wamid = ${writer.context} and m.direction = 'out' and m.kind <> 'owner_notice'
      union all
      select case identity when ${writer.waId} then 2 else 3 end, lead_id from lead_identities
      where tenant_id = ${tenantId} and identity = any(${identitiesOf(writer).filter(Boolean)}::text[])
      union all
      select 4, id from leads where tenant_id = ${tenantId} and phone = any(${phone ? spellings(phone) : []}::text[])
    ) as known join leads l on l.id = known.lead_id
    order by rank limit 1`.execute(trx)
  const leadId = rows[0]?.id ?? null
  const phones = phonesOf(rows[0], writer)
  const locked = await lockLeads(
    trx,
    sql`(id = ${leadId} or (tenant_id = ${tenantId} and phone = any(${phones.flatMap(spellings)}::text[])))`,
  )
  if (leadId) await rememberIdentities(trx, tenantId, leadId, identitiesOf(writer))
  return { leadId, others: locked.filter(id => id !== leadId), phones }
}

type KnownLead = { id: string; phone: string; identities: string[] }
const KNOWN_LEAD = sql`l.id, l.phone, array(
  select identity from lead_identities where lead_id = l.id and identity ~ '^[0-9]+$' order by identity) as identities`

const phonesOf = (lead: KnownLead | undefined, writer: Pick<Writer, 'waId'>): string[] => {
  const told = [...(lead?.identities ?? []), writer.waId].map(waId => writerPhone({ waId }))
  return [...new Set([lead?.phone, ...told])].filter(phone => typeof phone === 'string')
}

/** So many last digits are the same in all forms of a number: with or without the ninth digit of Brazil. */
const SAME_DIGITS = 8
export const isSameNumber = (one: string, other: string): boolean =>
  one.slice(-SAME_DIGITS) === other.slice(-SAME_DIGITS)

/** The number that a writer writes from, in E.164, if it is one. */
export const writerPhone = ({ waId }: Pick<Writer, 'waId'>): string | null => {
  const phone = readPhone(waId && `+${waId.replace(/\D/g, '')}`)
  return phone.kind === 'number' ? phone.e164 : null
}

/** The person wrote or called on WhatsApp: free text may be sent to them for 24 hours after that. */
export const heardFrom = async (trx: Trx, leadId: string, at?: Date): Promise<void> => {
  await sql`
    update leads set later_until = null, heard_at = greatest(heard_at, coalesce(${at ?? null}::timestamptz, now()))
    where id = ${leadId}`.execute(trx)
}

/** The number of the lead that is known by one of these identifiers. Nothing is locked. */
export const phoneOfIdentity = async (
  trx: Trx,
  tenantId: string,
  writer: Pick<Writer, 'waId' | 'userIds'>,
): Promise<string | null> => {
  const identities = identitiesOf(writer).filter(identity => identity !== null)
  const { rows } = await sql<{ phone: string }>`
    select l.phone from lead_identities i join leads l on l.id = i.lead_id
    where i.tenant_id = ${tenantId} and i.identity = any(${identities}::text[])
    order by array_position(${identities}::text[], i.identity) limit 1`.execute(trx)
  return rows[0]?.phone ?? null
}

/**
 * Stores identifiers by which WhatsApp knows a lead. What a person wrote under one of them before it was known is read
 * again: it may say "stop".
 */
export const rememberIdentities = async (
  trx: Trx,
  tenantId: string,
  leadId: string,
  identities: (string | null)[],
): Promise<void> => {
  const known = [...new Set(identities)]
    .flatMap(identity => identity || [])
    .toSorted((a, b) => (a < b ? -1 : 1))
  const { rows: learned } = await sql<{ identity: string; phone: string }>`
    insert into lead_identities as i (tenant_id, identity, lead_id)
    select ${tenantId}, identity, ${leadId} from unnest(${known}::text[]) as names (identity)
    on conflict on constraint lead_identities_key do update set lead_id = excluded.lead_id
      where i.lead_id <> excluded.lead_id
    returning identity, (select phone from leads where id = ${leadId}) as phone`.execute(trx)
  // An update with a number stays as it is. It was unassigned because the tenant had no lead with that number.
  const isDigits = (identity: string) => /^\d+$/.test(identity)
  for (const { identity, phone } of learned) {
    const other = isDigits(identity) ? writerPhone({ waId: identity }) : null
    if (!other || other === phone) continue
    await copyOptOut(trx, tenantId, phone, other)
    if (await copyOptOut(trx, tenantId, other, phone)) await cancelPending(trx, leadId, 'opted_out')
  }
  const hidden = learned.map(({ identity }) => identity).filter(one => !isDigits(one))
  if (hidden.length === 0) return
  const { rows: unassigned } = await sql<{ id: string; lane: Lane }>`
    with unassigned as (
      select id, ${EVENT_LANE} as lane from whatsapp_events
      where tenant_id = ${tenantId} and outcome = 'unassigned' and payload is not null and person_ids && ${hidden}::text[]
    ), unread as (
      -- While an update is unread, no message is claimed for its person. Another transaction may be reading the update, so
      -- this one does not wait for the row.
      update whatsapp_events set outcome = null
      where id = any(array(
        select id from whatsapp_events where id in (select id from unassigned) and outcome = 'unassigned' and payload is not null
        for update skip locked))
    )
    select id, lane from unassigned order by id`.execute(trx)
  for (const { id, lane } of unassigned)
    await addJob(trx, 'whatsapp_event', id, { eventId: id }, { tenantId, lane })
}

/** All numbers of a lead in E.164: its own first, then those that WhatsApp has told. */
export const phonesOfLead = async (trx: Trx, leadId: string): Promise<string[]> => {
  const { rows } =
    await sql<KnownLead>`select ${KNOWN_LEAD} from leads l where l.id = ${leadId}`.execute(trx)
  return phonesOf(rows[0], { waId: null })
}
