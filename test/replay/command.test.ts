/** npm run replay: as the command that an operator, or a script, runs. */
import { readFileSync, writeFileSync } from 'node:fs'
import { sql } from 'kysely'
import { DateTime } from 'luxon'
import t from 'tap'
import { z } from 'zod'
import { answeredPush, type Push, push } from '../../scripts/demo/cdr.ts'
import { run } from '../scripts/command.ts'
import { type Business, business, contents, customer, db, fake, post } from '../support/ringback.ts'

const replay = (...args: string[]) => run('replay', args)

const sums = z.object({
  verdicts: z.record(z.string(), z.number()),
  outreach: z.record(z.string(), z.number()),
  messages: z.object({ initial: z.number(), total: z.number() }),
  atNight: z.number(),
  toOptedOut: z.number(),
})
const report = z.object({
  tenantId: z.string(),
  records: z.number(),
  unreadable: z.number(),
  wrongLines: z.number(),
  calls: z.number(),
  night: z.string(),
  settings: z.array(z.object({ setting: z.string(), before: z.string(), after: z.string() })),
  before: sums,
  after: sums,
  difference: z.object({ more: z.number(), fewer: z.number(), atNight: z.number() }),
  changes: z.array(z.object({ examples: z.array(z.object({ callId: z.string() })) })),
  assumed: z.array(z.string()),
})
const asJson = async (...args: string[]) => {
  const { status, stdout, stderr } = await replay(...args, '--json')
  if (status !== 0) throw new Error(`exit code ${status}: ${stderr}`)
  return {
    ...report.parse(JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')),
    stdout,
    stderr,
  }
}

/** How many seconds ago it was ten in the evening of the day before yesterday, in Israel. */
const AT_TEN = Math.floor(
  -DateTime.now()
    .setZone('Asia/Jerusalem')
    .minus({ days: 2 })
    .set({ hour: 22, minute: 0 })
    .diffNow('seconds').seconds,
)

/** A record that came a minute after its call began. Nobody has judged it. */
const store = async ({ token }: Business, record: Push, secondsAgo: number): Promise<string> => {
  await post(record, { token })
  await sql`update raw_cdrs set received_at = now() - make_interval(secs => ${secondsAgo - 60})
            where call_id = ${record.ivruniqueid}`.execute(db)
  return record.ivruniqueid
}

/** Each table's rows as they are stored: a row that was only touched has another xmin. */
const rowVersions = async (): Promise<Record<string, string>> => {
  const { rows: tables } = await sql<{ name: string }>`
    select format('%I.%I', schemaname, tablename) as name from pg_tables
    where schemaname in ('public', 'graphile_worker')`.execute(db)
  const versions: Record<string, string> = {}
  for (const { name } of tables) {
    const { rows } = await sql<{ found: string }>`
      select count(*) || ' ' || coalesce(md5(string_agg(ctid || ' ' || xmin || ' ' || xmax, ' ' order by ctid)), '') as found
      from ${sql.raw(name)}`.execute(db)
    versions[name] = rows[0]?.found ?? ''
  }
  return versions
}

const shop = await business()
const { tenantId, did } = shop
const her = customer()
const other = customer()
const optedOut = customer()
await sql`insert into opt_outs (tenant_id, phone, source) values (${tenantId}, ${optedOut.e164}, 'operator')`.execute(
  db,
)
await sql`update opt_outs set created_at = now() - interval '9 days' where tenant_id = ${tenantId}`.execute(
  db,
)
const atNight = await store(shop, push({ caller: her.local, did }, AT_TEN), AT_TEN)
await store(shop, push({ caller: other.local, did, status: 'VOEND' }, AT_TEN), AT_TEN)
await store(shop, push({ caller: optedOut.local, did }, AT_TEN), AT_TEN)
await store(shop, answeredPush({ caller: customer().local, did }, AT_TEN), AT_TEN)
const MINE = ['--tenant', tenantId, '--since', '5 days']

await t.test('it says what quiet hours would have changed, and changes nothing', async t => {
  const before = { versions: await rowVersions(), contents: await contents() }
  const asked = fake.requests().length
  const told = await asJson(
    ...MINE,
    '--quiet',
    '21:00-08:00',
    '--missed-statuses',
    'NOANSWER,voend',
  )
  t.match(told, {
    tenantId,
    records: 4,
    calls: 4,
    night: '21:00-08:00',
    before: {
      verdicts: { missed: 2, answered: 1, unknown: 1 },
      outreach: { 'sent accepted': 1, 'skipped opted_out': 1 },
      toOptedOut: 0,
    },
    after: {
      verdicts: { missed: 3, answered: 1 },
      outreach: { 'sent accepted': 2, 'skipped opted_out': 1 },
      messages: { initial: 2 },
      atNight: 0,
      toOptedOut: 0,
    },
    settings: [
      { setting: 'quiet windows', before: 'none', after: '21:00-08:00' },
      { setting: 'missed statuses', after: 'NOANSWER, VOEND' },
    ],
  })
  t.ok(told.before.atNight >= 2, 'its message, and a reminder')
  t.equal(told.difference.atNight, -told.before.atNight)
  t.ok(told.changes.some(({ examples }) => examples.some(({ callId }) => callId === atNight)))
  t.strictSame({ versions: await rowVersions(), contents: await contents() }, before)
  t.equal(fake.requests().length, asked, 'WhatsApp has heard nothing')
})

await t.test('row versions show what only touches a row', async t => {
  const before = await rowVersions()
  await sql`update tenants set name = name where id = ${tenantId}`.execute(db)
  t.not((await rowVersions())['public.tenants'], before['public.tenants'])
})

await t.test('a person can read it, and no number is in it', async t => {
  const { stdout, stderr, status } = await replay(...MINE, '--delay', '5 minutes')
  t.equal(status, 0)
  t.match(stdout, /delay: 2 minutes -> 5 minutes/)
  t.match(stdout, /calls judged missed +2 +2 +0\n/)
  t.match(stdout, /to people who had opted out +0 +0 +0\n/)
  t.match(stdout, /at night \(21:00-08:00\)/)
  t.match(stdout, /skipped opted_out +1 +1 +0\n/)
  t.match(stdout, new RegExp(atNight))
  t.match(stdout, /Assumed:\n- /)
  const all = stdout + stderr
  for (const { local, e164 } of [her, other, optedOut])
    for (const written of [local, e164, e164.slice(4)]) t.notMatch(all, written)
})

await t.test('only what came in the period counts', async t => {
  const { calls } = await asJson(...MINE, '--until', '4 days')
  t.equal(calls, 0)
})

await t.test('another business has other calls', async t => {
  const { tenantId } = await business({ mode: 'shadow', connected: false })
  const { calls, after } = await asJson('--tenant', tenantId, '--since', '2026-01-01')
  t.equal(calls, 0)
  t.strictSame(after.verdicts, {})
})

await t.test('records from a file, also for a business that cannot write yet', async t => {
  const { tenantId } = await business({ mode: 'shadow', connected: false })
  const file = `${t.testdir()}/cdrs.ndjson`
  const call = push({ caller: her.local, did: '0722776772' }, AT_TEN)
  await sql`update tenant_numbers set phone = '+972722776772' where tenant_id = ${tenantId}`.execute(
    db,
  )
  writeFileSync(file, `${JSON.stringify(call)}\nnonsense\n${JSON.stringify(call)}\n`)
  const before = await rowVersions()
  const asked = ['--tenant', tenantId, '--file', file]
  const told = await asJson(...asked, '--connected', '--mode', 'live')
  t.match(told, {
    records: 1,
    wrongLines: 1,
    before: { outreach: { 'skipped no_connection': 1 } },
    after: { outreach: { 'sent accepted': 1 }, messages: { total: 3 } },
    difference: { more: 3, fewer: 0 },
  })
  t.match(told.stderr, /line 2: the line is not valid JSON/)
  t.strictSame(await rowVersions(), before, 'nothing of it is stored')
  t.notMatch(told.stdout + told.stderr, her.local.slice(1))
})

await t.test('a call that retention has emptied is not in it, and that is said', async t => {
  const shop = await business()
  const { ivruniqueid } = push({}, 600)
  await store(shop, push({ ivruniqueid, did: shop.did }, 600), 600)
  await store(shop, push({ ivruniqueid, did: shop.did, dialtime: 25 }, 600), 600)
  await sql`update raw_cdrs set payload = null, body = null
            where id = (select min(id) from raw_cdrs where call_id = ${ivruniqueid})`.execute(db)
  const told = await asJson('--tenant', shop.tenantId, '--since', '1 day')
  t.match(told, { records: 2, unreadable: 2, calls: 0 })
  t.match(told.stdout, /tell nothing any more, and are not in this: 2\n/)
})

/** A file and all it imports of ours, also where it does so later. */
const importedBy = (file: URL, found = new Set<string>()): Set<string> => {
  if (found.has(file.href)) return found
  found.add(file.href)
  for (const [, from = ''] of readFileSync(file, 'utf8').matchAll(
    /(?:from|import\() ?'(\.[^']+)'/g,
  ))
    importedBy(new URL(from, file), found)
  return found
}

await t.test('nothing of it can speak to WhatsApp', t => {
  const root = new URL('../../', import.meta.url)
  const files = [...importedBy(new URL('scripts/replay.ts', root))]
  t.ok(files.includes(new URL('app/replay/person.ts', root).href), 'files are followed')
  for (const file of files) {
    t.notMatch(file, /whatsapp\/client|messages\//)
    t.notOk(/\bfetch\(|node:https?\b/.test(readFileSync(new URL(file), 'utf8')), file)
  }
  t.end()
})
