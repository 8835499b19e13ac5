/**
 * The states of the five tables that have one, and every change that is allowed. This file is the only list of them. The
 * types of the columns, the texts of the pages and docs/states.md follow from it. test/states.test.ts compares it with the
 * check constraints of the database.
 */

/** A change: the states that allow it, and the state that follows. Any other change is a bug. */
type Transition<State> = { readonly from: readonly State[]; readonly to: State }
type Transitions<State> = Readonly<Record<string, Transition<State>>>

export const allows = <State>({ from }: Transition<State>, state: State): boolean =>
  from.includes(state)

// missed_calls.outreach_state and outreach_reason: the first message that follows from a missed call.

/** Each state with the reasons that it may have. */
export const OUTREACH_REASONS = {
  scheduled: ['waiting', 'connection_paused', 'in_call'],
  sending: ['claimed'],
  sent: ['accepted'],
  skipped: [
    'withheld_number',
    'own_number',
    'excluded',
    'not_mobile',
    'opted_out',
    'tenant_paused',
    'no_connection',
    'already_contacted',
    'too_late',
    'holdout',
    'shadow',
  ],
  cancelled: ['reached_by_phone', 'replied', 'opted_out', 'owner_replied', 'by_operator'],
  failed: ['refused'],
  unknown: ['no_answer'],
} as const
export type OutreachState = keyof typeof OUTREACH_REASONS
const isOutreachState = (state: string): state is OutreachState =>
  Object.hasOwn(OUTREACH_REASONS, state)
export const OUTREACH_STATES = Object.keys(OUTREACH_REASONS).filter(isOutreachState)
export type ReasonOf<State extends OutreachState> = (typeof OUTREACH_REASONS)[State][number]
export type OutreachReason = ReasonOf<OutreachState>

/** @throws Error when the state may not have this reason */
export const reasonOf = <State extends OutreachState>(
  state: State,
  reason: string,
): ReasonOf<State> => {
  const reasons: readonly ReasonOf<State>[] = OUTREACH_REASONS[state]
  const found = reasons.find(one => one === reason)
  if (!found) throw new Error(`"${reason}" is no reason of the state ${state}`)
  return found
}

/**
 * What holds a scheduled message (`hold_reason`) until its job looks again (`hold_until`), and the reason that its missed
 * call has meanwhile. The claim checks everything again, so a hold only says when to look.
 */
export const HOLDS = {
  /** The person is on the line with the tenant. */
  in_call: 'in_call',
  /** Their call has just ended without an answer. An event that says otherwise may be on its way. */
  after_call: 'waiting',
  /** A quiet window that began after the message was due. */
  quiet: 'waiting',
  /** The WhatsApp number or the template is paused. */
  connection_paused: 'connection_paused',
  /** WhatsApp has not reported the message before it as sent. */
  previous_not_sent: 'waiting',
  /** WhatsApp refused it for the moment. */
  retry: 'waiting',
} as const satisfies Record<string, ReasonOf<'scheduled'>>
export type HoldReason = keyof typeof HOLDS

export const OUTREACH_TRANSITIONS = {
  /** A process is about to send the message. No other process may. */
  claim: { from: ['scheduled'], to: 'sending' },
  /** It waits for one of HOLDS, or no longer does: only the reason changes. */
  hold: { from: ['scheduled'], to: 'scheduled' },
  skip: { from: ['scheduled'], to: 'skipped' },
  cancel: { from: ['scheduled'], to: 'cancelled' },
  /** WhatsApp refused the message for the moment. */
  retry: { from: ['sending'], to: 'scheduled' },
  /** WhatsApp refused the message for the moment, and the conversation has ended since the claim. */
  drop: { from: ['sending'], to: 'cancelled' },
  /** The process died, or WhatsApp's answer was lost: the message may have been sent. */
  lose: { from: ['sending'], to: 'unknown' },
  /**
   * WhatsApp's answer makes the missed call `sent` and the message `accepted`; a status makes the message `sent`. WhatsApp
   * may also report on an earlier try, whatever was decided since.
   */
  accept: {
    from: ['sending', 'unknown', 'failed', 'scheduled', 'skipped', 'cancelled'],
    to: 'sent',
  },
  refuse: {
    from: ['sending', 'unknown', 'failed', 'scheduled', 'skipped', 'cancelled', 'sent'],
    to: 'failed',
  },
  /** The message that was the reason for skipping this call has been cancelled. */
  reevaluate: { from: ['skipped'], to: 'scheduled' },
  /** The same, but the person has been reached or has written since. */
  resolve: { from: ['skipped'], to: 'cancelled' },
} as const satisfies Transitions<OutreachState>
export type OutreachTransition = keyof typeof OUTREACH_TRANSITIONS
export type ReasonAfter<Name extends OutreachTransition> = ReasonOf<
  (typeof OUTREACH_TRANSITIONS)[Name]['to']
>

// messages.state, direction and kind.

export const OUTGOING_STATES = [
  'scheduled',
  'sending',
  'accepted',
  'sent',
  'delivered',
  'read',
  'failed',
  'unknown',
  'cancelled',
  'skipped',
  'shadow',
] as const
export const INCOMING_STATES = ['received'] as const
export type OutgoingState = (typeof OUTGOING_STATES)[number]
export type MessageState = OutgoingState | (typeof INCOMING_STATES)[number]
export type MessageDirection = 'out' | 'in'

export const CONVERSATION_KINDS = ['initial', 'reminder_1', 'reminder_2'] as const
export const NOTICE_KINDS = ['owner_notice', 'opt_out_confirmation'] as const
export type ConversationKind = (typeof CONVERSATION_KINDS)[number]
export type NoticeKind = (typeof NOTICE_KINDS)[number]
/** `manual` = what the tenant wrote by hand, here or in WhatsApp itself. */
export type OutgoingKind = ConversationKind | NoticeKind | 'manual'
export type MessageKind = OutgoingKind | 'inbound'
export const MESSAGE_KINDS = [...CONVERSATION_KINDS, ...NOTICE_KINDS, 'manual', 'inbound'] as const

/** These are sent as free text, which WhatsApp allows for 24 hours after the person wrote. All others have a template. */
export const isFreeText = (kind: MessageKind): kind is 'opt_out_confirmation' | 'manual' =>
  kind === 'opt_out_confirmation' || kind === 'manual'

/**
 * States in which it is not known that WhatsApp accepted the message. WhatsApp may still report on an earlier try of a
 * message that waits or has ended.
 */
const UNCONFIRMED = ['sending', 'unknown', 'scheduled', 'cancelled', 'skipped', 'shadow'] as const

/** Reports come late, twice and in any order. So each report is allowed only in states that say less than it does. */
export const MESSAGE_TRANSITIONS = {
  claim: { from: ['scheduled'], to: 'sending' },
  skip: { from: ['scheduled'], to: 'skipped' },
  cancel: { from: ['scheduled'], to: 'cancelled' },
  shadow: { from: ['scheduled'], to: 'shadow' },
  retry: { from: ['sending'], to: 'scheduled' },
  drop: { from: ['sending'], to: 'cancelled' },
  refuse: { from: ['sending'], to: 'failed' },
  lose: { from: ['sending'], to: 'unknown' },
  accept: { from: UNCONFIRMED, to: 'accepted' },
  report_sent: { from: [...UNCONFIRMED, 'accepted'], to: 'sent' },
  report_failed: { from: [...UNCONFIRMED, 'accepted', 'sent'], to: 'failed' },
  report_delivered: { from: [...UNCONFIRMED, 'accepted', 'sent', 'failed'], to: 'delivered' },
  report_read: { from: [...UNCONFIRMED, 'accepted', 'sent', 'failed', 'delivered'], to: 'read' },
  /** A person found out what became of the message. */
  resolve_delivered: { from: ['unknown'], to: 'delivered' },
  resolve_failed: { from: ['unknown'], to: 'failed' },
  /** The message before it was delivered after a report of failure. */
  reopen: { from: ['cancelled'], to: 'scheduled' },
} as const satisfies Transitions<OutgoingState>
export type MessageTransition = keyof typeof MESSAGE_TRANSITIONS

type Resolvable = { state: OutgoingState; reason: string | null }

/** Whether a person said what became of the message. WhatsApp's own reports replace that. */
export const isResolvedByHand = ({ state, reason }: Resolvable): boolean =>
  reason === 'by_operator' && (state === 'delivered' || state === 'failed')

/** The state as far as WhatsApp itself has told it. */
export const knownState = (message: Resolvable): OutgoingState =>
  isResolvedByHand(message) ? 'unknown' : message.state

// lead_conversations.state and leads.state. An event that is not allowed in their state changes nothing.

export const CONVERSATION_STATES = [
  'open',
  'replied',
  'reached_by_phone',
  'opted_out',
  'unresponsive',
  'stopped',
] as const
export type ConversationState = (typeof CONVERSATION_STATES)[number]
/** Why a conversation is no longer open. */
export type ConversationReason =
  ReasonOf<'cancelled'> | ReasonOf<'skipped'> | 'unresponsive' | 'undeliverable'

/**
 * A stopped conversation changes again only if its reason is `undeliverable`. If a reply did not change it, a late report
 * of delivery would reopen it.
 */
const OPEN_OR_UNDELIVERABLE = ['open', 'stopped'] as const

export const CONVERSATION_TRANSITIONS = {
  reached_by_phone: { from: OPEN_OR_UNDELIVERABLE, to: 'reached_by_phone' },
  replied: { from: OPEN_OR_UNDELIVERABLE, to: 'replied' },
  opted_out: { from: OPEN_OR_UNDELIVERABLE, to: 'opted_out' },
  owner_replied: { from: OPEN_OR_UNDELIVERABLE, to: 'stopped' },
  /** A person cancelled it, or excluded the number. In SQL: cancel_outreach(). */
  by_operator: { from: OPEN_OR_UNDELIVERABLE, to: 'stopped' },
  not_sent: { from: ['open'], to: 'stopped' },
  undeliverable: { from: ['open'], to: 'stopped' },
  reopen: { from: ['stopped'], to: 'open' },
  silence: { from: ['open'], to: 'unresponsive' },
  late_reply: { from: ['unresponsive'], to: 'replied' },
} as const satisfies Transitions<ConversationState>
export type ConversationTransition = keyof typeof CONVERSATION_TRANSITIONS

export const LEAD_STATES = [
  'new',
  'contacted',
  'replied',
  'reached_by_phone',
  'opted_out',
  'unresponsive',
] as const
export type LeadState = (typeof LEAD_STATES)[number]

/** What the tenant made of a lead: leads.outcome. Null = nothing yet. */
export const OUTCOMES = ['won', 'lost', 'not_relevant'] as const
export type Outcome = (typeof OUTCOMES)[number]

export const LEAD_TRANSITIONS = {
  /** A message to the lead was scheduled because of a new missed call. */
  scheduled: { from: LEAD_STATES, to: 'new' },
  accepted: { from: ['new'], to: 'contacted' },
  reached_by_phone: { from: ['new', 'contacted', 'unresponsive'], to: 'reached_by_phone' },
  replied: { from: ['new', 'contacted', 'unresponsive', 'reached_by_phone'], to: 'replied' },
  opted_out: {
    from: ['new', 'contacted', 'unresponsive', 'reached_by_phone', 'replied'],
    to: 'opted_out',
  },
  /** When the missed call was recorded, a later talk or reply was already known. */
  already_reached: { from: LEAD_STATES, to: 'reached_by_phone' },
  already_replied: { from: LEAD_STATES, to: 'replied' },
  /** The lead wrote "start". */
  opted_in: { from: ['opted_out'], to: 'replied' },
  // The lead tapped "resume" in WhatsApp, which is no message to us, or the tenant removed its own opt-out: stateAfterOptOut.
  resumed_to_new: { from: ['opted_out'], to: 'new' },
  resumed_to_contacted: { from: ['opted_out'], to: 'contacted' },
  resumed_to_replied: { from: ['opted_out'], to: 'replied' },
  resumed_to_reached_by_phone: { from: ['opted_out'], to: 'reached_by_phone' },
  resumed_to_unresponsive: { from: ['opted_out'], to: 'unresponsive' },
  silence: { from: ['new', 'contacted'], to: 'unresponsive' },
  // "Called back" was a mistake: the state before it is restored.
  undo_to_new: { from: ['reached_by_phone'], to: 'new' },
  undo_to_contacted: { from: ['reached_by_phone'], to: 'contacted' },
  undo_to_unresponsive: { from: ['reached_by_phone'], to: 'unresponsive' },
} as const satisfies Transitions<LeadState>
export type LeadTransition = keyof typeof LEAD_TRANSITIONS

/** What has happened with a lead since their last missed call that changed their state. */
export type LeadFacts = {
  /** They wrote something other than "stop". */
  wrote: boolean
  /** They were reached by phone, or marked as called back. */
  reached: boolean
  /** They did not answer the last reminder. */
  silent: boolean
  /** WhatsApp accepted a message to them. */
  contacted: boolean
}

/** The state of a lead whose opt-out has ended: the one that they would have without it. */
export const stateAfterOptOut = ({
  wrote,
  reached,
  silent,
  contacted,
}: LeadFacts): Exclude<LeadState, 'opted_out'> => {
  if (wrote) return 'replied'
  if (reached) return 'reached_by_phone'
  if (silent) return 'unresponsive'
  return contacted ? 'contacted' : 'new'
}

/** A state that "called back" changes: leads.called_back_from. */
export type CalledBackFrom = (typeof LEAD_TRANSITIONS.reached_by_phone.from)[number]

// event_deliveries.state: an outgoing event on its way to one endpoint.

export const DELIVERY_TRANSITIONS = {
  /** An attempt begins. One that has not ended in time has lost its process, and the next one begins. */
  claim: { from: ['pending', 'sending'], to: 'sending' },
  deliver: { from: ['sending'], to: 'delivered' },
  /** The attempt failed, and another follows. */
  retry: { from: ['sending'], to: 'pending' },
  /** The last attempt failed, or the endpoint answered 410. */
  fail: { from: ['sending'], to: 'failed' },
  /** Its job failed for good, and a person discarded it. */
  abandon: { from: ['pending', 'sending'], to: 'failed' },
  /** A person sends it again. */
  resend: { from: ['pending', 'delivered', 'failed'], to: 'pending' },
} as const satisfies Transitions<DeliveryState>
export type DeliveryTransition = keyof typeof DELIVERY_TRANSITIONS
export const DELIVERY_STATES = ['pending', 'sending', 'delivered', 'failed'] as const
export type DeliveryState = (typeof DELIVERY_STATES)[number]
/** Why an attempt got no HTTP status. */
export const DELIVERY_ERRORS = [
  'timeout',
  'forbidden_address',
  'not_resolved',
  'tls',
  'connection',
] as const
export type DeliveryError = (typeof DELIVERY_ERRORS)[number]

export type EndpointState = 'active' | 'disabled'
/** Why an endpoint is disabled: it answered 410, or all attempts to deliver an event failed. */
export const ENDPOINT_REASONS = ['gone', 'failing'] as const
export type EndpointReason = (typeof ENDPOINT_REASONS)[number]

/** What an endpoint can get. */
export const EVENT_TYPES = [
  'call.missed',
  'outreach.sent',
  'outreach.skipped',
  'outreach.cancelled',
  'lead.replied',
  'lead.callback_requested',
  'lead.reached',
  'lead.opted_out',
  'lead.unresponsive',
  'lead.outcome',
] as const
/** The last one is a test of an endpoint. */
export type EventType = (typeof EVENT_TYPES)[number] | 'webhook.test'

/** For docs/states.md and its test. */
export const MACHINES = {
  missed_calls: {
    states: Object.keys(OUTREACH_REASONS),
    initial: ['scheduled', 'skipped', 'cancelled'],
    transitions: OUTREACH_TRANSITIONS,
  },
  messages: {
    states: OUTGOING_STATES,
    initial: ['scheduled', 'sending', 'shadow'],
    transitions: MESSAGE_TRANSITIONS,
  },
  lead_conversations: {
    states: CONVERSATION_STATES,
    initial: ['open', 'stopped'],
    transitions: CONVERSATION_TRANSITIONS,
  },
  leads: { states: LEAD_STATES, initial: ['new'], transitions: LEAD_TRANSITIONS },
  event_deliveries: {
    states: DELIVERY_STATES,
    initial: ['pending'],
    transitions: DELIVERY_TRANSITIONS,
  },
} satisfies Record<
  string,
  { states: readonly string[]; initial: readonly string[]; transitions: Transitions<string> }
>
