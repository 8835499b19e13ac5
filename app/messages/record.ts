import { sql } from 'kysely'
import { addJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import type { Outcome } from '../whatsapp/client.ts'
import {
  onAccepted,
  onArrivedAfterAll,
  onFailed,
  pauseConnection,
  pauseTemplate,
} from './consequences.ts'
import {
  inSeconds,
  lockMessage,
  LOOK_AGAIN_SECONDS,
  type Message,
  RANK,
  rankOf,
  setMessage,
  setOutreach,
} from './ledger.ts'
import { waitForSilence } from '../outreach/silence.ts'

/**
 * Writes down what came of a message that was claimed and sent, and what follows from it: reminders,
 * another try, a pause, or nothing. A webhook may have been faster; what it said is never undone.
 *
 * @param attempt which try this is the outcome of: `messages.attempts` as it was claimed
 */
export const record = async (
  trx: Trx,
  messageId: string,
  outcome: Outcome,
  attempt: number,
): Promise<void> => {
  const message = await lockMessage(trx, messageId)
  if (!message) return
  const settled = rankOf(message) > (RANK['sending'] ?? 0)
  if (outcome.kind === 'accepted') return accepted(trx, message, outcome, settled)
  // Somebody knows better already: a report from WhatsApp, or whoever gave this claim up. Or this outcome had
  // been written down, the answer to the commit was lost, and the next try is under way.
  if (message.state !== 'sending' || message.attempts !== attempt) return
  if (outcome.kind === 'unknown') {
    await setMessage(trx, message, 'unknown', outcome.why)
    await setOutreach(trx, message, 'unknown', 'no_answer')
    if (message.kind === 'reminder_2' && message.conversation_id)
      await waitForSilence(trx, message.conversation_id)
    return
  }
  const { remedy, code, why } = outcome
  // Whoever tries the set-up is looking, and tries again by hand.
  if (message.is_test) return setMessage(trx, message, 'failed', why, code)
  if (remedy.do === 'retry') {
    const wait = remedy.after[message.attempts - 1]
    if (wait !== undefined) return tryAgain(trx, message, wait, why, code)
  }
  // Held, not lost: it goes out when the pause ends, if it is not too late by then.
  if (remedy.do === 'pause_connection') await pauseConnection(trx, message, code)
  if (remedy.do === 'pause_template') await pauseTemplate(trx, message, code)
  if (remedy.do === 'pause_connection' || remedy.do === 'pause_template')
    return tryAgain(trx, message, LOOK_AGAIN_SECONDS, remedy.do, code)
  await setMessage(trx, message, 'failed', why, code)
  await onFailed(trx, message, remedy, code)
}

const accepted = async (
  trx: Trx,
  message: Message,
  { wamid, waId }: Outcome & { kind: 'accepted' },
  settled: boolean,
): Promise<void> => {
  // Without its connection: the person was erased while it was on its way, and either id would tell her number.
  await sql`
    update messages set
      wamid = case when whatsapp_connection_id is not null then coalesce(wamid, ${wamid}) end,
      wa_id = case when whatsapp_connection_id is not null then coalesce(wa_id, ${waId}) end,
      accepted_at = coalesce(accepted_at, now())
    where id = ${message.id}`.execute(trx)
  if (waId && message.lead_id && message.kind !== 'owner_notice') await remember(trx, message, waId)
  if (settled) return
  await setMessage(trx, message, 'accepted', null)
  // A person had said that it was lost; or that it arrived, and reminders wait since then.
  if (message.state === 'failed') return onArrivedAfterAll(trx, message)
  if (message.state === 'delivered') return
  await onAccepted(trx, message, message.state === 'unknown' ? 'claim' : 'now')
}

/** Under this name she will write; it is not always her number. */
const remember = async (trx: Trx, message: Message, waId: string): Promise<void> => {
  await sql`
    insert into lead_identities (tenant_id, identity, lead_id) values (${message.tenant_id}, ${waId}, ${message.lead_id})
    on conflict on constraint lead_identities_key do update set lead_id = excluded.lead_id`.execute(
    trx,
  )
}

/**
 * Surely not accepted, and worth another try. A job of its own with its own moment, since
 * graphile-worker's backoff knows nothing of Meta's delays. Whether it is too late by then is decided
 * when it is claimed.
 */
const tryAgain = async (
  trx: Trx,
  message: Message,
  seconds: number,
  why: string,
  code: number | null,
): Promise<void> => {
  const at = inSeconds(seconds)
  const { conversation_id, conversation_state, missed_call_id, caller_phone } = message
  if (conversation_state && conversation_state !== 'open') {
    const reason = message.conversation_reason ?? conversation_state
    await setMessage(trx, message, 'cancelled', reason, code)
    return setOutreach(trx, message, 'cancelled', reason)
  }
  await setMessage(trx, message, 'scheduled', why, code)
  if (message.kind === 'initial' && missed_call_id && caller_phone) {
    await setOutreach(
      trx,
      message,
      'scheduled',
      why.startsWith('pause_') ? 'connection_paused' : 'waiting',
    )
    await addJob(
      trx,
      'lead_outreach',
      missed_call_id,
      { tenantId: message.tenant_id, missedCallId: missed_call_id, callerPhone: caller_phone },
      { at },
    )
  } else if (message.kind === 'owner_notice' || message.kind === 'opt_out_confirmation')
    await addJob(trx, message.kind, message.id, { messageId: message.id }, { at })
  else if (conversation_id) {
    const reminderNumber = message.kind === 'reminder_1' ? 1 : 2
    await addJob(
      trx,
      'lead_reminder',
      `${conversation_id}:${reminderNumber}`,
      { leadId: message.lead_id ?? '', leadConversationId: conversation_id, reminderNumber },
      { at },
    )
  }
}
