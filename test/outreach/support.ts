/** Helpers for tests of a conversation. */
import { sql } from 'kysely'
import { business, type Business, customer, db, fake, work } from '../support/ringback.ts'
import { happens } from '../support/whatsapp.ts'
import { conversationOf, dueSince, miss } from '../tasks/support.ts'

type Settings = Parameters<typeof business>[0]

/** A person whose first message WhatsApp accepted. No status has come. */
export const contacted = async (settings: Settings = {}) => {
  const shop = await business(settings)
  const who = customer()
  const { id, callId } = await miss(shop, who.local)
  await dueSince(id)
  return { shop, who, id, callId, conversation: (await conversationOf(id)).id }
}

/** As if WhatsApp had reported this state. */
export const reported = async (
  conversation: string,
  kind: 'initial' | 'reminder_1' | 'reminder_2',
  state: string,
): Promise<void> => {
  await sql`update messages set state = ${state}
            where lead_conversation_id = ${conversation} and kind = ${kind}`.execute(db)
}

/** The templates that a phone received, in order. */
export const templatesTo = (phone: string) =>
  fake.inbox(phone).map(message => message.template?.name)

/** Jobs as a crash, the sweep or a race may leave them behind. */
export const addStrayReminders = async (conversation: string): Promise<void> => {
  await sql`
    select graphile_worker.add_job('lead_reminder', json_build_object(
      'leadId', lead_id::text, 'leadConversationId', id::text, 'reminderNumber', n))
    from lead_conversations, generate_series(1, 2) n where id = ${conversation}`.execute(db)
  await sql`update messages set due_at = now()
            where lead_conversation_id = ${conversation} and kind <> 'initial'`.execute(db)
  await work()
}

/** The same for lead_silence. */
export const addStraySilence = async (conversation: string): Promise<void> => {
  await sql`select graphile_worker.add_job('lead_silence',
              json_build_object('leadConversationId', ${conversation}::text))`.execute(db)
  await work()
}

/** A tenant with an owner's phone, and a person who got the first message. */
export const owned = async (columns: Record<string, string> = {}) => {
  const owner = customer().e164
  const met = await contacted({ columns: { owner_phone: owner, ...columns } })
  fake.setPerson({ phone: met.who.e164, name: 'דנה' })
  return { ...met, owner, told: () => toldTo(owner) }
}

/** The link at the end of a notice. */
export const LINK = /https?:\/\/[^/\s]+(\/l\/[\w-]{43})$/

/** The variables of each notice that the owner received, without the link. */
const toldTo = (owner: string) =>
  fake.inbox(owner).map(({ template }) => {
    if (template?.name !== 'ringback_owner_notice') throw new Error('not a notice')
    const [name, phone, what = ''] = template.parameters
    if (!LINK.test(what)) throw new Error('a notice without a link')
    return [name, phone, what.replace(LINK, '').trim()]
  })

/** [state, reason, code] of each notice, in order. */
export const noticesOf = async ({ tenantId }: Business) => {
  const rows = await db
    .selectFrom('messages')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .where('kind', '=', 'owner_notice')
    .orderBy('id')
    .execute()
  return rows.map(({ state, reason, error_code }) => [state, reason, error_code])
}

export const writes = (from: string, text: string) => happens({ kind: 'text', from, text })

/** A talk that ends a moment from now, so after all that has happened. */
export const talksOnWhatsApp = ({ phoneNumberId }: Business, phone: string) =>
  happens({
    kind: 'call',
    with: phone,
    seconds: 20,
    phoneNumberId,
    fields: { end_time: String(Math.floor(Date.now() / 1000) + 2) },
  })

/** A caller of the control group, or of the others. */
export type Member = { tenantId: string; arm: 'outreach' | 'holdout'; isRecovered: boolean }
let filled = 0
/** Adds people who called five days ago. Those who recovered wrote an hour later. */
export const fillArms = async (people: Member[]): Promise<void> => {
  await sql`
    with people as materialized (
      select p.*, '+97255' || lpad((${filled} + n)::text, 7, '0') as phone
      from unnest(${people.map(one => one.tenantId)}::bigint[], ${people.map(one => one.arm)}::text[],
                  ${people.map(one => one.isRecovered)}::boolean[]) with ordinality as p (tenant_id, arm, is_recovered, n)
    ), added as (
      insert into leads (tenant_id, phone) select tenant_id, phone from people returning id, tenant_id, phone
    ), calls as (
      insert into missed_calls (tenant_id, lead_id, call_id, caller_phone, business_phone, status, called_at, outreach_state,
                                outreach_reason, outreach_due_at)
      select tenant_id, a.id, 'filled-' || a.id, phone, '+97231234567', 'NOANSWER', now() - interval '5 days',
             case arm when 'holdout' then 'skipped' else 'sent' end, case arm when 'holdout' then 'holdout' else 'accepted' end,
             now() - interval '5 days'
      from people join added a using (tenant_id, phone)
    )
    insert into messages (tenant_id, lead_id, direction, kind, state, created_at)
    select tenant_id, a.id, 'in', 'inbound', 'received', now() - interval '5 days' + interval '1 hour'
    from people join added a using (tenant_id, phone) where is_recovered`.execute(db)
  filled += people.length
}
/** So many callers of an arm, of whom the first ones came back. */
export const arm = (tenantId: string, which: Member['arm'], hits: number, all: number): Member[] =>
  Array.from({ length: all }, (_, i) => ({ tenantId, arm: which, isRecovered: i < hits }))
