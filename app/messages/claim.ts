import { type RawBuilder, sql } from 'kysely'
import { db, type Trx } from '../db/kysely.ts'
import { moveCall, moveConversations, moveMessage, moveMessages } from '../db/transitions.ts'
import { secondsFromNow } from '../db/jobs.ts'
import { failpoint } from '../failpoints.ts'
import { cancelPending, type StopReason } from '../outreach/cancel.ts'
import { type KnownContext, readContext } from '../outreach/contact_context.ts'
import { firstAllowed } from '../outreach/quiet_hours.ts'
import { decide, hasLeft, isTooLate } from '../outreach/rules.ts'
import {
  MESSAGE_TRANSITIONS,
  type NoticeKind,
  type OutgoingState,
  type ReasonAfter,
  reasonOf,
} from '../states.ts'
import type { Outgoing } from '../whatsapp/client.ts'
import type { TemplateKind } from '../whatsapp/templates.ts'
import {
  addMessageJob,
  afterLastReminder,
  CLAIM_SECONDS,
  expireClaim,
  type FirstMessage,
  lockFirstMessage,
  lockMessage,
  LOOK_AGAIN_SECONDS,
} from './message.ts'
import { type About, buildMessage, type Sender, senderFor } from './sender.ts'

/** What happens to a message that is due. */
type Step =
  | { do: 'send' }
  | { do: 'wait'; until: Date | 'a minute' }
  | { do: 'end'; as: 'skip' | 'cancel' | 'shadow'; reason: string }
  /** Nothing more is sent to this person, or only nothing more because of this call. */
  | { do: 'stop_lead'; reason: StopReason; onlyThisCall: boolean }

/** What a kind of message needs beyond its row. */
type Details = {
  /** The connection that wrote to this person before, and the number that they dialled. */
  connectionId: string | null
  dialled: string | null
  about: About
  /** For a reminder: the state of the message before it, and whether the next one is due as well. */
  previous?: OutgoingState | null
  nextIsDue?: boolean
}
type Facts = {
  message: FirstMessage
  context: KnownContext
  details: Details
  /** The message was due too long ago. */
  late: boolean
  sender: Sender | null
  /** Now is in a quiet window, which ends then. */
  quietUntil: Date | null
}

/** What differs between the kinds of messages. */
type Rules = {
  /** Whether a quiet window holds the message back. */
  quiet: boolean
  grace: (context: KnownContext) => number
  template: (message: FirstMessage) => TemplateKind
  details: (trx: Trx, message: FirstMessage, context: KnownContext) => Promise<Details>
  next: (facts: Facts) => Step
}

export type MessageTask = 'lead_outreach' | 'lead_reminder' | NoticeKind
/** A message that may be claimed. */
export type Claimable = {
  task: MessageTask
  rules: Rules
  lock: (trx: Trx) => Promise<FirstMessage | null>
  /** For the log. */
  ids: Record<string, string | number>
}

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
 * transaction commits: the caller must send it once and record the outcome.
 *
 * @returns null if there is nothing to send, or not yet; then the job is set for later
 */
export const claim = async ({ task, rules, lock, ids }: Claimable): Promise<Claimed | null> => {
  failpoint(`${task}:started`)
  const claimedAt = performance.now()
  const claimed = await db.transaction().execute(async trx => {
    const message = await lock(trx)
    const made = message && (await claimLocked(trx, message, rules))
    if (made) failpoint(`${task}:claiming`)
    return made
  })
  if (!claimed) return null
  failpoint(`${task}:claimed`)
  return { ...claimed, task, claimedAt, ids }
}

const claimLocked = async (trx: Trx, message: FirstMessage, rules: Rules) => {
  const { to } = message
  const state = message.kind === 'initial' ? message.callState : message.state
  if (state === 'sending') return waitForSender(trx, message)
  if (state !== 'scheduled' || !to) return null
  if (isReminder(message) && message.conversationState !== 'open')
    return end(trx, message, 'cancel', message.conversationReason ?? '')
  if (!message.isDue) return lookAgain(trx, message, dueAt(message))

  const context = await readContext(trx, {
    tenantId: message.tenantId,
    caller: to,
    calledAt: message.calledAt ?? message.dueAt,
    missedCallId: message.missedCallId,
  })
  const allowed = (moment: Date) =>
    rules.quiet ? firstAllowed(moment, context.quietWindows, context.timezone) : moment
  const due = allowed(message.dueAt)
  if (due > context.now) return postpone(trx, message, due)

  const details = await rules.details(trx, message, context)
  const kind = rules.template(message)
  const sender = await senderFor(trx, message.tenantId, kind, details)
  const late = isTooLate(context.now, due, rules.grace(context))
  const now = allowed(context.now)
  const quietUntil = now > context.now ? now : null
  const step = rules.next({ message, context, details, late, sender, quietUntil })
  if (step.do === 'wait') return hold(trx, message, step.until)
  if (step.do === 'end') return end(trx, message, step.as, step.reason)
  if (step.do === 'stop_lead') return stopLead(trx, message, step)
  if (!sender) throw new Error('a message without a sender was not held back')

  const { id, attempt } = await markClaimed(trx, message, sender.connectionId)
  const built = buildMessage(sender, kind, { messageId: id, to, about: details.about })
  const isFreeText = message.kind === 'opt_out_confirmation'
  return { ...built, ...(isFreeText && { content: { text: message.text ?? '' } }), attempt }
}

const FIRST: Rules = {
  quiet: true,
  grace: context => context.grace,
  template: () => 'initial',
  details: (_trx, message) =>
    Promise.resolve({ ...aboutCall(message), connectionId: null, dialled: message.dialled }),
  next: ({ context, late, sender, quietUntil }) => {
    const decision = decide({ ...context, late })
    if (decision.state === 'skipped') return { do: 'end', as: 'skip', reason: decision.reason }
    if (decision.state === 'cancelled') return { do: 'end', as: 'cancel', reason: decision.reason }
    // It was due before the quiet window. At the end of the window it is probably too late.
    if (quietUntil) return { do: 'wait', until: quietUntil }
    if (!sender || sender.templatePaused) return { do: 'wait', until: 'a minute' }
    if (context.mode === 'shadow') return { do: 'end', as: 'shadow', reason: 'shadow' }
    return { do: 'send' }
  },
}

/**
 * A reminder follows only a message that WhatsApp has reported as sent. Nobody is reminded of a message that did not
 * reach them, and nothing follows a message whose outcome is unknown.
 */
const REMINDER: Rules = {
  quiet: true,
  grace: context => context.reminderGrace,
  template: ({ kind }) => (kind === 'reminder_1' ? 'reminder_1' : 'reminder_2'),
  details: async (trx, message) => {
    const { rows } = await sql<{
      previous: OutgoingState | null
      connectionId: string | null
      nextIsDue: boolean
    }>`
      select b.state as previous, b.whatsapp_connection_id as "connectionId",
             exists (select from messages n where n.lead_conversation_id = m.lead_conversation_id and n.kind > m.kind
                     and n.state = 'scheduled' and n.due_at <= greatest(m.due_at, now())) as "nextIsDue"
      from messages m
      left join lateral (
        select b.state, b.whatsapp_connection_id from messages b
        -- The kinds are in alphabetical order: initial, reminder_1, reminder_2.
        where b.lead_conversation_id = m.lead_conversation_id and b.kind < m.kind
          and b.state not in ('cancelled', 'skipped', 'shadow')
        order by b.kind desc limit 1) b on true
      where m.id = ${message.id}`.execute(trx)
    const [found = { previous: null, connectionId: null, nextIsDue: false }] = rows
    return { ...found, ...aboutCall(message), dialled: message.dialled }
  },
  next: ({ context, late, details, sender, quietUntil }) => {
    const skip = (reason: string): Step => ({ do: 'end', as: 'skip', reason })
    const arrived = hasLeft(details.previous ?? null)
    if (late && !arrived) return skip('previous_not_sent')
    // The person has been contacted: a reminder requires it.
    const decision = decide({ ...context, contacted: false, late })
    if (decision.reason === 'opted_out')
      return { do: 'stop_lead', reason: 'opted_out', onlyThisCall: false }
    if (decision.state === 'cancelled')
      return { do: 'stop_lead', reason: decision.reason, onlyThisCall: true }
    if (decision.state === 'skipped') return skip(decision.reason)
    if (details.previous === 'failed') return skip('previous_failed')
    // After a quiet window or an outage, both reminders are due at once. The last one is enough.
    if (details.nextIsDue) return skip('next_is_due')
    if (quietUntil) return { do: 'wait', until: quietUntil }
    if (context.mode === 'shadow') return { do: 'end', as: 'shadow', reason: 'shadow' }
    if (!arrived || !sender || sender.templatePaused) return { do: 'wait', until: 'a minute' }
    return { do: 'send' }
  },
}

/**
 * A notice to the owner, or the confirmation of an opt-out. Neither is of use later, so it is sent now or never. A test
 * message is sent in every mode: it shows whether the tenant can go live.
 */
const NOTICE: Rules = {
  quiet: false,
  grace: context => context.grace,
  // A test is the message that customers get.
  template: ({ isTest }) => (isTest ? 'initial' : 'owner_notice'),
  details: async (trx, message, context) => {
    const { rows } = await sql<{ name: string | null; phone: string; dialled: string | null }>`
      select case when l.id is null then t.name else l.name end as name,
             coalesce(l.phone, (select phone from tenant_numbers n where n.tenant_id = t.id
                                order by n.created_at, phone limit 1), '') as phone,
             (select k.business_phone from missed_calls k where k.lead_id = l.id order by k.id desc limit 1) as dialled
      from tenants t left join leads l on l.id = ${message.leadId} where t.id = ${message.tenantId}`.execute(
      trx,
    )
    const [found = { name: null, phone: '', dialled: null }] = rows
    const about = message.isTest
      ? { callerName: null, callerPhone: message.to ?? '', calledAt: context.now }
      : { callerName: found.name, callerPhone: found.phone, whatHappened: message.text ?? '' }
    return { connectionId: message.connectionId, dialled: found.dialled, about }
  },
  next: ({ message, context, late, sender }) => {
    const skip = (reason: string): Step => ({ do: 'end', as: 'skip', reason })
    const isNotice = message.kind === 'owner_notice'
    if (late) return skip('too_late')
    if (isNotice && context.optedOut) return skip('opted_out')
    if (!message.isTest && context.mode === 'paused') return skip('tenant_paused')
    if (!message.isTest && context.mode === 'shadow')
      return { do: 'end', as: 'shadow', reason: 'shadow' }
    if (!sender) return skip('no_connection')
    return isNotice && sender.templatePaused ? skip('connection_paused') : { do: 'send' }
  },
}

const aboutCall = ({ leadName, to, calledAt }: FirstMessage) => ({
  about: { callerName: leadName, callerPhone: to ?? '', calledAt },
})

export const firstMessage = (missedCallId: string, tenantId: string): Claimable => ({
  task: 'lead_outreach',
  rules: FIRST,
  lock: trx => lockFirstMessage(trx, missedCallId),
  ids: { tenantId, missedCallId },
})

export const reminder = (leadConversationId: string, reminderNumber: 1 | 2): Claimable => ({
  task: 'lead_reminder',
  rules: REMINDER,
  lock: trx =>
    lockMessage(
      trx,
      sql`(select id from messages where lead_conversation_id = ${leadConversationId}
           and kind = ${`reminder_${reminderNumber}`})`,
    ),
  ids: { leadConversationId, reminderNumber },
})

export const notice = (task: NoticeKind, messageId: string): Claimable => ({
  task,
  rules: NOTICE,
  lock: trx => lockMessage(trx, messageId),
  ids: {},
})

const isReminder = ({ kind }: FirstMessage): boolean =>
  kind === 'reminder_1' || kind === 'reminder_2'

const lookAgain = async (
  trx: Trx,
  message: FirstMessage,
  at: Date | RawBuilder<Date>,
): Promise<null> => {
  await addMessageJob(trx, message, at)
  return null
}

/** Read by Postgres, since a Date holds only milliseconds. */
const dueAt = ({ kind, id, missedCallId }: FirstMessage): RawBuilder<Date> =>
  kind === 'initial'
    ? sql<Date>`(select outreach_due_at from missed_calls where id = ${missedCallId})`
    : sql<Date>`(select due_at from messages where id = ${id})`

/** Another process claimed it. When the claim has expired, the message is given up. */
const waitForSender = async (trx: Trx, message: FirstMessage): Promise<null> => {
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

/** A quiet window was set since: the message is due when it ends, and is late counting from then. */
const postpone = async (trx: Trx, message: FirstMessage, due: Date): Promise<null> => {
  if (message.kind === 'initial')
    await trx
      .updateTable('missed_calls')
      .set({ outreach_due_at: due })
      .where('id', '=', message.missedCallId)
      .execute()
  else await trx.updateTable('messages').set({ due_at: due }).where('id', '=', message.id).execute()
  return lookAgain(trx, message, due)
}

const hold = async (trx: Trx, message: FirstMessage, until: Date | 'a minute'): Promise<null> => {
  if (until !== 'a minute') return lookAgain(trx, message, until)
  if (message.kind === 'initial' && message.missedCallId)
    await moveCall(trx, message.missedCallId, 'hold', 'connection_paused')
  return lookAgain(trx, message, secondsFromNow(LOOK_AGAIN_SECONDS))
}

const stopLead = async (
  trx: Trx,
  { leadId, missedCallId }: FirstMessage,
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

const end = async (
  trx: Trx,
  message: FirstMessage,
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

const markClaimed = async (
  trx: Trx,
  message: FirstMessage,
  connectionId: string,
): Promise<Marked> => {
  if (message.kind === 'initial' && message.missedCallId) {
    const marked = await writeFirst(trx, message, 'sending', connectionId)
    await moveCall(trx, message.missedCallId, 'claim', 'claimed')
    return marked
  }
  return moveMessages(trx, 'claim', null)
    .set(eb => ({
      claimed_at: sql<Date>`now()`,
      attempts: eb('attempts', '+', 1),
      whatsapp_connection_id: connectionId,
    }))
    .where('id', '=', message.id)
    .returning(['id', 'attempts as attempt'])
    .executeTakeFirstOrThrow()
}

/** The first claim writes the row of a first message. A further try claims the same row again. */
const writeFirst = async (
  trx: Trx,
  { tenantId, leadId, missedCallId }: FirstMessage,
  state: 'sending' | 'shadow',
  connectionId: string | null,
): Promise<Marked> => {
  const conversation =
    state === 'shadow' ? { state: 'stopped', reason: 'shadow' } : { state: 'open', reason: null }
  const { rows } = await sql<Marked>`
    with conversation as (
      insert into lead_conversations as c (lead_id, missed_call_id, state, reason)
      values (${leadId}, ${missedCallId}, ${conversation.state}, ${conversation.reason})
      on conflict (missed_call_id) do update set lead_id = c.lead_id
      returning id
    )
    insert into messages as m
      (tenant_id, lead_conversation_id, whatsapp_connection_id, direction, kind, state, due_at, claimed_at, attempts)
    select ${tenantId}, id, ${connectionId}::bigint, 'out', 'initial', ${state},
           (select outreach_due_at from missed_calls where id = ${missedCallId}), now(), 1
    from conversation
    on conflict (lead_conversation_id, kind) where kind in ('initial', 'reminder_1', 'reminder_2')
      do update set state = excluded.state, claimed_at = now(), attempts = m.attempts + 1, reason = null,
                    whatsapp_connection_id = excluded.whatsapp_connection_id
      where m.state = any(${MESSAGE_TRANSITIONS.claim.from})
    returning m.id, m.attempts as attempt`.execute(trx)
  const [row] = rows
  if (!row) throw new Error(`the first message of missed call ${missedCallId} cannot be claimed`)
  return row
}
