import { sql } from 'kysely'
import { addJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import type { Outcome } from '../whatsapp/client.ts'

type Sent = {
  id: string
  tenant_id: string
  attempts: number
  conversation_id: string
  conversation_state: string
  lead_id: string
  missed_call_id: string
  caller_phone: string
}

/**
 * Writes down what came of a first message that was claimed and sent, and what follows from it: the
 * reminders, another try, or nothing.
 */
export const recordFirstMessage = async (
  trx: Trx,
  messageId: string,
  outcome: Outcome,
): Promise<void> => {
  const sent = await lockMessage(trx, messageId)
  // Settled in the meantime by better evidence.
  if (!sent) return
  if (outcome.kind === 'accepted') return accepted(trx, sent, outcome)
  if (outcome.kind === 'unknown') {
    await setMessage(trx, sent, 'unknown', outcome.why, null)
    return setOutreach(trx, sent, 'unknown', 'no_answer')
  }
  const { remedy, code, why } = outcome
  const wait = remedy.do === 'retry' ? remedy.after[sent.attempts - 1] : undefined
  if (wait !== undefined) return tryAgain(trx, sent, wait, code, why)
  await setMessage(trx, sent, 'failed', why, code)
  await setOutreach(trx, sent, 'failed', 'refused')
  await trx
    .updateTable('lead_conversations')
    .set({ state: 'stopped' })
    .where('id', '=', sent.conversation_id)
    .where('state', '=', 'open')
    .execute()
}

/** The lead first, as always. A message given up as `unknown` is still open to its sender's word. */
const lockMessage = async (trx: Trx, messageId: string): Promise<Sent | null> => {
  await sql`
    select from leads where id = (
      select c.lead_id from messages m join lead_conversations c on c.id = m.lead_conversation_id where m.id = ${messageId})
    for update`.execute(trx)
  const { rows } = await sql<Sent>`
    select m.id, m.tenant_id, m.attempts, c.id as conversation_id, c.state as conversation_state, c.lead_id,
           k.id as missed_call_id, k.caller_phone
    from messages m
    join lead_conversations c on c.id = m.lead_conversation_id
    join missed_calls k on k.id = c.missed_call_id
    where m.id = ${messageId} and m.state in ('sending', 'unknown')
    for update of m, k`.execute(trx)
  return rows[0] ?? null
}

const setMessage = async (
  trx: Trx,
  sent: Sent,
  state: string,
  reason: string,
  code: number | null,
): Promise<void> => {
  await trx
    .updateTable('messages')
    .set({ state, reason, error_code: code })
    .where('id', '=', sent.id)
    .execute()
}

const setOutreach = async (trx: Trx, sent: Sent, state: string, reason: string): Promise<void> => {
  await trx
    .updateTable('missed_calls')
    .set({ outreach_state: state, outreach_reason: reason })
    .where('id', '=', sent.missed_call_id)
    .execute()
}

const accepted = async (
  trx: Trx,
  sent: Sent,
  { wamid, waId }: Outcome & { kind: 'accepted' },
): Promise<void> => {
  await trx
    .updateTable('messages')
    .set({
      state: 'accepted',
      reason: null,
      error_code: null,
      wamid,
      wa_id: waId,
      accepted_at: sql`now()`,
    })
    .where('id', '=', sent.id)
    .execute()
  await setOutreach(trx, sent, 'sent', 'accepted')
  await sql`update leads set state = 'contacted' where id = ${sent.lead_id} and state = 'new'`.execute(
    trx,
  )
  // Looked at again, under the lock: she may have called and got through while we were sending.
  if (sent.conversation_state === 'open') await scheduleReminders(trx, sent)
}

/** Both rows at once, with their due moments; the jobs only wake us up. */
const scheduleReminders = async (trx: Trx, sent: Sent): Promise<void> => {
  const { rows } = await sql<{ kind: string; due_at: Date }>`
    insert into messages (tenant_id, lead_conversation_id, direction, kind, state, due_at)
    select t.id, ${sent.conversation_id}::bigint, 'out', r.kind, 'scheduled', now() + r.after
    from tenants t, lateral (values ('reminder_1', t.reminder_1_after), ('reminder_2', t.reminder_2_after)) as r (kind, after)
    where t.id = ${sent.tenant_id}
    on conflict (lead_conversation_id, kind) where kind in ('initial', 'reminder_1', 'reminder_2') do nothing
    returning kind, due_at`.execute(trx)
  for (const { kind, due_at } of rows) {
    const reminderNumber = kind === 'reminder_1' ? 1 : 2
    await addJob(
      trx,
      'lead_reminder',
      `${sent.conversation_id}:${reminderNumber}`,
      { leadId: sent.lead_id, leadConversationId: sent.conversation_id, reminderNumber },
      { at: due_at },
    )
  }
}

/** How a conversation that ended while its message was being refused is told in the missed call. */
const CANCELLED_BECAUSE: Record<string, string> = { stopped: 'by_operator' }

/**
 * Surely not accepted, and worth another try. A job of its own with its own moment, since
 * graphile-worker's backoff knows nothing of Meta's delays. Whether it is too late by then is decided
 * when it is claimed.
 */
const tryAgain = async (
  trx: Trx,
  sent: Sent,
  seconds: number,
  code: number | null,
  why: string,
): Promise<void> => {
  if (sent.conversation_state !== 'open') {
    const reason = CANCELLED_BECAUSE[sent.conversation_state] ?? sent.conversation_state
    await setMessage(trx, sent, 'cancelled', reason, code)
    return setOutreach(trx, sent, 'cancelled', reason)
  }
  await setMessage(trx, sent, 'scheduled', why, code)
  await setOutreach(trx, sent, 'scheduled', 'waiting')
  await addJob(
    trx,
    'lead_outreach',
    sent.missed_call_id,
    { tenantId: sent.tenant_id, missedCallId: sent.missed_call_id, callerPhone: sent.caller_phone },
    { at: sql<Date>`now() + make_interval(secs => ${seconds})` },
  )
}
