import { sql } from 'kysely'
import { z } from 'zod'
import { type Actor, audit } from '../audit.ts'
import { addJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import { lockLeads } from '../db/locks.ts'
import { notFound, userError } from '../errors.ts'
import { spellings } from '../phone.ts'
import type { OutgoingState } from '../states.ts'
import { cancelPending } from './cancel.ts'
import { isAbout } from './exclusions.ts'
import { leadInput, type LeadKey } from './lead_actions.ts'

// What the tenant writes to a person by hand. It is free text, which WhatsApp allows only for 24 hours after the person
// wrote or called on WhatsApp. The page, the action and the claim ask the same question: readReplyState.

/** Why the tenant may not write to a person now. */
export const REPLY_REFUSALS = ['opted_out', 'not_live', 'no_connection', 'window_closed'] as const
export type ReplyRefusal = (typeof REPLY_REFUSALS)[number]

export type ReplyState = {
  /** Null = they have never written or called on WhatsApp. */
  windowOpenUntil: Date | null
  /** Null = the tenant may write now. */
  refusal: ReplyRefusal | null
  /** The last message that the tenant wrote to them by hand. `0` = none. */
  lastReplyId: string
}

/**
 * Whether the tenant may write to a person now. An opt-out stops automatic messages for good, but the tenant may
 * answer what the person has written since.
 *
 * @returns null if the tenant has no such lead
 */
export const readReplyState = async (
  trx: Trx,
  { tenantId, leadId }: LeadKey,
): Promise<ReplyState | null> => {
  const phone = await phoneOf(trx, { tenantId, leadId })
  if (phone === null) return null
  const { rows } = await sql<ReplyState>`
    select l.heard_at + interval '24 hours' as "windowOpenUntil",
           case
             when (select max(repeated_at) from opt_outs where tenant_id = t.id and ${isAbout(phone)})
                  >= coalesce((select max(m.created_at) from messages m where m.lead_id = l.id and m.direction = 'in'),
                              '-infinity') then 'opted_out'
             when t.mode <> 'live' then 'not_live'
             when not exists (select from whatsapp_connections c where c.tenant_id = t.id and c.state = 'active')
               then 'no_connection'
             when l.heard_at is null or l.heard_at + interval '24 hours' <= now() then 'window_closed'
           end as refusal,
           coalesce((select max(m.id) from messages m where m.lead_id = l.id and m.kind = 'manual'), 0) as "lastReplyId"
    from leads l join tenants t on t.id = l.tenant_id
    where l.id = ${leadId} and l.tenant_id = ${tenantId}`.execute(trx)
  return rows[0] ?? null
}

const phoneOf = async (trx: Trx, { tenantId, leadId }: LeadKey): Promise<string | null> => {
  const lead = await trx
    .selectFrom('leads')
    .select('phone')
    .where('id', '=', leadId)
    .where('tenant_id', '=', tenantId)
    .executeTakeFirst()
  return lead?.phone ?? null
}

const MAX_TEXT = 4096
const TEXT = `a text of 1 to ${MAX_TEXT} characters`

export const replyInput = leadInput.extend({
  text: z
    .string(TEXT)
    .transform(written => written.toWellFormed().replaceAll('\r\n', '\n').trim())
    // Postgres stores no NUL. A text of invisible characters is empty.
    .refine(
      text => text.length <= MAX_TEXT && !text.includes('\0') && /[^\s\p{Cf}]/u.test(text),
      TEXT,
    ),
  /** The same for each submission of one form. Of the API: `api:` and the client's key. */
  key: z.string().min(1).max(260),
})

export type SentByHand = { id: string; state: OutgoingState } | { refused: ReplyRefusal }

/**
 * Queues what the tenant wrote to a person. Like a message of the owner in WhatsApp itself, it cancels what is pending for
 * the person. The claim asks again whether it may be sent.
 *
 * @returns the message; for a key that was used before, the message of then. Or why nothing is sent
 * @throws UserError if the tenant has no such lead, or if the key was used for another text
 */
export const sendManual = async (
  trx: Trx,
  actor: Actor,
  { tenantId, leadId, text, key }: z.infer<typeof replyInput>,
): Promise<SentByHand> => {
  const phone = await phoneOf(trx, { tenantId, leadId })
  // As in findLead: with all leads of the same number, in one order.
  const leads = await lockLeads(
    trx,
    sql`tenant_id = ${tenantId} and (id = ${leadId} or phone = any(${phone ? spellings(phone) : []}::text[]))`,
  )
  const state = leads.includes(leadId) ? await readReplyState(trx, { tenantId, leadId }) : null
  if (!state || phone === null) throw notFound(`lead ${leadId} of tenant ${tenantId}`)
  const earlier = await submittedBefore(trx, tenantId, key)
  if (earlier) {
    // Retention empties texts.
    if (earlier.lead_id !== leadId || (earlier.text ?? text) !== text) throw keyUsed()
    return { id: earlier.id, state: earlier.state }
  }
  const { refusal } = state
  if (refusal) {
    await audit(trx, actor, {
      tenantId,
      action: 'message.refuse',
      subject: `leads ${leadId}`,
      before: null,
      after: { refused: refusal },
    })
    return { refused: refusal }
  }
  for (const id of leads) await cancelPending(trx, id, 'owner_replied')
  const { rows } = await sql<{ id: string }>`
    insert into messages (tenant_id, lead_id, whatsapp_connection_id, direction, kind, state, due_at, to_phone, text,
      idempotency_key)
    values (${tenantId}, ${leadId},
      -- The number that they wrote to: only its window is open.
      (select m.whatsapp_connection_id from messages m where m.lead_id = ${leadId} and m.direction = 'in'
       order by m.created_at desc limit 1),
      'out', 'manual', 'scheduled', now(), ${phone}, ${text}, ${key})
    on conflict (tenant_id, idempotency_key) where idempotency_key is not null do nothing
    returning id`.execute(trx)
  const [added] = rows
  // At the same moment, the key was used for another person.
  if (!added) throw keyUsed()
  const { id } = added
  await addJob(trx, 'manual', id, { messageId: id }, { tenantId })
  await trx
    .updateTable('leads')
    .set({ read_at: sql<Date>`now()` })
    .where('id', '=', leadId)
    .execute()
  await audit(trx, actor, {
    tenantId,
    action: 'message.send',
    subject: `messages ${id}`,
    before: null,
    after: { state: 'scheduled', lead: leadId },
  })
  return { id, state: 'scheduled' }
}

const submittedBefore = async (
  trx: Trx,
  tenantId: string,
  key: string,
): Promise<EarlierSubmission | undefined> => {
  const { rows } = await sql<EarlierSubmission>`
    select id, lead_id, state, text from messages where tenant_id = ${tenantId} and idempotency_key = ${key}`.execute(
    trx,
  )
  return rows[0]
}
export type EarlierSubmission = {
  id: string
  lead_id: string | null
  state: OutgoingState
  text: string | null
}

const keyUsed = () =>
  userError('key_used', 'another reply was sent meanwhile: read it, then send this one again')
