/** Compares both ends of a finished run: what the phone systems and WhatsApp know, and what the database says. */
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Pool } from 'pg'
import type { FakeWhatsApp } from '../fake_whatsapp/server.ts'
import type { Tenant } from './environment.ts'
import type { Busy, Stop } from './monitor.ts'
import type { ByHand } from './owner.ts'
import { keyOf, type Promised, type Stored } from './traffic.ts'

type StoredRow = Stored & { deliveries: number }
type MissedCall = { id: string; tenantId: string; callId: string }
export type Message = {
  id: string
  tenantId: string
  phoneNumberId: string | null
  kind: string
  state: string
  reason: string | null
  conversationId: string | null
  callState: string | null
  calledAt: number | null
  phone: string | null
  dueAt: number | null
  claimedAt: number | null
  answered: boolean
  text: string | null
}
/** A message that the fake WhatsApp accepted, whatever it answered. */
export type Accepted = {
  messageId: string
  to: string
  template: string
  text: string
  phoneNumberId: string
  /** WhatsApp answered with a code that says "not accepted". */
  answeredFalsely: boolean
  statuses: string[]
}
export type Evidence = {
  promised: Promised[]
  stored: StoredRow[]
  missedCalls: MissedCall[]
  messages: Message[]
  accepted: Accepted[]
  wrongTokens: number
  stops: Stop[]
  busy: Busy[]
  /** Missed calls on WhatsApp whose webhooks were acknowledged. */
  whatsAppCalls: { tenantId: string; callId: string }[]
  /** What the tenant wrote by hand, and the page acknowledged. */
  byHand: ByHand[]
  tenants: Pick<Tenant, 'tenantId' | 'phoneNumberId'>[]
  /** Every caller, with the tenants that they called. */
  called: Map<string, Set<string>>
  /**
   * The keys of jobs that failed for good. A job without a key was replaced while it ran, and its worker was killed
   * before it could delete the job; the new job does its work.
   */
  failedJobs: string[]
  lockedJobs: string[]
  leaks: string[]
}

export const readDatabase = async (database: Pool) => {
  const rows = async <Row extends object>(text: string) => (await database.query<Row>(text)).rows
  const jobs = async (where: string) =>
    (
      await rows<{ job: string }>(
        `select coalesce(key, task_identifier) as job from graphile_worker.jobs where ${where}`,
      )
    ).map(({ job }) => job)
  return {
    stored: await rows<StoredRow>(`
      select 'raw' as kept, token_tenant_id::text as "tenantId", encode(sha256(body), 'hex') as hash, deliveries from raw_cdrs
      union all
      select 'rejected', tenant_id::text, encode(sha256(body), 'hex'), deliveries from rejected_deliveries where source = 'voicenter'`),
    missedCalls: await rows<MissedCall>(
      `select id::text, tenant_id::text as "tenantId", call_id as "callId" from missed_calls`,
    ),
    messages: await rows<Message>(`
      select m.id::text, m.tenant_id::text as "tenantId", w.phone_number_id as "phoneNumberId", m.kind, m.state, m.reason,
             c.id::text as "conversationId", k.outreach_state as "callState",
             (extract(epoch from k.called_at) * 1000)::float8 as "calledAt", coalesce(m.to_phone, k.caller_phone) as phone,
             (extract(epoch from case m.kind when 'initial' then k.outreach_due_at else m.due_at end) * 1000)::float8 as "dueAt",
             (extract(epoch from m.claimed_at) * 1000)::float8 as "claimedAt", m.accepted_at is not null as answered, m.text
      from messages m
      left join whatsapp_connections w on w.id = m.whatsapp_connection_id
      left join lead_conversations c on c.id = m.lead_conversation_id
      left join missed_calls k on k.id = c.missed_call_id
      where m.direction = 'out'`),
    failedJobs: await jobs('attempts >= max_attempts and key is not null'),
    lockedJobs: await jobs('locked_by is not null'),
  }
}

export const readFake = (fake: FakeWhatsApp): Pick<Evidence, 'accepted' | 'wrongTokens'> => {
  const requests = fake.requests()
  const answeredFalsely = new Set(
    requests
      .filter(({ outcome, accepted }) => outcome === 'error' && accepted)
      .map(({ wamid }) => wamid),
  )
  const statuses = new Map<string, string[]>()
  for (const { state, body } of fake.deliveries())
    if (state === 'delivered')
      for (const [, id = '', status = ''] of body.matchAll(/"id":"([^"]+)","status":"(\w+)"/g)) {
        const wamid = id.replaceAll('\\/', '/')
        statuses.set(wamid, [...(statuses.get(wamid) ?? []), status])
      }
  return {
    accepted: fake.accepted().map(message => ({
      messageId: message.biz_opaque_callback_data ?? '',
      to: message.to,
      template: message.template?.name ?? message.type,
      text: message.text,
      phoneNumberId: message.phoneNumberId,
      answeredFalsely: answeredFalsely.has(message.wamid),
      statuses: statuses.get(message.wamid) ?? [],
    })),
    wrongTokens: requests.filter(
      ({ authorization, phoneNumberId }) => authorization !== phoneNumberId,
    ).length,
  }
}

/** An Israeli mobile number in any of its spellings. */
const MOBILE = /(?<![\w.])(?:\+?972|0)?(5\d{8})(?![\w])/g

/** The lines of a log that contain a phone number of the run or a secret. The result does not repeat them. */
export const leaksIn = async (
  log: string,
  phones: ReadonlySet<string>,
  secrets: readonly string[],
): Promise<string[]> => {
  const leaks: string[] = []
  let line = 0
  for await (const text of createInterface({ input: createReadStream(log) })) {
    const where = `line ${++line} of ${log.split('/').at(-1)}`
    if ([...text.matchAll(MOBILE)].some(([, digits]) => phones.has(`+972${digits}`)))
      leaks.push(`${where}: a phone number`)
    if (secrets.some(secret => text.includes(secret))) leaks.push(`${where}: a secret`)
  }
  return leaks
}

const SETTLED = new Set(['sent', 'delivered', 'read'])
/** States in which the person may have received the message. */
const ACCEPTED = new Set(['accepted', 'unknown', ...SETTLED])
const NOT_SENT = new Set(['cancelled', 'skipped', 'shadow', 'scheduled'])
const OUTREACH = new Set(['initial', 'reminder_1', 'reminder_2'])

/** Pure. @returns what was not as promised, in sentences; none if every promise was kept */
export const check = (evidence: Evidence) => {
  const { missedCalls, messages, accepted, stored } = evidence
  const violations: string[] = []
  const wrong = (...sentences: string[]) => void violations.push(...sentences)
  const counts = { ...checkStored(evidence, wrong), sentTwice: checkSentOnce(evidence, wrong) }

  for (const ids of sameKey(missedCalls, ({ tenantId, callId }) => `${tenantId} ${callId}`))
    wrong(`missed calls ${ids} are one call`)
  const outreach = messages.filter(({ kind }) => OUTREACH.has(kind))
  for (const ids of sameKey(outreach, one => `${one.conversationId} ${one.kind}`))
    wrong(`messages ${ids} are one message`)

  const calls = new Set(missedCalls.map(({ tenantId, callId }) => `${tenantId} ${callId}`))
  for (const { tenantId, callId } of evidence.whatsAppCalls)
    if (!calls.has(`${tenantId} ${callId}`))
      wrong(`the call ${callId} on WhatsApp was acknowledged but is no missed call`)
  checkByHand(evidence, wrong)
  for (const { id, kind, claimedAt, dueAt } of outreach)
    if (claimedAt !== null && dueAt !== null && claimedAt < dueAt)
      wrong(`message ${id} (${kind}) was claimed before it was due`)

  const byId = new Map(messages.map(message => [message.id, message]))
  for (const one of accepted) checkAccepted(one, byId.get(one.messageId), evidence, wrong)

  if (evidence.wrongTokens > 0)
    wrong(`${evidence.wrongTokens} requests with the token of another number`)
  for (const job of evidence.failedJobs) wrong(`job ${withoutPhone(job)} failed for good`)
  for (const job of evidence.lockedJobs)
    wrong(`job ${withoutPhone(job)} is locked, and no process runs`)
  wrong(...evidence.leaks.slice(0, 20))

  return {
    violations,
    counts: {
      ...counts,
      stored: stored.filter(({ kept }) => kept === 'raw').length,
      rejected: stored.filter(({ kept }) => kept === 'rejected').length,
      missedCalls: missedCalls.length,
      accepted: accepted.length,
      answeredFalsely: accepted.filter(one => one.answeredFalsely).length,
      unknown: messages.filter(({ state }) => state === 'unknown'),
      settledByStatus: messages.filter(one => !one.answered && SETTLED.has(one.state)).length,
    },
  }
}

const sameKey = <Row extends { id: string }>(rows: Row[], key: (row: Row) => string): string[] =>
  [...Map.groupBy(rows, key).values()]
    .filter(({ length }) => length > 1)
    .map(same => same.map(({ id }) => id).join())
const withoutPhone = (key: string): string => key.replace(/\d{9,}/g, '…')

type Wrong = (...sentences: string[]) => void

/** Every acknowledged body is stored, once, and nothing else is. */
const checkStored = ({ promised, stored }: Evidence, wrong: Wrong) => {
  const rows = Map.groupBy(stored, keyOf)
  const known = new Set(promised.map(keyOf))
  const twice = promised.filter(one => (rows.get(keyOf(one))?.length ?? 0) > 1)
  const lost = promised.filter(one => !rows.has(keyOf(one)))
  for (const one of promised) {
    const found = rows.get(keyOf(one)) ?? []
    const counted = found.reduce((total, { deliveries }) => total + deliveries, 0)
    const about = `${keyOf(one)} (${one.what})`
    if (found.length === 0) wrong(`acknowledged but missing: ${about}`)
    else if (counted < one.acknowledged)
      wrong(`acknowledged ${one.acknowledged} times, counted ${counted} times: ${about}`)
    if (found.length > 1) wrong(`stored ${found.length} times: ${about}`)
  }
  for (const key of rows.keys()) if (!known.has(key)) wrong(`stored but never sent: ${key}`)
  return { lost: lost.length, storedTwice: twice.length }
}

/**
 * No message is accepted twice, neither by our id nor by what a person received from a tenant. Where WhatsApp accepted
 * a message and answered that it had not, the second one is not our fault and is counted apart.
 */
const checkSentOnce = ({ accepted, messages }: Evidence, wrong: Wrong): number => {
  const counted = accepted
    .filter(({ answeredFalsely }) => !answeredFalsely)
    .map(one => ({ ...one, id: one.messageId }))
  const byId = sameKey(counted, ({ id }) => id)
  for (const ids of byId) wrong(`message ${ids} was accepted more than once`)
  // Does not rely on our ids. After a message that failed, a person may get the same one because of another call.
  const kinds = new Map(messages.map(({ id, kind }) => [id, kind]))
  const arrived = counted.filter(
    ({ id, statuses }) => OUTREACH.has(kinds.get(id) ?? 'initial') && !statuses.includes('failed'),
  )
  const once = [...new Map(arrived.map(one => [one.id, one])).values()]
  const byPerson = sameKey(once, one => `${one.phoneNumberId} ${one.to} ${one.template}`)
  for (const ids of byPerson) wrong(`one person received the same template twice: messages ${ids}`)
  return byId.length + byPerson.length
}

/** Each reply by hand is one message, which was sent or is known to be doubtful, and the person got it once at most. */
const checkByHand = ({ byHand, messages, accepted }: Evidence, wrong: Wrong): void => {
  for (const { tenantId, to, text } of byHand) {
    const found = messages.filter(
      one => one.tenantId === tenantId && one.phone === to && one.text === text,
    )
    const arrived = accepted.filter(one => one.to === to && one.text === text)
    const about = `reply by hand ${found.map(({ id, state }) => `${id} (${state})`).join()}`
    if (found.length !== 1) wrong(`${about}: an acknowledged reply is ${found.length} messages`)
    if (arrived.length > 1) wrong(`${about}: the person got it ${arrived.length} times`)
    if (found.some(({ state }) => !ACCEPTED.has(state))) wrong(`${about} was acknowledged`)
  }
}

/** What WhatsApp accepted is a message of the right tenant to the right person, and the database says so. */
const checkAccepted = (
  { messageId, answeredFalsely, phoneNumberId, to, statuses }: Accepted,
  message: Message | undefined,
  { tenants, called, stops, busy }: Evidence,
  wrong: Wrong,
): void => {
  if (!message) return wrong(`WhatsApp accepted a message without a row: ${messageId}`)
  const { tenantId, kind, state, phone, claimedAt, calledAt, callState } = message
  const about = `message ${messageId} (${kind}, ${state})`
  const tenant = tenants.find(one => one.tenantId === tenantId)
  if (message.phoneNumberId !== phoneNumberId || tenant?.phoneNumberId !== phoneNumberId)
    wrong(`${about} was sent in the name of another tenant`)
  if (phone !== to) wrong(`${about} was sent to another person`)
  if (OUTREACH.has(kind)) {
    if (!called.get(to)?.has(tenantId))
      wrong(`${about} was sent to a person who never called that tenant`)
    const stop = stops.find(
      one =>
        one.tenantId === tenantId &&
        one.phone === phone &&
        (claimedAt ?? 0) > one.seenAt &&
        (calledAt ?? Infinity) <= one.upTo,
    )
    if (stop) wrong(`${about} was claimed after the database said: ${stop.why}`)
    const isBusy = busy.some(
      one =>
        one.tenantId === tenantId &&
        one.phone === phone &&
        (claimedAt ?? 0) > one.seenAt &&
        (claimedAt ?? Infinity) < one.endedAt,
    )
    if (isBusy) wrong(`${about} was claimed while the person was on the line`)
  }
  if (answeredFalsely) return
  if (kind === 'initial' && NOT_SENT.has(callState ?? ''))
    wrong(`${about} was accepted, and its call is ${callState}`)
  if (!ACCEPTED.has(state) && !(state === 'failed' && statuses.includes('failed')))
    wrong(`${about} was accepted by WhatsApp`)
  if (state === 'unknown' && statuses.length > 0)
    wrong(`${about}: WhatsApp has sent a status for it`)
}
