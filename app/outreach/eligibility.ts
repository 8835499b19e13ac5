import { isIsraeliMobile, isValidForeign, type Phone } from '../phone.ts'

/** Everything that decides whether a caller is written to; read under the lead's lock. */
export type Facts = {
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
export const decide = (facts: Facts): Decision => {
  const skip = whyNot(facts)
  if (skip) return { state: 'skipped', reason: skip }
  if (facts.reached) return { state: 'cancelled', reason: 'reached_by_phone' }
  if (facts.replied) return { state: 'cancelled', reason: 'replied' }
  return {
    state: 'scheduled',
    reason: facts.connection === 'paused' ? 'connection_paused' : 'waiting',
  }
}

const whyNot = (facts: Facts): SkipReason | null => {
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
