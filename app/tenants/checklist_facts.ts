/** Reads the facts of the checklist of a tenant. */
import { sql } from 'kysely'
import { config } from '../config.ts'
import type { Trx } from '../db/kysely.ts'
import type { MessageState } from '../states.ts'
import { reportKey } from '../whatsapp/event_keys.ts'
import { NUMBER_MOVED } from './accounts.ts'
import { checklist, type Step } from './checklist.ts'
import type { TenantShown } from './tenants.ts'

/** What `showTenant` does not read. */
export type ChecklistRow = {
  firstCallAt: Date | null
  quietChosenAt: Date | null
  verifiedAt: Date | null
  refusedAt: Date | null
  testState: MessageState | null
  testCode: number | null
  testWamid: string | null
  testPhoneNumberId: string | null
  acceptedAt: Date | null
}

export const loadChecklist = async (trx: Trx, tenant: TenantShown): Promise<Step[]> => {
  const { tenantId, connections, numbers, ownerPhone, quietChosen } = tenant
  const { rows } = await sql<ChecklistRow>`
    select
      (select min(r.received_at) from raw_cdrs r where r.tenant_id = t.id and r.source = 'push') as "firstCallAt",
      t.quiet_chosen_at as "quietChosenAt", v.verified_at as "verifiedAt", v.refused_at as "refusedAt",
      m.state as "testState", m.error_code as "testCode", m.wamid as "testWamid",
      m.phone_number_id as "testPhoneNumberId", m.accepted_at as "acceptedAt"
    from tenants t
    left join whatsapp_verification v on true
    left join lateral (
      select m.state, m.error_code, m.wamid, m.accepted_at, c.phone_number_id
      from messages m left join whatsapp_connections c on c.id = m.whatsapp_connection_id
      where m.tenant_id = t.id and m.occasion like 'test:%' order by m.id desc limit 1) m on true
    where t.id = ${tenantId}`.execute(trx)
  const [row] = rows
  if (!row) throw new Error('the tenant was deleted meanwhile')
  const known = connections.filter(({ reason }) => reason !== NUMBER_MOVED)
  const ids = known.map(({ connectionId }) => connectionId)
  const { WHATSAPP_APP_SECRET, WHATSAPP_VERIFY_TOKEN } = config()
  return checklist({
    firstCallAt: row.firstCallAt,
    lastCallAt: tenant.lastWebhookAt,
    numbers,
    unknownNumbers: await loadUnknownNumbers(trx, tenantId),
    connections: known,
    meta: {
      hasAppSecret: WHATSAPP_APP_SECRET !== undefined,
      hasVerifyToken: WHATSAPP_VERIFY_TOKEN !== undefined,
      verifiedAt: row.verifiedAt,
      refusedAt: row.refusedAt,
    },
    templates: tenant.templates.filter(({ connectionId }) => ids.includes(connectionId)),
    ownerPhone,
    test: row.testState && {
      state: row.testState,
      code: row.testCode,
      reportedAt: await reportedAt(trx, row),
    },
    quiet: { isChosen: quietChosen, chosenAt: row.quietChosenAt },
  })
}

/** When WhatsApp reported the state of the test message. */
const reportedAt = async (
  trx: Trx,
  { testState, testWamid, testPhoneNumberId, acceptedAt }: ChecklistRow,
): Promise<Date | null> => {
  if (!testState || !testWamid || !testPhoneNumberId) return acceptedAt
  const event = await trx
    .selectFrom('whatsapp_events')
    .select('received_at as at')
    .where('content_key', '=', reportKey(testPhoneNumberId, testWamid, testState))
    .executeTakeFirst()
  return event?.at ?? acceptedAt
}

export type UnknownNumber = { phone: string; calls: number }

/** The query reads only this many call records. */
const MAX_RECORDS = 1000

/** Numbers in call records that came with this tenant's token and that belong to no tenant. */
export const loadUnknownNumbers = async (trx: Trx, tenantId: string): Promise<UnknownNumber[]> => {
  const { rows } = await sql<UnknownNumber>`
    with unmatched as (
      select business_phone as phone, call_id from raw_cdrs
      -- As in raw_cdrs_unmatched_numbers. The token's tenant is the tenant.
      where coalesce(tenant_id, 0) = ${tenantId} and token_tenant_id = ${tenantId} and verdict = 'unmatched_number'
        and business_phone is not null
      limit ${MAX_RECORDS}
    )
    select phone, count(distinct call_id)::int as calls from unmatched u
    -- A number that was added since belongs to another tenant, or its calls are still being classified.
    where not exists (select from tenant_numbers n where n.phone = u.phone)
    group by phone order by calls desc, phone`.execute(trx)
  return rows
}
