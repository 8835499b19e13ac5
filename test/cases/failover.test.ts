/** The database can only be read for a while, as in a failover or with a full disk. (Case 31) */
import pg from 'pg'
import t from 'tap'
import { sql } from 'kysely'
import {
  business,
  customer,
  db,
  fake,
  jobs,
  OK,
  outreachOf,
  post,
  work,
} from '../support/ringback.ts'
import { push } from '../../scripts/demo/cdr.ts'
import { dueSince, miss } from '../tasks/support.ts'

const url = new URL(process.env['DATABASE_URL'] ?? '')
const name = url.pathname.slice(1)
url.pathname = '/postgres'
const admin = new pg.Client({ connectionString: url.href })
await admin.connect()
t.teardown(() => admin.end())

const readOnly = (on: boolean) =>
  admin.query(`alter database ${name} set default_transaction_read_only = ${on ? 'on' : 'off'}`)
/** As a failover does; the program's connections are cut. */
const cutAll = async () => {
  await admin.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [
    name,
  ])
  // A moment for the news to arrive.
  await new Promise(resolve => setTimeout(resolve, 200))
}

await t.test('while it can only be read: 503, nothing is sent; afterwards all goes on', async t => {
  const shop = await business()
  const who = customer()
  const { id, callId } = await miss(shop, who.local)
  const record = push({ caller: customer().local, did: shop.did })

  await readOnly(true)
  await cutAll()
  t.match(await post(record, { token: shop.token }), { status: 503, body: { Err: 2 } })
  t.match(await post({ bad: 1 }, { token: shop.token }), { status: 503 }, 'nor is it kept aside')

  await readOnly(false)
  await cutAll()
  t.strictSame(await post(record, { token: shop.token }), OK)
  t.equal((await jobs(`voicenter_cdr:${record.ivruniqueid}`)).length, 1)
  await dueSince(id)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
  t.equal(fake.inbox(who.e164).length, 1)
})

await t.test('a connection made meanwhile does not stay unable to write', async t => {
  const { token } = await business()
  await readOnly(true)
  await cutAll()
  for (let n = 0; n < 10; n++) t.match(await post(push(), { token }), { status: 503 })
  // Nobody cuts anything this time: it is the setting of those sessions that stays.
  await readOnly(false)
  const answers = await Promise.all(Array.from({ length: 20 }, () => post(push(), { token })))
  t.ok(
    answers.every(({ status }) => status === 200),
    'it can be written again, and is',
  )
  await cutAll()
  t.strictSame(await post(push(), { token }), OK)
  await sql`select 1`.execute(db)
  await work()
})
