import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import { removeJob, secondsFromNow } from '../db/jobs.ts'
import { db, type Trx } from '../db/kysely.ts'
import { isTransient } from '../db/retry.ts'
import {
  moveCall,
  moveConversations,
  moveLead,
  moveMessage,
  moveMessages,
} from '../db/transitions.ts'
import { failpoint } from '../failpoints.ts'
import { log } from '../log.ts'
import { cancelPending } from '../outreach/cancel.ts'
import { firstAllowed } from '../outreach/quiet_hours.ts'
import { optOut, rememberIdentities } from '../replies/contacts.ts'
import {
  allows,
  knownState,
  MESSAGE_TRANSITIONS,
  type MessageKind,
  type OutgoingState,
  type OutreachTransition,
  type ReasonAfter,
  reasonOf,
} from '../states.ts'
import type { Outcome } from '../whatsapp/client.ts'
import type { ErrorPolicy } from '../whatsapp/errors.ts'
import { DEFAULT_TEMPLATES } from '../whatsapp/templates.ts'
import type { Claimed } from './claim.ts'
import {
  addMessageJob,
  afterLastReminder,
  lockMessage,
  LOOK_AGAIN_SECONDS,
  type Message,
} from './message.ts'

/**
 * How long to try to record an outcome while the database is unavailable. The claim may have expired by then. That the
 * message was accepted is still worth recording; any other outcome is ignored.
 */
const RECORD_WITHIN_MS = 10 * 60_000

/**
 * Records the outcome of a send, in one transaction. Only this process knows the outcome, so the transaction is tried
 * again while the database is unavailable. Otherwise the message would become `unknown`.
 */
export const record = async (message: Claimed, outcome: Outcome): Promise<void> => {
  const { task, messageId, attempt, ids } = message
  const until = performance.now() + RECORD_WITHIN_MS
  for (let wait = 100; ; wait = Math.min(2 * wait, 5000))
    try {
      await db.transaction().execute(async trx => {
        await recordOutcome(trx, messageId, outcome, attempt)
        failpoint(`${task}:recording`)
      })
      break
    } catch (err) {
      if (!isTransient(err) || performance.now() + wait > until) throw err
      log.warn({ err, messageId }, 'outcome not recorded yet')
      await sleep(wait)
    }
  failpoint(`${task}:recorded`)
  const code = outcome.kind === 'refused' ? outcome.code : undefined
  log.info({ task, ...ids, messageId, outcome: outcome.kind, code }, 'message')
}

/**
 * Records an outcome and what follows from it: reminders, another try, or a pause. A webhook may have come first; what
 * it reported stays.
 *
 * @param attempt the try that had this outcome: `messages.attempts` when it was claimed
 */
export const recordOutcome = async (
  trx: Trx,
  messageId: string,
  outcome: Outcome,
  attempt: number,
): Promise<void> => {
  const message = await lockMessage(trx, messageId)
  if (!message) return
  if (outcome.kind === 'accepted') return accepted(trx, message, outcome)
  // A report from WhatsApp came first, or the claim has expired. Or this outcome was recorded, the answer to the commit
  // was lost, and the next try has begun.
  if (message.state !== 'sending' || message.attempts !== attempt) return
  if (outcome.kind === 'unknown') {
    await moveMessage(trx, message, 'lose', outcome.why)
    await moveItsCall(trx, message, 'lose', 'no_answer')
    await afterLastReminder(trx, message)
    return
  }
  const { policy, code, why } = outcome
  // The person who tests the set-up sees the result, and can test again.
  if (message.isTest) return moveMessage(trx, message, 'refuse', why, code)
  if (policy.do === 'retry') {
    const wait = policy.after[message.attempts - 1]
    if (wait !== undefined) return retry(trx, message, wait, why, code)
  }
  // The message waits. When the pause ends it is sent, if that is not too late.
  if (policy.do === 'pause_connection' || policy.do === 'pause_template') {
    await pause(trx, message, policy, code)
    return retry(trx, message, LOOK_AGAIN_SECONDS, policy.do, code)
  }
  await moveMessage(trx, message, 'refuse', why, code)
  await onFailed(trx, message, policy, code)
}

const accepted = async (
  trx: Trx,
  message: Message,
  { wamid, waId }: Outcome & { kind: 'accepted' },
): Promise<void> => {
  // A message without a connection is one of a person who was erased while it was sent: either id would identify them.
  await sql`
    update messages set
      wamid = case when whatsapp_connection_id is not null then coalesce(wamid, ${wamid}) end,
      wa_id = case when whatsapp_connection_id is not null then coalesce(wa_id, ${waId}) end,
      accepted_at = coalesce(accepted_at, now())
    where id = ${message.id}`.execute(trx)
  // The person will write under this identifier. It is not always their number.
  if (waId && message.leadId && message.kind !== 'owner_notice')
    await rememberIdentities(trx, message.tenantId, message.leadId, [waId])
  if (!allows<OutgoingState>(MESSAGE_TRANSITIONS.accept, knownState(message))) return
  await moveMessage(trx, message, 'accept')
  // A person marked it as failed, or as delivered; then the reminders are scheduled already.
  if (message.state === 'failed') return onDeliveredAfterFailure(trx, message)
  if (message.state === 'delivered') return
  await onAccepted(trx, message, message.state === 'unknown' ? 'claim' : 'now')
}

/**
 * WhatsApp certainly did not accept the message, and it is tried again. Its job gets a time of its own, since
 * graphile-worker's pauses do not fit Meta's. The next claim decides whether it is too late.
 */
const retry = async (
  trx: Trx,
  message: Message,
  seconds: number,
  why: string,
  code: number | null,
): Promise<void> => {
  const { conversationState } = message
  if (conversationState && conversationState !== 'open') {
    const reason = message.conversationReason ?? conversationState
    await moveMessage(trx, message, 'drop', reason, code)
    if (message.kind === 'initial')
      await moveItsCall(trx, message, 'drop', reasonOf('cancelled', reason))
    return
  }
  await moveMessage(trx, message, 'retry', why, code)
  const isPaused = why.startsWith('pause_')
  await moveItsCall(trx, message, 'retry', isPaused ? 'connection_paused' : 'waiting')
  await addMessageJob(trx, message, secondsFromNow(seconds))
}

/** The missed call follows its first message. Later messages change nothing there. */
const moveItsCall = async <Name extends OutreachTransition>(
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
 * @param since when the reminders begin to count; for a message whose answer was lost, from its claim
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

/** Inserts the rows of both reminders with their due times, and adds their jobs. */
const scheduleReminders = async (
  trx: Trx,
  message: Message,
  since: 'now' | 'claim',
): Promise<void> => {
  const { rows } = await sql<{
    id: string
    kind: 'reminder_1' | 'reminder_2'
    due_at: Date
    timezone: string
    quiet_windows: string[]
  }>`
    insert into messages (tenant_id, lead_conversation_id, direction, kind, state, due_at)
    select t.id, ${message.conversationId}::bigint, 'out', r.kind, 'scheduled',
           ${since === 'now' ? sql`now()` : sql`${message.claimedAt}::timestamptz`} + r.after
    from tenants t,
         lateral (values ('reminder_1', t.reminder_1_after), ('reminder_2', t.reminder_2_after)) as r (kind, after)
    where t.id = ${message.tenantId}
    on conflict (lead_conversation_id, kind) where kind in ('initial', 'reminder_1', 'reminder_2') do nothing
    returning id, kind, due_at,
      (select timezone from tenants where id = ${message.tenantId}) as timezone,
      (select quiet_windows from tenants where id = ${message.tenantId}) as quiet_windows`.execute(
    trx,
  )
  for (const { id, kind, due_at, timezone, quiet_windows } of rows) {
    const at = firstAllowed(due_at, quiet_windows, timezone)
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
    await optOut(trx, message.tenantId, message.to, `whatsapp_${code}`)
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
 * WhatsApp reported a message as delivered that it had reported as failed. The conversation is reopened if it ended only
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

const pause = async (
  trx: Trx,
  message: Message,
  policy: ErrorPolicy,
  code: number | null,
): Promise<void> => {
  const reason = `WhatsApp error ${code}`
  // Only this tenant's connection. The pause ends with a new token, or by hand.
  if (policy.do === 'pause_connection')
    await trx
      .updateTable('whatsapp_connections')
      .set({ state: 'paused', state_reason: reason })
      .where('id', '=', message.connectionId)
      .execute()
  // It ends when Meta approves the template again, or by hand.
  if (policy.do === 'pause_template' && message.kind !== 'opt_out_confirmation') {
    const { kind, connectionId } = message
    const { name, language, variables } = DEFAULT_TEMPLATES[kind]
    await sql`
      insert into whatsapp_templates (whatsapp_connection_id, kind, name, language, variables, state, state_reason)
      values (${connectionId}, ${kind}, ${name}, ${language}, ${variables}::text[], 'paused', ${reason})
      on conflict on constraint whatsapp_templates_key
        do update set state = 'paused', state_reason = excluded.state_reason`.execute(trx)
  }
}
