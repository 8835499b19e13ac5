/** What the platform asks: is it alive, can it work? */
import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { z } from 'zod'
import { business, db, post, url, work } from '../support/ringback.ts'
import { push } from '../../scripts/demo/cdr.ts'
import { startWeb } from '../../app/web/server.ts'

const answer = z.strictObject({
  status: z.string(),
  database: z.boolean(),
  worker: z.boolean().nullable(),
  oldestDueJobSeconds: z.int().nullable(),
  lastWebhookSeconds: z.int().nullable(),
})
const ready = async (base = url) => {
  const response = await fetch(`${base}/readyz`)
  return { http: response.status, ...answer.parse(await response.json()) }
}
/** The same program, with a worker in the state given. */
const withWorker = async (t: Test, isRunning: boolean | null) => {
  const web = await startWeb(() => isRunning)
  t.teardown(() => {
    web.close()
    web.closeAllConnections()
  })
  const address = web.address()
  return `http://127.0.0.1:${address && typeof address === 'object' ? address.port : ''}`
}

await t.test('healthz says that the process is alive, and nothing else', async t => {
  const response = await fetch(`${url}/healthz`)
  t.equal(response.status, 200)
  t.strictSame(await response.json(), { status: 'ok' })
  t.equal(response.headers.get('x-powered-by'), null)
})

await t.test('readyz tells the ages of the oldest due job and of the last webhook', async t => {
  t.strictSame(await ready(), {
    http: 200,
    status: 'ready',
    database: true,
    worker: null,
    oldestDueJobSeconds: null,
    lastWebhookSeconds: null,
  })

  const { token } = await business()
  await post(push(), { token })
  await sql`update raw_cdrs set received_at = now() - interval '1 hour'`.execute(db)
  await sql`update graphile_worker._private_jobs set run_at = now() - interval '90 seconds'`.execute(
    db,
  )
  const busy = await ready()
  t.match(busy, { http: 200, status: 'ready' }, 'a backlog is no reason to be restarted')
  t.ok([3600, 3601].includes(busy.lastWebhookSeconds ?? 0))
  t.ok([90, 91].includes(busy.oldestDueJobSeconds ?? 0))

  await sql`update graphile_worker._private_jobs set run_at = now() + interval '1 hour'`.execute(db)
  t.match(await ready(), { oldestDueJobSeconds: null }, 'what is not due yet is no backlog')
  await sql`update graphile_worker._private_jobs set run_at = now()`.execute(db)
  await work()
  t.match(await ready(), { oldestDueJobSeconds: null })
})

await t.test('it is not ready while its worker does not run', async t => {
  t.match(await ready(await withWorker(t, true)), { http: 200, status: 'ready', worker: true })
  t.match(await ready(await withWorker(t, false)), {
    http: 503,
    status: 'not ready',
    database: true,
    worker: false,
  })
})

await t.test('it is not ready before the database is migrated', async t => {
  await sql`alter table raw_cdrs rename to later`.execute(db)
  const response = await fetch(`${url}/readyz`)
  await sql`alter table later rename to raw_cdrs`.execute(db)
  t.equal(response.status, 503)
  t.strictSame(await response.json(), { status: 'not ready', database: false, worker: null })
  t.match(await ready(), { http: 200 })
})
