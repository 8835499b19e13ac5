/** npm run tenant -- password, test-message: signing in, and trying the set-up, by command. */
import t from 'tap'
import { business, customer, db, fake, work } from '../support/ringback.ts'
import { requestsOf, until } from '../tasks/support.ts'
import { auditOf, auditSince } from '../tenants/support.ts'
import { answered, tenant } from './tenant.ts'
import { isPassword } from '../../app/tenants/credentials.ts'

t.test('a password is given or made up, and cleared', async t => {
  const { tenantId } = await business()
  const written = await auditSince(tenantId)
  const stored = async () =>
    (
      await db
        .selectFrom('tenants')
        .select('ops_password')
        .where('id', '=', tenantId)
        .executeTakeFirstOrThrow()
    ).ops_password
  const set = (args: string[], how = {}) =>
    answered(['password', '--tenant', tenantId, ...args], how)
  t.strictSame(
    (await set(['--password-env', 'OURS'], { env: { OURS: 'out of a variable' } })).json,
    { tenantId, changed: true },
  )
  t.ok(await isPassword('out of a variable', await stored()))
  await set(['--password-stdin'], { input: 'from standard input\n' })
  t.ok(await isPassword('from standard input', await stored()))
  const { line, stderr } = await set(['--generate'])
  const { password = '' } = /"password":"(?<password>[\w-]{20})"/.exec(line)?.groups ?? {}
  t.ok(await isPassword(password, await stored()))
  t.notMatch(stderr, password)
  t.match(await tenant(['password', '--tenant', tenantId, '--generate']), {
    status: 0,
    stdout: /shown this once/,
  })
  t.strictSame((await set(['--clear'])).json, { tenantId, changed: true })
  t.equal(await stored(), null)
  t.match(await set(['--clear']), { json: { changed: false }, stderr: /was not set/ })
  const rows = await written()
  t.strictSame(
    rows.map(([who, action]) => [who, action]),
    Array.from({ length: 5 }, () => ['command line', 'password.set']),
  )
  t.notMatch(JSON.stringify(rows), password)
})

t.test('a test message is sent, watched, and told of', async t => {
  const owner = customer().e164
  const { tenantId, phoneNumberId } = await business({
    mode: 'shadow',
    columns: { owner_phone: owner },
  })
  const command = answered(['test-message', '--tenant', tenantId, '--wait', '60'])
  await until(async () => {
    await work()
    return fake.inbox(owner).length === 1
  })
  const { json, stderr } = await command
  t.match(json, {
    tenantId,
    messageId: /^\d+$/,
    state: 'accepted',
    reason: null,
    code: null,
    phoneNumberId,
  })
  t.match(stderr, /accepted; look at the owner's phone/)
  t.match(await auditOf(tenantId), [
    ...Array.from({ length: 4 }, () => []),
    ['command line', 'test_message.send'],
  ])
  const again = await tenant(['test-message', '--tenant', tenantId])
  t.match(again, {
    status: 1,
    stdout: '',
    stderr: /the previous test message is less than a minute old/,
  })
})

t.test('a test message that fails ends with 1, and says why', async t => {
  const owner = customer().e164
  const shop = await business({ columns: { owner_phone: owner } })
  fake.script({ to: owner, outcome: { kind: 'error', code: 132001 } })
  const command = tenant(['test-message', '--tenant', shop.tenantId, '--wait', '60', '--json'])
  await until(async () => {
    await work()
    return requestsOf(shop).length === 1
  })
  const { status, stdout, stderr } = await command
  t.equal(status, 1)
  t.match(stderr, /failed \(error_code, WhatsApp error 132001\)/)
  t.match(JSON.parse(stdout), { state: 'failed', code: 132001 })
})

t.test('without a worker it is queued, which is said', async t => {
  const { tenantId } = await business({ columns: { owner_phone: customer().e164 } })
  const { json, stderr } = await answered(['test-message', '--tenant', tenantId, '--wait', '0'])
  t.match(json, { state: 'scheduled' })
  t.match(stderr, /still queued; is a worker running\?/)
})
