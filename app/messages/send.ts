import { setTimeout as sleep } from 'node:timers/promises'
import { db, type Trx } from '../db/kysely.ts'
import { isTransient } from '../db/retry.ts'
import { failpoint } from '../failpoints.ts'
import { log } from '../log.ts'
import { record } from './record.ts'
import { type Outcome, type Outgoing, send } from '../whatsapp/client.ts'
import { NOT_ACCEPTED } from '../whatsapp/errors.ts'

/**
 * A process that was stopped or starved for so long after its claim may find the message given up, and the
 * customer answered: it does not send any more. Together with the send itself well within CLAIM_SECONDS.
 */
const STALE_AFTER_MS = 20_000
const NEVER_SENT: Outcome = { kind: 'refused', code: null, remedy: NOT_ACCEPTED, why: 'never_sent' }
/**
 * How long an outcome waits for the database. Others may have given the claim up by then: that a message was accepted
 * is still worth knowing, and the rest of it is ignored.
 */
const RECORD_WITHIN_MS = 10 * 60_000

/**
 * The way of every message: claim it in one transaction, send it outside of any, record it in another. No
 * connection to the database is held while WhatsApp thinks.
 *
 * @param about ids for the log
 */
export const sendMessage = async (
  task: 'lead_outreach' | 'lead_reminder' | 'owner_notice' | 'opt_out_confirmation',
  claim: (trx: Trx) => Promise<Outgoing | null>,
  about: Record<string, string | number>,
): Promise<void> => {
  failpoint(`${task}:started`)
  const claimed = performance.now()
  const message = await db.transaction().execute(async trx => {
    const made = await claim(trx)
    if (made) failpoint(`${task}:claiming`)
    return made && { ...made, attempt: await attemptOf(trx, made.messageId) }
  })
  if (!message) return
  failpoint(`${task}:claimed`)
  const stale = performance.now() - claimed > STALE_AFTER_MS
  const sent = stale ? Promise.resolve(NEVER_SENT) : send(message)
  failpoint(`${task}:sending`)
  const outcome = await sent
  failpoint(`${task}:answered`)
  await atLast(message.messageId, async trx => {
    await record(trx, message.messageId, outcome, message.attempt)
    failpoint(`${task}:recording`)
  })
  failpoint(`${task}:recorded`)
  const code = outcome.kind === 'refused' ? outcome.code : undefined
  log.info({ task, ...about, messageId: message.messageId, outcome: outcome.kind, code }, 'message')
}

/** Which try this is: an outcome belongs to its own try and to no later one. */
const attemptOf = async (trx: Trx, messageId: string): Promise<number> => {
  const message = trx.selectFrom('messages').select('attempts').where('id', '=', messageId)
  return (await message.executeTakeFirstOrThrow()).attempts
}

/**
 * What WhatsApp answered is known here and nowhere else. A lock held too long or a database that is away for
 * a moment must not make an `unknown` of it.
 */
const atLast = async (messageId: string, work: (trx: Trx) => Promise<void>): Promise<void> => {
  const until = performance.now() + RECORD_WITHIN_MS
  for (let wait = 100; ; wait = Math.min(2 * wait, 5000))
    try {
      await db.transaction().execute(work)
      return
    } catch (err) {
      if (!isTransient(err) || performance.now() + wait > until) throw err
      log.warn({ err, messageId }, 'outcome not recorded yet')
      await sleep(wait)
    }
}
