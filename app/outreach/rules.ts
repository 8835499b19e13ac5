/** When it is too late. Late is worse than never: nobody wants to be asked about a call of yesterday. */
import { firstAllowed } from './quiet_hours.ts'
import { isIsraeliMobile, isValidForeign, type Phone } from '../phone.ts'

/** All times of the database's clock, spans in milliseconds. */
export type Milliseconds = number

/** The call began longer than `oldestCall` before we heard of it. */
export const isTooOld = (now: Date, calledAt: Date, oldestCall: Milliseconds): boolean =>
  now.getTime() - calledAt.getTime() > oldestCall

/** The message was due longer than `grace` ago and has not started. */
export const isTooLate = (now: Date, dueAt: Date, grace: Milliseconds): boolean =>
  now.getTime() - dueAt.getTime() > grace

/** Everything that decides whether a caller is written to; read under the lead's lock. */
export type ContactContext = {
  caller: Phone
  /** The caller's number is a line of this business, or the number it writes from. */
  ownNumber: boolean
  contactForeign: boolean
  optedOut: boolean
  mode: string
  connection: 'active' | 'paused' | null
  /** A message is pending, or went out within the repeat window. Failed and shadow ones do not count. */
  contacted: boolean
  /** The call is too old, or its message too long overdue (timing.ts). */
  late: boolean
  /** Somebody of the business has talked with the caller since. */
  reached: boolean
  /** She has written to the business since: Voicenter tells of a call minutes after its end. */
  replied: boolean
}

export type Decision =
  | { state: 'scheduled'; reason: 'waiting' | 'connection_paused' }
  | { state: 'skipped'; reason: SkipReason }
  | { state: 'cancelled'; reason: 'reached_by_phone' | 'replied' }

export type SkipReason =
  | 'withheld_number'
  | 'own_number'
  | 'not_mobile'
  | 'opted_out'
  | 'tenant_paused'
  | 'no_connection'
  | 'already_contacted'
  | 'too_late'

/**
 * Whether the caller of a missed call is to be written to. Asked when the call is recorded and again
 * right before the message goes out. The first reason that holds is the one that is stored.
 */
export const decide = (facts: ContactContext): Decision => {
  const skip = whyNot(facts)
  if (skip) return { state: 'skipped', reason: skip }
  if (facts.reached) return { state: 'cancelled', reason: 'reached_by_phone' }
  if (facts.replied) return { state: 'cancelled', reason: 'replied' }
  return {
    state: 'scheduled',
    reason: facts.connection === 'paused' ? 'connection_paused' : 'waiting',
  }
}

const whyNot = (facts: ContactContext): SkipReason | null => {
  if (facts.caller.kind === 'withheld') return 'withheld_number'
  if (facts.ownNumber) return 'own_number'
  if (!canGetWhatsApp(facts.caller, facts.contactForeign)) return 'not_mobile'
  if (facts.optedOut) return 'opted_out'
  if (facts.mode === 'paused') return 'tenant_paused'
  if (!facts.connection) return 'no_connection'
  if (facts.contacted) return 'already_contacted'
  if (facts.late) return 'too_late'
  return null
}

/**
 * Israeli mobiles by our own rule: libphonenumber calls numbers invalid that are in use. Foreign numbers
 * only where the business wants it, and there only valid ones, for a misread number is a stranger's.
 */
const canGetWhatsApp = (caller: Phone, contactForeign: boolean): boolean =>
  caller.kind === 'number' &&
  (isIsraeliMobile(caller.e164) || (contactForeign && isValidForeign(caller.e164)))

/** What the tenant wants: columns of `tenants`, spans in milliseconds. */
export type OutreachSettings = {
  timezone: string
  quietWindows: readonly string[]
  outreachDelay: Milliseconds
  repeatWindow: Milliseconds
  oldestCall: Milliseconds
  grace: Milliseconds
  reminderGrace: Milliseconds
}

/**
 * What has passed between a person and the business, apart from the call that is asked about; of each kind the last.
 * Null = never.
 */
export type History = {
  /** A first message or a reminder is on its way at this moment. */
  sending: boolean
  /** When the pending first message for another call is due, and a pending reminder. */
  firstDueAt: Date | null
  reminderDueAt: Date | null
  /** When a message was claimed that went out, or may have. Failed and shadow ones are none. */
  sentAt: Date | null
  /** When the call began in which a person talked with her. */
  talkedAt: Date | null
  /** When she wrote. */
  wroteAt: Date | null
}

/** What follows from it for a call that began at `calledAt`: the part of the facts that is a matter of time. */
export const contactHistory = (
  history: History,
  calledAt: Date,
  now: Date,
  {
    repeatWindow,
    grace,
    reminderGrace,
  }: Pick<OutreachSettings, 'repeatWindow' | 'grace' | 'reminderGrace'>,
): Pick<ContactContext, 'contacted' | 'reached' | 'replied'> => {
  /** Later than now, once so much has been added. */
  const within = (moment: Date | null, span: Milliseconds) =>
    moment !== null && moment.getTime() + span > now.getTime()
  return {
    contacted:
      history.sending ||
      // What is longer overdue than this will not be sent any more.
      within(history.firstDueAt, grace) ||
      within(history.reminderDueAt, reminderGrace) ||
      within(history.sentAt, repeatWindow),
    reached: history.talkedAt !== null && history.talkedAt >= calledAt,
    replied: history.wroteAt !== null && history.wroteAt >= calledAt,
  }
}

/** Why a message that is still to go out has not gone out yet. */

/** What it may be waiting for. */
export type PendingMessage = {
  kind: string
  dueAt: Date
  now: Date
  mode: string
  quietWindows: readonly string[]
  timezone: string
  /** The best of the business's WhatsApp numbers; null = it has none. */
  connection: string | null
  /** No number of the business may use its template for this kind of message. */
  templatePaused: boolean
  /** Of a reminder: the state of the message before it. */
  before: string | null
  /** Its job was tried to the end, and nobody comes back to it by himself. */
  jobDead: boolean
}

export type WhyWaiting =
  | 'job_dead'
  | 'tenant_paused'
  | 'shadow'
  | 'no_connection'
  | 'connection_paused'
  | 'template_paused'
  | 'quiet'
  | 'previous_not_sent'
  | 'not_yet'
  | 'any_moment'

const LEFT = ['sent', 'delivered', 'read']

/** What a person can do something about comes first: also of a message whose time has not come yet. */
export const whyWaiting = (facts: PendingMessage): WhyWaiting => {
  if (facts.jobDead) return 'job_dead'
  if (facts.mode === 'paused') return 'tenant_paused'
  if (facts.mode === 'shadow') return 'shadow'
  if (facts.connection === null) return 'no_connection'
  if (facts.connection !== 'active') return 'connection_paused'
  if (facts.templatePaused && facts.kind !== 'opt_out_confirmation') return 'template_paused'
  if (facts.dueAt > facts.now) return 'not_yet'
  if (firstAllowed(facts.now, facts.quietWindows, facts.timezone) > facts.now) return 'quiet'
  const isReminder = facts.kind === 'reminder_1' || facts.kind === 'reminder_2'
  if (isReminder && !LEFT.includes(facts.before ?? '')) return 'previous_not_sent'
  return 'any_moment'
}
