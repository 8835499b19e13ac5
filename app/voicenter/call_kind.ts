/** Who called whom, from Voicenter's `type` (or CdrType, its number) and `direction`. */
import { readPhone } from '../phone.ts'

export type CallKind =
  /** A customer called the tenant. Only such a call can be missed. */
  | 'inbound'
  /** A later part of another call. It never counts as a missed call alone. */
  | 'transfer'
  /** Like a transfer. But if its root never arrives, it may have been the customer's call itself. */
  | 'forward'
  /** The queue calls a customer back, although the type says "Incoming". The customer is the target. */
  | 'click_to_queue'
  /** Someone at the tenant called a customer. */
  | 'outgoing'
  /** A machine called, or this is the leg to the agent's own phone. No one talks with a customer in it. */
  | 'dialer'
  | 'internal'
  | 'other'
  | 'unknown'

type CallType = { number: string; kind: CallKind; overridesDirection?: true }

/** Names from the CDR Notification page, numbers from the Call Log page (2, 12, 16, 20: from integrators). */
const TYPES: Record<string, CallType> = {
  'Incoming Call': { number: '1', kind: 'inbound' },
  Queue: { number: '8', kind: 'inbound' },
  VoiceMail: { number: '11', kind: 'inbound' },
  XferCDR: { number: '13', kind: 'transfer', overridesDirection: true },
  'Attended CDR leg1': { number: '21', kind: 'transfer', overridesDirection: true },
  'Attended CDR leg2': { number: '22', kind: 'transfer', overridesDirection: true },
  'Auto forward': { number: '23', kind: 'forward', overridesDirection: true },
  'Click 2 Queue Incoming': { number: '19', kind: 'click_to_queue', overridesDirection: true },
  'Click 2 IVR': { number: '17', kind: 'dialer', overridesDirection: true },
  'Click 2 IVR Incoming': { number: '18', kind: 'dialer', overridesDirection: true },
  'Click2Call leg1': { number: '9', kind: 'dialer', overridesDirection: true },
  'Click2Call leg2': { number: '10', kind: 'outgoing', overridesDirection: true },
  'ProductiveCall Leg1': { number: '14', kind: 'dialer', overridesDirection: true },
  'ProductiveCall Leg2': { number: '15', kind: 'outgoing', overridesDirection: true },
  'Extension Outgoing': { number: '4', kind: 'outgoing' },
  CC: { number: '2', kind: 'other' },
  Callference: { number: '12', kind: 'other' },
  Scrubber: { number: '16', kind: 'other' },
  FaxCdr: { number: '20', kind: 'other' },
}

/** Lower and upper case, spaces, hyphens and underscores say nothing. */
const folded = (text: string): string => text.toLowerCase().replace(/[\s_\p{Pd}]+/gu, '')

type NamedType = CallType & { name: string }
/** By the name as Voicenter writes it and by its number: an ordinary CDR needs no other look-up. */
const KNOWN = new Map<string, NamedType>()
const BY_FOLDED_NAME = new Map<string, NamedType>()
for (const [written, type] of Object.entries(TYPES)) {
  const named = { ...type, name: written.toLowerCase() }
  KNOWN.set(written, named).set(type.number, named)
  BY_FOLDED_NAME.set(folded(written), named)
}

const DIRECTIONS = new Map<string, 'incoming' | 'outgoing' | 'internal'>([
  ['incoming', 'incoming'],
  ['inbound', 'incoming'],
  ['in', 'incoming'],
  ['outgoing', 'outgoing'],
  ['outbound', 'outgoing'],
  ['out', 'outgoing'],
  ['internal', 'internal'],
])

type Fields = {
  callId?: string
  rootCallId?: string | null | undefined
  type?: string | null | undefined
  direction?: string | null | undefined
  did?: string | null | undefined
  callerExtension?: string | null | undefined
}

/** The name of the type in lower case, also if the CDR has its number or another spelling. */
export const typeName = (fields: Fields): string =>
  typeOf(fields)?.name ?? (fields.type ?? '').trim().toLowerCase().replace(/\s+/g, ' ')

const typeOf = ({ type }: Fields): NamedType | undefined =>
  type ? (KNOWN.get(type) ?? BY_FOLDED_NAME.get(folded(type)) ?? KNOWN.get(type.trim())) : undefined

const directionOf = ({ direction }: Fields) =>
  direction ? (DIRECTIONS.get(direction) ?? DIRECTIONS.get(folded(direction))) : undefined

/** Whether the CDR is a later part of another call. Its direction does not matter. */
export const transferKind = (fields: Fields): 'transfer' | 'forward' | null => {
  const kind = typeOf(fields)?.kind
  return kind === 'transfer' || kind === 'forward' ? kind : null
}

/**
 * `direction` takes precedence over `type`, except for types that never count as a customer's own call. Without a
 * direction, a call that an extension dialled is internal. Some CDRs have neither, or unknown values. Then a call is
 * inbound if a number of the tenant was dialled.
 *
 * A transferred CDR that names no root is a call of its own. Its direction may be that of the leg to the outside phone.
 */
export const callKind = (fields: Fields): CallKind => {
  const type = typeOf(fields)
  const direction = directionOf(fields)
  if (transferKind(fields) && direction !== 'incoming') {
    const isPart = namesRoot(fields)
    // Of a call that the tenant made: the other end is a colleague, not a customer.
    if (direction === 'outgoing' && (isPart || !fields.did)) return 'internal'
    if (!isPart && isDialledByExtension(fields)) return 'internal'
  }
  if (type?.overridesDirection) return type.kind
  if (direction === 'incoming') return 'inbound'
  if (direction === 'outgoing' || direction === 'internal') return direction
  if (type && type.kind !== 'inbound') return type.kind
  if (isDialledByExtension(fields)) return 'internal'
  return type || fields.did ? 'inbound' : 'unknown'
}

const namesRoot = ({ callId, rootCallId }: Fields): boolean => !!rootCallId && rootCallId !== callId

/** Some accounts repeat the caller's number there. That is no extension. */
const isDialledByExtension = ({ callerExtension }: Fields): boolean =>
  !!callerExtension && readPhone(callerExtension).kind !== 'number'

/** Whether it is certain that no customer called in. */
export const isNotInbound = (kind: CallKind): boolean =>
  kind === 'outgoing' || kind === 'internal' || kind === 'dialer' || kind === 'other'
