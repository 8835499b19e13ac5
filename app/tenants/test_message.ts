/** A test message to the owner's phone, which shows that number, access token and template work. */
import { sql } from 'kysely'
import { z } from 'zod'
import { type Actor, audit } from '../audit.ts'
import { lockTenant } from '../db/locks.ts'
import { addJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import { notFound, userError } from '../errors.ts'
import { connectionsOf } from './connections.ts'
import { messageId, tenantId } from './schema.ts'
import { templatesOf } from './templates.ts'

export const testMessageRef = z.object({ tenantId, messageId })

/**
 * Queues the first message that customers get, for the owner's own phone. It also works in shadow and while the
 * tenant is paused. The worker sends it like any other message, at most once. It is tried once, and a failure pauses
 * nothing.
 *
 * @returns the id of its row; `testMessageState` reads the result
 * @throws UserError if the tenant has no owner's phone or no active WhatsApp number, or if the previous test message is
 * less than a minute old
 */
export const sendTestMessage = async (
  trx: Trx,
  actor: Actor,
  tenantId: string,
): Promise<{ messageId: string }> => {
  const { owner_phone: phone } = await lockTenant(trx, tenantId)
  if (!phone)
    throw userError('no_owner_phone', `tenant ${tenantId} has no owner's phone: set it first`)
  const connection = (await connectionsOf(trx, tenantId)).find(one => one.state === 'active')
  if (!connection)
    throw userError('no_connection', `tenant ${tenantId} has no active WhatsApp number`)
  const template = (await templatesOf(trx, tenantId)).find(
    one => one.connectionId === connection.connectionId && one.kind === 'initial',
  )
  if (template?.state === 'paused')
    throw userError(
      'template_paused',
      `the template of the first message is paused: ${template.reason}`,
    )
  const recent = await trx
    .selectFrom('messages')
    .select('id')
    .where('tenant_id', '=', tenantId)
    .where('occasion', 'like', 'test:%')
    .where('created_at', '>', sql<Date>`now() - interval '1 minute'`)
    .executeTakeFirst()
  if (recent) throw userError('too_soon', 'the previous test message is less than a minute old')
  const { id } = await trx
    .insertInto('messages')
    .values({
      tenant_id: tenantId,
      whatsapp_connection_id: connection.connectionId,
      direction: 'out',
      kind: 'owner_notice',
      state: 'scheduled',
      due_at: sql<Date>`now()`,
      to_phone: phone,
      occasion: sql<string>`'test:' || gen_random_uuid()`,
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  await addJob(trx, 'owner_notice', id, { messageId: id }, { tenantId })
  await audit(trx, actor, {
    tenantId,
    action: 'test_message.send',
    subject: `messages ${id}`,
    before: null,
    after: { phoneNumberId: connection.phoneNumberId },
  })
  return { messageId: id }
}

/**
 * Reads the state of a test message.
 *
 * @throws UserError if the tenant has no such test message
 */
export const testMessageState = async (
  trx: Trx,
  { tenantId, messageId }: z.infer<typeof testMessageRef>,
) => {
  const message = await trx
    .selectFrom('messages as m')
    .leftJoin('whatsapp_connections as c', 'c.id', 'm.whatsapp_connection_id')
    .select([
      'm.id as messageId',
      'm.state',
      'm.reason',
      'm.error_code as code',
      'c.phone_number_id as phoneNumberId',
    ])
    .where('m.id', '=', messageId)
    .where('m.tenant_id', '=', tenantId)
    .where('m.occasion', 'like', 'test:%')
    .executeTakeFirst()
  if (!message) throw notFound(`test message ${messageId} of tenant ${tenantId}`)
  return message
}
