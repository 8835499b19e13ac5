import { sql } from 'kysely'
import { addJob, removeJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import {
  lockMessage,
  LOOK_AGAIN_SECONDS,
  type Message,
  RANK,
  rankOf,
  secondsFromNow,
  setMessage,
  setOutreach,
} from './states.ts'
import { cancelPending, scheduleUnresponsive } from '../outreach/cancel.ts'
import { firstAllowed } from '../outreach/quiet_hours.ts'
import { optOut } from '../replies/contacts.ts'
import type { Outcome } from '../whatsapp/client.ts'
import type { ErrorPolicy } from '../whatsapp/errors.ts'
import { DEFAULT_TEMPLATES } from '../whatsapp/templates.ts'

/**
 * What follows from a message that WhatsApp has accepted, whether its answer said so or a later report did.
 *
 * @param since when the reminders begin to count: now, or of a message whose answer was lost its claim
 */
export const onAccepted = async (
  trx: Trx,
  message: Message,
  since: 'now' | 'claim',
): Promise<void> => {
  if (message.kind === 'reminder_2' && message.conversation_id)
    await scheduleUnresponsive(trx, message.conversation_id)
  if (message.kind !== 'initial') return
  await setOutreach(trx, message, 'sent', 'accepted')
  await sql`update leads set state = 'contacted' where id = ${message.lead_id} and state = 'new'`.execute(
    trx,
  )
  // Looked at again, under the lock: she may have written, or got through, while we were sending.
  if (message.conversation_state === 'open') await scheduleReminders(trx, message, since)
}

/** Both rows at once, with their due moments; the jobs only wake us up. */
const scheduleReminders = async (
  trx: Trx,
  message: Message,
  since: 'now' | 'claim',
): Promise<void> => {
  const { rows } = await sql<{
    kind: string
    due_at: Date
    timezone: string
    quiet_windows: string[]
  }>`
    insert into messages (tenant_id, lead_conversation_id, direction, kind, state, due_at)
    select t.id, ${message.conversation_id}::bigint, 'out', r.kind, 'scheduled',
           ${since === 'now' ? sql`now()` : sql`${message.claimed_at}::timestamptz`} + r.after
    from tenants t,
         lateral (values ('reminder_1', t.reminder_1_after), ('reminder_2', t.reminder_2_after)) as r (kind, after)
    where t.id = ${message.tenant_id}
    on conflict (lead_conversation_id, kind) where kind in ('initial', 'reminder_1', 'reminder_2') do nothing
    returning kind, due_at,
      (select timezone from tenants where id = ${message.tenant_id}) as timezone,
      (select quiet_windows from tenants where id = ${message.tenant_id}) as quiet_windows`.execute(
    trx,
  )
  for (const { kind, due_at, timezone, quiet_windows } of rows) {
    const at = firstAllowed(due_at, quiet_windows, timezone)
    if (at > due_at)
      await trx
        .updateTable('messages')
        .set({ due_at: at })
        .where('lead_conversation_id', '=', message.conversation_id)
        .where('kind', '=', kind)
        .execute()
    await addReminderJob(trx, message, kind, at)
  }
}

const addReminderJob = async (
  trx: Trx,
  { lead_id, conversation_id }: Message,
  kind: string,
  at: Date,
): Promise<void> => {
  const reminderNumber = kind === 'reminder_1' ? 1 : 2
  await addJob(
    trx,
    'lead_reminder',
    `${conversation_id}:${reminderNumber}`,
    { leadId: lead_id ?? '', leadConversationId: conversation_id ?? '', reminderNumber },
    { at },
  )
}

/**
 * What follows from a message that was refused for good, beyond the message itself.
 *
 * @param code Meta's, for the reason that is written down
 */
export const onFailed = async (
  trx: Trx,
  message: Message,
  remedy: ErrorPolicy,
  code: number | null,
): Promise<void> => {
  // It tells what is wrong with the set-up; held is only what was meant for customers.
  if (message.is_test) return
  await setOutreach(trx, message, 'failed', 'refused')
  if (remedy.do === 'pause_connection') await pauseConnection(trx, message, code)
  if (remedy.do === 'pause_template') await pauseTemplate(trx, message, code)
  if (remedy.do === 'opt_out' && message.lead_id && message.caller_phone) {
    await optOut(trx, message.tenant_id, message.caller_phone, `whatsapp_${code}`)
    await cancelPending(trx, message.lead_id, 'opted_out')
  }
  // Nothing follows a first message that did not arrive, nor a reminder to somebody who cannot be reached.
  // After one that failed otherwise the conversation stays open: she may still answer.
  if (message.conversation_id && (message.kind === 'initial' || remedy.do === 'stop_lead'))
    await endConversation(trx, message.conversation_id)
  else if (message.kind === 'reminder_2' && message.conversation_id)
    await scheduleUnresponsive(trx, message.conversation_id)
}

const endConversation = async (trx: Trx, conversationId: string): Promise<void> => {
  await sql`update lead_conversations set state = 'stopped', reason = 'undeliverable'
            where id = ${conversationId} and state = 'open'`.execute(trx)
  await sql`update messages set state = 'cancelled', reason = 'undeliverable'
            where lead_conversation_id = ${conversationId} and state = 'scheduled'`.execute(trx)
  for (const reminder of [1, 2])
    await removeJob(trx, 'lead_reminder', `${conversationId}:${reminder}`)
}

/**
 * What was reported as failed has been delivered after all. What had ended only because of that goes on, so
 * that the reports lead to the same end in whichever order they come.
 */
export const onDeliveredAfterFailure = async (trx: Trx, message: Message): Promise<void> => {
  const { rows } = await sql`
    update lead_conversations c set state = 'open', reason = null
    where id = ${message.conversation_id} and state = 'stopped' and reason = 'undeliverable'
      -- Unless she has called again, and is being written to because of that.
      and not exists (select from lead_conversations n where n.lead_id = c.lead_id and n.id > c.id)
      and not exists (select from missed_calls k where k.lead_id = c.lead_id and k.outreach_state in ('scheduled', 'sending'))
    returning id`.execute(trx)
  const reopened = rows.length > 0
  const conversation_state = reopened ? 'open' : message.conversation_state
  await onAccepted(trx, { ...message, conversation_state }, 'claim')
  if (!reopened) return
  const { rows: reminders } = await sql<{ kind: string; due_at: Date }>`
    update messages set state = 'scheduled', reason = null
    where lead_conversation_id = ${message.conversation_id} and state = 'cancelled' and reason = 'undeliverable'
    returning kind, due_at`.execute(trx)
  for (const { kind, due_at } of reminders) await addReminderJob(trx, message, kind, due_at)
}

/** Only this tenant's; the others go on. Ends when a new token is set, or by hand. */
export const pauseConnection = async (
  trx: Trx,
  message: Message,
  code: number | null,
): Promise<void> => {
  await trx
    .updateTable('whatsapp_connections')
    .set({ state: 'paused', state_reason: `WhatsApp error ${code}` })
    .where('id', '=', message.whatsapp_connection_id)
    .execute()
}

/** Ends when Meta says that the template is approved again, or by hand. */
export const pauseTemplate = async (
  trx: Trx,
  message: Message,
  code: number | null,
): Promise<void> => {
  const { kind } = message
  if (kind === 'opt_out_confirmation') return
  const { name, language, variables } = DEFAULT_TEMPLATES[kind]
  await sql`
    insert into whatsapp_templates (whatsapp_connection_id, kind, name, language, variables, state, state_reason)
    values (${message.whatsapp_connection_id}, ${kind}, ${name}, ${language}, ${variables}::text[], 'paused', ${`WhatsApp error ${code}`})
    on conflict on constraint whatsapp_templates_key do update set state = 'paused', state_reason = excluded.state_reason`.execute(
    trx,
  )
}

/**
 * Writes down what came of a message that was claimed and sent, and what follows from it: reminders,
 * another try, a pause, or nothing. A webhook may have been faster; what it said is never undone.
 *
 * @param attempt which try this is the outcome of: `messages.attempts` as it was claimed
 */
export const record = async (
  trx: Trx,
  messageId: string,
  outcome: Outcome,
  attempt: number,
): Promise<void> => {
  const message = await lockMessage(trx, messageId)
  if (!message) return
  const settled = rankOf(message) > (RANK['sending'] ?? 0)
  if (outcome.kind === 'accepted') return accepted(trx, message, outcome, settled)
  // Somebody knows better already: a report from WhatsApp, or whoever gave this claim up. Or this outcome had
  // been written down, the answer to the commit was lost, and the next try is under way.
  if (message.state !== 'sending' || message.attempts !== attempt) return
  if (outcome.kind === 'unknown') {
    await setMessage(trx, message, 'unknown', outcome.why)
    await setOutreach(trx, message, 'unknown', 'no_answer')
    if (message.kind === 'reminder_2' && message.conversation_id)
      await scheduleUnresponsive(trx, message.conversation_id)
    return
  }
  const { remedy, code, why } = outcome
  // Whoever tries the set-up is looking, and tries again by hand.
  if (message.is_test) return setMessage(trx, message, 'failed', why, code)
  if (remedy.do === 'retry') {
    const wait = remedy.after[message.attempts - 1]
    if (wait !== undefined) return tryAgain(trx, message, wait, why, code)
  }
  // Held, not lost: it goes out when the pause ends, if it is not too late by then.
  if (remedy.do === 'pause_connection') await pauseConnection(trx, message, code)
  if (remedy.do === 'pause_template') await pauseTemplate(trx, message, code)
  if (remedy.do === 'pause_connection' || remedy.do === 'pause_template')
    return tryAgain(trx, message, LOOK_AGAIN_SECONDS, remedy.do, code)
  await setMessage(trx, message, 'failed', why, code)
  await onFailed(trx, message, remedy, code)
}

const accepted = async (
  trx: Trx,
  message: Message,
  { wamid, waId }: Outcome & { kind: 'accepted' },
  settled: boolean,
): Promise<void> => {
  // Without its connection: the person was erased while it was on its way, and either id would tell her number.
  await sql`
    update messages set
      wamid = case when whatsapp_connection_id is not null then coalesce(wamid, ${wamid}) end,
      wa_id = case when whatsapp_connection_id is not null then coalesce(wa_id, ${waId}) end,
      accepted_at = coalesce(accepted_at, now())
    where id = ${message.id}`.execute(trx)
  if (waId && message.lead_id && message.kind !== 'owner_notice') await remember(trx, message, waId)
  if (settled) return
  await setMessage(trx, message, 'accepted', null)
  // A person had said that it was lost; or that it arrived, and reminders wait since then.
  if (message.state === 'failed') return onDeliveredAfterFailure(trx, message)
  if (message.state === 'delivered') return
  await onAccepted(trx, message, message.state === 'unknown' ? 'claim' : 'now')
}

/** Under this name she will write; it is not always her number. */
const remember = async (trx: Trx, message: Message, waId: string): Promise<void> => {
  await sql`
    insert into lead_identities (tenant_id, identity, lead_id) values (${message.tenant_id}, ${waId}, ${message.lead_id})
    on conflict on constraint lead_identities_key do update set lead_id = excluded.lead_id`.execute(
    trx,
  )
}

/**
 * Surely not accepted, and worth another try. A job of its own with its own moment, since
 * graphile-worker's backoff knows nothing of Meta's delays. Whether it is too late by then is decided
 * when it is claimed.
 */
const tryAgain = async (
  trx: Trx,
  message: Message,
  seconds: number,
  why: string,
  code: number | null,
): Promise<void> => {
  const at = secondsFromNow(seconds)
  const { conversation_id, conversation_state, missed_call_id, caller_phone } = message
  if (conversation_state && conversation_state !== 'open') {
    const reason = message.conversation_reason ?? conversation_state
    await setMessage(trx, message, 'cancelled', reason, code)
    return setOutreach(trx, message, 'cancelled', reason)
  }
  await setMessage(trx, message, 'scheduled', why, code)
  if (message.kind === 'initial' && missed_call_id && caller_phone) {
    await setOutreach(
      trx,
      message,
      'scheduled',
      why.startsWith('pause_') ? 'connection_paused' : 'waiting',
    )
    await addJob(
      trx,
      'lead_outreach',
      missed_call_id,
      { tenantId: message.tenant_id, missedCallId: missed_call_id, callerPhone: caller_phone },
      { at },
    )
  } else if (message.kind === 'owner_notice' || message.kind === 'opt_out_confirmation')
    await addJob(trx, message.kind, message.id, { messageId: message.id }, { at })
  else if (conversation_id) {
    const reminderNumber = message.kind === 'reminder_1' ? 1 : 2
    await addJob(
      trx,
      'lead_reminder',
      `${conversation_id}:${reminderNumber}`,
      { leadId: message.lead_id ?? '', leadConversationId: conversation_id, reminderNumber },
      { at },
    )
  }
}
