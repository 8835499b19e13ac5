import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import { config } from '../config.ts'
import type { Trx } from '../db/kysely.ts'
import { sha256 } from '../secrets.ts'
import { connect } from './connect.ts'
import { line, telephone } from './numbers.ts'

/** A new business, as it is described by hand. */
export const newTenant = z
  .object({
    name: z.string().trim().min(1, 'a name'),
    numbers: z.array(line).min(1, 'at least one number that customers dial'),
    /** The number WhatsApp messages come from; default: the first number. */
    whatsappNumber: telephone.optional(),
    phoneNumberId: z.string().regex(/^\d+$/, "Meta's id of the number, digits only").optional(),
    accessToken: z.string().trim().min(1, 'an access token').optional(),
    ownerPhone: telephone.optional(),
    mode: z.enum(['live', 'shadow', 'paused'], 'live, shadow or paused').default('shadow'),
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
 * @throws Error when one of the numbers is another business's already
 */
export const addTenant = async (
  trx: Trx,
  tenant: z.infer<typeof newTenant>,
): Promise<{ tenantId: string; webhookToken: string }> => {
  const { id } = await trx
    .insertInto('tenants')
    .values({ name: tenant.name, owner_phone: tenant.ownerPhone ?? null, mode: tenant.mode })
    .returning('id')
    .executeTakeFirstOrThrow()
  for (const phone of new Set(tenant.numbers)) {
    const added = await trx
      .insertInto('tenant_numbers')
      .values({ tenant_id: id, phone })
      .onConflict(conflict => conflict.doNothing())
      .returning('phone')
      .executeTakeFirst()
    if (!added) throw new Error(`number: ${phone} belongs to another business already`)
  }
  if (tenant.accessToken && tenant.phoneNumberId)
    await connect(trx, {
      tenantId: id,
      phoneNumberId: tenant.phoneNumberId,
      whatsappNumber: tenant.whatsappNumber ?? telephone.parse(tenant.numbers[0]),
      accessToken: tenant.accessToken,
    })
  return { tenantId: id, webhookToken: await addWebhookToken(trx, id) }
}

/** 256 random bits, so that its plain hash gives nothing away. */
const addWebhookToken = async (trx: Trx, tenantId: string): Promise<string> => {
  const token = randomBytes(32).toString('base64url')
  await trx
    .insertInto('webhook_tokens')
    .values({ tenant_id: tenantId, hash: sha256(token) })
    .execute()
  return token
}

/** What is entered in Voicenter's CPanel: Integrations, CDR Notification. */
export const webhookUrl = (token: string): string =>
  `${config.PUBLIC_URL}/webhooks/voicenter/cdr?token=${token}`
