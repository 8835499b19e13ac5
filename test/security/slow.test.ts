/** Senders who dawdle are cut off in time, and take nobody's place meanwhile. */
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { business, contents, OK, post } from '../support/ringback.ts'
import { push } from '../../scripts/demo/cdr.ts'
import { answerOn, dial, statusesIn } from './support.ts'

const { token } = await business()
const HEAD = `POST /webhooks/voicenter/cdr?token=${token} HTTP/1.1\r\nHost: x\r\n`
const SIGNED = `POST /webhooks/whatsapp HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: sha256=${'0'.repeat(64)}\r\n`

/** Sends the first part at once, the second again and again. @returns the answer, and after how long */
const dawdle = async (first: string, again: string) => {
  const socket: Socket = await dial()
  const started = performance.now()
  socket.write(first)
  const drip = setInterval(() => socket.write(again), 500)
  const answer = await answerOn(socket)
  clearInterval(drip)
  return { statuses: statusesIn(answer), seconds: (performance.now() - started) / 1000 }
}

/** Each with the limit that is to act, in seconds: 10 for a head, 15 for all of it. */
const DAWDLERS: Record<string, [first: string, again: string, limit: number]> = {
  'a head that never ends': [HEAD, 'X: y\r\n', 10],
  'a head of which nothing more comes': ['POST /webhooks', '', 10],
  'a body that comes drop by drop': [`${HEAD}Content-Length: 5000\r\n\r\n{`, ' ', 15],
  'a body of which nothing more comes': [`${HEAD}Content-Length: 5000\r\n\r\n{`, '', 15],
  'a body that never begins': [`${HEAD}Content-Length: 5000\r\n\r\n`, '', 15],
  'chunks without end': [`${HEAD}Transfer-Encoding: chunked\r\n\r\n`, '1\r\n \r\n', 15],
  'a body that claims to be signed': [`${SIGNED}Content-Length: 5000\r\n\r\n{`, ' ', 15],
}

await t.test('each hears 408 when its time is over, while everybody else is served', async t => {
  const before = await contents()
  const dawdlers = Promise.all(
    Object.entries(DAWDLERS).map(async ([name, [first, again, limit]]) => {
      const { statuses, seconds } = await dawdle(first, again)
      t.strictSame(statuses, [408], name)
      t.ok(seconds > limit - 1 && seconds < limit + 10, `${name}: ${seconds} s`)
    }),
  )
  // And a crowd of them that never say anything at all.
  const crowd = await Promise.all(Array.from({ length: 500 }, () => dial()))
  await sleep(1000)
  t.strictSame(await contents(), before, 'none of them has left anything')
  for (let i = 0; i < 20; i++) t.strictSame(await post(push(), { token }), OK)
  await dawdlers
  for (const socket of crowd) socket.destroy()
})

await t.test('megabytes that are promised and do not come take no room', async t => {
  const promised = await Promise.all(Array.from({ length: 50 }, () => dial()))
  for (const socket of promised) socket.write(`${HEAD}Content-Length: 5000000\r\n\r\n{`)
  await sleep(500)
  const large = JSON.stringify(push({ transcript: 'x'.repeat(4_000_000) }))
  t.strictSame(await post(large, { token }), OK)
  for (const socket of promised) socket.destroy()
})
