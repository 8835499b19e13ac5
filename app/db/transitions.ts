import type { RawBuilder } from 'kysely'
import type { Trx } from './kysely.ts'
import {
  allows,
  CONVERSATION_TRANSITIONS,
  DELIVERY_TRANSITIONS,
  type DeliveryTransition,
  type ConversationReason,
  type ConversationTransition,
  type HoldReason,
  knownState,
  LEAD_TRANSITIONS,
  type LeadTransition,
  MESSAGE_TRANSITIONS,
  type MessageTransition,
  OUTREACH_TRANSITIONS,
  type OutgoingState,
  type OutreachTransition,
  type ReasonAfter,
} from '../states.ts'

// Each function applies a transition of app/states.ts to those of the given rows whose state allows it.

/** A hold ends with the state that it held. */
export const NOT_HELD = { hold_until: null, hold_reason: null }

export const moveMessages = (trx: Trx, name: MessageTransition, reason: string | null) => {
  const { from, to } = MESSAGE_TRANSITIONS[name]
  return trx
    .updateTable('messages')
    .set({ state: to, reason, ...NOT_HELD })
    .where('state', 'in', from)
}

/**
 * @param message its row, locked
 * @throws Error when the transition is not allowed in its state
 */
export const moveMessage = async (
  trx: Trx,
  message: { id: string; state: OutgoingState; reason: string | null },
  name: MessageTransition,
  reason: string | null = null,
  code: number | null = null,
): Promise<void> => {
  const transition = MESSAGE_TRANSITIONS[name]
  if (!allows<OutgoingState>(transition, knownState(message)))
    throw new Error(`message ${message.id} is ${message.state}: "${name}" is not allowed`)
  await trx
    .updateTable('messages')
    .set({ state: transition.to, reason, error_code: code, ...NOT_HELD })
    .where('id', '=', message.id)
    .execute()
}

/** @param also other columns to set */
export const moveCalls = <Name extends OutreachTransition>(
  trx: Trx,
  name: Name,
  reason: ReasonAfter<Name>,
  also: AlsoSet = {},
) => {
  const { from, to } = OUTREACH_TRANSITIONS[name]
  return trx
    .updateTable('missed_calls')
    .set({ outreach_state: to, outreach_reason: reason, ...NOT_HELD, ...also })
    .where('outreach_state', 'in', from)
}
type AlsoSet = {
  outreach_due_at?: Date | RawBuilder<Date>
  hold_until?: Date | RawBuilder<Date> | null
  hold_reason?: HoldReason | null
}

/**
 * @param also other columns to set
 * @throws Error when the transition is not allowed in the state of the missed call
 */
export const moveCall = async <Name extends OutreachTransition>(
  trx: Trx,
  missedCallId: string,
  name: Name,
  reason: ReasonAfter<Name>,
  also: AlsoSet = {},
): Promise<void> => {
  const { numUpdatedRows } = await moveCalls(trx, name, reason, also)
    .where('id', '=', missedCallId)
    .executeTakeFirst()
  if (numUpdatedRows === 0n)
    throw new Error(`missed call ${missedCallId}: "${name}" is not allowed in its state`)
}

/** Of the stopped conversations, only those with the reason `undeliverable` change again (app/states.ts). */
export const moveConversations = (
  trx: Trx,
  name: ConversationTransition,
  reason: ConversationReason | null,
) => {
  const { from, to } = CONVERSATION_TRANSITIONS[name]
  return trx
    .updateTable('lead_conversations')
    .set({ state: to, reason })
    .where('state', 'in', from)
    .where(eb => eb.or([eb('state', '<>', 'stopped'), eb('reason', '=', 'undeliverable')]))
}

export const moveLead = async (
  trx: Trx,
  leadId: string | null,
  name: LeadTransition,
): Promise<void> => {
  const { from, to } = LEAD_TRANSITIONS[name]
  await trx
    .updateTable('leads')
    .set({ state: to })
    .where('id', '=', leadId)
    .where('state', 'in', from)
    .execute()
}

export const moveDeliveries = (trx: Trx, name: DeliveryTransition) => {
  const { from, to } = DELIVERY_TRANSITIONS[name]
  return trx.updateTable('event_deliveries').set({ state: to }).where('state', 'in', from)
}
