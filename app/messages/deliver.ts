import { db, type Trx } from '../db/kysely.ts'
import { log } from '../log.ts'
import { type Outgoing, send } from '../whatsapp/client.ts'
import { record } from './record.ts'

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
  const message = await db.transaction().execute(claim)
  if (!message) return
  const outcome = await send(message)
  await db.transaction().execute(trx => record(trx, message.messageId, outcome))
  const code = outcome.kind === 'refused' ? outcome.code : undefined
  log.info({ ...about, messageId: message.messageId, outcome: outcome.kind, code }, 'message')
}
