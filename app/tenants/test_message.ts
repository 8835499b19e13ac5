import { sql } from 'kysely'
import { z } from 'zod'
import { audit, type Actor } from '../audit.ts'
import { addJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import { notFound, userError } from '../errors.ts'
import { lockTenant } from './tenants.ts'
import { connectionsOf } from './connections.ts'
import { messageId, tenantId } from './schema.ts'
import { templatesOf } from './templates.ts'

export const testMessageOf = z.object({ tenantId, messageId })

/**
 * Sends the first message that customers get to the owner's own phone, also in shadow and while the business is
 * paused: that it arrives shows that number, token and template are right. It goes the way of every message, so
 * it is sent once or not at all; but it is one try, and whatever comes of it changes nothing else.
 *
 * @returns its row, in which what became of it can be read (`testMessageState`)
 * @throws Mistake when there is nobody to write to, nothing to write from, or the last one is not a minute old
 */
export const testMessage = async (
  trx: Trx,
  signIn: Actor,
  tenantId: string,
): Promise<{ messageId: string }> => {
  const { owner_phone: phone } = await lockTenant(trx, tenantId)
  if (!phone)
    throw userError(
      'no_owner_phone',
      `the owner's phone of tenant ${tenantId} is not known: set it first`,
    )
  const connection = (await connectionsOf(trx, tenantId)).find(one => one.state === 'active')
  if (!connection)
    throw userError('no_connection', `tenant ${tenantId} has no WhatsApp number that is active`)
  const template = (await templatesOf(trx, tenantId)).find(
    one => one.connectionId === connection.connectionId && one.kind === 'initial',
  )
  if (template?.state === 'paused')
    throw userError(
      'template_paused',
      `the template of the first message is paused: ${template.reason}`,
    )
  const { rows: recent } = await sql`
    select from messages
    where tenant_id = ${tenantId} and occasion like 'test:%' and created_at > now() - interval '1 minute'
    limit 1`.execute(trx)
  if (recent.length > 0) throw userError('too_soon', 'the last test message is not a minute old')
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
  await addJob(trx, 'owner_notice', id, { messageId: id })
  await audit(trx, signIn, {
    tenantId,
    action: 'test_message.send',
    subject: `messages ${id}`,
    before: null,
    after: { phoneNumberId: connection.phoneNumberId },
  })
  return { messageId: id }
}

/**
 * What has become of a test message.
 *
 * @throws Mistake when there is no such test message of that business
 */
export const testMessageState = async (
  trx: Trx,
  { tenantId, messageId }: z.infer<typeof testMessageOf>,
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
