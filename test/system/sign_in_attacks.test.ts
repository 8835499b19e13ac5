/** Guessing passwords, as several attackers try it, and the owners who sign in meanwhile. */
import { Agent, request } from 'node:http'
import t from 'tap'
import { hashPassword } from '../../app/tenants/credentials.ts'
import { startProcess } from '../support/process.ts'
import { business, db } from '../support/ringback.ts'

const OPERATOR_PASSWORD = 'a long password of the operator'
const RIGHT = 'the right password'

type Answer = { status: number; cookies: string[]; ms: number }

const program = startProcess({ ROLE: 'web', OPS_PASSWORD: OPERATOR_PASSWORD })
await program.running()
const url = await program.url()
const shop = await business()
await db
  .updateTable('tenants')
  .set({ ops_password: await hashPassword(RIGHT) })
  .where('id', '=', shop.tenantId)
  .execute()

/** Each attempt comes from the address that the router in front appends. */
const signIn = (
  address: string,
  name: string,
  password: string,
  { agent, cookie = '' }: { agent?: Agent; cookie?: string } = {},
): Promise<Answer> =>
  new Promise(resolve => {
    const from = performance.now()
    const body = new URLSearchParams({ name, password }).toString()
    const sent = request(
      new URL('/ops/sign-in', url),
      {
        method: 'POST',
        ...(agent && { agent }),
        headers: {
          'content-type': 'application/x-www-form-urlencoded',
          'content-length': Buffer.byteLength(body),
          'x-forwarded-for': address,
          'x-forwarded-proto': 'https',
          accept: 'text/html',
          cookie,
        },
      },
      answer => {
        answer.resume()
        answer.once('end', () =>
          resolve({
            status: answer.statusCode ?? 0,
            cookies: (answer.headers['set-cookie'] ?? []).map(line => line.split(';')[0] ?? ''),
            ms: performance.now() - from,
          }),
        )
      },
    )
    // `stop` hangs up.
    sent.on('error', () => resolve({ status: 0, cookies: [], ms: performance.now() - from }))
    sent.end(body)
  })

/** Each connection sends one guess after another until `stop`. @returns the number of answers by status */
const attack = (connections: number, addressOf: (n: number) => string, name: string) => {
  const counts: Record<number, number> = {}
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  let isOver = false
  let sent = 0
  const connection = async () => {
    while (!isOver) {
      const n = sent++
      const { status } = await signIn(addressOf(n), name, `guess ${n}`, { agent })
      counts[status] = (counts[status] ?? 0) + 1
    }
  }
  const ended = Promise.all(Array.from({ length: connections }, connection))
  return {
    stop: async () => {
      isOver = true
      agent.destroy()
      await ended
      const { 0: _, ...answered } = counts
      return answered
    },
  }
}

const sleep = (ms: number) => new Promise(resolve => setTimeout(resolve, ms))

/** Waits as a person would, until the right password is taken. @returns the seconds until then, at most 60 */
const secondsUntilIn = async (attempt: () => Promise<Answer>): Promise<number> => {
  const from = performance.now()
  for (;;) {
    const { status } = await attempt()
    const seconds = (performance.now() - from) / 1000
    if (status === 303 || seconds > 60) return seconds
    await sleep(1000)
  }
}

await t.test('the addresses of one IPv6 network share a limit', async t => {
  const host = (n: number) => `2001:db8:1:2:${(n % 65_536).toString(16)}::${n}`
  const attacker = attack(8, host, 'operator')
  await sleep(3000)
  const counts = await attacker.stop()
  t.comment('answers to 8 connections in 3 s', counts)
  t.ok((counts[401] ?? 0) <= 10, 'ten guesses are answered')
  // A guess that is right tells how many are checked.
  let checked = 0
  const right = Array.from({ length: 60 }, async (_, n) => {
    if ((await signIn(host(n), 'operator', OPERATOR_PASSWORD)).status === 303) checked++
  })
  await sleep(4000)
  const checkedIn4s = checked
  t.comment(`${checkedIn4s} of 60 guesses were checked in 4 s`)
  t.ok(checkedIn4s <= 5, 'then one a second is checked')
  t.ok(checkedIn4s >= 1)
  const elsewhere = await signIn('2001:db8:1:3::1', 'operator', OPERATOR_PASSWORD)
  t.equal(elsewhere.status, 303, 'another network is not affected')
  t.equal((await signIn('192.0.2.1', 'operator', OPERATOR_PASSWORD)).status, 303)
  await Promise.all(right)
})

await t.test('eight attacking connections do not keep right passwords out', async t => {
  const known = (await signIn('198.51.100.7', shop.tenantId, RIGHT)).cookies.join('; ')
  const attackers: [what: string, addressOf: (n: number) => string, tries: number][] = [
    ['from one address', () => '203.0.113.9', 20],
    // Each right password waits for one check of each address.
    ['from eight addresses', n => `203.0.113.${20 + (n % 8)}`, 8],
  ]
  for (const [what, addressOf, tries] of attackers) {
    const attacker = attack(8, addressOf, shop.tenantId)
    await sleep(1000)
    const answers: Answer[] = []
    for (let n = 0; n < tries; n++) answers.push(await signIn('198.51.100.8', shop.tenantId, RIGHT))
    const taken = answers.filter(({ status }) => status === 303).length
    const slowest = Math.max(...answers.map(({ ms }) => ms))
    t.comment(
      `${what}: ${taken} of ${tries} right passwords taken, the slowest in ${Math.round(slowest)} ms`,
    )
    t.equal(taken, tries, what)
    const fromKnown = await signIn('198.51.100.8', shop.tenantId, RIGHT, { cookie: known })
    t.equal(fromKnown.status, 303)
    t.comment('answers to the attackers', await attacker.stop())
  }
})

await t.test('wrong passwords in the same network do not lock the right one out', async t => {
  const address = '203.0.113.77'
  const { cookies, ...first } = await signIn(address, shop.tenantId, RIGHT)
  t.equal(first.status, 303)
  const attacker = attack(8, () => address, shop.tenantId)
  await sleep(3000)
  const stranger = await secondsUntilIn(() => signIn(address, shop.tenantId, RIGHT))
  t.comment(`a new device signs in after ${stranger.toFixed(1)} s`)
  t.ok(stranger < 60, 'a new device signs in within a minute')
  const known = await secondsUntilIn(() =>
    signIn(address, shop.tenantId, RIGHT, { cookie: cookies.join('; ') }),
  )
  t.comment(`a device that signed in before signs in after ${known.toFixed(1)} s`)
  t.ok(known < 5, 'a device that signed in before signs in at once')
  t.comment('answers to the attackers', await attacker.stop())
})

program.signal('SIGTERM')
await program.ended()
