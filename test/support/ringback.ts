/** Runs the program in the process of the test, with a real database, real endpoints and a fake WhatsApp server. */
import { randomBytes, randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { runOnce } from 'graphile-worker'
import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { startFakeWhatsApp } from '../../scripts/fake_whatsapp/server.ts'
import { logger, taskList } from '../../app/worker/run.ts'
import { startWeb } from '../../app/web/server.ts'
import { addTenant, newTenant } from '../../app/tenants/tenants.ts'
import { sha256 } from '../../app/crypto.ts'
import { reloadConfig } from '../../app/config.ts'
import { newPool } from '../../app/db/pool.ts'
import { db, opsDb, webDb } from '../../app/db/kysely.ts'

export const fake = await startFakeWhatsApp()
export const APP_SECRET = 'the secret of our Meta app'
export const VERIFY_TOKEN = 'entered in the dashboard'
Object.assign(process.env, {
  WHATSAPP_GRAPH_URL: fake.url,
  WHATSAPP_APP_SECRET: APP_SECRET,
  WHATSAPP_VERIFY_TOKEN: VERIFY_TOKEN,
})
reloadConfig()
// The fake reports on a message only if a test asks for it.
fake.setStatuses([])
export { db, webDb }

const web = await startWeb(() => null)
const address = web.address()
export const url = `http://127.0.0.1:${address && typeof address === 'object' ? address.port : 0}`
export const CDR = `${url}/webhooks/voicenter/cdr`
export const WHATSAPP = `${url}/webhooks/whatsapp`
const workerPool = await newPool('test worker', 8)

t.teardown(async () => {
  web.close()
  web.closeAllConnections()
  await fake.close()
  await workerPool.end()
  await db.destroy()
  await webDb.destroy()
  await opsDb.destroy()
})

/** Runs all due jobs, and the jobs that they add, until none is due. */
export const work = async (atOnce = 4): Promise<void> => {
  const { rows } = await sql<{ now: Date; due: number }>`
    select now(), (select count(*)::int from (
      select from graphile_worker._private_jobs
      where is_available and run_at <= now() limit ${atOnce}) as jobs) as due`.execute(db)
  const { now, due } = rows[0] ?? { now: new Date(), due: atOnce }
  if (!due) return
  await runOnce({
    pgPool: workerPool,
    taskList,
    logger,
    noHandleSignals: true,
    parsedCronItems: [],
    // A worker without a job would only ask the queue once more.
    preset: { worker: { concurrentJobs: due } },
  })
  // runOnce() ends before the last jobs are deleted from the queue.
  const running = () =>
    sql`select from graphile_worker._private_jobs where locked_at >= ${now}`.execute(db)
  while ((await running()).rows.length) await sleep(5)
}

/** Makes all scheduled first messages due, and runs their jobs. */
export const workAsIfDue = async (): Promise<void> => {
  await sql`update missed_calls set outreach_due_at = now() where outreach_state = 'scheduled'`.execute(
    db,
  )
  await sql`select graphile_worker.reschedule_jobs(array_agg(id), run_at := now())
            from graphile_worker.jobs where task_identifier = 'lead_outreach' having count(*) > 0`.execute(
    db,
  )
  await work()
}

export type Business = {
  tenantId: string
  token: string
  did: string
  line: string
  phoneNumberId: string
}

// Counters, because random numbers sometimes collide. Each starts anywhere in its range.
let lastDid = randomInt(1_000_000, 5_000_000)
let lastMobile = randomInt(2_000_000, 5_000_000)

/**
 * Adds a business with a number of its own and a live connection. `columns` are written into `tenants`. Its reminders have no
 * quiet windows, because the tests also run at night.
 */
export const business = async (
  settings: {
    mode?: 'live' | 'shadow' | 'paused'
    connected?: boolean
    columns?: Record<string, string | number | boolean | string[]>
  } = {},
): Promise<Business> => {
  const { mode = 'live', connected = true, columns = {} } = settings
  const number = fake.addNumber({
    appSecret: APP_SECRET,
    verifyToken: VERIFY_TOKEN,
    callbackUrl: WHATSAPP,
  })
  const did = `072${++lastDid}`
  const tenant = newTenant.parse({
    name: 'מספרת נועה',
    numbers: [did],
    mode,
    ...(connected && { phoneNumberId: number.phoneNumberId, accessToken: number.token }),
  })
  const { tenantId, webhookToken } = await db
    .transaction()
    .execute(trx => addTenant(trx, { as: 'command line' }, tenant))
  await db
    .updateTable('tenants')
    .set({ reminder_quiet_windows: [], ...columns })
    .where('id', '=', tenantId)
    .execute()
  return {
    tenantId,
    token: webhookToken,
    did,
    line: `+972${did.slice(1)}`,
    phoneNumberId: number.phoneNumberId,
  }
}

/** An Israeli mobile that no other test uses, as Voicenter writes it and in E.164. */
export const customer = (): { local: string; e164: string } => {
  const local = `052${++lastMobile}`
  return { local, e164: `+972${local.slice(1)}` }
}

/** Posts a string or bytes as they are, other values as JSON, with the token in the URL. */
export const post = async (
  body: unknown,
  {
    token,
    headers = { 'content-type': 'application/json' },
  }: { token?: string; headers?: Record<string, string> } = {},
): Promise<{ status: number; body: unknown }> => {
  const response = await fetch(token === undefined ? CDR : `${CDR}?token=${token}`, {
    method: 'POST',
    headers,
    body:
      typeof body === 'string' || body instanceof Uint8Array
        ? Buffer.from(body)
        : JSON.stringify(body),
  })
  return { status: response.status, body: await response.json() }
}

export const OK = { status: 200, body: { Err: 0, Errdesc: 'OK' } }

/** The jobs with this key, or all of a task. */
export const jobs = async (key: string) => {
  const { rows } = await sql<{
    key: string
    task_identifier: string
    attempts: number
    run_at: Date
  }>`
    select key, task_identifier, attempts, run_at from graphile_worker.jobs
    where key = ${key} or task_identifier = ${key} order by key`.execute(db)
  return rows
}

export const missedCall = (tenantId: string, callId: string) =>
  db
    .selectFrom('missed_calls')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .where('call_id', '=', callId)
    .executeTakeFirst()

/** [state, reason] of the outreach of a call; undefined if no missed call was recorded. */
export const outreachOf = async (
  tenantId: string,
  callId: string,
): Promise<[string, string] | undefined> => {
  const call = await missedCall(tenantId, callId)
  return call && [call.outreach_state, call.outreach_reason]
}

/** [verdict, reason] of each CDR of a call, in order of arrival. */
export const verdictsOf = async (tenantId: string, callId: string) => {
  const rows = await db
    .selectFrom('raw_cdrs')
    .select(['verdict', 'reason'])
    .where('tenant_id', '=', tenantId)
    .where('root_call_id', '=', callId)
    .orderBy('id')
    .execute()
  return rows.map(({ verdict, reason }) => [verdict, reason])
}

export const messagesOf = (tenantId: string) =>
  db.selectFrom('messages').selectAll().where('tenant_id', '=', tenantId).orderBy('id').execute()

/** Adds a token. Null = an unbound token. */
export const webhookToken = async (tenantId: string | null): Promise<string> => {
  const token = randomBytes(32).toString('base64url')
  await db
    .insertInto('webhook_tokens')
    .values({ tenant_id: tenantId, hash: sha256(token) })
    .execute()
  return token
}

/** The rejected deliveries of this sender, in order of arrival. */
export const rejectedOf = (tenantId: string) =>
  db
    .selectFrom('rejected_deliveries')
    .select(['source', 'reason', 'content_type', 'body', 'deliveries'])
    .where('tenant_id', '=', tenantId)
    .orderBy('id')
    .execute()

/**
 * A hash of each table, including the queue. Equal before and after: nothing was stored or changed. Each insert and each
 * update gives its row another ctid or xmin, so the values need not be read.
 */
export const contents = async (): Promise<Record<string, string>> => {
  const { rows: tables } = await sql<{ name: string }>`
    select format('%I.%I', schemaname, tablename) as name from pg_tables
    where schemaname in ('public', 'graphile_worker')`.execute(db)
  const hash = ({ name }: { name: string }) => sql`
    select ${name}::text as name, count(*) || ' ' || md5(string_agg(ctid || ' ' || xmin, ' ' order by ctid)) as hash
    from ${sql.raw(name)}`
  const { rows } = await sql<{ name: string; hash: string }>`
    ${sql.join(tables.map(hash), sql` union all `)}`.execute(db)
  return Object.fromEntries(rows.map(({ name, hash }) => [name, hash]))
}

/** Makes a reminder due some time ago, and runs its job. */
export const reminderDue = async (
  conversationId: string,
  number: 1 | 2,
  ago = '0 seconds',
): Promise<void> => {
  await sql`update messages set due_at = now() - ${ago}::interval
            where lead_conversation_id = ${conversationId} and kind = ${`reminder_${number}`}`.execute(
    db,
  )
  await jobDue(`lead_reminder:${conversationId}:${number}`)
}

/** Runs the job that closes an unanswered conversation. */
export const silenceDue = (conversationId: string): Promise<void> =>
  jobDue(`lead_silence:${conversationId}`)

/** Makes the job with this key due, and runs all due jobs. */
export const jobDue = async (key: string): Promise<void> => {
  await sql`select graphile_worker.reschedule_jobs(array_agg(id), run_at := now())
            from graphile_worker.jobs where key = ${key} having count(*) > 0`.execute(db)
  await work()
}

/** Until the end of this test, rows whose CallID begins with "poison" cannot be inserted into this table. */
export const refusePoison = async (t: Test, table: 'raw_cdrs' | 'missed_calls'): Promise<void> => {
  // A sequence counts even if the transaction is rolled back.
  await sql`create sequence poisonings`.execute(db)
  await sql`
    create function refuse_poison() returns trigger language plpgsql as $$
    begin
      if new.call_id like 'poison%' then raise exception 'poison %', nextval('poisonings'); end if;
      return new;
    end $$`.execute(db)
  await sql`
    create trigger refuse_poison before insert on ${sql.table(table)} for each row execute function refuse_poison()`.execute(
    db,
  )
  t.teardown(allowPoison)
}
export const allowPoison = async (): Promise<void> => {
  await sql`drop function if exists refuse_poison() cascade`.execute(db)
  await sql`drop sequence if exists poisonings`.execute(db)
}
