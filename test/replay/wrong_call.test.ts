/** npm run replay, called wrongly: it says what was expected, and ends before anything has begun. */
import { sql } from 'kysely'
import t from 'tap'
import { run } from '../scripts/command.ts'
import { db } from '../../app/db/kysely.ts'

t.teardown(() => db.destroy())
const { rows } = await sql<{
  id: string
}>`insert into tenants (name) values ('A') returning id`.execute(db)
const MINE = ['--tenant', rows[0]?.id ?? '', '--since', '5 days']

await t.test('a wrong call says what is missing', async t => {
  const said = async (...args: string[]) => {
    const { status, stdout, stderr } = await run('replay', args)
    t.equal(stdout, '')
    t.not(status, 0)
    t.notMatch(stderr, /\n +at |node:internal/, 'without a stack')
    return stderr
  }
  t.match(await said(), /--tenant: whose calls\?/)
  t.match(await said('--tenant', '1'), /--since: from when on\?/)
  t.match(await said('--tenant', '999999', '--since', '1 day'), /there is no tenant 999999/)
  const both = await said(...MINE, '--quiet', '25:00-08:00', '--missed-statuses', 'NOANSWR')
  t.match(both, /--quiet: expected a window such as.*--missed-statuses: expected statuses/s)
  t.match(await said(...MINE, '--until', '6 days'), /before --until/)
  t.match(await said(...MINE, '--quiet', '21:00-08:00', '--no-quiet'), /not both/)
  t.match(await said(...MINE, '--file', '/nowhere.ndjson'), /no such file/)
  t.match(await said('--apply', '--delay', '1 minute'), /--apply judges by the settings/)
  const { status, stdout } = await run('replay', ['--help'])
  t.equal(status, 0)
  t.match(stdout, /--repeat-window/)
})
