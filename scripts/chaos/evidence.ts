/** What there is to see at both ends once everything has settled: in the database, and at the fake WhatsApp. */
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Pool } from 'pg'
import type { FakeWhatsApp } from '../fake_whatsapp/server.ts'
import type { Business } from './businesses.ts'
import type { Promised } from './vendor.ts'
import type { Stop } from './watch.ts'

export type Stored = {
  kept: 'raw' | 'rejected'
  tenantId: string | null
  hash: string
  deliveries: number
}
export type MissedCall = { id: string; tenantId: string; callId: string; state: string }
export type Message = {
  id: string
  tenantId: string
  /** Of the connection it was sent through. */
  phoneNumberId: string | null
  kind: string
  state: string
  reason: string | null
  conversationId: string | null
  missedCallId: string | null
  callState: string | null
  calledAt: number | null
  phone: string | null
  claimedAt: number | null
}
/** Taken by the fake WhatsApp, whatever it told us. */
export type Accepted = {
  wamid: string
  messageId: string
  to: string
  template: string
  phoneNumberId: string
  /** It was answered with a code that says "not accepted". */
  wordBroken: boolean
  /** What WhatsApp reported of it, and we acknowledged. */
  reported: string[]
}

export type Evidence = {
  promised: Promised[]
  stored: Stored[]
  missedCalls: MissedCall[]
  messages: Message[]
  accepted: Accepted[]
  /** Requests with a token that is not that number's own. */
  wrongTokens: number
  stops: Stop[]
  businesses: Pick<Business, 'tenantId' | 'phoneNumberId'>[]
  /** Customers by the businesses they called. */
  customers: Map<string, Set<string>>
  /**
   * Jobs that have been given up, by their key. One without was replaced while it ran, and its worker was killed
   * before it could write it off: what it had to do is the new one's.
   */
  deadJobs: string[]
  lockedJobs: string[]
  leaks: string[]
}

export const readDatabase = async (database: Pool) => {
  const rows = async <Row extends object>(sql: string): Promise<Row[]> =>
    (await database.query<Row>(sql)).rows
  return {
    stored: await rows<Stored>(`
      select 'raw' as kept, token_tenant_id::text as "tenantId", encode(sha256(body), 'hex') as hash, deliveries from raw_cdrs
      union all
      select 'rejected', tenant_id::text, encode(sha256(body), 'hex'), deliveries from rejected_deliveries where source = 'voicenter'`),
    missedCalls: await rows<MissedCall>(`
      select id::text, tenant_id::text as "tenantId", call_id as "callId", outreach_state as state from missed_calls`),
    messages: await rows<Message>(`
      select m.id::text, m.tenant_id::text as "tenantId", w.phone_number_id as "phoneNumberId", m.kind, m.state, m.reason,
             c.id::text as "conversationId", k.id::text as "missedCallId", k.outreach_state as "callState",
             (extract(epoch from k.called_at) * 1000)::float8 as "calledAt", coalesce(m.to_phone, k.caller_phone) as phone,
             (extract(epoch from m.claimed_at) * 1000)::float8 as "claimedAt"
      from messages m
      left join whatsapp_connections w on w.id = m.whatsapp_connection_id
      left join lead_conversations c on c.id = m.lead_conversation_id
      left join missed_calls k on k.id = c.missed_call_id
      where m.direction = 'out'`),
    deadJobs: (
      await rows<{ job: string }>(`
        select key as job from graphile_worker.jobs where attempts >= max_attempts and key is not null`)
    ).map(({ job }) => job),
    lockedJobs: (
      await rows<{ job: string }>(`
        select coalesce(key, task_identifier) as job from graphile_worker.jobs where locked_by is not null`)
    ).map(({ job }) => job),
  }
}

export const readFake = (fake: FakeWhatsApp): Pick<Evidence, 'accepted' | 'wrongTokens'> => {
  const requests = fake.requests()
  const wordBroken = new Set(
    requests.flatMap(({ outcome, accepted, wamid }) =>
      outcome === 'error' && accepted && wamid ? [wamid] : [],
    ),
  )
  const delivered = new Map<string, string[]>()
  for (const { state, body } of fake.deliveries())
    if (state === 'delivered')
      for (const [, wamid = '', status = ''] of body.matchAll(/"id":"([^"]+)","status":"(\w+)"/g)) {
        const id = wamid.replaceAll('\\/', '/')
        delivered.set(id, [...(delivered.get(id) ?? []), status])
      }
  return {
    accepted: fake.accepted().map(message => ({
      wamid: message.wamid,
      messageId: message.biz_opaque_callback_data ?? '',
      to: message.to,
      template: message.template?.name ?? message.type,
      phoneNumberId: message.phoneNumberId,
      wordBroken: wordBroken.has(message.wamid),
      reported: delivered.get(message.wamid) ?? [],
    })),
    wrongTokens: requests.filter(
      ({ outcome, authorization, phoneNumberId }) =>
        // Dropped before it was looked at.
        !(outcome === 'reset' && authorization === 'none') && authorization !== phoneNumberId,
    ).length,
  }
}

/** A customer's mobile as any of its spellings. */
const MOBILE = /(?<![\w.])(?:\+?972|0)?(5\d{8})(?![\w])/g

/** Lines of the program's output in which a phone number of the run or a secret stands, without it. */
export const leaksIn = async (
  log: string,
  phones: ReadonlySet<string>,
  secrets: readonly string[],
): Promise<string[]> => {
  const leaks: string[] = []
  let line = 0
  for await (const text of createInterface({ input: createReadStream(log) })) {
    line++
    const known = [...text.matchAll(MOBILE)].some(([, digits]) => phones.has(`+972${digits}`))
    if (known) leaks.push(`line ${line} of ${log.split('/').at(-1)}: a phone number`)
    if (secrets.some(secret => text.includes(secret)))
      leaks.push(`line ${line} of ${log.split('/').at(-1)}: a secret`)
  }
  return leaks
}
