/** forget, opt-outs and export, as the commands that an operator runs. */
import { mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'csv-parse/sync'
import t from 'tap'
import { business, contents, customer, db } from '../support/ringback.ts'
import { optOutsOf } from '../support/whatsapp.ts'
import { leadsOf, miss } from '../tasks/support.ts'
import { run } from '../scripts/command.ts'
import { rowsWith } from './support.ts'

const folder = mkdtempSync(join(tmpdir(), 'ringback-privacy-'))
t.teardown(() => rm(folder, { recursive: true, force: true }))

const lastLine = (stdout: string): unknown => JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')
const withoutAudit = async () => ({ ...(await contents()), 'public.audit_log': null })

await t.test('forget shows what it would erase, and erases when it is meant', async t => {
  const shop = await business()
  const who = customer()
  await miss(shop, who.local)
  const forget = (...args: string[]) =>
    run('tenant', ['forget', '--tenant', shop.tenantId, '--number', who.local, ...args])

  const before = await contents()
  const unsure = await forget()
  t.match(unsure, { status: 2, stdout: '', stderr: /cannot be undone: --yes if you are sure/ })
  const rehearsal = await forget('--dry-run', '--json')
  t.equal(rehearsal.status, 0, rehearsal.stderr)
  const erased = { leads: 1, missed_calls: 1, raw_cdrs: 1, jobs: 1, messages: 0 }
  t.match(lastLine(rehearsal.stdout), { tenantId: shop.tenantId, dryRun: true, erased })
  t.match(rehearsal.stderr, /nothing was changed/)
  t.strictSame(await contents(), before)

  const done = await forget('--yes', '--json')
  t.equal(done.status, 0, done.stderr)
  t.match(lastLine(done.stdout), { tenantId: shop.tenantId, dryRun: false, erased })
  t.strictSame(await rowsWith(who.e164), [])
  for (const { stdout, stderr } of [unsure, rehearsal, done])
    t.notMatch(stdout + stderr, who.local.slice(1), 'her number is not repeated')
  t.match(
    await db.selectFrom('audit_log').selectAll().where('action', '=', 'person.forget').execute(),
    [{ who: 'command line', tenant_id: shop.tenantId, after: erased }],
  )
  t.match(await forget('--yes'), { status: 0, stdout: /raw_cdrs\s+│ 0/ })
})

await t.test('what cannot be is said in a line', async t => {
  const shop = await business()
  const before = await contents()
  for (const [args, stderr] of [
    [['--tenant', shop.tenantId, '--number', 'דנה'], /^--number: expected a telephone number/],
    [['--tenant', 'x', '--number', '0521234567'], /^--tenant: expected the id of a business/],
    [['--tenant', '999', '--number', '0521234567'], /^there is no tenant 999/],
    [
      ['--tenant', shop.tenantId, '--number', shop.did],
      /^--number: this is a number of the business itself/,
    ],
  ] as const) {
    const { status, stdout, stderr: found } = await run('tenant', ['forget', '--yes', ...args])
    t.match(found, stderr)
    t.notMatch(found, /\n\s+at /)
    t.ok(status === 1 || status === 2)
    t.equal(stdout, '')
  }
  t.strictSame(await contents(), before)
})

await t.test('a list of opt-outs is taken in from a file or from standard input', async t => {
  const shop = await business()
  const [one, two] = [customer(), customer()]
  await miss(shop, one.local)
  const file = join(folder, 'numbers.txt')
  writeFileSync(file, `${one.local}\nלא מספר 52x\n${two.local}\n`)
  const { status, stdout, stderr } = await run('tenant', [
    'opt-outs',
    '--tenant',
    shop.tenantId,
    '--file',
    file,
    '--json',
  ])
  t.equal(status, 1, 'for a line was not understood')
  t.strictSame(lastLine(stdout), { tenantId: shop.tenantId, added: 2, known: 0, badLines: [2] })
  t.match(stderr, /^2 people are new.*\nline 2: not a telephone number\n$/)
  t.strictSame(
    await optOutsOf(shop),
    [one, two].map(({ e164 }) => [e164, 'import']),
  )
  t.match(await leadsOf(shop.tenantId), [{ state: 'opted_out' }])

  const piped = await run('tenant', ['opt-outs', '--tenant', shop.tenantId, '--file', '-'], {
    input: two.e164,
  })
  t.match(piped, { status: 0, stderr: /^0 people are new .*, 1 were known\n$/ })
  const before = await withoutAudit()
  t.match(await run('tenant', ['opt-outs', '--tenant', shop.tenantId]), {
    status: 2,
    stderr: /^--file: expected/,
  })
  t.match(
    await run('tenant', ['opt-outs', '--tenant', shop.tenantId, '--file', join(folder, 'none')]),
    {
      status: 2,
      stderr: /^--file: ENOENT/,
    },
  )
  t.strictSame(await withoutAudit(), before)
})

await t.test('export writes to a file that nobody else reads, or to standard output', async t => {
  const shop = await business()
  const who = customer()
  const { callId } = await miss(shop, who.local)
  const args = ['--tenant', shop.tenantId, '--what', 'calls']
  const file = join(folder, 'calls.csv')
  const { status, stdout, stderr } = await run('export', [...args, '--output', file])
  t.strictSame(
    { status, stdout, stderr },
    { status: 0, stdout: '', stderr: `1 calls of tenant ${shop.tenantId}\n` },
  )
  t.equal(statSync(file).mode & 0o777, 0o600)
  const written = readFileSync(file)
  t.match(parse(written, { bom: true, columns: true }), [
    { call_id: callId, customer_phone: `'${who.e164}` },
  ])
  const piped = await run('export', args)
  t.equal(piped.status, 0)
  t.equal(piped.stdout, written.toString())
  t.match(await run('export', [...args, '--until', '2020-01-01']), {
    status: 0,
    stderr: /^0 calls/,
  })

  for (const [wrong, message] of [
    [['--tenant', shop.tenantId, '--what', 'people'], /^--what: expected calls, leads or messages/],
    [[...args, '--since', 'monday'], /^--since: expected a day such as/],
    [['--tenant', '999', '--what', 'leads'], /^there is no tenant 999/],
    [[...args, '--output', join(folder, 'no', 'such')], /ENOENT/],
  ] as const) {
    const { status, stderr } = await run('export', [...wrong])
    t.ok(status === 1 || status === 2, String(status))
    t.match(stderr, message)
    t.notMatch(stderr, /\n\s+at /)
  }
})
