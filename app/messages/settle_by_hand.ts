import { audit, type Actor } from '../audit.ts'
import type { Trx } from '../db/kysely.ts'
import { notFound, userError } from '../errors.ts'
import { onAccepted, onFailed } from './consequences.ts'
import { lockMessage, setMessage } from './ledger.ts'

/**
 * A person has found out what became of a message whose answer was lost. One that arrived counts as delivered, for
 * reminders follow only what has left WhatsApp; they run from its claim. One that did not arrive has failed, and
 * is never sent again; the next missed call is written to. Should WhatsApp report on it after all, its word counts.
 *
 * @throws Mistake when there is no such message, or it is known by now what became of it
 */
export const settleByHand = async (
  trx: Trx,
  signIn: Actor,
  { tenantId, messageId, arrived }: { tenantId: string; messageId: string; arrived: boolean },
): Promise<void> => {
  const owned = await trx
    .selectFrom('messages')
    .select('id')
    .where('id', '=', messageId)
    .where('tenant_id', '=', tenantId)
    .executeTakeFirst()
  const message = owned && (await lockMessage(trx, messageId))
  if (!message) throw notFound(`message ${messageId} of tenant ${tenantId}`)
  if (message.state !== 'unknown')
    throw userError('settled', 'what became of this message is known by now')

  const state = arrived ? 'delivered' : 'failed'
  await setMessage(trx, message, state, 'by_operator')
  if (arrived) await onAccepted(trx, message, 'claim')
  else await onFailed(trx, message, { do: 'fail' }, null)
  await audit(trx, signIn, {
    tenantId,
    action: 'message.settle',
    subject: `messages ${messageId}`,
    before: { state: message.state },
    after: { state },
  })
}
