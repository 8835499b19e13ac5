/** The program starts, crashes, and is replaced during a deploy. (Cases 11, 15, 17, 38 and 39) */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import pg from 'pg'
import t from 'tap'
import { push } from '../../scripts/demo/cdr.ts'
import { figuresIn } from '../monitoring/support.ts'
import { testDatabaseUrl } from '../support/postgres.ts'
import {
  ask,
  databaseProxy,
  IN_ORDER,
  lockedJobs,
  type Process,
  startProcess,
  waitUntil,
  workerPools,
} from '../support/process.ts'
import {
  business,
  CDR,
  contents,
  customer,
  db,
  fake,
  jobs,
  OK,
  webhookToken,
} from '../support/ringback.ts'

const DATABASE_URL = process.env['DATABASE_URL'] ?? ''
const admin = new pg.Client({ connectionString: DATABASE_URL })
await admin.connect()
t.teardown(() => admin.end())

const REFUSED = { how: 1, inTime: true }
/** The line of the log that says why the program ended. */
const why = ({ lines }: Process) => lines.find(line => line.includes('Ringback ends'))

await t.test('in production', async t => {
  const program = startProcess({
    ROLE: 'web',
    ENCRYPTION_KEY: randomBytes(32).toString('base64'),
  })
  const url = `${await program.url()}/webhooks/voicenter/cdr`
  const post = async (token: string | null, from = '203.0.113.1') => {
    const response = await fetch(token === null ? url : `${url}?token=${token}`, {
      method: 'POST',
      body: JSON.stringify(push()),
      headers: { 'x-forwarded-for': from },
    })
    return { status: response.status, body: await response.json() }
  }

  await t.test('a token is needed, even while the database contains none', async t => {
    t.equal((await db.selectFrom('webhook_tokens').select('id').execute()).length, 0)
    const before = await contents()
    t.match(await post(null), { status: 401 })
    t.match(await post(''), { status: 401 })
    t.strictSame(await contents(), before, 'nothing is stored')
    t.strictSame(await post(await webhookToken(null)), OK)
  })

  await t.test('the client address is the one that the router appended', async t => {
    const answers = await Promise.all(
      // The client can send any address before the last one.
      Array.from({ length: 120 }, (_, n) => post('wrong', `198.51.100.${n}, 203.0.113.2`)),
    )
    t.equal(answers.filter(({ status }) => status === 401).length, 100)
    t.equal(answers.filter(({ status }) => status === 429).length, 20)
    t.match(await post('wrong', '203.0.113.3'), { status: 401 }, 'another address is not limited')
    const network = await Promise.all(
      Array.from({ length: 120 }, (_, n) => post('wrong', `2001:db8:0:1:${n.toString(16)}::1`)),
    )
    t.equal(network.filter(({ status }) => status === 429).length, 20, 'an IPv6 /64 is one address')
    t.match(await post('wrong', '2001:db8:0:2::1'), { status: 401 })
  })

  await t.test('two copies store the same CDR once', async t => {
    const token = await webhookToken(null)
    const cdr = push()
    const body = JSON.stringify(cdr)
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, n) =>
        fetch(`${n % 2 ? url : CDR}?token=${token}`, { method: 'POST', body }),
      ),
    )
    t.strictSame(new Set(answers.map(({ status }) => status)), new Set([200]))
    t.match(
      await db.selectFrom('raw_cdrs').selectAll().where('call_id', '=', cdr.ivruniqueid).execute(),
      [{ deliveries: 100 }],
    )
    t.equal((await jobs(`voicenter_cdr:${cdr.ivruniqueid}`)).length, 1)
  })

  program.signal('SIGTERM')
  t.match(await program.ended(), IN_ORDER)
  t.notMatch(program.lines.join('\n'), /token=/, 'no token is logged')
})

await t.test('the start is refused', async t => {
  await t.test('if another program uses the port', async t => {
    const other = createServer().listen(0)
    await once(other, 'listening')
    const address = other.address()
    const port = String(address && typeof address === 'object' ? address.port : '')
    const program = startProcess({ PORT: port })
    t.match(await program.ended(), REFUSED)
    t.match(
      why(program),
      `cannot listen on port ${port}: another program uses it. End that program, or choose another port: PORT=`,
    )
    t.notMatch(why(program), 'app/web/server.ts', 'no stack')
    other.close()
  })

  await t.test('in production, if the database is not migrated', async t => {
    const name = `ringback_test_${process.pid}_empty`
    await admin.query(`create database ${name}`)
    t.teardown(() => admin.query(`drop database ${name} with (force)`))
    for (const ROLE of ['all', 'web', 'worker']) {
      const program = startProcess({ DATABASE_URL: await testDatabaseUrl(name), ROLE })
      t.match(await program.ended(), REFUSED)
      t.match(why(program), /pending migrations: 0001_.*Run: npm run migrate/)
    }
  })

  await t.test('if the password is wrong, and the log does not contain it', async t => {
    const role = `ringback_wrong_${process.pid}`
    await admin.query(`create role ${role} login password 'right'`)
    const url = new URL(DATABASE_URL)
    url.username = role
    url.password = 'hunter2hunter2'
    const program = startProcess({ DATABASE_URL: url.href })
    t.match(await program.ended(), REFUSED)
    await admin.query(`drop role ${role}`)
    t.match(why(program), 'password authentication failed for user')
    t.notMatch(program.lines.join('\n'), 'hunter2hunter2')
  })
})

await t.test('while the database is unavailable, the program listens and waits', async t => {
  const { token } = await business()
  const proxy = await databaseProxy()
  proxy.refuse()
  const program = startProcess({ DATABASE_URL: proxy.DATABASE_URL })
  const url = await program.url()
  const webhook = `${url}/webhooks/voicenter/cdr?token=${token}`
  const cdr = push()
  await program.says('waiting for the database')
  t.match(await ask(`${url}/healthz`), { status: 200 })
  t.match(await ask(`${url}/readyz`), { status: 503 })
  t.match(await ask(webhook, cdr), { status: 503, retryAfter: '5' })
  t.ok(program.isAlive())

  await proxy.accept()
  const took = await waitUntil('ready', async () => (await ask(`${url}/readyz`)).status === 200)
  t.ok(took < 15, `ready within ${took.toFixed(1)} s`)
  t.match(await ask(webhook, cdr), { status: 200 })
  await waitUntil('classified', async () => {
    const { verdict } = await db
      .selectFrom('raw_cdrs')
      .select('verdict')
      .where('call_id', '=', cdr.ivruniqueid)
      .executeTakeFirstOrThrow()
    return verdict !== null
  })
  program.signal('SIGTERM')
  t.match(await program.ended(), IN_ORDER)
})

/** A preload: an error occurs on SIGUSR2. */
const onSignal = (code: string) => `process.on('SIGUSR2', () => { ${code} })`
const CRASHES = {
  'an uncaught error': `throw new Error('from the test')`,
  'an unhandled rejection': `Promise.reject(new Error('from the test'))`,
}
for (const [name, code] of Object.entries(CRASHES))
  await t.test(`${name} ends the process in order`, async t => {
    const program = startProcess({}, onSignal(code))
    await program.running()
    program.signal('SIGUSR2')
    const { how, seconds } = await program.ended()
    t.equal(how, 1)
    t.ok(seconds < 8, `within ${seconds.toFixed(1)} s`)
    t.match(await program.says('Ringback ends'), 'from the test')
    t.notMatch(program.lines.join('\n'), 'stopped before everything had ended')
  })

await t.test('a worker that ends by itself ends the process', async t => {
  const program = startProcess()
  await program.running()
  // graphile-worker stops when a later version has changed its tables. It may not be listening yet.
  await waitUntil('the process ends', async () => {
    await sql`select pg_notify('worker:migrate', '{"breaking": true, "migrationNumber": 9999}')`.execute(
      db,
    )
    return !program.isAlive()
  })
  t.match(await program.ended(), { how: 1 })
  t.match(await program.says('Ringback ends'), 'the worker ended by itself')
})

await t.test('calls arrive while copies replace each other: each gets one message', async t => {
  const shop = await business({ columns: { outreach_delay: '0 seconds' } })
  fake.script({
    phoneNumberId: shop.phoneNumberId,
    times: 'always',
    outcome: { kind: 'accept', delayMs: 500 },
  })
  const copies = [startProcess()]
  const stored: string[] = []
  let stopped = false
  /** Posts as the platform's router would: to the copy that listens, and again if it does not answer. */
  const postCalls = async () => {
    while (!stopped) {
      const { local, e164 } = customer()
      const cdr = push({ caller: local, did: shop.did })
      let status = 0
      while (status !== 200 && !stopped) {
        const copy = copies.at(-1)
        if (!copy) return
        const url = await copy.url()
        // Voicenter repeats deliveries too.
        const answers = await Promise.allSettled(
          [url, url].map(to => ask(`${to}/webhooks/voicenter/cdr?token=${shop.token}`, cdr)),
        )
        for (const answer of answers)
          if (answer.status === 'fulfilled' && answer.value.status === 200) status = 200
      }
      if (status === 200) stored.push(e164)
      await sleep(50)
    }
  }
  await copies[0]?.running()
  const calls = Promise.all([postCalls(), postCalls(), postCalls()])
  for (let deploy = 0; deploy < 3; deploy++) {
    await sleep(1000)
    const old = copies.at(-1)
    const next = startProcess()
    old?.signal('SIGTERM')
    // Until the new copy listens, the router has only the old one, which no longer listens.
    await next.url()
    copies.push(next)
    t.match(await old?.ended(), IN_ORDER)
    await next.running()
  }
  await sleep(500)
  stopped = true
  await calls

  await waitUntil('all messages are sent', async () => {
    const { rows } = await sql<{ open: number }>`
      select (select count(*) from raw_cdrs where verdict is null)::int
           + (select count(*) from missed_calls where outreach_state in ('scheduled', 'sending'))::int as open`.execute(
      db,
    )
    return rows[0]?.open === 0 && (await lockedJobs()).length === 0
  })
  t.ok(stored.length > 10, `${stored.length} calls`)
  const received = fake.accepted().map(({ to }) => to)
  t.strictSame(received.toSorted(), [...new Set(received)].toSorted(), 'none gets two')
  t.strictSame(
    stored.filter(phone => !received.includes(phone)),
    [],
    'each gets one',
  )
  t.equal((await workerPools()).length, 1)
  const last = copies.at(-1)
  last?.signal('SIGTERM')
  t.match(await last?.ended(), IN_ORDER)
})

await t.test('with OPS_PASSWORD, /metrics is only for the operator', async t => {
  const shop = await business()
  const program = startProcess({ OPS_PASSWORD: 'a long one' })
  await program.running()
  const url = await program.url()
  const get = async (credentials: string | null) => {
    const authorization = `Basic ${Buffer.from(credentials ?? '').toString('base64')}`
    const headers = credentials === null ? {} : { authorization }
    const response = await fetch(`${url}/metrics`, { headers })
    return { status: response.status, text: await response.text() }
  }
  for (const credentials of [null, 'operator:wrong', '1:a long one']) {
    const { status, text } = await get(credentials)
    t.equal(status, 401)
    t.notMatch(text, 'ringback_')
  }
  const post = `${url}/webhooks/voicenter/cdr?token=${shop.token}`
  t.match(await ask(post, push({ did: shop.did })), { status: 200 })
  const metrics = async () => figuresIn((await get('operator:a long one')).text)
  const classified = 'ringback_job_lateness_seconds_count{task="voicenter_cdr"}'
  await waitUntil('the job is counted', async () => (await metrics()).get(classified) === 1)
  const found = await metrics()
  const answers = 'ringback_webhook_answer_seconds_count{door="voicenter",status="200"}'
  t.equal(found.get(answers), 1)
  t.equal(found.get('ringback_database_up'), 1)
  t.ok((found.get('process_resident_memory_bytes') ?? 0) > 1e7)
  program.signal('SIGTERM')
  t.match(await program.ended(), IN_ORDER)
})

await t.test('at rest the program gives back memory of the start', async t => {
  const program = startProcess()
  await program.running()
  const megabytes = (name: string): number => {
    const status = readFileSync(`/proc/${program.pid}/status`, 'utf8')
    return Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) / 1024
  }
  await waitUntil('memory is given back', () => megabytes('VmHWM') - megabytes('VmRSS') > 10)
  program.signal('SIGTERM')
  t.match(await program.ended(), IN_ORDER)
})

await t.test('one copy holds at most nine connections', async t => {
  const shop = await business()
  // The application name in the URL overrides the names that the program sets.
  const program = startProcess({ DATABASE_URL: `${DATABASE_URL}?application_name=the_program` })
  await program.running()
  const url = `${await program.url()}/webhooks/voicenter/cdr?token=${shop.token}`
  let most = 0
  let stopped = false
  const watchConnections = async () => {
    while (!stopped) {
      const { rows } = await sql<{ held: number }>`
        select count(*)::int as held from pg_stat_activity where application_name = 'the_program'`.execute(
        db,
      )
      most = Math.max(most, rows[0]?.held ?? 0)
      await sleep(10)
    }
  }
  const watched = watchConnections()
  const answers = await Promise.all(
    Array.from({ length: 300 }, () => ask(url, push({ caller: customer().local, did: shop.did }))),
  )
  // On a busy machine some requests may be answered with 503.
  t.ok(answers.every(({ status }) => status === 200 || status === 503))
  t.ok(answers.some(({ status }) => status === 200))
  const unclassified = () =>
    db.selectFrom('raw_cdrs').select('id').where('verdict', 'is', null).limit(1).executeTakeFirst()
  await waitUntil('all calls are classified', async () => !(await unclassified()))
  stopped = true
  await watched
  t.ok(most >= 6 && most <= 9, `${most} connections`)
  program.signal('SIGTERM')
  t.match(await program.ended(), IN_ORDER)
})
