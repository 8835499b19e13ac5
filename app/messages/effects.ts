import { sql } from 'kysely'
import { removeJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import { moveCall, moveConversations, moveLead, moveMessages } from '../db/transitions.ts'
import { cancelPending } from '../outreach/cancel.ts'
import { firstAllowed, type QuietSettings, quietTimesOf } from '../outreach/quiet_hours.ts'
import { optOut } from '../outreach/opt_outs.ts'
import { phonesOfLead } from '../replies/contacts.ts'
import {
  isFreeText,
  type MessageKind,
  type OutreachTransition,
  type ReasonAfter,
} from '../states.ts'
import {
  ABOUT_PERSON,
  type ErrorPolicy,
  isAboutSetup,
  isAboutTemplate,
} from '../whatsapp/errors.ts'
import { ownTemplate } from '../whatsapp/own_templates.ts'
import { LANGUAGES, type TemplateKind } from '../whatsapp/templates.ts'
import { addMessageJob, afterLastReminder, type Message } from './message.ts'

// What follows from the outcome of a message. WhatsApp's answer, a later report or a person tells the outcome.

/** The missed call follows its first message. Later messages change nothing there. */
export const moveItsCall = async <Name extends OutreachTransition>(
  trx: Trx,
  { kind, missedCallId }: Message,
  name: Name,
  reason: ReasonAfter<Name>,
): Promise<void> => {
  if (kind === 'initial' && missedCallId) await moveCall(trx, missedCallId, name, reason)
}

/**
 * What follows when WhatsApp has accepted a message, whether its answer or a later report said so.
 *
 * @param since the reminders count from this time; if the answer was lost, from the claim
 */
export const onAccepted = async (
  trx: Trx,
  message: Message,
  since: 'now' | 'claim',
): Promise<void> => {
  await afterLastReminder(trx, message)
  if (message.kind !== 'initial') return
  await moveItsCall(trx, message, 'accept', 'accepted')
  await moveLead(trx, message.leadId, 'accepted')
  // Checked again under the lock: the person may have written or called while the message was sent.
  if (message.conversationState === 'open') await scheduleReminders(trx, message, since)
}

export type ScheduledReminder = QuietSettings & {
  id: string
  kind: 'reminder_1' | 'reminder_2'
  due_at: Date
}

/** Inserts the rows of both reminders with their due times, and adds their jobs. */
const scheduleReminders = async (
  trx: Trx,
  message: Message,
  since: 'now' | 'claim',
): Promise<void> => {
  const { rows } = await sql<ScheduledReminder>`
    with inserted as (
      insert into messages (tenant_id, lead_conversation_id, direction, kind, state, due_at)
      select t.id, ${message.conversationId}::bigint, 'out', r.kind, 'scheduled',
             ${since === 'now' ? sql`now()` : sql`${message.claimedAt}::timestamptz`} + r.after
      from tenants t,
           lateral (values ('reminder_1', t.reminder_1_after), ('reminder_2', t.reminder_2_after)) as r (kind, after)
      where t.id = ${message.tenantId}
      on conflict (lead_conversation_id, kind) where kind in ('initial', 'reminder_1', 'reminder_2') do nothing
      returning id, kind, due_at, tenant_id
    )
    select i.id, i.kind, i.due_at, t.timezone, t.location, t.quiet_windows as "quietWindows",
           t.reminder_quiet_windows as "reminderQuietWindows"
    from inserted i join tenants t on t.id = i.tenant_id`.execute(trx)
  for (const { id, kind, due_at, ...settings } of rows) {
    const at = firstAllowed(due_at, quietTimesOf(kind, settings), message.to ?? undefined)
    if (at > due_at)
      await trx.updateTable('messages').set({ due_at: at }).where('id', '=', id).execute()
    await addMessageJob(trx, { ...message, kind }, at)
  }
}

/**
 * What follows when a message has failed for good.
 *
 * @param code Meta's error code, for the reason of a pause
 */
export const onFailed = async (
  trx: Trx,
  message: Message,
  policy: ErrorPolicy,
  code: number | null,
): Promise<void> => {
  // A test shows what is wrong with the set-up. Only messages to customers pause it.
  if (message.isTest) return
  const { leadId, conversationId, kind } = message
  await moveItsCall(trx, message, 'refuse', 'refused')
  await pause(trx, message, policy, code)
  if (policy.do === 'opt_out' && leadId && message.missedCallId && message.to) {
    for (const phone of new Set([message.to, ...(await phonesOfLead(trx, leadId))]))
      await optOut(trx, message.tenantId, phone, `whatsapp_${code}`)
    await cancelPending(trx, leadId, 'opted_out')
  }
  // No reminder follows a first message that did not arrive, and nothing is sent to a person who cannot be reached.
  // After any other failed reminder the conversation stays open, since the person may still answer.
  if (conversationId && (kind === 'initial' || policy.do === 'stop_lead'))
    await endUndeliverable(trx, conversationId)
  else await afterLastReminder(trx, message)
}

const endUndeliverable = async (trx: Trx, conversationId: string): Promise<void> => {
  await moveConversations(trx, 'undeliverable', 'undeliverable')
    .where('id', '=', conversationId)
    .execute()
  await moveMessages(trx, 'cancel', 'undeliverable')
    .where('lead_conversation_id', '=', conversationId)
    .execute()
  for (const n of [1, 2]) await removeJob(trx, 'lead_reminder', `${conversationId}:${n}`)
}

/**
 * WhatsApp reported a message as failed and later as delivered. The conversation is reopened if it ended only
 * because of the failure. So the order of the two reports does not matter.
 */
export const onDeliveredAfterFailure = async (trx: Trx, message: Message): Promise<void> => {
  const reopened = await moveConversations(trx, 'reopen', null)
    .where('id', '=', message.conversationId)
    // Not if a later call of this person is handled instead.
    .where(
      sql<boolean>`not exists (select from lead_conversations n
        where n.lead_id = lead_conversations.lead_id and n.id > lead_conversations.id)`,
    )
    .where(
      sql<boolean>`not exists (select from missed_calls k
        where k.lead_id = lead_conversations.lead_id and k.outreach_state in ('scheduled', 'sending'))`,
    )
    .returning('state')
    .executeTakeFirst()
  const conversationState = reopened ? reopened.state : message.conversationState
  await onAccepted(trx, { ...message, conversationState }, 'claim')
  if (!reopened) return
  const reminders = await moveMessages(trx, 'reopen', null)
    .where('lead_conversation_id', '=', message.conversationId)
    .where('reason', '=', 'undeliverable')
    .returning(['kind', 'due_at'])
    .execute()
  for (const { kind, due_at } of reminders)
    if (isReminder(kind) && due_at) await addMessageJob(trx, { ...message, kind }, due_at)
}

const isReminder = (kind: MessageKind): kind is 'reminder_1' | 'reminder_2' =>
  kind === 'reminder_1' || kind === 'reminder_2'

export const pause = async (
  trx: Trx,
  message: Message,
  policy: ErrorPolicy,
  code: number | null,
): Promise<void> => {
  const subcode = policy.do === 'pause_connection' && policy.subcode
  const reason = `WhatsApp error ${code}${subcode ? `/${subcode}` : ''}`
  // Only this tenant's connection. The pause ends with a new token, or by hand.
  if (policy.do === 'pause_connection')
    await trx
      .updateTable('whatsapp_connections')
      .set({ state: 'paused', state_reason: reason })
      .where('id', '=', message.connectionId)
      .execute()
  // It ends when Meta approves the template again, or by hand.
  if (policy.do === 'pause_template' && !isFreeText(message.kind) && !message.isAnswer) {
    await storeTemplate(trx, message, message.kind)
    await sql`
      update whatsapp_templates w set state = 'paused', state_reason = ${reason}
      where ${isTemplateOf(message)}`.execute(trx)
  }
}

/** A connection that uses a default template has no row until something about it is stored. */
const storeTemplate = async (
  trx: Trx,
  { tenantId, connectionId, templateName, templateLanguage }: Message,
  kind: TemplateKind,
): Promise<void> => {
  const language = LANGUAGES.find(one => one === (templateLanguage ?? 'he'))
  const own = language && ownTemplate(kind, { language })
  if (!own || (templateName ?? own.name) !== own.name) return
  await sql`
    insert into whatsapp_templates (tenant_id, whatsapp_connection_id, kind, name, language, variables, body)
    select t.id, ${connectionId}, ${kind}, ${own.name}, ${language}, ${own.variables}::text[], ${own.text}
    from tenants t where t.id = ${tenantId} and t.languages[1] = ${language}
    on conflict on constraint whatsapp_templates_key do nothing`.execute(trx)
}

/** The template `w` that a message was sent with. */
const isTemplateOf = ({ connectionId, kind, templateName, templateLanguage }: Message) =>
  sql<boolean>`w.whatsapp_connection_id = ${connectionId} and case when ${templateName}::text is null then w.kind = ${kind}
    else w.name = ${templateName} and w.language = ${templateLanguage} end`

/** So many people in a row with the same error are no coincidence. */
const PEOPLE_IN_A_ROW = 3
/** A person may have several failed messages. */
const MAX_FAILURES = 50

/**
 * An error that seems to concern only one message pauses the set-up when so many people in a row get it: the same code,
 * with no message accepted and no other error of the set-up in between. Errors about the person do not count.
 *
 * @returns the policy for this message
 */
export const policyAfterRepeats = async (
  trx: Trx,
  message: Message,
  policy: ErrorPolicy,
  code: number | null,
): Promise<ErrorPolicy> => {
  // Free text has no template that could be paused, and its errors (a closed 24-hour window) are its own.
  if (isFreeText(message.kind) || message.isAnswer)
    return policy.do === 'pause_template' ? { do: 'fail' } : policy
  if (policy.do !== 'fail' || code === null || !isAboutSetup(code) || message.isTest) return policy
  const { rows: failures } = await sql<EarlierFailure>`
    select coalesce(m.to_phone, c.lead_id::text, m.id::text) as person, m.claimed_at as "claimedAt"
    from messages m left join lead_conversations c on c.id = m.lead_conversation_id
    where m.whatsapp_connection_id = ${message.connectionId} and m.state = 'failed' and m.error_code = ${code}
      and m.id <> ${message.id} and (m.occasion is null or m.occasion not like 'test:%')
    order by m.claimed_at desc limit ${MAX_FAILURES}`.execute(trx)
  const people = new Set([message.kind === 'owner_notice' ? message.to : message.leadId])
  const last = failures.find(({ person }) => people.add(person).size === PEOPLE_IN_A_ROW)
  if (!last) return policy
  // An answer tells the state at this moment. A report comes later: messages after this one may have been accepted, and
  // fail too. So after a report only reported states are proof.
  const proofs = message.state === 'sending' ? ['accepted', 'sent', 'delivered', 'read'] : REPORTED
  const { rows: proof } = await sql`
    select from messages m
    where m.whatsapp_connection_id = ${message.connectionId} and m.claimed_at > ${last.claimedAt} and m.id <> ${message.id}
      and (m.state = any(${proofs}::text[])
           or m.state = 'failed' and m.error_code <> ${code} and m.error_code <> all(${[...ABOUT_PERSON]}::int[]))
    limit 1`.execute(trx)
  if (proof.length > 0) return policy
  return { do: isAboutTemplate(code) ? 'pause_template' : 'pause_connection' }
}
export type EarlierFailure = { person: string; claimedAt: Date }

const REPORTED = ['sent', 'delivered', 'read']

/**
 * Meta counts a template as marketing: by a notice, or by the price of a message. Reminders are held until a person agrees.
 * Once they have, later prices change nothing.
 */
export const markAsMarketing = async (trx: Trx, message: Message): Promise<void> => {
  if (isFreeText(message.kind) || message.isAnswer || message.isTest) return
  await storeTemplate(trx, message, message.kind)
  await sql`
    update whatsapp_templates w set category = 'MARKETING', category_at = null, marketing_agreed = false
    where ${isTemplateOf(message)} and w.category is distinct from 'MARKETING'`.execute(trx)
}
