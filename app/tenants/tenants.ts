/** Adds a business, lists them, and shows one. */
import { sql } from 'kysely'
import { z } from 'zod'
import { type Actor, audit } from '../audit.ts'
import type { Trx } from '../db/kysely.ts'
import { notFound } from '../errors.ts'
import type { GraphAnswer } from '../whatsapp/account.ts'
import { accessState } from './call_log.ts'
import { connect, type Connected, connectionsOf, newConnection } from './connections.ts'
import { addToken, tokensOf } from './credentials.ts'
import { addNumber } from './numbers.ts'
import {
  accessToken,
  appSecret,
  tenantId as id,
  dialledNumber,
  mode,
  phoneNumberId,
  phoneNumber,
  tenantName,
  wabaId,
} from './schema.ts'
import { formatSettings, readSettings } from './settings.ts'
import { templatesOf } from './templates.ts'

/** A new business, as a person describes it. */
export const newTenant = z
  .object({
    name: tenantName,
    numbers: z.array(dialledNumber).min(1, 'at least one number that customers dial'),
    /** The number that WhatsApp messages come from. Default: the first number. */
    whatsappNumber: phoneNumber.optional(),
    phoneNumberId: phoneNumberId.optional(),
    accessToken: accessToken.optional(),
    wabaId: wabaId.optional(),
    appSecret: appSecret.optional(),
    ownerPhone: phoneNumber.optional(),
    mode: mode.default('shadow'),
  })
  .refine(tenant => !tenant.accessToken || tenant.phoneNumberId, {
    path: ['phoneNumberId'],
    error: "Meta's id of the number, because there is an access token",
  })
  .refine(
    ({ accessToken, whatsappNumber, numbers }) =>
      !accessToken || whatsappNumber || numbers[0]?.startsWith('+'),
    {
      path: ['whatsappNumber'],
      error: 'a telephone number such as 0502345678, because a star number cannot send messages',
    },
  )

/**
 * Adds a business with its numbers, a webhook token, and its WhatsApp connection if there is an access token.
 *
 * @param answer what Graph told about the WhatsApp number. After a clear no, the business has no connection
 * @returns its id, and the webhook token, which cannot be read again: the database stores only its hash
 * @throws UserError if another business has one of the numbers
 */
export const addTenant = async (
  trx: Trx,
  actor: Actor,
  tenant: z.infer<typeof newTenant>,
  answer?: GraphAnswer,
): Promise<{ tenantId: string; webhookToken: string; connected: Connected | null }> => {
  const { name, mode, ownerPhone = null } = tenant
  const { id: tenantId } = await trx
    .insertInto('tenants')
    .values({ name, mode, owner_phone: ownerPhone })
    .returning('id')
    .executeTakeFirstOrThrow()
  await audit(trx, actor, {
    tenantId,
    action: 'tenant.add',
    subject: `tenants ${tenantId}`,
    before: null,
    after: { name, mode, ownerPhone },
  })
  for (const phone of tenant.numbers) await addNumber(trx, actor, { tenantId, phone })
  const { accessToken, phoneNumberId, wabaId, appSecret } = tenant
  const whatsappNumber = tenant.whatsappNumber ?? tenant.numbers[0]
  const wanted = { tenantId, phoneNumberId, whatsappNumber, accessToken, wabaId, appSecret }
  const connected =
    accessToken && phoneNumberId && answer?.kind !== 'refused'
      ? await connect(trx, actor, newConnection.parse(wanted), answer)
      : null
  const { webhookToken } = await addToken(trx, actor, tenantId)
  return { tenantId, webhookToken, connected }
}

export type TenantLine = {
  tenantId: string
  name: string
  mode: string
  numbers: string[]
  /** Null: it has no WhatsApp number. */
  connection: 'active' | 'paused' | null
  lastWebhookAt: Date | null
  /** How many first messages are pending. */
  waiting: number
}

const LAST_WEBHOOK = sql<Date | null>`
  (select max(r.received_at) from raw_cdrs r where r.tenant_id = t.id and r.source = 'push')`
const WAITING = sql<number>`
  (select count(*)::int from missed_calls k
   where k.tenant_id = t.id and k.outreach_state in ('scheduled', 'sending'))`

/** Every business, with what a list shows. */
export const listTenants = async (trx: Trx): Promise<TenantLine[]> => {
  const { rows } = await sql<TenantLine>`
    select t.id as "tenantId", t.name, t.mode,
           array(select n.phone from tenant_numbers n where n.tenant_id = t.id order by n.created_at, n.phone) as numbers,
           (select min(c.state) from whatsapp_connections c where c.tenant_id = t.id) as connection,
           ${LAST_WEBHOOK} as "lastWebhookAt", coalesce(w.waiting, 0) as waiting
    from tenants t
    -- Counted once for all. A subquery per business would read every pending row each time.
    left join (
      select tenant_id, count(*)::int as waiting from missed_calls
      where outreach_state in ('scheduled', 'sending') group by 1) w on w.tenant_id = t.id
    order by t.id`.execute(trx)
  return rows
}

/**
 * Everything about one business except its secrets.
 *
 * @throws UserError if there is no such business
 */
export const showTenant = async (trx: Trx, tenantId: string) => {
  if (!id.safeParse(tenantId).success) throw notFound(`tenant ${tenantId}`)
  const settings = formatSettings(await readSettings(trx, tenantId))
  const { rows } = await sql<{
    createdAt: Date
    hasPassword: boolean
    lastWebhookAt: Date | null
    waiting: number
    unknown: number
  }>`
    select t.created_at as "createdAt", t.ops_password is not null as "hasPassword",
           ${LAST_WEBHOOK} as "lastWebhookAt", ${WAITING} as waiting,
           (select count(*)::int from messages m where m.tenant_id = t.id and m.state = 'unknown') as unknown
    from tenants t where t.id = ${tenantId}`.execute(trx)
  const [facts] = rows
  if (!facts) throw notFound(`tenant ${tenantId}`)
  const numbers = await trx
    .selectFrom('tenant_numbers')
    .select(['phone', 'created_at as createdAt'])
    .where('tenant_id', '=', tenantId)
    .orderBy('created_at')
    .orderBy('phone')
    .execute()
  return {
    tenantId,
    ...settings,
    ...facts,
    numbers,
    connections: await connectionsOf(trx, tenantId),
    templates: await templatesOf(trx, tenantId),
    webhookTokens: await tokensOf(trx, tenantId),
    callLog: await accessState(trx, tenantId),
  }
}
export type TenantShown = Awaited<ReturnType<typeof showTenant>>
