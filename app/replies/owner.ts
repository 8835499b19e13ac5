import { sql } from 'kysely'
import { addJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import { lockLead } from '../db/locks.ts'
import { markLater, setOutcome } from '../outreach/lead_actions.ts'
import { localNumber, spellings } from '../phone.ts'
import {
  type Answer,
  type AnsweredNotice,
  decideAnswer,
  doneText,
  helpText,
  parseAnswer,
} from './answers.ts'
import { type Connection, type Writer, writerPhone } from './contacts.ts'

export type FromOwner = {
  ownerPhone: string
  language: string
  /** The kind and the notice that they quote. Null = they quote no message of ours. */
  quotedKind: string | null
  quotedLead: string | null
  quotedOccasion: string | null
  /** They called their own business, as people do who try it out, and a message to them is pending. */
  isCaller: boolean
}

/**
 * Whether the owner wrote this: it comes from the owner's phone, or quotes a notice.
 *
 * @returns null for other people, and for the owner's answer to a message that customers get
 */
export const findOwner = async (
  trx: Trx,
  { tenantId, ownerPhone }: Connection,
  writer: Writer,
): Promise<FromOwner | null> => {
  if (!ownerPhone) return null
  const phone = writerPhone(writer)
  const isTheirs = phone !== null && spellings(phone).includes(ownerPhone)
  if (!isTheirs && writer.context === null) return null
  const { rows } = await sql<FromOwner & { isOwner: boolean }>`
    select t.owner_phone as "ownerPhone", t.languages[1] as language,
           q.kind as "quotedKind", q.lead_id as "quotedLead", q.occasion as "quotedOccasion",
           -- Only the owner can quote a notice, also where WhatsApp hides their number.
           ${isTheirs} or coalesce(q.kind = 'owner_notice' and q.to_phone = t.owner_phone, false) as "isOwner",
           exists (
             select from leads l
             where l.tenant_id = t.id and l.phone = any(${spellings(ownerPhone)}::text[]) and (
               exists (select from lead_conversations c where c.lead_id = l.id and c.state = 'open')
               or exists (select from missed_calls k where k.lead_id = l.id and k.outreach_state in ('scheduled', 'sending')))
           ) as "isCaller"
    from tenants t
    left join messages q on q.tenant_id = t.id and q.wamid = ${writer.context} and q.direction = 'out'
    where t.id = ${tenantId} and t.owner_phone is not null limit 1`.execute(trx)
  const [found] = rows
  if (!found?.isOwner) return null
  return found.quotedKind === null || found.quotedKind === 'owner_notice' ? found : null
}

/** @returns whether the owner writes as the caller that they also are, and not about a notice */
export const writesAsCaller = ({ isCaller, quotedKind }: FromOwner, text: string | null): boolean =>
  isCaller && quotedKind === null && parseAnswer(text ?? '') === null

/** An answer of the owner sets the outcome of the person, which is confirmed. Anything else gets a link. */
export const handleOwner = async (
  trx: Trx,
  connection: Connection,
  owner: FromOwner,
  { wamid, context, text }: { wamid: string; context: string | null; text: string | null },
): Promise<string> => {
  const { tenantId } = connection
  const { quotedKind, quotedLead: leadId, quotedOccasion: occasion } = owner
  const { rows: recent } = await sql<AnsweredNotice>`
    select lead_id as "leadId", occasion from messages
    where tenant_id = ${tenantId} and kind = 'owner_notice' and to_phone = ${owner.ownerPhone}
      and state in ('accepted', 'sent', 'delivered', 'read', 'unknown') and claimed_at > now() - interval '24 hours'
      and occasion not like 'test:%' and occasion not like 'answer:%'
    limit 2`.execute(trx)
  const decision = decideAnswer({
    answer: parseAnswer(text ?? ''),
    quoted: quotedKind === null ? null : { leadId, occasion },
    quotesOther: context !== null && quotedKind === null,
    recent,
  })
  if (decision.do === 'link') {
    if (!(await isHelpedEnough(trx, tenantId)))
      await writeBack(trx, connection, owner, {
        leadId: decision.leadId,
        text: helpText(owner.language),
        occasion: `answer:${wamid}`,
      })
    return 'owner_message'
  }
  const person = await apply(trx, { tenantId, leadId: decision.leadId }, decision.answer)
  await writeBack(trx, connection, owner, {
    leadId: decision.leadId,
    text: doneText(owner.language, person, decision.answer),
    occasion: `${DONE}${wamid}`,
  })
  return 'owner_answer'
}

/** @returns the name or the number of the person */
const apply = async (
  trx: Trx,
  key: { tenantId: string; leadId: string },
  answer: Answer,
): Promise<string> => {
  const actor = { as: 'owner', tenantId: key.tenantId } as const
  // Otherwise an amount that is entered on the page at this moment would be lost.
  await lockLead(trx, key.leadId)
  const { name, phone, outcome } = await trx
    .selectFrom('leads')
    .select(['name', 'phone', 'outcome'])
    .where('id', '=', key.leadId)
    .executeTakeFirstOrThrow()
  if (answer === 'later') await markLater(trx, actor, key)
  // The amount that was entered on the page stays.
  else if (outcome !== answer) await setOutcome(trx, actor, { ...key, outcome: answer })
  return name ?? localNumber(phone)
}

/** An automatic reply on the owner's phone must not keep the two programs writing to each other. */
const MAX_HELP = 5
/** The occasion of a confirmation. The other answers are help. */
const DONE = 'answer:done:'

const isHelpedEnough = async (trx: Trx, tenantId: string): Promise<boolean> => {
  const { rows } = await sql<{ count: number }>`
    select count(*)::int as count from messages
    where tenant_id = ${tenantId} and occasion like 'answer:%' and not starts_with(occasion, ${DONE})
      and created_at > now() - interval '10 minutes'`.execute(trx)
  return (rows[0]?.count ?? 0) >= MAX_HELP
}

const writeBack = async (
  trx: Trx,
  { tenantId, connectionId, isListening }: Connection,
  { ownerPhone }: FromOwner,
  { leadId, text, occasion }: { leadId: string | null; text: string; occasion: string },
): Promise<void> => {
  if (isListening) return
  const { rows } = await sql<{ id: string }>`
    insert into messages (tenant_id, lead_id, whatsapp_connection_id, direction, kind, state, due_at, to_phone, text, occasion)
    values (${tenantId}, ${leadId}, ${connectionId}, 'out', 'owner_notice', 'scheduled', now(), ${ownerPhone}, ${text}, ${occasion})
    on conflict (tenant_id, occasion) where occasion is not null do nothing
    returning id`.execute(trx)
  const [message] = rows
  if (message)
    await addJob(trx, 'owner_notice', message.id, { messageId: message.id }, { tenantId })
}
