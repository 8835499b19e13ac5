/** Decides which CDRs belong to one call. */
import { personOf } from '../phone.ts'
import { firstCaller, type Leg } from './classify.ts'

/** A CDR, with the ids by which it may belong to the call of another. */
export type LinkedRecord = {
  /** Of its row; in the order of arrival. */
  id: string
  callId: string
  /** The id of the first CDR of its call, as the CDR names it. Null if it names none. */
  names: string | null
  /** The root id that its row has now. */
  rootCallId: string
  /** The person who called, if the CDR names one. */
  caller: string | null
  /** It is a customer's own call and no transferred part of one. */
  isFirst: boolean
  calledAt: Date
}

export const linkedRecord = (
  leg: Leg,
  row: { id: string; rootCallId: string },
  isOwnLine: (e164: string) => boolean,
): LinkedRecord => {
  const first = firstCaller(leg, isOwnLine)
  return {
    ...row,
    callId: leg.callId,
    names: leg.rootCallId ?? null,
    caller: first ?? (leg.customerPhone && personOf(leg.customerPhone)),
    isFirst: first !== null,
    calledAt: leg.calledAt,
  }
}

/**
 * The root id of each CDR, by the id of its row.
 *
 * A CDR may name the CDR before it and not the first one, so each chain is followed to its end. The end may be an
 * id that has not arrived. A chain that ends nowhere has its earliest CDR as root.
 *
 * Two first CDRs with different callers are never one call, whatever ids they share: each is a root by its own CallID.
 * If both have one CallID, the later one gets CallID#2.
 *
 * @param all the CDRs that are connected by their ids, in the order of arrival
 * @returns a CDR that is a call of its own for good has no entry
 */
export const rootsOf = (all: readonly LinkedRecord[]): Map<string, string> => {
  const records = all.filter(record => !isSeparate(record))
  const separate = new Set(records.filter(wasSeparated).map(({ callId }) => callId))
  let ends = endsOf(records, separate)
  for (const group of Map.groupBy(records.filter(isOwnCall), record => ends(record)).values()) {
    const owner = group.find(record => record.callId === ends(record))?.caller ?? null
    if (new Set(group.map(({ caller }) => caller)).size > 1)
      for (const { callId, caller } of group) if (caller !== owner) separate.add(callId)
  }
  ends = endsOf(records, separate)

  const roots = new Map<string, string>()
  for (const [end, group] of Map.groupBy(records, record => ends(record))) {
    const callers = [...new Set(group.filter(isOwnCall).map(({ caller }) => caller))]
    for (const { id, caller } of group) {
      const at = Math.max(0, callers.indexOf(caller))
      roots.set(id, at === 0 ? end : `${end}#${at + 1}`)
    }
  }
  return roots
}

const isOwnCall = ({ isFirst, caller }: LinkedRecord): boolean => isFirst && caller !== null

/** Another caller shared the root that it names. That other CDR may not be among these. */
const wasSeparated = (record: LinkedRecord): boolean =>
  isOwnCall(record) &&
  record.names !== null &&
  record.names !== record.callId &&
  baseOf(record.rootCallId) === record.callId

/** The id without the number of its caller. */
export const baseOf = (rootCallId: string): string => rootCallId.replace(/##?\d+$/, '')

/** The root id of a CDR that is a call of its own, because too many are connected with it. */
export const rootOfSeparate = (rootCallId: string, id: string): string =>
  `${baseOf(rootCallId)}##${id}`

const isSeparate = ({ id, callId, rootCallId }: LinkedRecord): boolean =>
  rootCallId !== callId && rootCallId.endsWith(`##${id}`)

/**
 * @param separate the CallIDs of CDRs that belong to no other CDR
 * @returns where the chain of a CDR ends
 */
const endsOf = (
  records: readonly LinkedRecord[],
  separate: ReadonlySet<string>,
): ((record: LinkedRecord) => string) => {
  const next = new Map<string, string>()
  for (const { callId, names } of records)
    if (names !== null && names !== callId && !separate.has(callId) && !next.has(callId))
      next.set(callId, names)
  const known = new Map<string, string>()
  const endOf = (start: string): string => {
    const path: string[] = []
    let id = start
    for (let to = next.get(id); to !== undefined && !known.has(id); to = next.get(id)) {
      const from = path.indexOf(id)
      if (from >= 0) {
        known.set(id, earliestOf(records, new Set(path.slice(from))))
        break
      }
      path.push(id)
      id = to
    }
    const end = known.get(id) ?? id
    for (const passed of path) known.set(passed, end)
    return end
  }
  return ({ callId }) => endOf(callId)
}

const earliestOf = (records: readonly LinkedRecord[], callIds: ReadonlySet<string>): string =>
  records
    .filter(({ callId }) => callIds.has(callId))
    .reduce((first, record) => (record.calledAt < first.calledAt ? record : first)).callId
