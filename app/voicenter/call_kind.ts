/** Who called whom: Voicenter's `type` (or CdrType, its number) and `direction` in our own words. */

export type CallKind =
  /** A customer called in: can be missed. */
  | 'inbound'
  /** A call handed on: belongs to its root and never opens a case alone. */
  | 'transfer'
  /** As a transfer, but without its root it may have been the customer's call itself. */
  | 'forward'
  /** Of the dialer's family, though it says "Incoming"; Voicenter does not publish what it means. */
  | 'click_to_queue'
  /** A person of the business called a customer. */
  | 'outgoing'
  /** A machine called, or the leg to the agent's own phone: nobody talks with a customer in it. */
  | 'dialer'
  | 'internal'
  | 'other'
  | 'unknown'

type Described = { number: string; kind: CallKind; overridesDirection?: true }

/** Names from the CDR Notification page, numbers from the Call Log page (2, 12, 16, 20: integrators). */
const TYPES: Record<string, Described> = {
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

const NAME_OF = new Map(Object.entries(TYPES).map(([name, { number }]) => [number, name]))

type WhoCalled = {
  type?: string | null | undefined
  direction?: string | null | undefined
  did?: string | null | undefined
  callerExtension?: string | null | undefined
}

/** The type's name, lower-cased with single spaces, also where its number came. */
export const typeName = ({ type }: WhoCalled): string => {
  const written = (type ?? '').trim().toLowerCase().replace(/\s+/g, ' ')
  return NAME_OF.get(written) ?? written
}

const describe = (record: WhoCalled): Described | undefined => {
  const name = typeName(record)
  return Object.hasOwn(TYPES, name) ? TYPES[name] : undefined
}

/** Whether the record is a later part of another call, whichever direction it says it went. */
export const handedOn = (record: WhoCalled): 'transfer' | 'forward' | null => {
  const kind = describe(record)?.kind
  return kind === 'transfer' || kind === 'forward' ? kind : null
}

/**
 * `direction` wins over `type`, except over those types that never open a case. Where both are missing
 * or unknown (records that have only CallID, caller, DID, DialStatus), a call is inbound if a number
 * of the business was dialled and no extension dialled it.
 */
export const callKind = (record: WhoCalled): CallKind => {
  const described = describe(record)
  const direction = (record.direction ?? '').trim().toLowerCase()
  // Part of a call that the business made: the other end of it is a colleague, not a customer.
  if (direction === 'outgoing' && handedOn(record)) return 'internal'
  if (described?.overridesDirection) return described.kind
  if (direction === 'incoming') return 'inbound'
  if (direction === 'outgoing' || direction === 'internal') return direction
  if (described) return described.kind
  return record.did && !record.callerExtension ? 'inbound' : 'unknown'
}

/** No customer called in. */
export const isNotInbound = (kind: CallKind): boolean =>
  kind === 'outgoing' || kind === 'internal' || kind === 'dialer' || kind === 'other'
