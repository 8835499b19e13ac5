/** A connection that was asked for in vain costs its place in the pool only until the database answers again. */
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'

const real = new URL(process.env['DATABASE_URL'] ?? '')
/** How long what the database says is held back; the first words of a session are not. */
let hold = 0
const line = createServer(ours => {
  const theirs = connect(Number(real.port), real.hostname)
  let answers = 0
  for (const socket of [ours, theirs]) socket.on('error', () => {})
  ours.pipe(theirs)
  // The first few answers are about who we are; what comes then is the question that every session begins with.
  theirs.on(
    'data',
    data => void (++answers > 3 ? sleep(hold) : Promise.resolve()).then(() => ours.write(data)),
  )
  theirs.on('close', () => ours.destroy())
  ours.on('close', () => theirs.destroy())
})
line.listen(0, '127.0.0.1')
await once(line, 'listening')
t.teardown(() => line.close())
const address = line.address()
const slow = new URL(real)
slow.host = `127.0.0.1:${address && typeof address === 'object' ? address.port : 0}`
process.env['DATABASE_URL'] = slow.href
const { newPool } = await import('../../app/db/pool.ts')

t.test('whoever waited too long for a new session leaves its place to the next', async t => {
  const pool = await newPool('test', 1, { connectWithin: 300 })
  t.teardown(() => pool.end())
  // One holds the only place, and breaks; the next one in the queue gets a new session, which is slow.
  const first = await pool.connect()
  hold = 600
  const waiting = [pool.connect(), pool.connect()]
  const refused = Promise.allSettled(waiting)
  first.release(new Error('broken'))
  for (const { status } of await refused) t.equal(status, 'rejected')
  hold = 0
  await sleep(1500)
  for (let n = 0; n < 3; n++) {
    const client = await pool.connect()
    t.match((await client.query('select 1 as one')).rows, [{ one: 1 }])
    client.release()
  }
})
