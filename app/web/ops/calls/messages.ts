/** What was written to the caller of a missed call, what WhatsApp reported on it, and what came back. */
import { sql } from 'kysely'
import { z } from 'zod'
import type { Trx } from '../../../db/kysely.ts'
import { statusEvent } from '../../../whatsapp/webhook.ts'
import { reportKey } from '../../whatsapp.ts'
import type { MissedCall } from './facts.ts'

export type Report = { status: string; at: Date }

export type Sent = {
  id: string
  kind: 'initial' | 'reminder_1' | 'reminder_2'
  state: string
  reason: string | null
  dueAt: Date | null
  claimedAt: Date | null
  acceptedAt: Date | null
  attempts: number
  errorCode: number | null
  reports: Report[]
}

const STATUSES = ['sent', 'delivered', 'read', 'played', 'failed']

/** The first message and its reminders, each with what was reported on it. */
export const messagesOf = async (trx: Trx, conversationId: string): Promise<Sent[]> => {
  const { rows } = await sql<Sent & { wamid: string | null; phoneNumberId: string | null }>`
    select m.id, m.kind, m.state, m.reason, m.due_at as "dueAt", m.claimed_at as "claimedAt",
           m.accepted_at as "acceptedAt", m.attempts, m.error_code as "errorCode", m.wamid,
           w.phone_number_id as "phoneNumberId"
    from messages m left join whatsapp_connections w on w.id = m.whatsapp_connection_id
    where m.lead_conversation_id = ${conversationId} and m.kind in ('initial', 'reminder_1', 'reminder_2')
    order by m.kind`.execute(trx)
  const messages: Sent[] = []
  for (const { wamid, phoneNumberId, ...message } of rows) {
    const reports = wamid && phoneNumberId ? await reportsOn(trx, phoneNumberId, wamid) : []
    messages.push({ ...message, reports })
  }
  return messages
}

const stored = z.object({ item: statusEvent.shape.item })

/** When each was made, as WhatsApp says; once retention has emptied it, when it came. */
const reportsOn = async (trx: Trx, phoneNumberId: string, wamid: string): Promise<Report[]> => {
  const keys = STATUSES.map(status => reportKey(phoneNumberId, wamid, status))
  const { rows } = await sql<{ n: string; payload: unknown; received_at: Date }>`
    select k.n, e.payload, e.received_at
    from unnest(${keys}::bytea[]) with ordinality as k (content_key, n)
    join whatsapp_events e on e.content_key = k.content_key
    order by k.n`.execute(trx)
  return rows.flatMap(({ n, payload, received_at }) => {
    const status = STATUSES[Number(n) - 1]
    const seconds = stored.safeParse(payload).data?.item.timestamp
    const at = seconds === undefined ? received_at : new Date(seconds * 1000)
    return status === undefined ? [] : [{ status, at }]
  })
}

export type Reply = { at: Date; text: string | null }

/** What she wrote because of this call; of a call without a message of its own, until she called again. */
export const repliesTo = async (trx: Trx, call: MissedCall): Promise<Reply[]> => {
  const { rows } = await sql<Reply>`
    select created_at as at, text from messages
    where lead_id = ${call.leadId} and direction = 'in'
      and case when ${call.conversationId}::bigint is not null then lead_conversation_id = ${call.conversationId}::bigint
          else created_at >= ${call.calledAt} and created_at < coalesce((
            select min(n.called_at) from missed_calls n
            where n.lead_id = ${call.leadId} and n.id <> ${call.id} and n.called_at >= ${call.calledAt}), 'infinity') end
    order by created_at limit 20`.execute(trx)
  return rows
}

export type Notice = { at: Date; occasion: 'reply' | 'silence' | 'third_call'; state: string }

/** What the owner was told because of this call. */
export const noticesOf = async (
  trx: Trx,
  tenantId: string,
  { id, conversationId }: MissedCall,
): Promise<Notice[]> => {
  const occasions = [
    `third_call:${id}`,
    ...(conversationId ? [`reply:${conversationId}`, `silence:${conversationId}`] : []),
  ]
  const { rows } = await sql<Notice>`
    select coalesce(accepted_at, created_at) as at, split_part(occasion, ':', 1) as occasion, state from messages
    where tenant_id = ${tenantId} and occasion = any(${occasions}::text[]) order by id`.execute(trx)
  return rows
}
