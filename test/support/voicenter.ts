/** A fake Voicenter with a call log, and what the program stores from it. */
import { sql } from 'kysely'
import t from 'tap'
import { type Push, push } from '../../scripts/demo/cdr.ts'
import {
  type Account,
  type LogRecord,
  logged,
  startFakeVoicenter,
} from '../../scripts/fake_voicenter/server.ts'
import { type Business, db, post, work } from './ringback.ts'
import { grantAccess } from '../../app/tenants/credentials.ts'
import { config } from '../../app/config.ts'

export const voicenter = await startFakeVoicenter()
t.teardown(() => voicenter.close())
config().VOICENTER_API_URL = voicenter.url
config().VOICENTER_ACTIVE_CALLS_URL = voicenter.url

/** Grants access to the call log of a business, by default since yesterday. No check has run yet. */
export const withCallLog = async (
  { tenantId }: Business,
  { kind = 'code', since = '1 day' }: { kind?: 'code' | 'bearer'; since?: string } = {},
): Promise<Account> => {
  const account = voicenter.addAccount()
  const access = { tenantId, kind, secret: account[kind] }
  await db.transaction().execute(trx => grantAccess(trx, { as: 'command line' }, access))
  await sql`update call_log_access set watched_since = now() - ${since}::interval,
            checked_until = now() - ${since}::interval, next_check_at = now() + interval '1 hour'
            where tenant_id = ${tenantId}`.execute(db)
  await sql`select graphile_worker.remove_job(${`call_log:${tenantId}`})`.execute(db)
  return account
}

/** A call that began `secondsAgo`: its webhook and its record in the log. */
export const call = (
  fields: Record<string, unknown> = {},
  secondsAgo = 900,
): { push: Push; record: LogRecord; callId: string } => {
  const webhook = push(fields, secondsAgo)
  const record = logged(webhook, new Date(Date.now() - secondsAgo * 1000))
  return { push: webhook, record, callId: webhook.ivruniqueid }
}

/** Posts a webhook. */
export const webhook = async ({ token }: Business, cdr: Push): Promise<void> => {
  const { status } = await post(cdr, { token })
  if (status !== 200) throw new Error(`rejected: ${status}`)
}

/** Makes the next check due, and runs all jobs that are due. */
export const checkNow = async ({ tenantId }: Business): Promise<void> => {
  await sql`update call_log_access set next_check_at = now() where tenant_id = ${tenantId}`.execute(
    db,
  )
  await sql`select graphile_worker.add_job('call_log', json_build_object('tenantId', ${tenantId}::text),
            job_key := ${`call_log:${tenantId}`}::text)`.execute(db)
  await work()
}

export const accessRow = ({ tenantId }: Business) =>
  db
    .selectFrom('call_log_access')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .executeTakeFirstOrThrow()

/** [in the log, missing, ingested] of each successful check. */
export const checksOf = async ({ tenantId }: Business) => {
  const rows = await db
    .selectFrom('call_log_checks')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .orderBy('id')
    .execute()
  return rows.map(row => [row.in_log, row.missing, row.taken_in])
}

/** [call id, source] of each record of a business, in order of arrival. */
export const sourcesOf = async ({ tenantId }: Business) => {
  const rows = await db
    .selectFrom('raw_cdrs')
    .select(['call_id', 'source'])
    .where('tenant_id', '=', tenantId)
    .orderBy('id')
    .execute()
  return rows.map(({ call_id, source }) => [call_id, source])
}

/** [calls, lost, late, percent] of a business, as in the report for the operator. */
export const lossOf = async ({ tenantId }: Business) => {
  const { rows } = await sql<Record<'calls' | 'lost' | 'late' | 'loss_percent', string>>`
    select * from webhook_loss() where tenant_id = ${tenantId}`.execute(db)
  return rows.map(row => [row.calls, row.lost, row.late, row.loss_percent].map(Number))[0]
}
