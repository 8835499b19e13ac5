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
  'incoming call': { number: '1', kind: 'inbound' },
  queue: { number: '8', kind: 'inbound' },
  voicemail: { number: '11', kind: 'inbound' },
  xfercdr: { number: '13', kind: 'transfer', overridesDirection: true },
  'attended cdr leg1': { number: '21', kind: 'transfer', overridesDirection: true },
  'attended cdr leg2': { number: '22', kind: 'transfer', overridesDirection: true },
  'auto forward': { number: '23', kind: 'forward', overridesDirection: true },
  'click 2 queue incoming': { number: '19', kind: 'click_to_queue', overridesDirection: true },
  'click 2 ivr': { number: '17', kind: 'dialer', overridesDirection: true },
  'click 2 ivr incoming': { number: '18', kind: 'dialer', overridesDirection: true },
  'click2call leg1': { number: '9', kind: 'dialer', overridesDirection: true },
  'click2call leg2': { number: '10', kind: 'outgoing', overridesDirection: true },
  'productivecall leg1': { number: '14', kind: 'dialer', overridesDirection: true },
  'productivecall leg2': { number: '15', kind: 'outgoing', overridesDirection: true },
  'extension outgoing': { number: '4', kind: 'outgoing' },
  cc: { number: '2', kind: 'other' },
  callference: { number: '12', kind: 'other' },
  scrubber: { number: '16', kind: 'other' },
  faxcdr: { number: '20', kind: 'other' },
}

const NAME_BY_NUMBER = new Map(Object.entries(TYPES).map(([name, { number }]) => [number, name]))

type Fields = {
  type?: string | null | undefined
  direction?: string | null | undefined
  did?: string | null | undefined
  callerExtension?: string | null | undefined
}

/** The name of the type in lower case with single spaces, also if the CDR has its number. */
export const typeName = ({ type }: Fields): string => {
  const text = (type ?? '').trim().toLowerCase().replace(/\s+/g, ' ')
  return NAME_BY_NUMBER.get(text) ?? text
}

const typeOf = (fields: Fields): CallType | undefined => {
  const name = typeName(fields)
  return Object.hasOwn(TYPES, name) ? TYPES[name] : undefined
}

/** Whether the CDR is a later part of another call. Its direction does not matter. */
export const transferKind = (fields: Fields): 'transfer' | 'forward' | null => {
  const kind = typeOf(fields)?.kind
  return kind === 'transfer' || kind === 'forward' ? kind : null
}

/**
 * `direction` takes precedence over `type`, except for types that never count as a customer's own call. Without a
 * direction, a call that an extension dialled is internal. Some CDRs have neither, or unknown values. Then a call is
 * inbound if a number of the tenant was dialled.
 */
export const callKind = (fields: Fields): CallKind => {
  const type = typeOf(fields)
  const direction = (fields.direction ?? '').trim().toLowerCase()
  // Part of a call that the tenant made: the other end is a colleague, not a customer.
  if (direction === 'outgoing' && transferKind(fields)) return 'internal'
  if (type?.overridesDirection) return type.kind
  if (direction === 'incoming') return 'inbound'
  if (direction === 'outgoing' || direction === 'internal') return direction
  if (type && type.kind !== 'inbound') return type.kind
  if (isDialledByExtension(fields)) return 'internal'
  return type || fields.did ? 'inbound' : 'unknown'
}

/** Some accounts repeat the caller's number there. That is no extension. */
const isDialledByExtension = ({ callerExtension }: Fields): boolean =>
  !!callerExtension && readPhone(callerExtension).kind !== 'number'

/** Whether it is certain that no customer called in. */
export const isNotInbound = (kind: CallKind): boolean =>
  kind === 'outgoing' || kind === 'internal' || kind === 'dialer' || kind === 'other'
