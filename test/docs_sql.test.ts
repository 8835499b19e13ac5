/** Every query of docs/sql.md, docs/deploy.md, docs/monitoring.md and docs/operations.md runs on the rows of a day of calls. */
import { readFileSync } from 'node:fs'
import { sql } from 'kysely'
import { type Test, test } from 'tap'
import type { Trx } from '../app/db/kysely.ts'
import { push } from '../scripts/demo/cdr.ts'
import { popupCall, sendPopup } from '../scripts/fake_voicenter/popup.ts'
import { addToken } from '../app/tenants/credentials.ts'
import { business, customer, db, fake, post, url, work, workAsIfDue } from './support/ringback.ts'
import { call, checkNow, voicenter, withCallLog } from './support/voicenter.ts'

const queriesOf = (page: string): string[] => {
  const text = readFileSync(new URL(`../docs/${page}`, import.meta.url), 'utf8')
  return [...text.matchAll(/^```sql\n(.+?)^```/gms)].map(([, query = '']) => query)
}
const queries = queriesOf('sql.md')

/** Runs in a transaction that is rolled back, so that no test depends on the ones above it. */
const rolledBack = async (t: Test, run: (trx: Trx) => Promise<void>): Promise<void> => {
  const undo = new Error('undo')
  const tried = db.transaction().execute(async trx => {
    await run(trx)
    throw undo
  })
  await t.rejects(tried, undo)
}

// The page uses tenant 1, the first one that is added here.
const shop = await business()
const { tenantId, token, did, phoneNumberId } = shop
const caller = customer()
const CustomData = { utm_source: 'google', utm_campaign: 'spring' }
// Just now, so that it is a call of today also after midnight.
await post(push({ caller: caller.local, did, CustomData }, 0), { token })
await post(push({ caller: 'anonymous', did }), { token })
// This caller does not reply, so the reminders stay scheduled.
await post(push({ caller: customer().local, did }), { token })
await post(push({ caller: caller.local, did: '0772345678' }), { token })
await post(push({ caller: caller.local, did, status: 'VOEND' }), { token })
await post({ did }, { token })
await work()
await workAsIfDue()
await fake.inbound([
  { kind: 'text', from: caller.e164, text: 'אשמח שתחזרו אליי' },
  { kind: 'text', from: customer().e164, phoneNumberId, text: 'מי זה?' },
])
const onTheLine = customer()
await post(push({ caller: onTheLine.local, did }), { token })
await work()
const { webhookToken } = await db
  .transaction()
  .execute(trx => addToken(trx, { as: 'command line' }, tenantId, 'popup'))
await sendPopup(
  `${url}/webhooks/voicenter/popup?token=${webhookToken}`,
  popupCall(onTheLine.local).ringing,
)
await work()
voicenter.log(await withCallLog(shop), call({ caller: customer().local, did }).record)
await checkNow(shop)

await test('the page has at least a dozen queries', async t => {
  t.ok(queries.length >= 12, String(queries.length))
  t.equal(tenantId, '1', 'the test uses the tenant of the page')
})

/** Queries that find nothing if nothing went wrong, or that change rows. */
const MAY_BE_EMPTY = [
  /202611151015030a3f1/,
  /state = 'unknown'/,
  /state = 'failed'/,
  /state = 'paused'/,
  /^select tenant_id, kind, dialled_number/,
  /from opt_outs/,
  /excluded/,
  /from alerts/,
  /^insert/,
  /^update/,
  /reschedule_jobs/,
]

for (const query of queries) {
  const title = query.split('\n').slice(0, 2).join(' ')
  await test(title, t =>
    rolledBack(t, async trx => {
      const { rows, numAffectedRows } = await sql
        .raw(query.replaceAll('+972502345678', caller.e164))
        .execute(trx)
      if (!MAY_BE_EMPTY.some(pattern => pattern.test(query))) t.ok(rows.length > 0, 'finds rows')
      if (/^(insert|update)/.test(query)) t.equal(numAffectedRows, 1n, 'changes one row')
    }),
  )
}

const [limits = '', restore = ''] = queriesOf('deploy.md')

await test('deploy.md: after a restore nothing that waits is sent', t =>
  rolledBack(t, async trx => {
    const waiting = async () => {
      const { rows } = await sql<{ messages: number; calls: number }>`
        select (select count(*) from messages where direction = 'out' and state = 'scheduled')::int as messages,
               (select count(*) from missed_calls where outreach_state = 'scheduled')::int as calls`.execute(
        trx,
      )
      return rows
    }
    const [before] = await waiting()
    t.ok(before && before.messages > 0 && before.calls > 0, 'reminders and a first message wait')
    for (const statement of restore.split(';\n').filter(Boolean))
      await sql.raw(statement).execute(trx)
    t.strictSame(await waiting(), [{ messages: 0, calls: 0 }])
    t.match(await trx.selectFrom('tenants').select(['id', 'mode']).execute(), [
      { id: tenantId, mode: 'shadow' },
    ])
  }))

await test('deploy.md: Postgres takes the limits for a role behind a pooler', t =>
  rolledBack(t, async trx => {
    const role = `ringback_doc_${process.pid}`
    await sql.raw(`create role ${role}`).execute(trx)
    await sql.raw(limits.replaceAll('role ringback', `role ${role}`)).execute(trx)
  }))

await test('monitoring.md: its query finds an open alert', t =>
  rolledBack(t, async trx => {
    await trx.insertInto('alerts').values({ kind: 'call_log_failing', subject: 'x' }).execute()
    const [query = ''] = queriesOf('monitoring.md')
    const { rows } = await sql<{ kind: string }>`${sql.raw(query)}`.execute(trx)
    t.ok(rows.some(({ kind }) => kind === 'call_log_failing'))
  }))

await test('the role of operations.md reads everything but secrets, and changes nothing', async t => {
  const [script = ''] = queriesOf('operations.md')
  await rolledBack(t, async trx => {
    const tries = async (statement: string): Promise<string> => {
      await sql`savepoint one`.execute(trx)
      try {
        const { rows } = await sql.raw<object>(statement).execute(trx)
        return `${rows.length} rows`
      } catch (error) {
        await sql`rollback to savepoint one`.execute(trx)
        return error instanceof Error ? error.message : String(error)
      }
    }
    await sql.raw(script).execute(trx)
    await sql`set local role ringback_reports`.execute(trx)
    t.match(await tries('select * from call_report()'), /^[1-9]\d* rows$/)
    t.match(await tries('select name, mode from tenants'), /^[1-9]\d* rows$/)
    t.match(await tries('select phone_number_id, state from whatsapp_connections'), /^[1-9]/)
    t.match(await tries('select caller_phone, text from missed_calls, messages'), /^[1-9]/)
    for (const forbidden of [
      'select ops_password from tenants',
      'select access_token from whatsapp_connections',
      'select app_secret from whatsapp_connections',
      'select * from webhook_tokens',
      'select * from sessions',
      'select * from call_log_access',
      `update tenants set mode = 'live'`,
      'delete from leads',
      'select cancel_outreach(1)',
    ])
      t.match(await tries(forbidden), /permission denied/, forbidden)
    const { rows } = await sql`
      select c.relname, a.attname from pg_attribute a join pg_class c on c.oid = a.attrelid
      where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and a.attnum > 0
        and a.attname ~ 'secret|access_token|credential|password'
        and has_column_privilege(c.oid, a.attnum, 'select')`.execute(trx)
    t.strictSame(rows, [], 'no column with the name of a secret')
  })
})
