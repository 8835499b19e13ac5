/**
 * npm run replay: what-if, wrong flags, and classifying calls again. SEED=... repeats the random calls, RUNS=... plays more
 * of them.
 */
import { randomInt } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import fc from 'fast-check'
import { sql } from 'kysely'
import { DateTime } from 'luxon'
import t from 'tap'
import { z } from 'zod'
import { readContacts, readRules, storedRecords } from '../../app/replay/inputs.ts'
import { newSimulation, readingOf, replay as playCdrs } from '../../app/replay/simulate.ts'
import { reclassify, undecidedCalls } from '../../app/voicenter/reclassify.ts'
import { answeredPush, callBackPush, type Push, push } from '../../scripts/demo/cdr.ts'
import { replayCommand } from '../../scripts/replay.ts'
import {
  type Business,
  business,
  contents,
  customer,
  db,
  fake,
  jobs,
  outreachOf,
  post,
  verdictsOf,
  webhookToken,
  work,
  workAsIfDue,
} from '../support/ringback.ts'
import { happens } from '../support/whatsapp.ts'
import { everythingOf, requestsOf, tell } from '../tasks/support.ts'

const replay = async (...args: string[]) => {
  const printed: Record<'log' | 'error', string[]> = { log: [], error: [] }
  const status = await replayCommand(args, {
    log: text => printed.log.push(`${text}\n`),
    error: text => printed.error.push(`${text}\n`),
  })
  return { status, stdout: printed.log.join(''), stderr: printed.error.join('') }
}

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

/** The seconds since 22:00 two days ago, in Israel. */
const AT_TEN = Math.floor(
  -DateTime.now()
    .setZone('Asia/Jerusalem')
    .minus({ days: 2 })
    .set({ hour: 22, minute: 0 })
    .diffNow('seconds').seconds,
)

/** Stores a record that arrived a minute after its call began. It is not classified. */
const store = async ({ token }: Business, record: Push, secondsAgo: number): Promise<string> => {
  await post(record, { token })
  await sql`update raw_cdrs set received_at = now() - make_interval(secs => ${secondsAgo - 60})
            where call_id = ${record.ivruniqueid}`.execute(db)
  return record.ivruniqueid
}

/** The row versions of each table. An update that changes nothing also changes xmin. */
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
const caller = customer()
const other = customer()
const optedOut = customer()
await sql`insert into opt_outs (tenant_id, phone, source) values (${tenantId}, ${optedOut.e164}, 'operator')`.execute(
  db,
)
await sql`update opt_outs set created_at = now() - interval '9 days' where tenant_id = ${tenantId}`.execute(
  db,
)
const atNight = await store(shop, push({ caller: caller.local, did }, AT_TEN), AT_TEN)
await store(shop, push({ caller: other.local, did, status: 'VOEND' }, AT_TEN), AT_TEN)
await store(shop, push({ caller: optedOut.local, did }, AT_TEN), AT_TEN)
await store(shop, answeredPush({ caller: customer().local, did }, AT_TEN), AT_TEN)
const WHAT_IF = ['--tenant', tenantId, '--since', '5 days']

await t.test('it prints what quiet hours would have changed, and changes nothing', async t => {
  const before = { versions: await rowVersions(), contents: await contents() }
  const asked = fake.requests().length
  const result = await asJson(
    ...WHAT_IF,
    '--quiet',
    '21:00-08:00',
    '--missed-statuses',
    'NOANSWER,voend',
  )
  t.match(result, {
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
  t.ok(result.before.atNight >= 2, 'the first message and a reminder')
  t.equal(result.difference.atNight, -result.before.atNight)
  t.ok(result.changes.some(({ examples }) => examples.some(({ callId }) => callId === atNight)))
  t.strictSame({ versions: await rowVersions(), contents: await contents() }, before)
  t.equal(fake.requests().length, asked, 'no request to WhatsApp')
})

await t.test('rowVersions notices an update that changes nothing', async t => {
  const before = await rowVersions()
  await sql`update tenants set name = name where id = ${tenantId}`.execute(db)
  t.not((await rowVersions())['public.tenants'], before['public.tenants'])
})

await t.test('the text has no phone numbers', async t => {
  const { stdout, stderr, status } = await replay(...WHAT_IF, '--delay', '5 minutes')
  t.equal(status, 0)
  t.match(stdout, /delay: 2 minutes -> 5 minutes/)
  t.match(stdout, /missed calls +2 +2 +0\n/)
  t.match(stdout, /to people who had opted out +0 +0 +0\n/)
  t.match(stdout, /at night \(21:00-08:00\)/)
  t.match(stdout, /skipped opted_out +1 +1 +0\n/)
  t.match(stdout, new RegExp(atNight))
  t.match(stdout, /Assumed:\n- /)
  const all = stdout + stderr
  for (const { local, e164 } of [caller, other, optedOut])
    for (const written of [local, e164, e164.slice(4)]) t.notMatch(all, written)
})

await t.test('only calls in the period count', async t => {
  const { calls } = await asJson(...WHAT_IF, '--until', '4 days')
  t.equal(calls, 0)
})

await t.test('calls of another business do not count', async t => {
  const { tenantId } = await business({ mode: 'shadow', connected: false })
  const { calls, after } = await asJson('--tenant', tenantId, '--since', '2026-01-01')
  t.equal(calls, 0)
  t.strictSame(after.verdicts, {})
})

await t.test('records from a file, also for a business that is not connected yet', async t => {
  const { tenantId } = await business({ mode: 'shadow', connected: false })
  const file = `${t.testdir()}/cdrs.ndjson`
  const call = push({ caller: caller.local, did: '0722776772' }, AT_TEN)
  await sql`update tenant_numbers set phone = '+972722776772' where tenant_id = ${tenantId}`.execute(
    db,
  )
  writeFileSync(file, `${JSON.stringify(call)}\nnonsense\n${JSON.stringify(call)}\n`)
  const before = await rowVersions()
  const asked = ['--tenant', tenantId, '--file', file]
  const result = await asJson(...asked, '--connected', '--mode', 'live')
  t.match(result, {
    records: 1,
    wrongLines: 1,
    before: { outreach: { 'skipped no_connection': 1 } },
    after: { outreach: { 'sent accepted': 1 }, messages: { total: 3 } },
    difference: { more: 3, fewer: 0 },
  })
  t.match(result.stderr, /line 2: the line is not valid JSON/)
  t.strictSame(await rowVersions(), before, 'nothing from the file is stored')
  t.notMatch(result.stdout + result.stderr, caller.local.slice(1))
})

await t.test('a call that retention has emptied is left out and counted', async t => {
  const shop = await business()
  const { ivruniqueid } = push({}, 600)
  await store(shop, push({ ivruniqueid, did: shop.did }, 600), 600)
  await store(shop, push({ ivruniqueid, did: shop.did, dialtime: 25 }, 600), 600)
  await sql`update raw_cdrs set payload = null, body = null
            where id = (select min(id) from raw_cdrs where call_id = ${ivruniqueid})`.execute(db)
  const result = await asJson('--tenant', shop.tenantId, '--since', '1 day')
  t.match(result, { records: 2, unreadable: 2, calls: 0 })
  t.match(result.stdout, /can no longer be read and are left out: 2\n/)
})

/** A file and all the files of the project that it imports, directly or not. */
const importedBy = (file: URL, found = new Set<string>()): Set<string> => {
  if (found.has(file.href)) return found
  found.add(file.href)
  for (const [, from = ''] of readFileSync(file, 'utf8').matchAll(
    /(?:from|import\() ?'(\.[^']+)'/g,
  ))
    importedBy(new URL(from, file), found)
  return found
}

await t.test('it imports nothing that can send a message', t => {
  const root = new URL('../../', import.meta.url)
  const files = [...importedBy(new URL('scripts/replay.ts', root))]
  t.ok(files.includes(new URL('app/replay/person.ts', root).href), 'imports are followed')
  for (const file of files) {
    t.notMatch(file, /whatsapp\/client|messages\//)
    t.notOk(/\bfetch\(|node:https?\b/.test(readFileSync(new URL(file), 'utf8')), file)
  }
  t.end()
})

await t.test('wrong flags: the error says what was expected', async t => {
  const said = async (...args: string[]) => {
    const { status, stdout, stderr } = await replay(...args)
    t.equal(stdout, '')
    t.not(status, 0)
    t.notMatch(stderr, /\n +at |node:internal/, 'without a stack')
    return stderr
  }
  t.match(await said(), /--tenant: expected the id of a business/)
  t.match(await said('--tenant', '1'), /--since: expected a time/)
  t.match(await said('--tenant', '999999', '--since', '1 day'), /there is no tenant 999999/)
  const both = await said(...WHAT_IF, '--quiet', '25:00-08:00', '--missed-statuses', 'NOANSWR')
  t.match(both, /--quiet: expected a window such as.*--missed-statuses: expected statuses/s)
  t.match(await said(...WHAT_IF, '--until', '6 days'), /a time before --until/)
  t.match(await said(...WHAT_IF, '--quiet', '21:00-08:00', '--no-quiet'), /not both/)
  t.match(await said(...WHAT_IF, '--file', '/nowhere.ndjson'), /no such file/)
  t.match(await said('--apply', '--delay', '1 minute'), /--apply uses the current settings/)
  const { status, stdout } = await replay('--help')
  t.equal(status, 0)
  t.match(stdout, /--repeat-window/)
})

const apply = async (...args: string[]): Promise<number> => {
  const { status, stdout, stderr } = await replay('--apply', '--json', ...args)
  if (status !== 0) throw new Error(`exit code ${status}: ${stderr}`)
  return z.object({ calls: z.number() }).parse(JSON.parse(stdout)).calls
}
const again = (which: Parameters<typeof reclassify>[2]) =>
  db.transaction().execute(trx => reclassify(trx, { as: 'operator' }, which))
const undecided = (which: Parameters<typeof undecidedCalls>[1]) =>
  db.transaction().execute(trx => undecidedCalls(trx, which))
/** Classifies all undecided calls of a business again, as the command does. */
const allOf = async ({ tenantId }: Business): Promise<number> =>
  again({ tenantId, callIds: await undecided({ tenantId }) })
const auditOf = (tenantId: string) =>
  db
    .selectFrom('audit_log')
    .select(['who', 'subject', 'before', 'after'])
    .where('tenant_id', '=', tenantId)
    .where('action', '=', 'calls.reclassify')
    .orderBy('id')
    .execute()

/** A call with a status that does not count as missed by default. It began `ago` seconds ago. */
const unknownCall = async (
  shop: Business,
  {
    caller = customer().local,
    ago = 60,
    ...fields
  }: { caller?: string; ago?: number; did?: string } = {},
): Promise<string> => {
  const record = push({ caller, did: shop.did, status: 'VOEND', ...fields }, ago)
  await tell(shop.token, record)
  return record.ivruniqueid
}
const countVoend = ({ tenantId }: Business) =>
  sql`update tenants set missed_statuses = missed_statuses || 'VOEND'::text where id = ${tenantId}`.execute(
    db,
  )

await t.test('stored verdicts are compared with those of this version', async t => {
  const shop = await business()
  const callIds = [await unknownCall(shop), await unknownCall(shop)]
  const compared = async () => {
    const { stdout } = await replay('--verdicts', '--tenant', shop.tenantId, '--json')
    return z.json().parse(JSON.parse(stdout.trim().split('\n').at(-1) ?? ''))
  }
  t.strictSame(await compared(), { calls: 2, changed: 0, changes: [] })
  await countVoend(shop)
  const change = { before: 'unknown voend', after: 'missed voend', calls: 2, examples: callIds }
  t.strictSame(await compared(), { calls: 2, changed: 2, changes: [change] })
  t.strictSame(
    await verdictsOf(shop.tenantId, callIds[0] ?? ''),
    [['unknown', 'voend']],
    'unchanged',
  )
  const { status, stderr } = await replay(
    '--verdicts',
    '--tenant',
    shop.tenantId,
    '--delay',
    '1 minute',
  )
  t.equal(status, 2)
  t.match(stderr, /does not go with --delay/)
})

await t.test(
  'an unknown call is classified by the current settings, and its caller gets a message',
  async t => {
    const shop = await business()
    const callId = await unknownCall(shop)
    await countVoend(shop)
    t.equal(await apply('--tenant', shop.tenantId), 1)
    t.match(await jobs(`voicenter_cdr:${callId}`), [{ attempts: 0 }], 'its usual job')
    await work()
    t.strictSame(await verdictsOf(shop.tenantId, callId), [['missed', 'voend']])
    await workAsIfDue()
    t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
    t.match(await auditOf(shop.tenantId), [
      {
        who: 'command line',
        subject: /^raw_cdrs \d+$/,
        before: { verdicts: { unknown: 1 } },
        after: { queued: 1 },
      },
    ])
  },
)

await t.test('a record with a long payload is read again by this version', async t => {
  const shop = await business()
  const { local } = customer()
  const record = push({ caller: local, did: shop.did, status: 'VOEND', aiData: 'x'.repeat(5000) })
  await tell(shop.token, record)
  // As if an earlier version had not known the names of these fields.
  await sql`update raw_cdrs set facts = facts - '{caller,did}'::text[] where call_id = ${record.ivruniqueid}`.execute(
    db,
  )
  await countVoend(shop)
  t.equal(await apply('--tenant', shop.tenantId), 1)
  await work()
  t.strictSame(await outreachOf(shop.tenantId, record.ivruniqueid), ['scheduled', 'waiting'])
})

await t.test('an old call is too late and gets no message', async t => {
  const shop = await business()
  const callId = await unknownCall(shop, { ago: 5 * 3600 })
  await countVoend(shop)
  t.equal(await allOf(shop), 1)
  await work()
  await workAsIfDue()
  t.strictSame(await verdictsOf(shop.tenantId, callId), [['missed', 'voend']])
  t.strictSame(await outreachOf(shop.tenantId, callId), ['skipped', 'too_late'])
  t.equal(requestsOf(shop).length, 0)
})

await t.test('running it twice changes nothing', async t => {
  const shop = await business()
  const [first] = [await unknownCall(shop), await unknownCall(shop)]
  await tell(shop.token, push({ caller: customer().local, did: shop.did }))
  await workAsIfDue()
  const before = await everythingOf(shop.tenantId)
  t.equal(await allOf(shop), 2)
  t.equal(await allOf(shop), 2, 'added again before the first job has run')
  t.equal((await jobs(`voicenter_cdr:${first}`)).length, 1)
  await work()
  t.strictSame(await everythingOf(shop.tenantId), before)
  t.match((await auditOf(shop.tenantId))[0], { subject: /^raw_cdrs \d+ and 1 more$/ })
})

await t.test(
  'undecided calls: never classified, unknown, and to a number that no business has',
  async t => {
    const shop = await business()
    const unknown = await unknownCall(shop)
    const unmatched = await unknownCall(shop, { did: '0771234567' })
    await tell(shop.token, push({ caller: customer().local, did: shop.did }))
    const emptied = await unknownCall(shop)
    await sql`update raw_cdrs set payload = null, body = null where call_id = ${emptied}`.execute(
      db,
    )
    const waiting = push({ caller: customer().local, did: shop.did })
    await post(waiting, { token: shop.token })
    const { tenantId } = shop
    const wanted = [unknown, unmatched, waiting.ivruniqueid].toSorted()
    t.strictSame(await undecided({ tenantId }), wanted)
    t.strictSame(await undecided({ tenantId, businessPhone: '+972771234567' }), [unmatched])
    t.strictSame(await undecided({ tenantId, since: new Date(Date.now() + 60_000) }), [])
    const ofAll = await undecided({ tenantId: null })
    for (const callId of wanted) t.ok(ofAll.includes(callId))
    await work()
  },
)

await t.test('a job that ran out of attempts is added again', async t => {
  const shop = await business()
  const record = push({ caller: customer().local, did: shop.did })
  await post(record, { token: shop.token })
  const key = `voicenter_cdr:${record.ivruniqueid}`
  await sql`select graphile_worker.permanently_fail_jobs(array_agg(id), 'for a test')
            from graphile_worker.jobs where key = ${key}`.execute(db)
  await work()
  t.strictSame(await verdictsOf(shop.tenantId, record.ivruniqueid), [[null, null]])
  t.equal(await allOf(shop), 1)
  await work()
  t.strictSame(await verdictsOf(shop.tenantId, record.ivruniqueid), [['missed', 'noanswer']])
  t.match(await auditOf(shop.tenantId), [{ before: { verdicts: { 'not classified': 1 } } }])
})

await t.test('one call by hand, and no call of another business', async t => {
  const [shop, neighbour] = [await business(), await business()]
  const callId = await unknownCall(shop)
  t.equal(await again({ tenantId: neighbour.tenantId, callIds: [callId] }), 0)
  t.equal(await again({ tenantId: shop.tenantId, callIds: ['nonsense'] }), 0)
  t.strictSame(await jobs(`voicenter_cdr:${callId}`), [])
  t.strictSame(
    await auditOf(neighbour.tenantId),
    [],
    'nothing was done, so there is no audit entry',
  )
  t.equal(await again({ tenantId: shop.tenantId, callIds: [callId, 'nonsense'] }), 1)
  t.equal((await jobs(`voicenter_cdr:${callId}`)).length, 1)
  t.match(await auditOf(shop.tenantId), [{ who: 'operator' }])
  await work()
})

await t.test('the operator can classify a call without a tenant again', async t => {
  const token = await webhookToken(null)
  const record = push({ caller: customer().local, did: '0779876543' })
  await tell(token, record)
  const callIds = await undecided({ tenantId: null, businessPhone: '+972779876543' })
  t.strictSame(callIds, [record.ivruniqueid])
  t.equal(await again({ tenantId: null, callIds }), 1)
  await work()
})

await t.test('more calls than fit into one transaction', async t => {
  const shop = await business()
  const records = Array.from({ length: 450 }, () =>
    push({ caller: customer().local, did: shop.did, status: 'VOEND' }),
  )
  await post(records, { token: shop.token })
  await sql`select graphile_worker.complete_jobs(array_agg(id)) from graphile_worker.jobs
            where task_identifier = 'voicenter_cdr'`.execute(db)
  t.equal(await apply('--tenant', shop.tenantId), 450)
  t.equal((await jobs('voicenter_cdr')).length, 450)
  t.equal((await auditOf(shop.tenantId)).length, 3)
})

const seed = Number(process.env['SEED']) || randomInt(2 ** 31)
const numRuns = Number(process.env['RUNS']) || 4

/** One of three people, how many seconds ago their call began, and what happens. */
const step = fc.record({
  who: fc.nat(2),
  ago: fc.constantFrom(20, 90, 300, 3 * 3600),
  what: fc.constantFrom(
    'missed',
    'missed',
    'missed',
    'answered',
    'called back',
    'unknown status',
    'another number',
    'withheld',
    'landline',
    'foreign',
    'own number',
    'timed out, then transferred',
    'transferred before its root',
    'forwarded and not answered',
    'reply',
    'stop',
  ),
})
type Step = { who: number; ago: number; what: string }

const take = async (
  shop: Business,
  people: ReturnType<typeof customer>[],
  { who, ago, what }: Step,
) => {
  const { token, did, phoneNumberId } = shop
  const person = people[who] ?? customer()
  const call = { caller: person.local, did }
  const leg = (root: string, fields: Record<string, unknown>) =>
    push({ ...call, type: 'XferCDR', OriginalIvrUniqueID: root, ...fields }, ago)
  const root = push({ ...call, type: 'Queue', status: 'TIMEOUT' }, ago)
  switch (what) {
    case 'missed':
      return tell(token, push(call, ago))
    case 'answered':
      return tell(token, answeredPush(call, ago))
    case 'called back':
      return tell(token, callBackPush({ caller: did, target: person.e164.slice(1) }, ago))
    case 'unknown status':
      return tell(token, push({ ...call, status: 'VOEND' }, ago))
    case 'another number':
      return tell(token, push({ ...call, did: '0771234567' }, ago))
    case 'withheld':
      return tell(token, push({ ...call, caller: 'anonymous' }, ago))
    case 'landline':
      return tell(token, push({ ...call, caller: '031234567' }, ago))
    case 'foreign':
      return tell(token, push({ ...call, caller: '40376300329' }, ago))
    case 'own number':
      return tell(token, push({ ...call, caller: did }, ago))
    case 'timed out, then transferred':
      return tell(token, root, leg(root.ivruniqueid, { status: 'ANSWER', duration: 20 }))
    case 'transferred before its root':
      return tell(token, leg(root.ivruniqueid, { status: 'NOANSWER' }), root)
    case 'forwarded and not answered': {
      const byMachine = push({ ...call, status: 'ANSWER', duration: 5 }, ago)
      return tell(token, byMachine, leg(byMachine.ivruniqueid, { type: 'Auto forward' }))
    }
    default:
      await happens([
        {
          kind: 'text',
          from: person.e164,
          phoneNumberId,
          text: what === 'stop' ? 'הסר' : 'אני כאן',
        },
      ])
      return undefined
  }
}

/** The verdict and outreach of each call, as the program has stored them. */
const storedOutcomes = async (tenantId: string) => {
  const rows = await db
    .selectFrom('raw_cdrs')
    .leftJoin('missed_calls', join =>
      join
        .onRef('missed_calls.tenant_id', '=', 'raw_cdrs.tenant_id')
        .onRef('missed_calls.call_id', '=', 'raw_cdrs.root_call_id'),
    )
    .leftJoin('lead_conversations', 'lead_conversations.missed_call_id', 'missed_calls.id')
    .leftJoin('messages', join =>
      join
        .onRef('messages.lead_conversation_id', '=', 'lead_conversations.id')
        .on('messages.kind', '=', 'initial')
        .on('messages.state', '=', 'accepted'),
    )
    .select(['root_call_id', 'verdict', 'raw_cdrs.reason', 'outreach_state', 'outreach_reason'])
    .select('messages.kind')
    .where('raw_cdrs.tenant_id', '=', tenantId)
    .orderBy('raw_cdrs.id')
    .execute()
  return Object.fromEntries(
    rows.map(row => [
      row.root_call_id,
      [row.verdict, row.reason, row.outreach_state, row.outreach_reason, row.kind],
    ]),
  )
}

/** The same according to a replay. */
const replayedOutcomes = (tenantId: string) =>
  db
    .transaction()
    .setAccessMode('read only')
    .execute(async trx => {
      const [from, to] = [new Date(0), new Date(Date.now() + 1000)]
      const rules = await readRules(trx, tenantId)
      const simulation = newSimulation(rules, await readContacts(trx, tenantId, from))
      await playCdrs(storedRecords(trx, tenantId, from, to, readingOf(rules)), [simulation], to)
      return Object.fromEntries(
        [...simulation.outcomes].map(([callId, { verdict, reason, missed }]) => [
          callId,
          [
            verdict,
            reason,
            missed?.state ?? null,
            missed?.reason ?? null,
            missed?.sent[0]?.kind ?? null,
          ],
        ]),
      )
    })

await t.test('stored records are read once each, also before the table is analysed', async t => {
  const { tenantId } = await business()
  await sql`
    insert into raw_cdrs (tenant_id, call_id, root_call_id, content_hash)
    select ${tenantId}, 'copied ' || n, 'copied ' || n, sha256(n::text::bytea) from generate_series(1, 3000) n`.execute(
    db,
  )
  await db.transaction().execute(async trx => {
    const readSoFar = async () => {
      const { rows } = await sql<{ entries: number }>`
        select sum(pg_stat_get_xact_tuples_returned(indexrelid))::int as entries
        from pg_index where indrelid = 'raw_cdrs'::regclass`.execute(trx)
      return rows[0]?.entries ?? 0
    }
    const before = await readSoFar()
    const to = new Date(Date.now() + 1000)
    const reading = readingOf(await readRules(trx, tenantId))
    let records = 0
    for await (const _ of storedRecords(trx, tenantId, new Date(0), to, reading)) records++
    t.equal(records, 3000)
    const read = (await readSoFar()) - before
    t.ok(read < 5 * records, `${read} entries of indexes were read`)
  })
})

await t.test(
  `a replay with the current settings gives what the program did (SEED=${seed})`,
  async t => {
    let runs = 0
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 15, maxLength: 20, size: 'max' }),
        // Sent at once, or still waiting at the end.
        fc.constantFrom('0 seconds', '10 minutes'),
        fc.constantFrom('24 hours', '0 seconds'),
        fc.constantFrom<('live' | 'shadow' | 'paused')[]>('live', 'live', 'shadow', 'paused'),
        fc.boolean(),
        async (steps, outreach_delay, repeat_window, mode, contact_foreign) => {
          const columns = { outreach_delay, repeat_window, contact_foreign }
          const shop = await business({ mode, columns })
          const people = [customer(), customer(), customer()]
          for (const one of steps) await take(shop, people, one)
          await work()
          runs++
          const stored = await storedOutcomes(shop.tenantId)
          t.not(Object.keys(stored).length, 0, 'there were calls')
          const replayed = await replayedOutcomes(shop.tenantId)
          if (JSON.stringify(replayed) !== JSON.stringify(stored))
            t.strictSame(replayed, stored, JSON.stringify({ columns, mode, steps }))
          return JSON.stringify(replayed) === JSON.stringify(stored)
        },
      ),
      { seed, numRuns, endOnFailure: true },
    )
    t.equal(runs, numRuns, 'all runs were played')
  },
)
