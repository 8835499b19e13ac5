/** The steps of one conversation, each in a transaction of its own, as in the tasks. */
import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import { type Business, db } from './ringback.ts'
import { applyStatus } from '../../app/messages/statuses.ts'
import { record } from '../../app/messages/record.ts'
import { recordMissedCalls } from '../../app/outreach/missed_calls.ts'
import { claim as claimMessage } from '../../app/messages/claim.ts'
import { firstMessage, reminder } from '../../app/messages/kinds.ts'
import { send } from '../../app/messages/send.ts'
import type { Connection } from '../../app/replies/contacts.ts'

export const TEMPLATE = {
  initial: 'ringback_missed_call',
  reminder_1: 'ringback_reminder_1',
  reminder_2: 'ringback_reminder_2',
}
export type Step = keyof typeof TEMPLATE
export type Claimed = NonNullable<Awaited<ReturnType<typeof claimMessage>>>
export type Outcome = Awaited<ReturnType<typeof send>>
export type Report = Parameters<typeof applyStatus>[2]

export const connectionOf = async ({ tenantId }: Business): Promise<Connection> => {
  const { id } = await db
    .selectFrom('whatsapp_connections')
    .select('id')
    .where('tenant_id', '=', tenantId)
    .executeTakeFirstOrThrow()
  return { tenantId, connectionId: id, eventId: '0' }
}

/** Records a missed call of half a minute ago, whose first message is scheduled. Returns its id. */
export const missedBy = async ({ tenantId, line }: Business, caller: string): Promise<string> => {
  const [recorded] = await db.transaction().execute(trx =>
    recordMissedCalls(trx, [
      {
        tenantId,
        callId: randomUUID(),
        caller,
        businessPhone: line,
        status: 'NOANSWER',
        calledAt: new Date(Date.now() - 30_000),
      },
    ]),
  )
  if (recorded?.decision.state !== 'scheduled') throw new Error(JSON.stringify(recorded))
  return recorded.id
}

/** Makes a step due, if it is scheduled. */
export const due = async (missedCallId: string, step: Step): Promise<void> => {
  if (step === 'initial')
    await sql`update missed_calls set outreach_due_at = now()
              where id = ${missedCallId} and outreach_state = 'scheduled'`.execute(db)
  else
    await sql`
      update messages set due_at = now() where state = 'scheduled' and kind = ${step} and lead_conversation_id in (
        select id from lead_conversations where missed_call_id = ${missedCallId})`.execute(db)
}

/** Null = nothing to send, or not yet. */
export const claim = async (missedCallId: string, step: Step): Promise<Claimed | null> => {
  if (step === 'initial') {
    const { tenant_id: tenantId } = await db
      .selectFrom('missed_calls')
      .select('tenant_id')
      .where('id', '=', missedCallId)
      .executeTakeFirstOrThrow()
    return claimMessage(firstMessage(missedCallId, tenantId))
  }
  const conversation = await db
    .selectFrom('lead_conversations')
    .select('id')
    .where('missed_call_id', '=', missedCallId)
    .executeTakeFirst()
  if (!conversation) return null
  return claimMessage(reminder(conversation.id, step === 'reminder_1' ? 1 : 2))
}

export { record as recorded, send }

/** The first message, claimed, sent and recorded. */
export const sentTo = async (
  shop: Business,
  caller: string,
): Promise<{ id: string; claimed: Claimed; outcome: Outcome }> => {
  const id = await missedBy(shop, caller)
  await due(id, 'initial')
  const claimed = await claim(id, 'initial')
  if (!claimed) throw new Error('nothing to send')
  const outcome = await send(claimed)
  await record(claimed, outcome)
  return { id, claimed, outcome }
}

export const settled = (connection: Connection, report: Report): Promise<string> =>
  db.transaction().execute(trx => applyStatus(trx, connection, report))
