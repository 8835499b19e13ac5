import { z } from 'zod'
import { audit, type Actor } from '../audit.ts'
import type { Trx } from '../db/kysely.ts'
import { connect } from './connect.ts'
import { mode, phoneNumberId, tenantName } from './fields.ts'
import { addNumber } from './number.ts'
import { line, telephone } from './numbers.ts'
import { addToken } from './token.ts'

/** A new business, as it is described by hand. */
export const newTenant = z
  .object({
    name: tenantName,
    numbers: z.array(line).min(1, 'at least one number that customers dial'),
    /** The number WhatsApp messages come from; default: the first number. */
    whatsappNumber: telephone.optional(),
    phoneNumberId: phoneNumberId.optional(),
    accessToken: z.string().trim().min(1, 'an access token').optional(),
    ownerPhone: telephone.optional(),
    mode: mode.default('shadow'),
  })
  .refine(tenant => !tenant.accessToken || tenant.phoneNumberId, {
    path: ['phoneNumberId'],
    error: "Meta's id of the number (--phone-number-id), since an access token was given",
  })
  .refine(
    ({ accessToken, whatsappNumber, numbers }) =>
      !accessToken || whatsappNumber || numbers[0]?.startsWith('+'),
    {
      path: ['whatsappNumber'],
      error: 'a telephone number such as 0502345678, since nothing is written from a star number',
    },
  )

/**
 * Adds a business with its numbers, a webhook token bound to it, and its WhatsApp connection if an
 * access token is given.
 *
 * @returns the token too, for the only time: the database keeps its hash
 * @throws Mistake when one of the numbers is another business's already
 */
export const addTenant = async (
  trx: Trx,
  signIn: Actor,
  tenant: z.infer<typeof newTenant>,
): Promise<{ tenantId: string; webhookToken: string }> => {
  const { name, mode, ownerPhone = null } = tenant
  const { id: tenantId } = await trx
    .insertInto('tenants')
    .values({ name, mode, owner_phone: ownerPhone })
    .returning('id')
    .executeTakeFirstOrThrow()
  await audit(trx, signIn, {
    tenantId,
    action: 'tenant.add',
    subject: `tenants ${tenantId}`,
    before: null,
    after: { name, mode, ownerPhone },
  })
  for (const phone of tenant.numbers) await addNumber(trx, signIn, { tenantId, phone })
  if (tenant.accessToken && tenant.phoneNumberId)
    await connect(trx, signIn, {
      tenantId,
      phoneNumberId: tenant.phoneNumberId,
      whatsappNumber: tenant.whatsappNumber ?? telephone.parse(tenant.numbers[0]),
      accessToken: tenant.accessToken,
    })
  const { webhookToken } = await addToken(trx, signIn, tenantId)
  return { tenantId, webhookToken }
}
