import { setTimeout as sleep } from 'node:timers/promises'
import { db, type Trx } from '../db/kysely.ts'
import { log } from '../log.ts'
import { type Outcome, type Outgoing, send } from '../whatsapp/client.ts'
import { NOT_ARRIVED } from '../whatsapp/errors.ts'
import { record } from './record.ts'

/**
 * A process that was stopped or starved for so long after its claim may find the message given up, and the
 * customer answered: it does not send any more. Well below CLAIM_SECONDS.
 */
const STALE_AFTER_MS = 30_000
/** How long an outcome waits for the database: until others may give the claim up. */
const RECORD_WITHIN_MS = 40_000

/**
 * The way of every message: claim it in one transaction, send it outside of any, record it in another. No
 * connection to the database is held while WhatsApp thinks.
 *
 * @param about ids for the log
 */
export const deliver = async (
  claim: (trx: Trx) => Promise<Outgoing | null>,
  about: Record<string, string | number>,
): Promise<void> => {
  const claimed = performance.now()
  const message = await db.transaction().execute(async trx => {
    const made = await claim(trx)
    return made && { ...made, attempt: await attemptOf(trx, made.messageId) }
  })
  if (!message) return
  const stale = performance.now() - claimed > STALE_AFTER_MS
  const outcome: Outcome = stale
    ? { kind: 'refused', code: null, remedy: NOT_ARRIVED, why: 'never_sent' }
    : await send(message)
  await recordAtLast(message.messageId, message.attempt, outcome)
  const code = outcome.kind === 'refused' ? outcome.code : undefined
  log.info({ ...about, messageId: message.messageId, outcome: outcome.kind, code }, 'message')
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
const recordAtLast = async (
  messageId: string,
  attempt: number,
  outcome: Outcome,
): Promise<void> => {
  const until = performance.now() + RECORD_WITHIN_MS
  for (let wait = 100; ; wait = Math.min(2 * wait, 5000))
    try {
      await db.transaction().execute(trx => record(trx, messageId, outcome, attempt))
      return
    } catch (err) {
      if (performance.now() + wait > until) throw err
      log.warn({ err, messageId }, 'outcome not recorded yet')
      await sleep(wait)
    }
}
