import { sql } from 'kysely'
import { z } from 'zod'
import { type Actor, audit } from '../audit.ts'
import type { Trx } from '../db/kysely.ts'
import { notFound } from '../errors.ts'
import { accessState } from './call_log.ts'
import { connect, connectionsOf } from './connections.ts'
import { addToken, tokensOf } from './credentials.ts'
import { addNumber } from './numbers.ts'
import { tenantId as id, line, mode, phoneNumberId, telephone, tenantName } from './schema.ts'
import { inWords, readSettings } from './settings.ts'
import { templatesOf } from './templates.ts'

/**
 * Holds a business until the end of the transaction, so that what is read here and what is written belong
 * together. Only those who change it by hand wait: rows that merely name it do not need this lock.
 *
 * @throws Mistake when there is no such business
 */
export const lockTenant = async (trx: Trx, tenantId: string) => {
  const tenant =
    id.safeParse(tenantId).success &&
    (await trx
      .selectFrom('tenants')
      .select(['id', 'mode', 'owner_phone', 'ops_password'])
      .where('id', '=', tenantId)
      .forNoKeyUpdate()
      .executeTakeFirst())
  if (!tenant) throw notFound(`tenant ${tenantId}`)
  return tenant
}

type Values = Record<string, unknown>

/** Only what changed, as the audit wants it; null = nothing. */
export const changedFields = (
  before: Values,
  after: Values,
): { before: Values; after: Values } | null => {
  const changed = Object.keys(after).filter(
    name => JSON.stringify(before[name]) !== JSON.stringify(after[name]),
  )
  if (changed.length === 0) return null
  const only = (values: Values) => Object.fromEntries(changed.map(name => [name, values[name]]))
  return { before: only(before), after: only(after) }
}

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

export type TenantLine = {
  tenantId: string
  name: string
  mode: string
  numbers: string[]
  /** Null = it has no number to write from. */
  connection: 'active' | 'paused' | null
  lastWebhookAt: Date | null
  /** First messages that are due now or later. */
  waiting: number
}

const LAST_WEBHOOK = sql<Date | null>`
  (select max(r.received_at) from raw_cdrs r where r.tenant_id = t.id and r.source = 'push')`
const WAITING = sql<number>`
  (select count(*)::int from missed_calls k
   where k.tenant_id = t.id and k.outreach_state in ('scheduled', 'sending'))`

/** Every business in a line. */
export const listTenants = async (trx: Trx): Promise<TenantLine[]> => {
  const { rows } = await sql<TenantLine>`
    select t.id as "tenantId", t.name, t.mode,
           array(select n.phone from tenant_numbers n where n.tenant_id = t.id order by n.created_at, n.phone) as numbers,
           (select min(c.state) from whatsapp_connections c where c.tenant_id = t.id) as connection,
           ${LAST_WEBHOOK} as "lastWebhookAt", coalesce(w.waiting, 0) as waiting
    from tenants t
    -- Counted at once: one by one, each would read what waits of all of them.
    left join (
      select tenant_id, count(*)::int as waiting from missed_calls
      where outreach_state in ('scheduled', 'sending') group by 1) w on w.tenant_id = t.id
    order by t.id`.execute(trx)
  return rows
}

/**
 * Everything about one business, but for its secrets.
 *
 * @throws Mistake when there is no such business
 */
export const showTenant = async (trx: Trx, tenantId: string) => {
  if (!id.safeParse(tenantId).success) throw notFound(`tenant ${tenantId}`)
  const settings = inWords(await readSettings(trx, tenantId))
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
