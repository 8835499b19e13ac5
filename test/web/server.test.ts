/** The web server: health, methods, unknown paths, and the limit for wrong tokens. */
import { sql } from 'kysely'
import { once } from 'node:events'
import { request } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { z } from 'zod'
import { portOf, startWeb } from '../../app/web/server.ts'
import { discardJob, failedJobs } from '../../app/worker/failed_jobs.ts'
import { push } from '../../scripts/demo/cdr.ts'
import { business, CDR, contents, db, OK, post, url, work } from '../support/ringback.ts'

const PATH = new URL(CDR).pathname
const { token } = await business()

const answer = z.strictObject({
  status: z.string(),
  database: z.boolean(),
  worker: z.boolean().nullable(),
  webhooks: z.boolean(),
  oldestDueJobSeconds: z.int().nullable(),
  lastWebhookSeconds: z.int().nullable(),
})
const ready = async (base = checking, query = '') => {
  const response = await fetch(`${base}/readyz${query}`)
  return { http: response.status, ...answer.parse(await response.json()) }
}
/** The same program with a worker that runs, that does not run, or without one. /readyz asks the database each time. */
const withWorker = async (t: Pick<Test, 'teardown'>, isRunning: boolean | null) => {
  const web = await startWeb(() => isRunning, 0)
  t.teardown(() => {
    web.close()
    web.closeAllConnections()
  })
  const address = web.address()
  return `http://127.0.0.1:${address && typeof address === 'object' ? address.port : ''}`
}

const checking = await withWorker(t, null)

await t.test('healthz answers that the process is alive', async t => {
  const response = await fetch(`${url}/healthz`)
  t.equal(response.status, 200)
  t.strictSame(await response.json(), { status: 'ok' })
  t.equal(response.headers.get('x-powered-by'), null)
})

await t.test('requests and answers have the prototypes of Express from the start', async t => {
  const web = await startWeb(() => null)
  t.teardown(() => {
    web.close()
    web.closeAllConnections()
  })
  const seen: [object, unknown][] = []
  web.prependListener('request', (req, res) => {
    for (const message of [req, res]) seen.push([message, Object.getPrototypeOf(message)])
  })
  const { status, headers } = await fetch(`http://127.0.0.1:${portOf(web)}/`, {
    redirect: 'manual',
  })
  t.match([status, headers.get('location')], [302, '/ops'])
  t.equal(seen.length, 2)
  for (const [message, prototype] of seen) t.equal(Object.getPrototypeOf(message), prototype)
})

await t.test('readyz reports the ages of the oldest due job and the last webhook', async t => {
  t.strictSame(await ready(), {
    http: 200,
    status: 'ready',
    database: true,
    worker: null,
    webhooks: true,
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
  t.match(busy, { http: 200, status: 'ready' }, 'a short backlog does not make it unready')
  t.ok([3600, 3601].includes(busy.lastWebhookSeconds ?? 0))
  t.ok([90, 91].includes(busy.oldestDueJobSeconds ?? 0))

  await sql`update graphile_worker._private_jobs set run_at = now() + interval '1 hour'`.execute(db)
  t.match(await ready(), { oldestDueJobSeconds: null }, 'a job that is not due is no backlog')
  await sql`update graphile_worker._private_jobs set run_at = now()`.execute(db)
  await work()
  t.match(await ready(), { oldestDueJobSeconds: null })

  await sql`select graphile_worker.add_job('task_of_an_old_deploy', run_at := now() - interval '1 hour')`.execute(
    db,
  )
  t.match(await ready(), { oldestDueJobSeconds: null }, 'nor one of an unknown task')
  await db.transaction().execute(async trx => {
    const [job] = await failedJobs(trx, 10)
    t.match(job, { task: 'task_of_an_old_deploy', isKnown: false, attempts: 0 })
    await discardJob(trx, { as: 'command line' }, job?.id ?? '')
    t.strictSame(await failedJobs(trx, 10), [], 'which a person can discard')
  })
})

await t.test('readyz answers 503 while a due job is older than five minutes', async t => {
  const dueSince = (seconds: number, change = '') =>
    sql`
    update graphile_worker._private_jobs set run_at = now() - make_interval(secs => ${seconds}) ${sql.raw(change)}`.execute(
      db,
    )
  const { token } = await business()
  await post(push(), { token })
  await dueSince(299)
  t.match(await ready(), { http: 200, oldestDueJobSeconds: 299 })
  await dueSince(302)
  t.match(await ready(), { http: 503, status: 'not ready', database: true, webhooks: true })
  t.match(await ready(checking, '?for=webhooks'), { http: 200, status: 'ready' }, 'a load balancer')
  t.match(await ready(checking, '?for=x'), { http: 503 })

  for (const change of ['priority = 7', 'priority = -7'])
    t.match(await dueSince(302, `, ${change}`).then(() => ready()), { http: 503 }, change)
  await sql`select graphile_worker.add_job('lead_silence', run_at := now() - interval '1 hour', priority := 3)`.execute(
    db,
  )
  t.match(await ready(), { http: 503, oldestDueJobSeconds: 3600 }, 'the oldest of all priorities')
  await dueSince(302, `, attempts = max_attempts`)
  t.match(await ready(), { http: 200, oldestDueJobSeconds: null }, 'not one that failed for good')
  await dueSince(302, `, attempts = 0, locked_at = now(), locked_by = 'x'`)
  t.match(await ready(), { http: 200, oldestDueJobSeconds: null }, 'nor one that runs')
  await sql`delete from graphile_worker._private_jobs`.execute(db)
})

/** Until the end of this test, the disk is full. */
const fullDisk = async (t: Test) => {
  await sql`
    create function full_disk() returns trigger language plpgsql as $$
    begin raise exception 'could not extend file' using errcode = '53100'; end $$`.execute(db)
  for (const table of ['raw_cdrs', 'whatsapp_events'])
    await sql`create trigger full_disk before insert on ${sql.table(table)} for each row execute function full_disk()`.execute(
      db,
    )
  const free = async () => {
    await sql`drop function if exists full_disk() cascade`.execute(db)
  }
  t.teardown(free)
  return free
}

await t.test('readyz answers 503 while webhooks cannot be stored', async t => {
  const { token } = await business()
  t.match(await ready(), { http: 200, webhooks: true })
  const free = await fullDisk(t)
  const before = await contents()
  t.match(await ready(), { http: 200 }, 'it is not known yet')
  t.match(await post(push(), { token }), { status: 503 })
  t.match(await ready(), { http: 503, status: 'not ready', database: true, webhooks: false })
  t.match(await ready(checking, '?for=webhooks'), { http: 503, webhooks: false })
  await free()
  t.match(await ready(), { http: 200, webhooks: true }, 'again without traffic')
  t.strictSame(await contents(), before, 'what it tries is rolled back')
})

await t.test('readyz asks the database once a second, however many clients ask', async t => {
  const { token } = await business()
  await fullDisk(t)
  t.match(await post(push(), { token }), { status: 503 })
  // Each check takes an id, also if it is rolled back.
  const lastId = async () =>
    (await sql<{ id: number }>`select last_value::int as id from raw_cdrs_id_seq`.execute(db))
      .rows[0]?.id ?? 0
  const before = await lastId()
  const started = performance.now()
  for (let round = 0; round < 5; round++)
    for (const response of await Promise.all(
      Array.from({ length: 50 }, () => fetch(`${url}/readyz`)),
    ))
      t.equal(response.status, 503)
  const seconds = (performance.now() - started) / 1000
  const checks = (await lastId()) - before
  t.ok(checks >= 1 && checks <= 1 + seconds, `${checks} checks in ${seconds} s`)
})

await t.test('readyz answers 503 while the worker does not run', async t => {
  t.match(await ready(await withWorker(t, true)), { http: 200, status: 'ready', worker: true })
  t.match(await ready(await withWorker(t, false)), {
    http: 503,
    status: 'not ready',
    database: true,
    worker: false,
  })
})

await t.test('readyz answers 503 before the database is migrated', async t => {
  await sql`alter table raw_cdrs rename to later`.execute(db)
  const response = await fetch(`${checking}/readyz`)
  await sql`alter table later rename to raw_cdrs`.execute(db)
  t.equal(response.status, 503)
  t.strictSame(await response.json(), { status: 'not ready', database: false, worker: null })
  t.match(await ready(), { http: 200 })
})

/** fetch does not send TRACE, and it normalises the path. */
const send = (method: string, path: string, body = '') =>
  new Promise<{ status: number | undefined; allow: string | undefined; body: string }>(
    (resolve, reject) => {
      const { port } = new URL(url)
      const headers = { 'content-length': Buffer.byteLength(body) }
      const req = request({ port, method, path, headers, host: '127.0.0.1' }, res => {
        text(res).then(
          answer => resolve({ status: res.statusCode, allow: res.headers.allow, body: answer }),
          reject,
        )
      })
      req.on('error', reject)
      req.end(body)
    },
  )

await t.test('GET and HEAD are answered 200 and change nothing', async t => {
  const before = await contents()
  for (const query of [
    '',
    '?token=wrong',
    `?token=${token}`,
    `?token=${token}&ivruniqueid=1&status=BUSY`,
  ]) {
    const answer = await send('GET', PATH + query)
    t.match(answer, { status: 200, body: '{"Err":0,"Errdesc":"OK"}' })
    t.match(await send('HEAD', PATH + query), { status: 200, body: '' })
  }
  t.strictSame(await contents(), before)
})

await t.test('other methods are answered 405 with the allowed ones', async t => {
  const before = await contents()
  for (const method of ['PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND'])
    t.match(
      await send(
        method,
        `${PATH}?token=${token}`,
        method === 'TRACE' ? '' : JSON.stringify(push()),
      ),
      { status: 405, allow: 'GET, HEAD, POST' },
      method,
    )
  t.strictSame(await contents(), before)
})

await t.test('an unknown path is answered 404 in JSON that does not repeat the path', async t => {
  const before = await contents()
  for (const path of [
    '/',
    `/${PATH}`,
    `${PATH}/x`,
    '/webhooks%00',
    '/%2e%2e/etc/passwd',
    '/%ff',
    '/x?<script>',
  ])
    t.strictSame(
      await send('POST', `${path}?token=${token}`, JSON.stringify(push())),
      { status: 404, allow: undefined, body: '{"error":"not found"}' },
      path,
    )
  t.strictSame(await contents(), before)
})

await t.test('a body that breaks off is not stored', async t => {
  const before = await contents()
  const req = request(`${CDR}?token=${token}`, {
    method: 'POST',
    headers: { 'content-length': '10000' },
  })
  req.on('error', () => {})
  req.write(JSON.stringify(push()))
  // Enough time to read the head and look up the token.
  await sleep(200)
  req.destroy()
  await sleep(200)
  t.strictSame(await contents(), before)
  t.match(await send('GET', PATH), { status: 200 }, 'the server still answers')
})

await t.test('a connection that sends thousands of requests at once is closed', async t => {
  const requests = (count: number) => 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(count)
  const answersTo = async (count: number) => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    socket.on('error', () => {})
    socket.write(requests(count))
    let answers = ''
    socket.on('data', (part: Buffer) => (answers += part.toString()))
    await sleep(150)
    socket.destroy()
    return answers.split('HTTP/1.1 200').length - 1
  }
  t.equal(await answersTo(16), 16)
  t.ok((await answersTo(1000)) <= 16)
  t.match(await send('GET', PATH), { status: 200 }, 'another connection is served')
})

await t.test('the rest of a body that was answered early is read slowly', async t => {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.on('error', () => {})
  socket.write('POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n')
  const part = Buffer.alloc(1_000_000)
  const fill = () => {
    while (socket.write(part));
  }
  socket.on('drain', fill)
  fill()
  const [answer] = await once(socket, 'data')
  t.match(String(answer), 'HTTP/1.1 404')
  // The buffers of the network fill first.
  await sleep(150)
  const before = socket.bytesWritten
  await sleep(150)
  const read = socket.bytesWritten - before
  socket.destroy()
  t.ok(read < 2_000_000, `${read} bytes`)
})

const wrong = async (headers: Record<string, string> = {}) => {
  const response = await fetch(`${CDR}?token=wrong`, { method: 'POST', body: '{}', headers })
  return {
    status: response.status,
    retryAfter: response.headers.get('retry-after'),
    body: await response.json(),
  }
}

await t.test(
  'after a hundred wrong tokens an address is answered 429, but never with a valid token',
  async t => {
    const { token } = await business()
    const before = await contents()
    const answers = await Promise.all(Array.from({ length: 100 }, () => wrong()))
    t.strictSame(
      new Set(answers.map(({ status }) => status)),
      new Set([401]),
      'a hundred times 401',
    )
    t.strictSame(
      await wrong(),
      { status: 429, retryAfter: '60', body: { Err: 1, Errdesc: 'too many wrong tokens' } },
      'then 429',
    )
    t.strictSame(await contents(), before, 'nothing is stored')

    t.strictSame(await post(push(), { token }), OK, 'the same address with a valid token')
    t.match(
      await post(push(), { headers: { authorization: `Bearer ${token}` } }),
      OK,
      'in every form',
    )
    t.match(await wrong(), { status: 429 }, 'the valid token does not reset the count')
    t.match(
      await wrong({ 'x-forwarded-for': '203.0.113.9' }),
      { status: 429 },
      'outside production a forwarded address does not count',
    )
  },
)
