import { type RawBuilder, sql } from 'kysely'
import { secondsFromNow } from '../db/jobs.ts'
import { db, type Trx } from '../db/kysely.ts'
import { moveCall, moveConversations, moveMessage, moveMessages } from '../db/transitions.ts'
import { failpoint } from '../failpoints.ts'
import { cancelPending } from '../outreach/cancel.ts'
import { readContext } from '../outreach/contact_context.ts'
import { isHeldOut } from '../outreach/control_group.ts'
import { dueAfterCall, heldBy } from '../outreach/line.ts'
import { awaitConfirmation } from '../outreach/live_calls.ts'
import { collectNotice } from '../outreach/notify_owner.ts'
import { firstAllowed, noticeWaits, quietTimesOf } from '../outreach/quiet_hours.ts'
import { isTooLate } from '../outreach/rules.ts'
import {
  type HoldReason,
  isFreeText,
  MESSAGE_TRANSITIONS,
  type ReasonAfter,
  reasonOf,
} from '../states.ts'
import { lookWhoIsOnTheLine } from '../voicenter/active_calls.ts'
import type { Outgoing } from '../whatsapp/client.ts'
import type { Claimable, MessageTask, Rules, Step } from './kinds.ts'
import {
  addMessageJob,
  afterLastReminder,
  CLAIM_SECONDS,
  nextLookAt,
  expireClaim,
  holdMessage,
  LOOK_AGAIN_SECONDS,
  releaseMessage,
  type UnclaimedMessage,
  unreadUpdates,
} from './message.ts'
import { buildMessage, type Filled, fillTemplate, senderFor } from './sender.ts'

/** A message that this process has claimed. No other process sends it. */
export type Claimed = Outgoing & {
  task: MessageTask
  attempt: number
  /** By the clock of this process, in milliseconds. */
  claimedAt: number
  ids: Claimable['ids']
}

/**
 * Decides, under the lead's lock, whether a message is still wanted. If so, this process has claimed it when the
 * transaction commits: the calling task must send it once and record the outcome.
 *
 * @returns null if there is nothing to send, or not yet; then the job is set for later
 */
export const claim = async (claimable: Claimable): Promise<Claimed | null> => {
  failpoint(`${claimable.task}:started`)
  const claimed = await tryClaim(claimable, false)
  if (!claimed || !('lookFirst' in claimed)) return claimed
  // No transaction is open while Voicenter is asked.
  await lookWhoIsOnTheLine(claimed.lookFirst)
  const checked = await tryClaim(claimable, true)
  return checked && !('lookFirst' in checked) ? checked : null
}

/** The tenant wants to know whether the person is on the line, before the message is claimed. */
type LookFirst = { lookFirst: string }

const tryClaim = async (
  { task, rules, lock, ids }: Claimable,
  hasLooked: boolean,
): Promise<Claimed | LookFirst | null> => {
  const claimedAt = performance.now()
  const claimed = await db.transaction().execute(async trx => {
    const message = await lock(trx)
    const made = message && (await claimLocked(trx, message, rules, hasLooked))
    if (made && !('lookFirst' in made)) failpoint(`${task}:claiming`)
    return made
  })
  if (claimed === null || 'lookFirst' in claimed) return claimed
  failpoint(`${task}:claimed`)
  return { ...claimed, task, claimedAt, ids }
}

const claimLocked = async (
  trx: Trx,
  message: UnclaimedMessage,
  rules: Rules,
  hasLooked: boolean,
): Promise<(Outgoing & { attempt: number }) | LookFirst | null> => {
  const { to } = message
  // A first message has no row before its first claim, so the missed call holds its state.
  const state = message.kind === 'initial' ? message.callState : message.state
  if (state === 'sending') return waitForOtherClaim(trx, message)
  if (state !== 'scheduled' || !to) return null
  if (isReminder(message) && message.conversationState !== 'open')
    return end(trx, message, 'cancel', message.conversationReason ?? '')
  if (!message.isDue && !message.isHoldOver) return lookAgain(trx, message, nextLookAt(message))

  const context = await readContext(trx, {
    tenantId: message.tenantId,
    caller: to,
    calledAt: message.calledAt ?? message.dueAt,
    missedCallId: message.missedCallId,
    isReminder: isReminder(message),
  })
  const isAboutCall = message.kind === 'initial' || isReminder(message)
  const held = isAboutCall ? heldBy(context.line, message.dueAt, context.now) : null
  // A test of the set-up, and an answer to what the owner wrote, are notices that wait for nothing.
  const waits = !message.isTest && !message.isAnswer
  const quiet = quietTimesOf(waits ? message.kind : 'manual', context)
  const allowed = (moment: Date) => firstAllowed(moment, quiet, to)
  const due = allowed(message.dueAt)
  if (message.kind === 'owner_notice') {
    const until = noticeWaits(context.now, message.dueAt, quiet, to)
    if (until) return waitCombined(trx, message, until)
  }
  if (due > context.now && !context.reached)
    return held ? hold(trx, message, held.until, held.why) : postpone(trx, message, due)

  const details = await rules.details(trx, message, context)
  const kind = rules.template(message)
  const sender = await senderFor(trx, message.tenantId, kind, details, context.now)
  const isReachedOnLine = isAboutCall && context.isReachedOnLine
  const since = isAboutCall ? dueAfterCall(context.line, due) : due
  const late = !isReachedOnLine && isTooLate(context.now, since, rules.grace(context))
  // The first time from now on that is outside all quiet windows.
  const nextAllowed = allowed(context.now)
  const quietUntil = nextAllowed > context.now ? nextAllowed : null
  const step = rules.next({ message, context, details, late, sender, held, quietUntil })
  const shouldLook =
    step.do === 'send' ||
    (step.do === 'wait' && step.why === 'in_call' && context.line.mustAskAgain)
  if (isAboutCall && context.lastLook && !hasLooked && shouldLook)
    return { lookFirst: message.tenantId }
  if (step.do === 'wait') return hold(trx, message, step.until, step.why)
  const isCancel = step.do === 'stop_lead' || (step.do === 'end' && step.as === 'cancel')
  if (isCancel && isReachedOnLine && message.leadId)
    await awaitConfirmation(trx, message.tenantId, message.leadId, context.caller)
  if (step.do === 'end') return end(trx, message, step.as, step.reason)
  if (step.do === 'stop_lead') return stopLead(trx, message, step)
  if (!sender) throw new Error('a message without a sender was not held back')
  // Last, so that the control group has only people who would be written to at this moment. A message with a row was tried
  // before: then the person belongs to the others, even if the percentage has changed.
  const isFirstTry = message.kind === 'initial' && message.id === null
  if (isFirstTry && isHeldOut(message.tenantId, to, context.holdoutPercent))
    return holdOut(trx, message)

  const filled =
    isFreeText(message.kind) || message.isAnswer ? null : fillTemplate(sender, details.about)
  const marked = await markClaimed(trx, message, sender.connectionId, filled)
  if (!marked) return lookAgain(trx, message, afterUnread(message))
  await rules.claimed?.(trx, message, details)
  const { id, attempt } = marked
  const text = message.isAnswer ? details.about.whatHappened : message.text
  const content = filled ?? { text: text ?? '' }
  return { ...buildMessage(sender, { messageId: id, to, content }), attempt }
}

const isReminder = ({ kind }: UnclaimedMessage): boolean =>
  kind === 'reminder_1' || kind === 'reminder_2'

/** Sets the message's job for a later time. */
const lookAgain = async (
  trx: Trx,
  message: UnclaimedMessage,
  at: Date | RawBuilder<Date>,
): Promise<null> => {
  await addMessageJob(trx, message, at)
  return null
}

/** After as long as an unread update of this person has waited already, at least a second and at most a minute. */
const afterUnread = (message: UnclaimedMessage): RawBuilder<Date> => sql<Date>`(
  select now() + least(greatest(now() - min(received_at), interval '1 second'), interval '1 minute')
  from (${unreadUpdates(message)}) as unread)`

/** Another process claimed it. When the claim has expired, the message is given up. */
const waitForOtherClaim = async (trx: Trx, message: UnclaimedMessage): Promise<null> => {
  const { id } = message
  if (id === null) return null
  if (!(await expireClaim(trx, { ...message, id })))
    return lookAgain(
      trx,
      message,
      sql<Date>`(select claimed_at + make_interval(secs => ${CLAIM_SECONDS}) from messages where id = ${id})`,
    )
  await afterLastReminder(trx, message)
  return null
}

/**
 * It is not due yet: what held it is over, or a quiet window was set since. With a window, it is due when the window ends,
 * and its lateness counts from that time.
 */
const postpone = async (trx: Trx, message: UnclaimedMessage, due: Date): Promise<null> => {
  if (due > message.dueAt)
    if (message.kind === 'initial')
      await trx
        .updateTable('missed_calls')
        .set({ outreach_due_at: due })
        .where('id', '=', message.missedCallId)
        .execute()
    else
      await trx.updateTable('messages').set({ due_at: due }).where('id', '=', message.id).execute()
  await releaseMessage(trx, message)
  return null
}

/** A notice that must wait for the end of a quiet window. It is combined with the other notices that wait, if possible. */
const waitCombined = async (trx: Trx, message: UnclaimedMessage, until: Date): Promise<null> => {
  const { id } = message
  const isCollected = id !== null && (await collectNotice(trx, { ...message, id }, until))
  return isCollected ? null : postpone(trx, message, until)
}

/** The message waits until a time, or a minute for a paused connection, a paused template or the message before it. */
const hold = async (
  trx: Trx,
  message: UnclaimedMessage,
  until: Date | 'a minute',
  why: HoldReason,
): Promise<null> => {
  const at = until === 'a minute' ? secondsFromNow(LOOK_AGAIN_SECONDS) : until
  await holdMessage(trx, message, at, why)
  return null
}

/** Cancels all that is pending for this person, or all that follows from this call. */
const stopLead = async (
  trx: Trx,
  { leadId, missedCallId }: UnclaimedMessage,
  { reason, onlyThisCall }: Step & { do: 'stop_lead' },
): Promise<null> => {
  if (!leadId) return null
  await cancelPending(
    trx,
    leadId,
    reason,
    onlyThisCall && missedCallId ? [missedCallId] : undefined,
  )
  return null
}

/** Sends nothing to a person of the control group. What they wrote is read first, as before a message is sent. */
const holdOut = async (trx: Trx, message: UnclaimedMessage): Promise<null> => {
  const { rows } = await sql`${unreadUpdates(message)} limit 1`.execute(trx)
  return rows.length > 0
    ? lookAgain(trx, message, afterUnread(message))
    : end(trx, message, 'skip', 'holdout')
}

/** Ends the message without sending it. */
const end = async (
  trx: Trx,
  message: UnclaimedMessage,
  as: 'skip' | 'cancel' | 'shadow',
  reason: string,
): Promise<null> => {
  const { id, state, kind, missedCallId } = message
  if (kind === 'initial' && missedCallId) {
    if (as === 'shadow') await writeFirst(trx, message, 'shadow', null)
    if (as === 'cancel') await endFirst(trx, missedCallId, as, reasonOf('cancelled', reason))
    else await endFirst(trx, missedCallId, 'skip', reasonOf('skipped', reason))
  } else if (id !== null && state) {
    await moveMessage(trx, { ...message, id, state }, as, reason)
    await afterLastReminder(trx, message)
  }
  return null
}

/** If an earlier try was refused for the moment, its message and conversation end as well. */
const endFirst = async <Name extends 'skip' | 'cancel'>(
  trx: Trx,
  missedCallId: string,
  name: Name,
  reason: ReasonAfter<Name>,
): Promise<void> => {
  await moveCall(trx, missedCallId, name, reason)
  const ended = await moveConversations(trx, 'not_sent', reason)
    .where('missed_call_id', '=', missedCallId)
    .returning('id')
    .execute()
  for (const { id } of ended)
    await moveMessages(trx, name, reason).where('lead_conversation_id', '=', id).execute()
}

type Marked = { id: string; attempt: number }

/** @returns undefined if something that this person wrote has not been read yet: it may say "stop" */
const markClaimed = async (
  trx: Trx,
  message: UnclaimedMessage,
  connectionId: string,
  filled: Filled | null,
): Promise<Marked | undefined> => {
  if (message.kind === 'initial' && message.missedCallId) {
    const marked = await writeFirst(trx, message, 'sending', connectionId, filled)
    if (marked) await moveCall(trx, message.missedCallId, 'claim', 'claimed')
    return marked
  }
  return moveMessages(trx, 'claim', null)
    .set(eb => ({
      claimed_at: sql<Date>`now()`,
      attempts: eb('attempts', '+', 1),
      whatsapp_connection_id: connectionId,
      template_name: filled?.template ?? null,
      template_language: filled?.language ?? null,
      // The text of a notice is a value of its template.
      ...(isReminder(message) && { text: filled?.filledText ?? null }),
    }))
    .where('id', '=', message.id)
    .where(sql<boolean>`not exists (${unreadUpdates(message)})`)
    .returning(['id', 'attempts as attempt'])
    .executeTakeFirst()
}

/** The first claim writes the row of a first message. A further try claims the same row again. */
const writeFirst = async (
  trx: Trx,
  message: UnclaimedMessage,
  state: 'sending' | 'shadow',
  connectionId: string | null,
  filled: Filled | null = null,
): Promise<Marked | undefined> => {
  const { tenantId, leadId, missedCallId } = message
  const conversation =
    state === 'shadow' ? { state: 'stopped', reason: 'shadow' } : { state: 'open', reason: null }
  const { rows } = await sql<Marked>`
    with conversation as (
      insert into lead_conversations as c (tenant_id, lead_id, missed_call_id, state, reason)
      select ${tenantId}::bigint, ${leadId}::bigint, ${missedCallId}::bigint, ${conversation.state}, ${conversation.reason}
      where ${state} = 'shadow' or not exists (${unreadUpdates(message)})
      on conflict (missed_call_id) do update set lead_id = c.lead_id
      returning id
    )
    insert into messages as m
      (tenant_id, lead_conversation_id, whatsapp_connection_id, direction, kind, state, due_at, claimed_at, attempts,
       text, template_name, template_language)
    select ${tenantId}, id, ${connectionId}::bigint, 'out', 'initial', ${state},
           (select outreach_due_at from missed_calls where id = ${missedCallId}), now(), 1,
           ${filled?.filledText ?? null}, ${filled?.template ?? null}, ${filled?.language ?? null}
    from conversation
    on conflict (lead_conversation_id, kind) where kind in ('initial', 'reminder_1', 'reminder_2')
      do update set state = excluded.state, claimed_at = now(), attempts = m.attempts + 1, reason = null,
                    whatsapp_connection_id = excluded.whatsapp_connection_id, text = excluded.text,
                    template_name = excluded.template_name, template_language = excluded.template_language
      where m.state = any(${MESSAGE_TRANSITIONS.claim.from})
    returning m.id, m.attempts as attempt`.execute(trx)
  return rows[0]
}
