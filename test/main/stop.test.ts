/** SIGTERM, with everything under way that can be: who has been heard is answered, and nothing is left held. (Case 38) */
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t from 'tap'
import { push } from '../../scripts/demo/cdr.ts'
import { business, db, OK, post } from '../support/ringback.ts'
import { beingSent } from '../support/sending.ts'
import { ask, IN_ORDER, lockedJobs, startProcess, workerPools } from '../support/process.ts'
import { until } from '../tasks/support.ts'

await t.test(
  'asked five times to stop, it answers who has been heard and ends what it has begun',
  async t => {
    const program = startProcess()
    const url = await program.url()
    await program.running()
    const { token } = await business()
    const door = `${url}/webhooks/voicenter/cdr?token=${token}`
    const record = push()
    t.strictSame(await post(record, { token }), OK)
    const begun = await beingSent(4000)

    // A repeat waits for the lock on its row.
    const held = Promise.withResolvers<void>()
    const locked = Promise.withResolvers<void>()
    const holding = db.transaction().execute(async trx => {
      await sql`select from raw_cdrs where call_id = ${record.ivruniqueid} for update`.execute(trx)
      locked.resolve()
      await held.promise
    })
    await locked.promise
    const waiting = ask(door, record)
    // A connection on which a request has begun to arrive.
    const { port, hostname } = new URL(url)
    const line = connect(Number(port), hostname)
    let heard = ''
    line
      .setEncoding('utf8')
      .on('data', text => (heard += text))
      .on('error', () => {})
    line.write(`POST /webhooks/voicenter/cdr?token=${token} HTTP/1.1\r\nHost: ringback\r\n`)
    await sleep(300)

    for (let times = 0; times < 5; times++) {
      program.signal('SIGTERM')
      await sleep(50)
    }
    await program.says('stopping')
    line.write('Content-Length: 2\r\n\r\n[]')
    await t.rejects(ask(`${url}/healthz`), 'nobody new is let in')
    await sleep(500)
    held.resolve()
    await holding
    t.strictSame(await waiting, { status: 200, retryAfter: null, connection: 'close' })
    await until(() => heard.includes('not stored'))
    t.match(heard, /^HTTP\/1.1 503 /)
    t.match(heard, /\r\nConnection: close\r\n/)
    t.match(heard, /\r\nRetry-After: 5\r\n/)

    t.match(await program.ended(), IN_ORDER)
    t.equal(program.lines.filter(one => one.includes('"msg":"stopping"')).length, 1)
    t.strictSame(await begun.outreach(), 'sent accepted')
    t.strictSame(await lockedJobs(), [], 'no job is held by the one who has gone')
    t.match(await workerPools(), [], 'nor is it counted as alive')
    t.notOk(
      program.lines.some(one => /"level":[56]0/.test(one) && !one.includes('request failed')),
      'and nothing went wrong',
    )
  },
)

await t.test(
  'WhatsApp does not answer at all: it ends in time, and the outcome is unknown',
  async t => {
    const program = startProcess({ ROLE: 'worker' })
    await program.running()
    const begun = await beingSent(null)
    program.signal('SIGTERM')
    t.match(await program.ended(), IN_ORDER)
    t.strictSame(await begun.outreach(), 'unknown no_answer')
    t.strictSame(await lockedJobs(), [])
  },
)

await t.test('with nothing to do it ends at once', async t => {
  for (const ROLE of ['web', 'worker', 'all']) {
    const program = startProcess({ ROLE })
    await program.running()
    program.signal('SIGTERM')
    const { how, seconds } = await program.ended()
    t.equal(how, 0, ROLE)
    t.ok(seconds < 5, `${ROLE} ends within ${seconds.toFixed(1)} s`)
  }
})
