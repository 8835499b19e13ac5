import { isIsraeliMobile, isValidForeign, type Phone } from '../phone.ts'
import { isFreeText, type MessageState, type OutgoingKind, type ReasonOf } from '../states.ts'
import { firstAllowed, type QuietSettings, quietTimesOf } from './quiet_hours.ts'

// All times are of the clock of the database.
export type Milliseconds = number

/** Whether a call began more than `oldestCall` before it was recorded. */
export const isTooOld = (now: Date, calledAt: Date, oldestCall: Milliseconds): boolean =>
  now.getTime() - calledAt.getTime() > oldestCall

/** Whether a message was due more than `grace` ago and was not claimed. */
export const isTooLate = (now: Date, dueAt: Date, grace: Milliseconds): boolean =>
  now.getTime() - dueAt.getTime() > grace

/** What the decision about a caller depends on, read under the lead's lock. */
export type ContactContext = {
  caller: Phone
  /** The caller's number is one that customers dial, or one that the tenant sends from. */
  ownNumber: boolean
  /** The tenant excluded the caller's number: staff, suppliers. */
  excluded: boolean
  contactForeign: boolean
  optedOut: boolean
  mode: string
  connection: 'active' | 'paused' | null
  /** A message is pending or was sent within the repeat window. Failed and shadow messages do not count. */
  contacted: boolean
  /** When the call is recorded: isTooOld. When the message is due: isTooLate. */
  late: boolean
  /** A person of the tenant has spoken with the caller since the call, or was speaking with them when it came. */
  reached: boolean
  /** The caller has written since the call. */
  replied: boolean
  /** The tenant has written to the caller by hand since the call. */
  ownerReplied: boolean
}

export type SkipReason = Exclude<ReasonOf<'skipped'>, 'holdout' | 'shadow'>
export type Decision =
  | { state: 'scheduled'; reason: ReasonOf<'scheduled'> }
  | { state: 'skipped'; reason: SkipReason }
  | { state: 'cancelled'; reason: 'reached_by_phone' | 'replied' | 'owner_replied' }

/**
 * Decides whether to write to the caller of a missed call: when the call is recorded, and again right before the message
 * is sent. The first reason that applies is stored.
 */
export const decide = (context: ContactContext): Decision => {
  const skip = whySkip(context)
  if (skip) return { state: 'skipped', reason: skip }
  if (context.reached) return { state: 'cancelled', reason: 'reached_by_phone' }
  if (context.replied) return { state: 'cancelled', reason: 'replied' }
  if (context.ownerReplied) return { state: 'cancelled', reason: 'owner_replied' }
  const isPaused = context.connection === 'paused'
  return { state: 'scheduled', reason: isPaused ? 'connection_paused' : 'waiting' }
}

const whySkip = (context: ContactContext): SkipReason | null => {
  if (context.caller.kind === 'withheld') return 'withheld_number'
  if (context.ownNumber) return 'own_number'
  if (context.excluded) return 'excluded'
  if (!canGetWhatsApp(context.caller, context.contactForeign)) return 'not_mobile'
  if (context.optedOut) return 'opted_out'
  if (context.mode === 'paused') return 'tenant_paused'
  if (!context.connection) return 'no_connection'
  if (context.contacted) return 'already_contacted'
  if (context.late) return 'too_late'
  return null
}

/**
 * Israeli mobile numbers follow our own rule, since libphonenumber rejects some that are in use. A foreign number counts
 * only if the tenant allows it and it is valid: a number that was read wrongly belongs to another person.
 */
const canGetWhatsApp = (caller: Phone, contactForeign: boolean): boolean =>
  caller.kind === 'number' &&
  (isIsraeliMobile(caller.e164) || (contactForeign && isValidForeign(caller.e164)))

/** Columns of `tenants`; intervals in milliseconds. */
export type OutreachSettings = QuietSettings & {
  outreachDelay: Milliseconds
  repeatWindow: Milliseconds
  oldestCall: Milliseconds
  grace: Milliseconds
  reminderGrace: Milliseconds
}

/** The last contacts between a person and the tenant, apart from the call in question. Null = never. */
export type History = {
  /** A first message or a reminder is being sent now. */
  sending: boolean
  /** When the pending first message for another call is due, and when a pending reminder is due. */
  firstDueAt: Date | null
  reminderDueAt: Date | null
  /** When the last message was claimed that was or may have been sent. Failed and shadow messages do not count. */
  sentAt: Date | null
  /** Five seconds after the end of the last talk with this person. Calls of theirs that began before need no message. */
  reachedUntil: Date | null
  wroteAt: Date | null
  ownerWroteAt: Date | null
}

/** What the history means for a call that began at `calledAt`. */
export const contactHistory = (
  history: History,
  calledAt: Date,
  now: Date,
  {
    repeatWindow,
    grace,
    reminderGrace,
  }: Pick<OutreachSettings, 'repeatWindow' | 'grace' | 'reminderGrace'>,
): Pick<ContactContext, 'contacted' | 'reached' | 'replied' | 'ownerReplied'> => {
  const isWithin = (moment: Date | null, span: Milliseconds) =>
    moment !== null && moment.getTime() + span > now.getTime()
  const reached = history.reachedUntil !== null && history.reachedUntil >= calledAt
  return {
    contacted:
      history.sending ||
      // A message that is overdue for longer is not sent any more. A person who was reached needs no message for this
      // call, whatever is pending for another.
      (!reached && isWithin(history.firstDueAt, grace)) ||
      isWithin(history.reminderDueAt, reminderGrace) ||
      isWithin(history.sentAt, repeatWindow),
    reached,
    replied: history.wroteAt !== null && history.wroteAt >= calledAt,
    ownerReplied: history.ownerWroteAt !== null && history.ownerWroteAt >= calledAt,
  }
}

/** Whether WhatsApp has reported a message in this state as sent. */
export const wasReportedSent = (state: MessageState | null): boolean =>
  state === 'sent' || state === 'delivered' || state === 'read'

/** What a pending message may wait for. */
export type PendingMessage = QuietSettings & {
  kind: OutgoingKind
  phone: string | null
  dueAt: Date
  now: Date
  mode: string
  /** The state of the tenant's best connection. Null = it has none. */
  connection: string | null
  /** No connection of the tenant may use its template for this kind of message. */
  templatePaused: boolean
  /** Meta counts a template of every connection as marketing, and no person has agreed. */
  isMarketing: boolean
  /** For a reminder: the state of the message before it. */
  before: MessageState | null
  /** The person is on the line, or was a moment ago. */
  isInCall: boolean
  /** Something that the person wrote has not been read yet. */
  isUnread: boolean
  /** Its job has used all its attempts. */
  jobDead: boolean
}

export type WhyWaiting =
  | 'job_dead'
  | 'tenant_paused'
  | 'shadow'
  | 'no_connection'
  | 'connection_paused'
  | 'template_paused'
  | 'template_marketing'
  | 'in_call'
  | 'quiet'
  | 'previous_not_sent'
  | 'not_yet'
  | 'unread'
  | 'any_moment'

/** Says what a pending message waits for. Reasons that a person can act on come first, also if it is not due yet. */
export const whyWaiting = (message: PendingMessage): WhyWaiting => {
  if (message.jobDead) return 'job_dead'
  if (message.mode === 'paused') return 'tenant_paused'
  if (message.mode === 'shadow') return 'shadow'
  if (message.connection === null) return 'no_connection'
  if (message.connection !== 'active') return 'connection_paused'
  if (message.templatePaused && !isFreeText(message.kind)) return 'template_paused'
  const isReminder = message.kind === 'reminder_1' || message.kind === 'reminder_2'
  if (isReminder && message.isMarketing) return 'template_marketing'
  if (message.isInCall) return 'in_call'
  const quietUntil = firstAllowed(
    message.now,
    quietTimesOf(message.kind, message),
    message.phone ?? undefined,
  )
  if (quietUntil > message.now && message.dueAt <= quietUntil) return 'quiet'
  if (message.dueAt > message.now) return 'not_yet'
  if (message.isUnread) return 'unread'
  return isReminder && !wasReportedSent(message.before) ? 'previous_not_sent' : 'any_moment'
}
