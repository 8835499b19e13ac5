/** npm run tenant and npm run export in processes of their own. */
import { parse } from 'csv-parse/sync'
import t from 'tap'
import { run } from '../scripts/command.ts'
import { business, contents, customer, OK, post } from '../support/ringback.ts'
import { push } from '../../scripts/demo/cdr.ts'
import { miss } from '../tasks/support.ts'

const NO_DATABASE = { DATABASE_URL: 'postgres://127.0.0.1:1/none' }
const ADD = ['add', '--name', 'A', '--number', '0722000001']

await t.test('add prints one line of JSON, and its token is valid', async t => {
  const { status, stdout, stderr } = await run('tenant', [...ADD, '--json'])
  t.equal(status, 0, stderr)
  t.match(stderr, /added A as tenant \d+, mode shadow/)
  t.equal(stdout.split('\n').length, 2)
  const { webhookToken = '' } = /"webhookToken":"(?<webhookToken>[^"]+)"/.exec(stdout)?.groups ?? {}
  t.strictSame(await post(push({ did: '0722000001' }), { token: webhookToken }), OK)
})

await t.test('a secret is read from standard input', async t => {
  const { tenantId } = await business()
  const password = ['password', '--tenant', tenantId, '--password-stdin']
  const { status, stderr } = await run('tenant', password, { input: 'from standard input\n' })
  t.strictSame([status, stderr], [0, `tenant ${tenantId}: its password is set\n`])
})

await t.test('forget asks only on a terminal', async t => {
  const { tenantId } = await business()
  const before = await contents()
  const answer = await run('tenant', ['forget', '--tenant', tenantId, '--number', customer().local])
  t.match(answer, { status: 2, stdout: '', stderr: /cannot be undone: use --yes/ })
  t.strictSame(await contents(), before)
})

await t.test('a wrong option is named in one line, and nothing is done', async t => {
  for (const name of ['demo', 'bench', 'chaos', 'migrate', 'sql', 'export', 'replay']) {
    const { status, stdout, stderr } = await run(name, ['--bogus'], { env: NO_DATABASE })
    t.strictSame([status, stdout], [2, ''], name)
    t.match(stderr, new RegExp(`^Unknown option '--bogus'.*\nSee: npm run ${name} -- --help\n$`))
  }
  const { tenantId } = await business()
  const calls = ['--tenant', tenantId, '--what', 'calls']
  for (const [args, status, problem] of [
    [
      ['--tenant', tenantId, '--what', 'x'],
      2,
      /^--what: expected .*\nSee: npm run export -- --help\n$/,
    ],
    [
      [...calls, '--since', '2026-12-05', '--until', '2026-12-01'],
      2,
      /^--until: expected .*, not before since\n/,
    ],
    [
      [...calls, '--output', '/nowhere/x.csv'],
      1,
      /^--output: cannot be written \(ENOENT[^\n]*\)\n$/,
    ],
  ] as const)
    t.match(await run('export', [...args]), { status, stdout: '', stderr: problem })
  const replay = ['--tenant', tenantId, '--file', '/nowhere.ndjson']
  t.match(await run('replay', replay), {
    status: 1,
    stderr: /^--file: cannot be read \(ENOENT.*\n$/,
  })
})

await t.test('export writes to standard output', async t => {
  const shop = await business()
  const { callId } = await miss(shop, customer().local)
  const calls = ['--tenant', shop.tenantId, '--what', 'calls']
  const { status, stdout, stderr } = await run('export', calls)
  t.strictSame([status, stderr], [0, `1 calls of tenant ${shop.tenantId}\n`])
  t.match(parse(stdout, { bom: true, columns: true }), [{ call_id: callId }])
})

await t.test('help and errors do not need a database; other commands report it', async t => {
  const env = NO_DATABASE
  const help = await run('tenant', ['--help'], { env })
  t.match(help, { status: 0, stderr: '', stdout: /^ +add /m })
  const wrong = await run('tenant', ['add', '--name', 'A'], { env })
  t.match(wrong, { status: 2, stdout: '', stderr: /^--number: expected at least one number/ })
  const add = await run('tenant', ADD, { env })
  t.match(add, { status: 1, stdout: '', stderr: /ECONNREFUSED/ })
})
