/** Calls, leads and messages as CSV: complete, harmless in a spreadsheet, one business's own, and noted. */
import { Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { parse } from 'csv-parse/sync'
import fc from 'fast-check'
import { sql } from 'kysely'
import t from 'tap'
import { answeredPush, push } from '../../scripts/demo/cdr.ts'
import { business, type Business, customer, db, fake } from '../support/ringback.ts'
import { happens } from '../support/whatsapp.ts'
import { dueSince, miss, tell } from '../tasks/support.ts'
import {
  PAGES,
  exportCsv,
  exporting,
  escapeFormula,
  unescapeFormula,
  writeCsv,
} from '../../app/privacy/export.ts'
import { periodIn } from '../../app/privacy/inputs.ts'
const OPERATOR = { as: 'operator' } as const
type Wanted = { what: 'calls' | 'leads' | 'messages'; since?: string; until?: string }

const collector = () => {
  const chunks: Buffer[] = []
  const out = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      chunks.push(chunk)
      done()
    },
  })
  return { out, bytes: () => Buffer.concat(chunks) }
}
const read = (bytes: Buffer): Record<string, string>[] => parse(bytes, { bom: true, columns: true })

const exported = async ({ tenantId }: Business, wanted: Wanted) => {
  const { out, bytes } = collector()
  const rows = await exportCsv(db, OPERATOR, exporting.parse({ tenantId, ...wanted }), out)
  return { rows, bytes: bytes(), records: read(bytes()) }
}
const auditLogOf = ({ tenantId }: Business) =>
  db
    .selectFrom('audit_log')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .where('action', 'like', 'export.%')
    .orderBy('id')
    .execute()

await t.test('calls, leads and messages, as they stand in the tables', async t => {
  const shop = await business()
  const other = await business()
  const who = customer()
  fake.setPerson({ phone: who.e164, name: 'דנה "המלכה", כהן' })
  const { id, callId } = await miss(shop, who.local)
  await dueSince(id)
  await happens({
    kind: 'text',
    from: who.e164,
    phoneNumberId: shop.phoneNumberId,
    text: 'שלום,\nמתי פתוח?',
  })
  const answered = answeredPush({ caller: customer().local, did: shop.did })
  await tell(shop.token, answered)
  await miss(other, customer().local)

  const calls = await exported(shop, { what: 'calls' })
  t.equal(calls.rows, 2)
  t.strictSame(
    calls.bytes.subarray(0, 3),
    Buffer.from([0xef, 0xbb, 0xbf]),
    'Excel reads it as UTF-8',
  )
  t.match(
    calls.records.toSorted((a, b) => ((a['verdict'] ?? '') < (b['verdict'] ?? '') ? 1 : -1)),
    [
      {
        call_id: callId,
        verdict: 'missed',
        reason: 'noanswer',
        customer_phone: `'${who.e164}`,
        business_phone: `'${shop.line}`,
        outreach_state: 'sent',
        records: '1',
        timezone: 'Asia/Jerusalem',
      },
      { call_id: answered.ivruniqueid, verdict: 'answered', outreach_state: '' },
    ],
  )
  const { rows: clock } = await sql<{ at: string }>`
    select to_char(called_at at time zone 'Asia/Jerusalem', 'YYYY-MM-DD HH24:MI:SS') as at
    from missed_calls where id = ${id}`.execute(db)
  t.ok(
    calls.records.some(row => row['called_at'] === clock[0]?.at),
    'on the business’s clock',
  )

  t.match((await exported(shop, { what: 'leads' })).records, [
    { phone: `'${who.e164}`, name: 'דנה "המלכה", כהן', state: 'replied', missed_call_count: '1' },
  ])
  const messages = await exported(shop, { what: 'messages' })
  t.match(
    messages.records.filter(({ direction }) => direction === 'in'),
    [{ text: 'שלום,\nמתי פתוח?', phone: `'${who.e164}`, name: 'דנה "המלכה", כהן' }],
  )
  t.match(
    messages.records.filter(({ kind }) => kind === 'initial'),
    [{ state: 'accepted', call_id: callId, text: '' }],
  )
  t.match(
    await auditLogOf(shop),
    ['calls', 'leads', 'messages'].map(what => ({
      who: 'operator',
      action: `export.${what}`,
      subject: `tenants ${shop.tenantId}`,
      before: null,
      after: { since: null, until: null },
    })),
  )
})

await t.test('a transferred call is one row, and nothing is one with its headings', async t => {
  const shop = await business()
  const empty = await exported(shop, { what: 'leads' })
  t.equal(empty.rows, 0)
  t.match(empty.bytes.toString(), /^\ufeffid,phone,name,state,/)
  const { record, callId } = await miss(shop, customer().local)
  await tell(shop.token, { ...push(), type: 'XferCDR', originalIvrUniqueID: callId, did: shop.did })
  await tell(shop.token, record)
  const { rows, records } = await exported(shop, { what: 'calls' })
  t.equal(rows, 1)
  t.match(records, [{ call_id: callId, records: '2', deliveries: '3' }])
})

/** Whether a spreadsheet may calculate it: its own view, not the program's. */
const isFormula = (cell: string) =>
  /^[\s\p{C}]*[=+\-@＝＋－＠﹢﹣﹦﹫⁺⁻⁼₊₋₌−]|^[\t\r\n]/u.test(cell)

await t.test('no cell begins a formula, and every cell can be had back', async t => {
  const signs = fc.constantFrom(...'=+-@＝＋－＠﹦−\t\r\n \'"\u200e\ufeff,;א1'.split(''))
  const cells = fc.oneof(
    fc.string(),
    fc.string({ unit: signs }),
    fc.constantFrom(
      '=cmd|/C calc!A0',
      '+972521234567',
      '-1+1',
      '@SUM(A1)',
      '\t=1',
      '\r=1',
      ' =1',
      '\u200f=1',
      "'=1",
      "''=1",
      '＝1',
      '',
    ),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(cells, { minLength: 1, maxLength: 20 }), async texts => {
      const { out, bytes } = collector()
      const rows = async function* () {
        for (const text of texts) yield { id: 'x', text }
      }
      await writeCsv(['id', 'text'], rows(), out)
      const records = read(bytes())
      for (const { text = '' } of records)
        if (isFormula(text)) throw new Error(JSON.stringify(text))
      const back = records.map(({ text = '' }) => unescapeFormula(text))
      if (JSON.stringify(back) !== JSON.stringify(texts))
        throw new Error(JSON.stringify({ back, texts }))
    }),
    { numRuns: 500 },
  )
  t.equal(escapeFormula('דנה'), 'דנה')
  t.equal(escapeFormula("ג'ורג'"), "ג'ורג'")
  t.equal(escapeFormula('2026-11-15 10:15:03'), '2026-11-15 10:15:03')
})

await t.test('a period is days and moments on the business’s own clock', async t => {
  t.strictSame(periodIn('Asia/Jerusalem', { since: '2026-11-01', until: '2026-11-30' }), {
    from: new Date('2026-10-31T22:00:00Z'),
    before: new Date('2026-11-30T22:00:00Z'),
  })
  // The day on which the clock is set back has 25 hours.
  t.strictSame(periodIn('Asia/Jerusalem', { since: '2026-10-25', until: '2026-10-25' }), {
    from: new Date('2026-10-24T21:00:00Z'),
    before: new Date('2026-10-25T22:00:00Z'),
  })
  t.strictSame(periodIn('Asia/Jerusalem', { until: '2026-11-30 18:00' }), {
    from: null,
    before: new Date('2026-11-30T16:00:00Z'),
  })
  const shop = await business()
  const calls = []
  for (const ago of [3, 2, 1]) {
    const { callId, id } = await miss(shop, customer().local)
    await sql`update missed_calls set called_at = now() - make_interval(days => ${ago}) where id = ${id}`.execute(
      db,
    )
    await sql`update raw_cdrs set called_at = now() - make_interval(days => ${ago}) where call_id = ${callId}`.execute(
      db,
    )
    calls.push(callId)
  }
  const day = (ago: number) =>
    new Intl.DateTimeFormat('en-CA', { timeZone: 'Asia/Jerusalem' }).format(
      Date.now() - ago * 86_400_000,
    )
  const { records } = await exported(shop, { what: 'calls', since: day(2), until: day(2) })
  t.strictSame(
    records.map(row => row['call_id']),
    [calls[1]],
  )
  t.strictSame(
    (await exported(shop, { what: 'calls' })).records.map(row => row['call_id']),
    calls,
    'the oldest first',
  )
  for (const wrong of ['yesterday', '2026-13-01', '2026-02-30', '1', "2026-01-01'"])
    t.notOk(exporting.safeParse({ tenantId: '1', what: 'calls', since: wrong }).success, wrong)
})

await t.test(
  'of many pages nothing is missing and nothing comes twice, and a slow reader holds nothing',
  async t => {
    const shop = await business()
    await sql`
    insert into raw_cdrs (tenant_id, call_id, root_call_id, content_hash, verdict, reason, called_at)
    select ${shop.tenantId}, 'c-' || n, 'c-' || n, sha256(n::text::bytea), 'answered', 'agent',
           -- Many begin at one moment.
           timestamptz '2026-01-01' + make_interval(mins => n / 700)
    from generate_series(1, 2500) n`.execute(db)
    await sql`
    insert into messages (tenant_id, direction, kind, state, wamid, text)
    select ${shop.tenantId}, 'in', 'inbound', 'received', 'w-' || n, n::text from generate_series(1, 2500) n`.execute(
      db,
    )
    for (const [what, key] of [
      ['calls', 'call_id'],
      ['messages', 'id'],
    ] as const) {
      const { rows, records } = await exported(shop, { what })
      t.equal(rows, 2500)
      t.equal(new Set(records.map(row => row[key])).size, 2500)
    }
    const open = async () => {
      const { rows } = await sql<{ open: number }>`
      select count(*)::int as open from pg_stat_activity
      where datname = current_database() and state like 'idle in transaction%'`.execute(db)
      return rows[0]?.open
    }
    const { out, bytes } = collector()
    const write = out._write.bind(out)
    let isSlow = true
    out._write = (chunk, encoding, done) => {
      if (!isSlow) return write(chunk, encoding, done)
      isSlow = false
      void sleep(300).then(() => write(chunk, encoding, done))
    }
    const going = exportCsv(
      db,
      OPERATOR,
      exporting.parse({ tenantId: shop.tenantId, what: 'calls' }),
      out,
    )
    await sleep(150)
    t.equal(await open(), 0, 'no transaction is open while it waits')
    await going
    t.equal(read(bytes()).length, 2500)
  },
)

await t.test('who breaks off is noted too, and a business that is none gets nothing', async t => {
  const shop = await business()
  await miss(shop, customer().local)
  const out = new Writable({ write: (_chunk, _encoding, done) => done(new Error('gone')) })
  const wanted = exporting.parse({ tenantId: shop.tenantId, what: 'calls' })
  await t.rejects(exportCsv(db, { as: 'tenant', tenantId: shop.tenantId }, wanted, out), /gone/)
  t.match(await auditLogOf(shop), [{ who: `tenant ${shop.tenantId}`, action: 'export.calls' }])
  const { out: none, bytes } = collector()
  await t.rejects(
    exportCsv(db, OPERATOR, { ...wanted, tenantId: '999' }, none),
    /there is no tenant 999/,
  )
  t.equal(bytes().length, 0)
})

await t.test('it reads only', async t => {
  const shop = await business()
  await miss(shop, customer().local)
  const page = {
    tenantId: shop.tenantId,
    timezone: 'UTC',
    from: null,
    before: null,
    after: null,
    limit: 10,
  }
  for (const read of Object.values(PAGES)) {
    const { rows } = await db
      .transaction()
      .setAccessMode('read only')
      .execute(trx => read(page).execute(trx))
    for (const row of rows)
      t.ok(Object.values(row).every(cell => cell === null || typeof cell === 'string'))
  }
})
