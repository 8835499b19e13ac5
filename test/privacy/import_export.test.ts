/** The export of calls, leads and messages as CSV, and the import of opt-outs. */
import { parse } from 'csv-parse/sync'
import fc from 'fast-check'
import { sql } from 'kysely'
import { Writable } from 'node:stream'
import t from 'tap'
import {
  escapeFormula,
  exportCsv,
  exportRequest,
  PAGES,
  unescapeFormula,
  writeCsv,
} from '../../app/privacy/export.ts'
import { importOptOuts } from '../../app/privacy/do_not_contact.ts'
import { periodIn, readNumbers } from '../../app/privacy/inputs.ts'
import { answeredPush, push } from '../../scripts/demo/cdr.ts'
import {
  business,
  type Business,
  customer,
  db,
  fake,
  jobs,
  outreachOf,
} from '../support/ringback.ts'
import { happens, optOutsOf, storyOf } from '../support/whatsapp.ts'
import { endpointOf, receiver } from '../events/support.ts'
import { collector } from './support.ts'
import {
  conversationOf,
  dueSince,
  leadsOf,
  messagesAfter,
  miss,
  tell,
  until,
} from '../tasks/support.ts'

const OPERATOR = { as: 'operator' } as const
type Wanted = {
  what: 'calls' | 'leads' | 'messages' | 'live_calls' | 'campaigns' | 'events'
  since?: string
  until?: string
}

const read = (bytes: Buffer): Record<string, string>[] => parse(bytes, { bom: true, columns: true })

const exported = async ({ tenantId }: Business, wanted: Wanted) => {
  const { out, bytes } = collector()
  const rows = await exportCsv(db, OPERATOR, exportRequest.parse({ tenantId, ...wanted }), out)
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

await t.test('calls, leads and messages are exported as they are in the tables', async t => {
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
    'in the time zone of the business',
  )

  await happens({
    kind: 'call',
    with: who.e164,
    id: 'wacid.1',
    phoneNumberId: shop.phoneNumberId,
  })
  t.match((await exported(shop, { what: 'calls' })).records.at(-1), {
    call_id: 'wacid.1',
    verdict: 'missed',
    outreach_state: 'skipped',
    records: '0',
  })
  await sql`
    insert into live_calls (tenant_id, phone, call_id, extension, phase, answered_at, is_answered, source)
    values (${shop.tenantId}, ${who.e164}, 'x', 'SIP1', 'ringing', 0, false, 'popup')`.execute(db)
  t.match((await exported(shop, { what: 'live_calls' })).records, [
    {
      call_id: 'x',
      phone: `'${who.e164}`,
      extension: 'SIP1',
      phase: 'ringing',
      is_answered: 'false',
    },
  ])
  t.match((await exported(shop, { what: 'leads' })).records, [
    { phone: `'${who.e164}`, name: 'דנה "המלכה", כהן', state: 'replied', missed_call_count: '2' },
  ])
  const messages = await exported(shop, { what: 'messages' })
  t.match(
    messages.records.filter(({ direction }) => direction === 'in'),
    [{ text: 'שלום,\nמתי פתוח?', phone: `'${who.e164}`, name: 'דנה "המלכה", כהן' }],
  )
  t.match(
    messages.records.filter(({ kind }) => kind === 'initial'),
    [{ state: 'accepted', call_id: callId, text: /^שלום, כאן מספרת נועה\. / }],
  )
  t.match(
    await auditLogOf(shop),
    ['calls', 'calls', 'live_calls', 'leads', 'messages'].map(what => ({
      who: 'operator',
      action: `export.${what}`,
      subject: `tenants ${shop.tenantId}`,
      before: null,
      after: { since: null, until: null },
    })),
  )
})

await t.test('campaigns are exported with their figures', async t => {
  const shop = await business()
  const CustomData = { utm_source: '=google', utm_campaign: 'קיץ' }
  await miss(shop, customer().local, { CustomData })
  const counts = { answered: '0', missed: '1', recovered: '0', won: '0', value: '0' }
  t.match((await exported(shop, { what: 'campaigns' })).records, [
    { source: "'=google", medium: '', campaign: 'קיץ', ...counts },
  ])
  t.match((await exported(shop, { what: 'calls' })).records, [
    { campaign: '{"utm_source": "=google", "utm_campaign": "קיץ"}' },
  ])
  t.equal((await exported(shop, { what: 'campaigns', until: '2020-01-01' })).rows, 0)
  t.equal((await exported(await business(), { what: 'campaigns' })).rows, 0)
})

await t.test('events are exported with what was delivered', async t => {
  const shop = await business()
  const to = await receiver()
  await endpointOf(shop, to.url, ['call.missed'])
  const who = customer()
  const { callId } = await miss(shop, who.local)
  const { records } = await exported(shop, { what: 'events' })
  t.match(records, [
    {
      type: 'call.missed',
      phone: `'${who.e164}`,
      deliveries: '1',
      delivered: '1',
      webhook_id: /^evt_/,
    },
  ])
  t.match(JSON.parse(records[0]?.['data'] ?? ''), { call_id: callId, phone: who.e164 })
})

await t.test('a transferred call is one row, and an empty export has headings', async t => {
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

/** Whether a spreadsheet could read the cell as a formula. Written independently of the program. */
const isFormula = (cell: string) =>
  /^[\s\p{C}]*[=+\-@＝＋－＠﹢﹣﹦﹫⁺⁻⁼₊₋₌−]|^[\t\r\n]/u.test(cell)

await t.test('no cell begins a formula, and every cell can be read back unchanged', async t => {
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

await t.test('a period consists of days or moments in the time zone of the business', async t => {
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
    'oldest first',
  )
  for (const wrong of ['yesterday', '2026-13-01', '2026-02-30', '1', "2026-01-01'"])
    t.notOk(exportRequest.safeParse({ tenantId: '1', what: 'calls', since: wrong }).success, wrong)
  const isAllowed = (since: string, until: string) =>
    exportRequest.safeParse({ tenantId: '1', what: 'calls', since, until }).success
  t.notOk(isAllowed('2026-12-05', '2026-12-01'))
  t.notOk(isAllowed('2026-12-05T10:00', '2026-12-04'))
  t.ok(isAllowed('2026-12-05T10:00', '2026-12-05'))
})

await t.test(
  'many pages are complete without repeats, and a slow reader holds no transaction',
  async t => {
    const shop = await business()
    await sql`
    insert into raw_cdrs (tenant_id, call_id, root_call_id, content_hash, verdict, reason, called_at)
    select ${shop.tenantId}, 'c-' || n, 'c-' || n, sha256(n::text::bytea), 'answered', 'agent',
           -- Many calls begin at the same moment.
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
    // The reader takes nothing more until `goOn` is called.
    const { promise: isStuck, resolve: stop } = Promise.withResolvers<() => void>()
    out._write = (chunk, encoding, done) => {
      out._write = write
      stop(() => write(chunk, encoding, done))
    }
    const going = exportCsv(
      db,
      OPERATOR,
      exportRequest.parse({ tenantId: shop.tenantId, what: 'calls' }),
      out,
    )
    const goOn = await isStuck
    await until(async () => (await open()) === 0)
    t.pass('no transaction stays open while the reader waits')
    goOn()
    await going
    t.equal(read(bytes()).length, 2500)
  },
)

await t.test(
  'an export that breaks off is audited, and an unknown business gets nothing',
  async t => {
    const shop = await business()
    await miss(shop, customer().local)
    const out = new Writable({ write: (_chunk, _encoding, done) => done(new Error('gone')) })
    const wanted = exportRequest.parse({ tenantId: shop.tenantId, what: 'calls' })
    await t.rejects(exportCsv(db, { as: 'tenant', tenantId: shop.tenantId }, wanted, out), /gone/)
    t.match(await auditLogOf(shop), [{ who: `tenant ${shop.tenantId}`, action: 'export.calls' }])
    const { out: none, bytes } = collector()
    await t.rejects(
      exportCsv(db, OPERATOR, { ...wanted, tenantId: '999' }, none),
      /there is no tenant 999/,
    )
    t.equal(bytes().length, 0)
  },
)

await t.test('every page is a read-only statement with text columns', async t => {
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

const take = (tenantId: string, ...numbers: string[]) =>
  db.transaction().execute(trx => importOptOuts(trx, { as: 'operator' }, { tenantId, numbers }))

await t.test('a list with one number in each line is read in every form', t => {
  const text = [
    'טלפון',
    '052-1234567',
    '',
    '# from the old system',
    '+972 (0)52-765-4321',
    '00972521111111\r',
    '\u200e0522222222\u200f',
    '523333333',
    "'+972524444444",
    '"052-5555555"',
    '0521234567',
    '03-6123456',
    '+1 415 555 0123',
  ].join('\n')
  const numbers = [
    '+972521234567',
    '+972527654321',
    '+972521111111',
    '+972522222222',
    '+972523333333',
  ]
  numbers.push('+972524444444', '+972525555555', '+97236123456', '+14155550123')
  t.strictSame(readNumbers(Buffer.from(text)), { numbers, badLines: [] })
  t.strictSame(readNumbers(Buffer.from(`\ufeff${text}`)), { numbers, badLines: [] })
  t.strictSame(readNumbers(Buffer.from(`\ufeff${text}`, 'utf16le')), { numbers, badLines: [] })
  t.end()
})

await t.test('in a CSV every number of a line counts, in any column', t => {
  const csv =
    'name,mobile,home\r\n"כהן, דנה",052-1234567,03-6123456\r\nלוי;;0527654321\r\nx\t0521111111\r\n'
  t.strictSame(readNumbers(Buffer.from(csv)), {
    numbers: ['+972521234567', '+97236123456', '+972527654321', '+972521111111'],
    badLines: [],
  })
  t.end()
})

await t.test('a line without a number is reported, and the others are read', t => {
  const text = '0521234567\n9.72521E+11\n12345\nדנה\n\n0521234567890123\n0527654321'
  t.strictSame(readNumbers(Buffer.from(text)), {
    numbers: ['+972521234567', '+972527654321'],
    badLines: [2, 3, 4, 6],
  })
  t.strictSame(readNumbers(Buffer.alloc(0)), { numbers: [], badLines: [] })
  t.end()
})

await t.test('an import cancels pending messages, and nothing is sent later', async t => {
  const shop = await business()
  const other = await business()
  const [waiting, reminded, outsider] = [customer(), customer(), customer()]
  const { id, callId } = await miss(shop, waiting.local)
  const sent = await miss(shop, reminded.local)
  await dueSince(sent.id)
  const elsewhere = await miss(other, waiting.local)

  const list = [waiting.e164, reminded.e164, outsider.e164]
  t.strictSame(await take(shop.tenantId, ...list), { added: 3, known: 0 })
  t.strictSame(await storyOf(shop, waiting.e164), ['opted_out', 'cancelled / opted_out', null])
  t.strictSame(await storyOf(shop, reminded.e164), [
    'opted_out',
    'sent / accepted',
    'opted_out / opted_out',
  ])
  t.strictSame((await messagesAfter(sent.id)).slice(1), [
    ['reminder_1', 'cancelled', 'opted_out'],
    ['reminder_2', 'cancelled', 'opted_out'],
  ])
  t.strictSame(await jobs(`lead_outreach:${id}`), [])
  t.strictSame(await jobs(`lead_reminder:${(await conversationOf(sent.id)).id}:1`), [])
  t.strictSame(await outreachOf(shop.tenantId, callId), ['cancelled', 'opted_out'])
  t.strictSame(await outreachOf(other.tenantId, elsewhere.callId), ['scheduled', 'waiting'])
  t.equal(fake.inbox(waiting.e164).length, 0, 'no confirmation is sent')

  const again = await miss(shop, outsider.local)
  t.strictSame(await outreachOf(shop.tenantId, again.callId), ['skipped', 'opted_out'])
  t.strictSame(await take(shop.tenantId, ...list), { added: 0, known: 3 })
  t.strictSame(
    await optOutsOf(shop),
    list.map(phone => [phone, 'import']),
  )
  t.match(
    await db
      .selectFrom('audit_log')
      .selectAll()
      .where('action', '=', 'opt_outs.add')
      .orderBy('id')
      .execute(),
    [
      { who: 'operator', tenant_id: shop.tenantId, after: { added: 3, known: 0 } },
      { after: { added: 0, known: 3 } },
    ],
  )
})

await t.test(
  'a person who changed to a number in the list is opted out with both numbers',
  async t => {
    const shop = await business()
    const [old, moved] = [customer(), customer()]
    const { callId } = await miss(shop, old.local)
    const [lead] = await leadsOf(shop.tenantId)
    await db
      .insertInto('lead_identities')
      .values({ tenant_id: shop.tenantId, lead_id: lead?.id ?? '', identity: moved.e164.slice(1) })
      .execute()
    t.strictSame(await take(shop.tenantId, moved.e164), { added: 1, known: 0 })
    t.strictSame(await outreachOf(shop.tenantId, callId), ['cancelled', 'opted_out'])
    t.strictSame(
      (await optOutsOf(shop)).map(([phone]) => phone),
      [moved.e164, old.e164],
    )
  },
)

await t.test('an unknown business is not found', async t => {
  await t.rejects(take('999', customer().e164), /there is no tenant 999/)
})
