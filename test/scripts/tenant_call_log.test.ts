/** npm run tenant -- call-log: as an operator, or a script, gives access to a call log and takes it back. */
import { sql } from 'kysely'
import t from 'tap'
import { business, contents, customer, db, jobs, work } from '../support/ringback.ts'
import { accessRow, call, checksOf, voicenter, webhook } from '../support/voicenter.ts'
import { secondsUntil } from '../tasks/support.ts'
import { type How, run } from './command.ts'
import { callLogOwner, decrypt } from '../../app/crypto.ts'

const callLog = (tenantId: string, args: string[], how: How = {}) =>
  run('tenant', ['call-log', '--tenant', tenantId, ...args], how)
/** The last line of stdout. */
const json = ({ stdout }: { stdout: string }): unknown =>
  JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')

t.test('a code out of a variable opens the log, and the first check follows at once', async t => {
  const shop = await business()
  const account = voicenter.addAccount()
  await webhook(shop, call({ caller: customer().local, did: shop.did }).push)
  const answer = await callLog(shop.tenantId, ['--code-env', 'OUR_CODE', '--json'], {
    env: { OUR_CODE: ` ${account.code}\n` },
  })
  t.match(answer, { status: 0, stderr: /its call log is compared from now on/ })
  t.equal(answer.stdout.split('\n').length, 2, 'stdout is one line')
  t.match(json(answer), {
    tenantId: shop.tenantId,
    callLog: { kind: 'code', lastError: null, calls: '0', lost: '0' },
  })
  const row = await accessRow(shop)
  t.equal(decrypt(row.credential, callLogOwner(shop.tenantId)), account.code)
  t.throws(() => decrypt(row.credential, callLogOwner('0')), /cannot be decrypted/)
  const { rows } = await sql<{ text: string }>`
    select to_jsonb(a)::text as text from call_log_access a
    union all select to_jsonb(j)::text from graphile_worker.jobs j`.execute(db)
  const seen = rows.map(({ text }) => text).join() + answer.stdout + answer.stderr
  t.notMatch(seen, account.code, 'nowhere to be seen')
  await work()
  t.strictSame(await checksOf(shop), [[0, 0, 0]])
})

t.test('a bearer token from standard input takes the place of the code', async t => {
  const shop = await business()
  const account = voicenter.addAccount({ addressAllowed: false })
  await callLog(shop.tenantId, ['--code-stdin'], { input: account.code })
  await work()
  t.match(await accessRow(shop), { kind: 'code', last_error: 'address_not_allowed' })
  const shown = await callLog(shop.tenantId, ['--json'])
  t.match(json(shown), { callLog: { kind: 'code', lastError: 'address_not_allowed' } })
  t.notMatch(shown.stdout + shown.stderr, account.code)
  const before = await accessRow(shop)
  const { status } = await callLog(shop.tenantId, ['--bearer-stdin'], { input: account.bearer })
  t.equal(status, 0)
  t.match(await accessRow(shop), { kind: 'bearer', last_error: null })
  t.strictSame((await accessRow(shop)).checked_until, before.checked_until)
  await work()
  t.match(await accessRow(shop), { last_error: null })
  t.equal((await checksOf(shop)).length, 1)
})

t.test('calls from before the first webhook were never lost', async t => {
  const since = async (age: string | null) => {
    const shop = await business()
    if (age) {
      await webhook(shop, call({ did: shop.did }).push)
      await sql`update raw_cdrs set received_at = now() - ${age}::interval
                where tenant_id = ${shop.tenantId}`.execute(db)
    }
    await callLog(shop.tenantId, ['--code-stdin'], { input: 'x' })
    return secondsUntil((await accessRow(shop)).watched_since)
  }
  const near = (found: number, wanted: number) => t.ok(Math.abs(found - wanted) < 30, String(found))
  near(await since('3 days'), -24 * 3600)
  near(await since('3 hours'), -3 * 3600)
  near(await since(null), -600)
})

t.test('off forgets the credential and compares no more', async t => {
  const shop = await business()
  await callLog(shop.tenantId, ['--code-stdin'], { input: 'x' })
  t.equal((await jobs(`call_log:${shop.tenantId}`)).length, 1)
  const off = await callLog(shop.tenantId, ['--off', '--json'])
  t.strictSame(json(off), { tenantId: shop.tenantId, callLog: null })
  t.match(off.stderr, /its call log is not compared/)
  t.strictSame(await jobs(`call_log:${shop.tenantId}`), [])
  await t.rejects(accessRow(shop))
})

t.test('what is wrong is said, and nothing is changed', async t => {
  const { tenantId } = await business()
  const before = await contents()
  const SECRET = 'a-secret-code'
  const wrong: [args: string[], said: RegExp, status?: number, how?: How][] = [
    [['--tenant', 'x', '--off'], /--tenant: expected the id of a business/],
    [['--code', SECRET], /--code/],
    [[`--bearer=${SECRET}`], /--bearer/],
    [['--code-env', 'NO_SUCH'], /--code-env: NO_SUCH is not set/],
    [['--bearer-stdin'], /--bearer-stdin: nothing came/],
    [['--code-env', 'A', '--code-stdin'], /--code-env or --code-stdin, not both/],
    [['--code-env', 'A', '--bearer-env', 'A'], /not several/, 2, { env: { A: SECRET } }],
    [['--code-env', 'A', '--off'], /not several/, 2, { env: { A: SECRET } }],
    [['--code-stdin'], /without spaces/, 2, { input: `${SECRET} ${SECRET}` }],
    [['--tenant', '999999', '--code-stdin'], /there is no tenant 999999/, 1, { input: SECRET }],
  ]
  for (const [args, said, status = 2, how] of wrong) {
    const answer = await callLog(tenantId, args, how)
    t.match(answer, { status, stdout: '', stderr: said }, args.join(' '))
    t.notMatch(answer.stderr, SECRET)
  }
  t.strictSame(await contents(), before)
})

t.test('help needs no database and names every option', async t => {
  const env = { DATABASE_URL: 'postgres://127.0.0.1:1/none' }
  const { status, stdout, stderr } = await run('tenant', ['call-log', '--help'], { env })
  t.match({ status, stderr }, { status: 0, stderr: '' })
  for (const flag of 'tenant code-env code-stdin bearer-env bearer-stdin off json'.split(' '))
    t.match(stdout, `--${flag}`)
})
