import { lineOf, readPhone } from '../phone.ts'
import { callKind, isNotInbound } from './call_kind.ts'
import type { Cdr } from './cdr.ts'
import { type Start, startOf } from './clock.ts'
import { reachedIn, type Settings } from './verdict.ts'

/** One record of a call, read. */
export type Leg = Cdr & {
  calledAt: Date
  clock: Start['clock']
  /** The business's line in it: the number dialled, or of an outgoing call the number shown. */
  businessPhone: string | null
  /** The customer in it, E.164: who called, or whom the business called. Null where no number shows. */
  customerPhone: string | null
  /** The customer with whom a person talked in it, E.164. */
  reachedPhone: string | null
}

/** What a record says of its call, given when it reached us. */
export const legOf = (cdr: Cdr, receivedAt: Date): Leg => {
  const { at: calledAt, clock } = startOf(
    { callId: cdr.callId, time: cdr.time ?? null },
    receivedAt,
  )
  const reached = readPhone(reachedIn(cdr))
  return {
    ...cdr,
    calledAt,
    clock,
    businessPhone: businessLine(cdr),
    customerPhone: customerIn(cdr),
    reachedPhone: reached.kind === 'number' ? reached.e164 : null,
  }
}

export const businessLine = (cdr: Cdr): string | null =>
  lineOf(callKind(cdr) === 'outgoing' ? cdr.numberShown : cdr.did)

const customerIn = (cdr: Cdr): string | null => {
  const kind = callKind(cdr)
  if (isNotInbound(kind) && kind !== 'outgoing') return null
  const phone = readPhone(kind === 'outgoing' ? cdr.target : cdr.caller)
  return phone.kind === 'number' || phone.kind === 'service' ? phone.e164 : null
}

/** In the order in which they began; of those that began together the first to come stays first. */
export const inOrder = <L extends Leg>(legs: readonly L[]): L[] =>
  legs.toSorted((a, b) => a.calledAt.getTime() - b.calledAt.getTime())

/** Whether a record names one of these lines as the business's. */
export const namesOneOf =
  (lines: ReadonlySet<string>): Settings<Leg>['isOurs'] =>
  leg =>
    leg.businessPhone !== null && lines.has(leg.businessPhone)
