import { type ExpressionBuilder, sql } from 'kysely'
import { phoneHash } from '../crypto.ts'
import type { DB } from '../db/generated.ts'
import type { Trx } from '../db/kysely.ts'
import { readPhone, spellings } from '../phone.ts'

/** Whose door it came through, and which of its numbers that is. */
export type Connection = { tenantId: string; connectionId: string }

/** What a webhook says of who wrote. Any of it may be missing: people may hide their number. */
export type Writer = {
  /** The message of ours that hers refers to. */
  context: string | null
  /** Digits, with or without a plus; not always her number. */
  waId: string | null
  userId: string | null
}

/**
 * The lead who wrote, locked; among those of this tenant only. Null if it is nobody we know. Other leads with the
 * number she writes from are locked along with her, all in one order, or two updates could wait for each other.
 */
export const findLead = async (
  trx: Trx,
  tenantId: string,
  writer: Writer,
): Promise<string | null> => {
  const digits = writer.waId?.replace(/\D/g, '') ?? null
  const phone = writerPhone(writer)
  const { rows } = await sql<{ lead_id: string }>`
    select lead_id from (
      -- Best evidence first: she answered a message of ours; a name we have seen; her number.
      select 1 as rank, coalesce(c.lead_id, m.lead_id) as lead_id
      from messages m left join lead_conversations c on c.id = m.lead_conversation_id
      where m.tenant_id = ${tenantId} and m.wamid = ${writer.context} and m.direction = 'out' and m.kind <> 'owner_notice'
      union all
      select case identity when ${digits} then 2 else 3 end, lead_id from lead_identities
      where tenant_id = ${tenantId} and identity in (${digits}, ${writer.userId})
      union all
      select 4, id from leads where tenant_id = ${tenantId} and phone = any(${phone ? spellings(phone) : []}::text[])
    ) as known
    where lead_id is not null order by rank limit 1`.execute(trx)
  const leadId = rows[0]?.lead_id ?? null
  await sql`
    select from leads
    where id = ${leadId} or (tenant_id = ${tenantId} and phone = any(${phone ? spellings(phone) : []}::text[]))
    order by id for update`.execute(trx)
  return leadId
}

/** The number somebody writes from in E.164, where it shows. */
export const writerPhone = ({ waId }: Pick<Writer, 'waId'>): string | null => {
  const phone = readPhone(waId && `+${waId.replace(/\D/g, '')}`)
  return phone.kind === 'number' ? phone.e164 : null
}

/** Remembers the names under which WhatsApp knows a lead. */
export const rememberIdentities = async (
  trx: Trx,
  tenantId: string,
  leadId: string,
  identities: (string | null)[],
): Promise<void> => {
  const known = [...new Set(identities)]
    .flatMap(identity => identity || [])
    .toSorted((a, b) => (a < b ? -1 : 1))
  await sql`
    insert into lead_identities (tenant_id, identity, lead_id)
    select ${tenantId}, identity, ${leadId} from unnest(${known}::text[]) as names (identity)
    on conflict on constraint lead_identities_key do update set lead_id = excluded.lead_id`.execute(
    trx,
  )
}

/** The numbers a writer is known by: her lead's, and the one she writes from where it shows and differs. */
export const knownPhones = async (
  trx: Trx,
  leadId: string | null,
  writer: Pick<Writer, 'waId'>,
): Promise<string[]> => {
  const lead = await trx
    .selectFrom('leads')
    .select('phone')
    .where('id', '=', leadId)
    .executeTakeFirst()
  return [...new Set([lead?.phone, writerPhone(writer)])].filter(phone => typeof phone === 'string')
}

/**
 * Other leads with the number she writes from: she may have moved to it, called from it, and be
 * known by both. What she writes ends the chase of either. They are locked already.
 */
export const leadsWithSameNumber = async (
  trx: Trx,
  tenantId: string,
  leadId: string | null,
  writer: Pick<Writer, 'waId'>,
): Promise<string[]> => {
  const phone = writerPhone(writer)
  const { rows } = await sql<{ id: string }>`
    select id from leads
    where tenant_id = ${tenantId} and phone = any(${phone ? spellings(phone) : []}::text[])
      and id is distinct from ${leadId}::bigint
    order by id`.execute(trx)
  return rows.map(({ id }) => id)
}

/** In any spelling of her number, or by its hash where the number itself was erased. */
const isNumberOf = (phone: string) => (eb: ExpressionBuilder<DB, 'opt_outs'>) =>
  eb.or([
    eb('phone', 'in', spellings(phone)),
    eb('phone_hash', 'in', spellings(phone).map(phoneHash)),
  ])

/**
 * Remembers, for ever, that this person must not be written to by this tenant.
 *
 * @param source how we know: typed, button, user_preferences, whatsapp_131050 ..., operator
 * @returns whether that is news
 */
export const optOut = async (
  trx: Trx,
  tenantId: string,
  phone: string,
  source: string,
): Promise<boolean> => {
  const known = await optedOutBy(trx, tenantId, phone)
  if (known === 'user_preferences' && source !== known)
    // What she says in her own words is not taken back by a switch in WhatsApp.
    await trx
      .updateTable('opt_outs')
      .set({ source })
      .where('tenant_id', '=', tenantId)
      .where(isNumberOf(phone))
      .execute()
  if (known !== null) return false
  const added = await trx
    .insertInto('opt_outs')
    .values({ tenant_id: tenantId, phone, phone_hash: phoneHash(phone), source })
    .onConflict(conflict => conflict.doNothing())
    .returning('id')
    .executeTakeFirst()
  return added !== undefined
}

/** How we know that this person must not be written to; null if she may be. */
export const optedOutBy = async (
  trx: Trx,
  tenantId: string,
  phone: string,
): Promise<string | null> => {
  const known = await trx
    .selectFrom('opt_outs')
    .select('source')
    .where('tenant_id', '=', tenantId)
    .where(isNumberOf(phone))
    .executeTakeFirst()
  return known?.source ?? null
}

/**
 * She wants to be written to again.
 *
 * @param source only an opt-out that came this way; without it, any
 * @returns whether there was one
 */
export const optIn = async (
  trx: Trx,
  tenantId: string,
  phone: string,
  source?: string,
): Promise<boolean> => {
  let opted = trx.deleteFrom('opt_outs').where('tenant_id', '=', tenantId).where(isNumberOf(phone))
  if (source !== undefined) opted = opted.where('source', '=', source)
  const { numDeletedRows } = await opted.executeTakeFirst()
  return numDeletedRows > 0n
}
