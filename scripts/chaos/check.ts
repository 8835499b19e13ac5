/** Counts at both ends. Pure: what is wrong with the evidence, in sentences; none = every promise was kept. */
import type { Accepted, Evidence, Message } from './evidence.ts'
import { keyOf } from './vendor.ts'

/** Of one message the person may have got it. */
const TAKEN = new Set(['accepted', 'sent', 'delivered', 'read', 'unknown'])
const NEVER_SENT = new Set(['cancelled', 'skipped', 'shadow', 'scheduled'])
const CHASE = new Set(['initial', 'reminder_1', 'reminder_2'])

export type Counts = {
  stored: number
  quarantined: number
  missedCalls: number
  accepted: number
  /** Acknowledged, and not there. */
  lost: number
  storedTwice: number
  sentTwice: number
  wordBroken: number
  unknown: Message[]
  /** Their answer was lost, and a report told what had become of them. */
  settledByReport: number
}

const grouped = <Item>(items: readonly Item[], key: (item: Item) => string): Map<string, Item[]> =>
  Map.groupBy(items, key)

export const check = (evidence: Evidence): { violations: string[]; counts: Counts } => {
  const violations: string[] = []
  const wrong = (...sentences: string[]) => void violations.push(...sentences)
  const { lost, storedTwice } = checkStored(evidence, wrong)

  const calls = grouped(evidence.missedCalls, ({ tenantId, callId }) => `${tenantId} ${callId}`)
  for (const [, twice] of calls)
    if (twice.length > 1) wrong(`missed calls ${twice.map(({ id }) => id).join()} are one call`)
  const kinds = grouped(
    evidence.messages.filter(({ kind }) => CHASE.has(kind)),
    ({ conversationId, kind }) => `${conversationId} ${kind}`,
  )
  for (const [, twice] of kinds)
    if (twice.length > 1) wrong(`messages ${twice.map(({ id }) => id).join()} are one message`)

  const sentTwice = checkSentOnce(evidence, wrong)
  const messages = new Map(evidence.messages.map(message => [message.id, message]))
  for (const one of evidence.accepted)
    checkAccepted(one, messages.get(one.messageId), evidence, wrong)
  checkStopped(evidence, messages, wrong)

  if (evidence.wrongTokens > 0)
    wrong(`${evidence.wrongTokens} requests with another number's token`)
  for (const job of evidence.deadJobs) wrong(`job ${withoutPhone(job)} was given up`)
  for (const job of evidence.lockedJobs)
    wrong(`job ${withoutPhone(job)} is locked, and nobody is left`)
  wrong(...evidence.leaks.slice(0, 20))

  return {
    violations,
    counts: {
      stored: evidence.stored.filter(({ kept }) => kept === 'raw').length,
      quarantined: evidence.stored.filter(({ kept }) => kept === 'rejected').length,
      missedCalls: evidence.missedCalls.length,
      accepted: evidence.accepted.length,
      lost,
      storedTwice,
      sentTwice,
      wordBroken: evidence.accepted.filter(({ wordBroken }) => wordBroken).length,
      unknown: evidence.messages.filter(({ state }) => state === 'unknown'),
      settledByReport: 0,
    },
  }
}

const withoutPhone = (key: string): string => key.replace(/\d{9,}/g, '…')

type Wrong = (...sentences: string[]) => void

/** Every acknowledged record has its row, and only one; and there is none that nobody sent. */
const checkStored = ({ promised, stored }: Evidence, wrong: Wrong) => {
  const rows = grouped(stored, ({ kept, tenantId, hash }) => keyOf(kept, tenantId, hash))
  let lost = 0
  let storedTwice = 0
  const known = new Set<string>()
  for (const { what, kept, tenantId, hash, acknowledged } of promised) {
    const key = keyOf(kept, tenantId, hash)
    known.add(key)
    const found = rows.get(key) ?? []
    if (found.length === 0) {
      lost++
      wrong(`acknowledged and not there: ${key} (${what})`)
    } else if (found.length > 1) {
      storedTwice++
      wrong(`stored ${found.length} times: ${key} (${what})`)
    }
    const deliveries = found.reduce((sum, row) => sum + row.deliveries, 0)
    if (found.length > 0 && deliveries < acknowledged)
      wrong(`acknowledged ${acknowledged} times, counted ${deliveries} times: ${key} (${what})`)
  }
  for (const key of rows.keys()) if (!known.has(key)) wrong(`stored, and nobody sent it: ${key}`)
  return { lost, storedTwice }
}

/**
 * No message is taken twice: neither by our id, nor by who got what of whom. Where WhatsApp took a message and said
 * that it had not, the second one is its own doing, and counted apart.
 */
const checkSentOnce = ({ accepted, messages }: Evidence, wrong: Wrong): number => {
  let twice = 0
  const inGoodFaith = accepted.filter(({ wordBroken }) => !wordBroken)
  for (const [id, sent] of grouped(inGoodFaith, ({ messageId }) => messageId))
    if (sent.length > 1) {
      twice++
      wrong(`message ${id} was taken ${sent.length} times`)
    }
  // Independent of our ids: what a person got from one business. After one that was reported as failed she may
  // get it again because of another call.
  const chase = new Set(messages.filter(({ kind }) => CHASE.has(kind)).map(({ id }) => id))
  const arrived = inGoodFaith.filter(
    ({ messageId, reported }) =>
      (chase.has(messageId) || !messages.some(({ id }) => id === messageId)) &&
      !reported.includes('failed'),
  )
  for (const [, sent] of grouped(
    arrived,
    one => `${one.phoneNumberId} ${one.to} ${one.template}`,
  )) {
    const ids = new Set(sent.map(({ messageId }) => messageId))
    if (ids.size > 1) {
      twice++
      wrong(`one person got ${sent[0]?.template} ${ids.size} times: messages ${[...ids].join()}`)
    }
  }
  return twice
}

/** What WhatsApp took belongs to a message that says so, of the right business, to the right person. */
const checkAccepted = (
  { messageId, wordBroken, phoneNumberId, to, reported }: Accepted,
  message: Message | undefined,
  { businesses, customers }: Evidence,
  wrong: Wrong,
): void => {
  if (!message) return wrong(`WhatsApp took a message that we know nothing of: ${messageId}`)
  const about = `message ${message.id} (${message.kind}, ${message.state})`
  const business = businesses.find(({ tenantId }) => tenantId === message.tenantId)
  if (message.phoneNumberId !== phoneNumberId || business?.phoneNumberId !== phoneNumberId)
    wrong(`${about} went out in another business's name`)
  if (message.phone !== to) wrong(`${about} went to somebody else`)
  if (CHASE.has(message.kind) && !customers.get(to)?.has(message.tenantId))
    wrong(`${about} went to somebody who never called that business`)
  if (wordBroken) return
  const failed = reported.includes('failed')
  if (!TAKEN.has(message.state) && !(failed && message.state === 'failed'))
    wrong(`${about} was taken by WhatsApp`)
  if (message.state === 'unknown' && reported.length > 0)
    wrong(`${about}: WhatsApp has reported on it`)
}

/** Nothing goes to somebody of whom it was written down, before the claim, that she must not be written to. */
const checkStopped = (
  { accepted, stops }: Evidence,
  messages: Map<string, Message>,
  wrong: Wrong,
): void => {
  const byPerson = grouped(stops, ({ tenantId, phone }) => `${tenantId} ${phone}`)
  for (const { messageId, wordBroken } of accepted) {
    const message = messages.get(messageId)
    if (!message || !CHASE.has(message.kind)) continue
    const { tenantId, phone, claimedAt, calledAt, callState, kind } = message
    const stop = byPerson
      .get(`${tenantId} ${phone}`)
      ?.find(({ seenAt, upTo }) => (claimedAt ?? 0) > seenAt && (calledAt ?? Infinity) <= upTo)
    if (stop) wrong(`message ${messageId} was claimed after it was known that she had ${stop.why}`)
    if (!wordBroken && kind === 'initial' && NEVER_SENT.has(callState ?? ''))
      wrong(`message ${messageId} was taken, and its call is ${callState}`)
  }
}
