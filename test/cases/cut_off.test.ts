/** Every connection to the database is ended again and again, while calls come in and messages go out. (Case 27) */
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import t from 'tap'
import { push } from '../../scripts/demo/cdr.ts'
import { IN_ORDER, soon, startProcess } from '../support/process.ts'
import { business, customer, db, fake, outreachOf } from '../support/ringback.ts'

const ROUNDS = 12
const CALLS = 30

const server = new URL(process.env['DATABASE_URL'] ?? '')
const database = server.pathname.slice(1)
server.pathname = '/postgres'
const admin = new pg.Client({ connectionString: server.href })
await admin.connect()
t.teardown(() => admin.end())

/** All connections of the program, web and worker. */
const cutAll = () =>
  admin.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and application_name like 'ringback%'`,
    [database],
  )

await t.test('nothing is lost, nothing is sent twice, and the program does not end', async t => {
  const shop = await business({ columns: { outreach_delay: '1 second' } })
  const program = startProcess()
  await program.running()
  const url = await program.url()
  const door = `${url}/webhooks/voicenter/cdr?token=${shop.token}`
  const people = Array.from({ length: CALLS }, () => customer())
  const records = people.map(({ local }) => push({ caller: local, did: shop.did }))

  const answers = new Set<number>()
  /** As the exchange does: again, until it hears 200. */
  const deliver = async (record: unknown) => {
    for (let tries = 0; tries < 60; tries++) {
      const response = await fetch(door, { method: 'POST', body: JSON.stringify(record) })
      answers.add(response.status)
      await response.body?.cancel()
      if (response.status === 200) return
      await sleep(200)
    }
    throw new Error('never taken')
  }
  let cutting = true
  const cut = async () => {
    for (let round = 0; round < ROUNDS; round++) {
      await cutAll()
      await sleep(400)
    }
    cutting = false
  }
  const cuts = cut()
  for (const record of records) {
    await deliver(record)
    if (cutting) await sleep(100)
  }
  await cuts

  await soon('everybody is written to', () =>
    people.every(({ e164 }) => fake.inbox(e164).length > 0),
  )
  t.strictSame(
    [...answers].filter(status => status !== 200 && status !== 503),
    [],
    'each was told 200 or 503',
  )
  const requests = fake
    .requests()
    .filter(({ phoneNumberId }) => phoneNumberId === shop.phoneNumberId)
  for (const [n, { ivruniqueid }] of records.entries()) {
    t.strictSame(await outreachOf(shop.tenantId, ivruniqueid), ['sent', 'accepted'])
    t.equal(fake.inbox(people[n]?.e164 ?? '').length, 1)
  }
  t.equal(requests.length, CALLS)
  const raw = await db
    .selectFrom('raw_cdrs')
    .select('id')
    .where('tenant_id', '=', shop.tenantId)
    .execute()
  t.equal(raw.length, CALLS)
  t.ok(program.isAlive(), 'it has not ended')
  t.equal((await fetch(`${url}/readyz`)).status, 200)
  program.signal('SIGTERM')
  t.match(await program.ended(), IN_ORDER)
})
