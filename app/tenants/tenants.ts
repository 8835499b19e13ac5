/** Adds a tenant, lists them, shows one, and changes the numbers that customers dial. */
import { sql } from 'kysely'
import { z } from 'zod'
import { type Actor, audit } from '../audit.ts'
import { lockTenant } from '../db/locks.ts'
import type { Trx } from '../db/kysely.ts'
import { notFound, userError } from '../errors.ts'
import type { GraphAnswer } from '../whatsapp/account.ts'
import {
  connect,
  type Connected,
  connectionsOf,
  knownConnection,
  newConnection,
} from './connections.ts'
import { accessState, addToken, tokensOf } from './credentials.ts'
import {
  accessToken,
  appSecret,
  dialledNumber,
  tenantId as id,
  mode,
  phoneNumber,
  phoneNumberId,
  tenantId,
  tenantName,
  wabaId,
} from './schema.ts'
import { fillQuietDays } from './quiet_days.ts'
import { formatSettings, readSettings } from './settings.ts'
import { templatesOf } from './templates.ts'

/** A new tenant, as a person describes it. */
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
 * Adds a tenant with its numbers, a webhook token, and its WhatsApp connection if there is an access token.
 *
 * @param answer what Graph told about the WhatsApp number. After a clear no, the tenant has no connection
 * @returns its id, and the webhook token, which cannot be read again: the database stores only its hash
 * @throws UserError if another tenant has one of the numbers
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
  await fillQuietDays(trx)
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
  if (phoneNumberId) await knownConnection(trx, tenantId, phoneNumberId)
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

/** Every tenant, with what a list shows. */
export const listTenants = async (trx: Trx): Promise<TenantLine[]> => {
  const { rows } = await sql<TenantLine>`
    select t.id as "tenantId", t.name, t.mode,
           array(select n.phone from tenant_numbers n where n.tenant_id = t.id order by n.created_at, n.phone) as numbers,
           (select min(c.state) from whatsapp_connections c where c.tenant_id = t.id) as connection,
           ${LAST_WEBHOOK} as "lastWebhookAt", coalesce(w.waiting, 0) as waiting
    from tenants t
    -- Counted once for all. A subquery per tenant would read every pending row each time.
    left join (
      select tenant_id, count(*)::int as waiting from missed_calls
      where outreach_state in ('scheduled', 'sending') group by 1) w on w.tenant_id = t.id
    order by t.id`.execute(trx)
  return rows
}

/**
 * Everything about one tenant except its secrets.
 *
 * @throws UserError if there is no such tenant
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
    .select([
      'phone',
      'created_at as createdAt',
      'seen_at as seenAt',
      'confirmed_at as confirmedAt',
    ])
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

// The numbers that customers dial.

export const tenantNumber = z.object({ tenantId, phone: dialledNumber })
type TenantNumber = z.infer<typeof tenantNumber>

/**
 * Adds a number. A database trigger then queues the calls to it that matched no tenant, however the row was inserted
 * (reclassify_unmatched in sql/0003_calls.sql).
 *
 * @returns whether the number is new, and how many calls are classified again
 * @throws UserError if another tenant has the number
 */
export const addNumber = async (
  trx: Trx,
  actor: Actor,
  { tenantId, phone }: TenantNumber,
): Promise<{ phone: string; added: boolean; reclassified: number }> => {
  await lockTenant(trx, tenantId)
  const reclassified = await countUnmatched(trx, { tenantId, phone })
  const added = await trx
    .insertInto('tenant_numbers')
    .values({ tenant_id: tenantId, phone })
    .onConflict(conflict => conflict.doNothing())
    .returning('phone')
    .executeTakeFirst()
  if (!added) {
    if (await hasNumber(trx, { tenantId, phone })) return { phone, added: false, reclassified: 0 }
    throw userError('number_taken', `${phone} belongs to another business already`, 'phone')
  }
  await audit(trx, actor, {
    tenantId,
    action: 'number.add',
    subject: `tenant_numbers ${phone}`,
    before: null,
    after: { phone },
  })
  return { phone, added: true, reclassified }
}

/**
 * Removes a number. Later calls to it match no tenant. Outreach for earlier calls continues.
 *
 * @throws UserError if the tenant does not have the number, or if it is the last one, because then no call would
 * match the tenant
 */
export const removeNumber = async (
  trx: Trx,
  actor: Actor,
  { tenantId, phone }: TenantNumber,
): Promise<void> => {
  await lockTenant(trx, tenantId)
  if (!(await hasNumber(trx, { tenantId, phone })))
    throw notFound(`number ${phone} of tenant ${tenantId}`)
  const others = trx
    .selectFrom('tenant_numbers')
    .select('phone')
    .where('tenant_id', '=', tenantId)
    .where('phone', '<>', phone)
    .limit(1)
  if (!(await others.executeTakeFirst()))
    throw userError(
      'last_number',
      `${phone} is the last number: without it no call would match this business, so add another number first, or pause the business`,
      'phone',
    )
  await trx
    .deleteFrom('tenant_numbers')
    .where('tenant_id', '=', tenantId)
    .where('phone', '=', phone)
    .execute()
  await audit(trx, actor, {
    tenantId,
    action: 'number.remove',
    subject: `tenant_numbers ${phone}`,
    before: { phone },
    after: null,
  })
}

/**
 * A person says that customers dial the number, though no call to it came yet.
 *
 * @throws UserError if the tenant does not have the number
 */
export const confirmNumber = async (
  trx: Trx,
  actor: Actor,
  { tenantId, phone }: TenantNumber,
): Promise<void> => {
  await lockTenant(trx, tenantId)
  const confirmed = await trx
    .updateTable('tenant_numbers')
    .set({ confirmed_at: sql<Date>`now()` })
    .where('tenant_id', '=', tenantId)
    .where('phone', '=', phone)
    .returning('phone')
    .executeTakeFirst()
  if (!confirmed) throw notFound(`number ${phone} of tenant ${tenantId}`)
  await audit(trx, actor, {
    tenantId,
    action: 'number.confirm',
    subject: `tenant_numbers ${phone}`,
    before: null,
    after: { phone },
  })
}

const hasNumber = async (trx: Trx, { tenantId, phone }: TenantNumber): Promise<boolean> => {
  const row = await trx
    .selectFrom('tenant_numbers')
    .select('phone')
    .where('tenant_id', '=', tenantId)
    .where('phone', '=', phone)
    .executeTakeFirst()
  return row !== undefined
}

/** How many calls the trigger will queue. */
const countUnmatched = async (trx: Trx, { tenantId, phone }: TenantNumber): Promise<number> => {
  const { rows } = await sql<{ calls: number }>`
    select count(distinct call_id)::int as calls from raw_cdrs
    where (verdict = 'unmatched_number' or tenant_id is null) and business_phone = ${phone}
      and (token_tenant_id is null or token_tenant_id = ${tenantId})`.execute(trx)
  return rows[0]?.calls ?? 0
}
