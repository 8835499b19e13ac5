/** A small managed Postgres gives 20 connections, and during a deploy two copies of the program share them. */
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t from 'tap'
import { startProcess } from '../support/process.ts'
import { push } from '../../scripts/demo/cdr.ts'
import { business, customer, db } from '../support/ringback.ts'

/** In the URL it stands above the names that the program gives its connections, so that they can be told from the test's. */
const DATABASE_URL = `${process.env['DATABASE_URL']}?application_name=the_program`

t.test('one copy holds at most nine connections, whatever is going on', async t => {
  const shop = await business()
  const copy = startProcess({ DATABASE_URL })
  await copy.running()
  const url = `${await copy.url()}/webhooks/voicenter/cdr?token=${shop.token}`
  let most = 0
  const watching = new AbortController()
  const watch = async () => {
    while (!watching.signal.aborted) {
      const { rows } = await sql<{ held: number }>`
        select count(*)::int as held from pg_stat_activity where application_name = 'the_program'`.execute(
        db,
      )
      most = Math.max(most, rows[0]?.held ?? 0)
      await sleep(10)
    }
  }
  const watched = watch()
  const answers = await Promise.all(
    Array.from({ length: 300 }, () =>
      fetch(url, {
        method: 'POST',
        body: JSON.stringify(push({ caller: customer().local, did: shop.did })),
      }),
    ),
  )
  // So many at once on a busy machine: some may have to come again.
  t.ok(answers.every(({ status }) => status === 200 || status === 503))
  t.ok(answers.some(({ status }) => status === 200))
  const unjudged = () =>
    db.selectFrom('raw_cdrs').select('id').where('verdict', 'is', null).limit(1).executeTakeFirst()
  while (await unjudged()) await sleep(50)
  watching.abort()
  await watched
  t.ok(most >= 6 && most <= 9, `${most} of 9`)
  copy.signal('SIGTERM')
  await copy.ended()
})
