import { sql } from 'kysely'
import type { Trx } from '../db/kysely.ts'
import type { StopReason } from '../outreach/cancel.ts'
import type { KnownContext } from '../outreach/contact_context.ts'
import { COLLECTED, readCollected } from '../outreach/notify_owner.ts'
import { readReplyState, type ReplyRefusal } from '../outreach/reply_by_hand.ts'
import { newLink, type NewLink, saveLink } from '../outreach/owner_links.ts'
import { composeDigest, lockListed, markListed } from '../outreach/owner_summaries.ts'
import { decide, wasReportedSent } from '../outreach/rules.ts'
import type { HoldReason, NoticeKind, OutgoingState } from '../states.ts'
import { type TemplateKind, withLink } from '../whatsapp/templates.ts'
import { lockFirstMessage, lockMessage, type UnclaimedMessage } from './message.ts'
import type { About, Sender } from './sender.ts'

// The kinds of messages that can be claimed, and the rules in which they differ. claim.ts applies the rules.

/** What happens to a message that is due. */
export type Step =
  | { do: 'send' }
  | { do: 'wait'; until: Date | 'a minute'; why: HoldReason }
  | { do: 'end'; as: 'skip' | 'cancel' | 'shadow'; reason: string }
  /** Nothing more is sent to this person. With `onlyThisCall`, only nothing more because of this call. */
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
  /** For a reply by hand: why it may not be sent. */
  refusal?: ReplyRefusal | null
  /** For a digest: the people that it lists. */
  listed?: string[]
  /** For a notice: why it is no longer of use, and its link. */
  notNeeded?: 'owner_changed' | 'over' | null
  link?: NewLink | null
}
type Situation = {
  message: UnclaimedMessage
  context: KnownContext
  details: Details
  /** The message was due too long ago. */
  late: boolean
  sender: Sender | null
  /** The person is on the line, or was a moment ago. */
  held: { until: Date; why: HoldReason } | null
  /** If a quiet window is open now: when it ends. Null = no quiet window is open. */
  quietUntil: Date | null
}

/** What differs between the kinds of messages. */
export type Rules = {
  grace: (context: KnownContext) => number
  template: (message: UnclaimedMessage) => TemplateKind
  details: (trx: Trx, message: UnclaimedMessage, context: KnownContext) => Promise<Details>
  next: (situation: Situation) => Step
  /** What else is written when the message is claimed. */
  claimed?: (trx: Trx, message: UnclaimedMessage, details: Details) => Promise<void>
}

export type MessageTask = 'lead_outreach' | 'lead_reminder' | NoticeKind | 'manual'
/** A message that may be claimed. */
export type Claimable = {
  task: MessageTask
  rules: Rules
  lock: (trx: Trx) => Promise<UnclaimedMessage | null>
  /** For the log. */
  ids: Record<string, string | number>
}

const FIRST: Rules = {
  grace: context => context.grace,
  template: () => 'initial',
  details: (_trx, message) =>
    Promise.resolve({ ...aboutCall(message), connectionId: null, dialled: message.dialled }),
  next: ({ context, late, sender, held, quietUntil }) => {
    const decision = decide({ ...context, late })
    if (decision.state === 'skipped') return { do: 'end', as: 'skip', reason: decision.reason }
    if (decision.state === 'cancelled') return { do: 'end', as: 'cancel', reason: decision.reason }
    if (held) return { do: 'wait', ...held }
    // It was due before the quiet window. At the end of the window it is probably too late.
    if (quietUntil) return { do: 'wait', until: quietUntil, why: 'quiet' }
    if (!sender || sender.templatePaused)
      return { do: 'wait', until: 'a minute', why: 'connection_paused' }
    if (context.mode === 'shadow') return { do: 'end', as: 'shadow', reason: 'shadow' }
    return { do: 'send' }
  },
}

/**
 * A reminder follows only a message that WhatsApp has reported as sent. So no reminder follows a message that did not
 * arrive, or whose outcome is unknown.
 */
const REMINDER: Rules = {
  grace: context => context.reminderGrace,
  template: ({ kind }) => (kind === 'reminder_1' ? 'reminder_1' : 'reminder_2'),
  details: async (trx, message) => {
    const { rows } = await sql<ReminderRow>`
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
  next: ({ context, late, details, sender, held, quietUntil }) => {
    const skip = (reason: string): Step => ({ do: 'end', as: 'skip', reason })
    const arrived = wasReportedSent(details.previous ?? null)
    if (late && !arrived) return skip('previous_not_sent')
    // The person has been contacted: a reminder requires it.
    const decision = decide({ ...context, contacted: false, late })
    if (decision.reason === 'opted_out')
      return { do: 'stop_lead', reason: 'opted_out', onlyThisCall: false }
    // The number was excluded in SQL. The command and the page cancel what is pending themselves.
    if (decision.reason === 'excluded')
      return { do: 'stop_lead', reason: 'by_operator', onlyThisCall: false }
    if (decision.state === 'cancelled')
      return { do: 'stop_lead', reason: decision.reason, onlyThisCall: true }
    if (decision.state === 'skipped') return skip(decision.reason)
    if (details.previous === 'failed') return skip('previous_failed')
    // After a quiet window or an outage, both reminders are due at once. The last one is enough.
    if (details.nextIsDue) return skip('next_is_due')
    if (held) return { do: 'wait', ...held }
    if (quietUntil) return { do: 'wait', until: quietUntil, why: 'quiet' }
    if (context.mode === 'shadow') return { do: 'end', as: 'shadow', reason: 'shadow' }
    const isHeld = !sender || sender.templatePaused || sender.isMarketing
    if (!arrived || isHeld)
      return {
        do: 'wait',
        until: 'a minute',
        why: arrived ? 'connection_paused' : 'previous_not_sent',
      }
    return { do: 'send' }
  },
}

/**
 * A notice to the owner, or the confirmation of an opt-out. Neither is of use later, so it is sent now or never. A test
 * message is sent in every mode: it shows whether the tenant can go live.
 */
const NOTICE: Rules = {
  grace: context => context.grace,
  // A test is the message that customers get.
  template: ({ isTest }) => (isTest ? 'initial' : 'owner_notice'),
  details: async (trx, message, context) => {
    const { tenantId, connectionId, isTest } = message
    const collected = message.occasion?.startsWith(COLLECTED)
      ? await readCollected(trx, message)
      : null
    const leadId = collected ? (collected.combined?.leadId ?? null) : message.leadId
    const isNotice = message.kind === 'owner_notice' && !isTest
    const { rows } = await sql<NoticeRow>`
      select case when l.id is null then t.name else l.name end as name,
             coalesce(l.phone, (select phone from tenant_numbers n where n.tenant_id = t.id
                                order by n.created_at, phone limit 1), '') as phone,
             (select k.business_phone from missed_calls k where k.lead_id = l.id order by k.id desc limit 1) as dialled,
             t.owner_phone as "ownerPhone", t.ops_password as credential
      from tenants t left join leads l on l.id = ${leadId} where t.id = ${tenantId}
      -- A change of the owner's phone, and a sign-out, wait until the link of this notice is stored.
      ${isNotice ? sql`for share of t` : sql``}`.execute(trx)
    const [found = NO_TENANT] = rows
    const { name: callerName, phone: callerPhone, dialled } = found
    if (isTest) {
      const about = { callerName: null, callerPhone: message.to ?? '', calledAt: context.now }
      return { connectionId, dialled, about }
    }
    const details = {
      connectionId,
      dialled,
      about: { callerName, callerPhone, whatHappened: message.text ?? '' },
    }
    if (!isNotice) return details
    if (message.to !== found.ownerPhone) return { ...details, notNeeded: 'owner_changed' }
    if (collected && !collected.combined) return { ...details, notNeeded: 'over' }
    // The owner acts on an alert with the password.
    const isAlert = message.occasion?.startsWith('alert:') === true
    const link = isAlert ? null : newLink({ leadId, credential: found.credential })
    const digest = message.isDigest ? await composeDigest(trx, message, link?.url ?? '') : null
    const text = collected?.combined?.text ?? message.text ?? ''
    // An answer is free text, which may be longer.
    const withUrl = message.isAnswer && link ? `${text} ${link.url}` : withLink(text, link)
    return {
      ...details,
      about: { callerName, callerPhone, whatHappened: digest?.text ?? withUrl },
      link,
      ...(digest && { listed: digest.leadIds }),
    }
  },
  claimed: async (trx, { id, tenantId, leadId, dueAt }, { listed, link }) => {
    if (listed) await markListed(trx, listed, dueAt)
    if (!link) return
    await saveLink(trx, tenantId, link)
    // A notice that waited, about one person: the owner may answer it with 1, 2 or 3.
    if (link.leadId !== leadId)
      await trx.updateTable('messages').set({ lead_id: link.leadId }).where('id', '=', id).execute()
  },
  next: ({ message, context, details, late, sender }) => {
    const skip = (reason: string): Step => ({ do: 'end', as: 'skip', reason })
    if (details.notNeeded) return skip(details.notNeeded)
    const isNotice = message.kind === 'owner_notice'
    if (late) return skip('too_late')
    if (isNotice && context.optedOut) return skip('opted_out')
    // An excluded person opted out. The owner's own phone may be excluded, and still gets notices.
    if (!isNotice && context.excluded) return skip('excluded')
    if (!message.isTest && context.mode === 'paused') return skip('tenant_paused')
    if (!message.isTest && context.mode === 'shadow')
      return { do: 'end', as: 'shadow', reason: 'shadow' }
    if (!sender) return skip('no_connection')
    // They have been answered since the digest was due.
    if (details.listed?.length === 0) return skip('nobody_waits')
    return isNotice && !message.isAnswer && sender.templatePaused
      ? skip('connection_paused')
      : { do: 'send' }
  },
}

/**
 * A reply by hand. The rules may have changed since the tenant wrote it: the person may have written "stop", or the 24
 * hours may be over.
 */
const MANUAL: Rules = {
  grace: context => context.grace,
  // It is sent as free text. The kind only selects the connection.
  template: () => 'initial',
  details: async (trx, message) => {
    const { tenantId, leadId, connectionId } = message
    const state = leadId === null ? null : await readReplyState(trx, { tenantId, leadId })
    const refusal = state ? state.refusal : 'window_closed'
    return { ...aboutCall(message), connectionId, dialled: null, refusal }
  },
  next: ({ details, late, sender }) => {
    const skip = (reason: string): Step => ({ do: 'end', as: 'skip', reason })
    if (details.refusal) return skip(details.refusal)
    if (late) return skip('too_late')
    return sender ? { do: 'send' } : skip('no_connection')
  },
}

export type ReminderRow = {
  previous: OutgoingState | null
  connectionId: string | null
  nextIsDue: boolean
}
export type NoticeRow = {
  name: string | null
  phone: string
  dialled: string | null
  ownerPhone: string | null
  credential: string | null
}
const NO_TENANT: NoticeRow = {
  name: null,
  phone: '',
  dialled: null,
  ownerPhone: null,
  credential: null,
}

const aboutCall = ({ leadName, to, calledAt }: UnclaimedMessage) => ({
  about: { callerName: leadName, callerPhone: to ?? '', calledAt },
})

export const firstMessage = (missedCallId: string, tenantId: string): Claimable => ({
  task: 'lead_outreach',
  rules: FIRST,
  lock: trx => lockFirstMessage(trx, tenantId, missedCallId),
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
  lock: async trx => {
    if (task === 'owner_notice') await lockListed(trx, messageId)
    return lockMessage(trx, messageId)
  },
  ids: {},
})

export const manualReply = (messageId: string): Claimable => ({
  task: 'manual',
  rules: MANUAL,
  lock: trx => lockMessage(trx, messageId),
  ids: {},
})
