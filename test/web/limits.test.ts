/** Addresses, counters, the memory for bodies, and the shared check of /readyz, without a server. */
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { addressCounter, addressKey } from '../../app/web/addresses.ts'
import { sharedCheck } from '../../app/web/health.ts'
import { bodyMemory } from '../../app/web/raw_body.ts'
import { oneAtATime, takingTurns } from '../../app/web/turns.ts'

const KEYS: [key: string, ...addresses: (string | undefined)[]][] = [
  [
    '203.0.113.7',
    '203.0.113.7',
    '203.0.113.7:4711',
    '::ffff:203.0.113.7',
    '::FFFF:203.0.113.7',
    '::ffff:cb00:7107',
    '0:0:0:0:0:ffff:203.0.113.7',
    '[::ffff:203.0.113.7]:4711',
    '64:ff9b::203.0.113.7',
    '64:ff9b::cb00:7107',
  ],
  [
    '2001:db8:0:1::/64',
    '2001:db8:0:1::',
    '2001:db8:0:1::1',
    '2001:DB8::1:0:0:0:2',
    '2001:0db8:0000:0001:ffff:ffff:ffff:ffff',
    '2001:db8:0:1::203.0.113.7',
    '[2001:db8:0:1::1]',
    '[2001:db8:0:1::1]:4711',
  ],
  ['2001:db8:0:2::/64', '2001:db8:0:2::1'],
  ['2001:db8:0:0::/64', '2001:db8::', '2001:db8::ffff:203.0.113.7'],
  ['fe80:0:0:0::/64', 'fe80::1%eth0', 'fe80::2'],
  ['0:0:0:0::/64', '::', '::1'],
  ['1:2:3:4::/64', '1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7::'],
  ['unknown', undefined, '', 'unknown', '203.0.113', '203.0.113.256', '1::2::3', '_hidden', '[x]'],
]
t.test('an IPv6 /64 is one address, and an IPv4 address in IPv6 is an IPv4 address', t => {
  for (const [key, ...addresses] of KEYS)
    for (const address of addresses) t.equal(addressKey(address), key, address ?? 'undefined')
  t.end()
})

t.test('a counter counts within a window, for a bounded number of addresses', t => {
  let now = 0
  const counter = addressCounter({ windowMs: 60_000, addresses: 3, now: () => now })
  t.equal(counter.count('192.0.2.1'), 0)
  t.strictSame(
    [1, 2, 3].map(() => counter.add('192.0.2.1')),
    [1, 2, 3],
  )
  t.equal(counter.add('2001:db8::1'), 1)
  now = 59_999
  t.equal(counter.add('2001:db8::2'), 2, 'the same /64')
  t.equal(counter.count('::ffff:192.0.2.1'), 3)
  now = 60_000
  t.equal(counter.count('192.0.2.1'), 0, 'the window is over')
  t.equal(counter.add('192.0.2.1'), 1)

  now = 200_000
  for (const address of ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.1', '192.0.2.4'])
    counter.add(address)
  t.equal(counter.count('192.0.2.1'), 0, 'the oldest window is forgotten')
  t.equal(counter.count('192.0.2.2'), 1)
  t.equal(counter.count('192.0.2.4'), 1)
  t.end()
})

const MB = 1024 * 1024

/** A memory, and bodies that tell whether they were evicted. */
const memoryOf = (roomMb: number, senderMb: number) => {
  const memory = bodyMemory({ roomMb, senderMb })
  const evicted: string[] = []
  return {
    evicted,
    open: async (name: string, sender: string, megabytes = 0) => {
      const body = memory.open(sender, () => evicted.push(name))
      if (megabytes) memory.grow(body, megabytes * MB)
      // So that the next one is younger.
      await sleep(5)
      return {
        grow: (megabytes: number) => memory.grow(body, megabytes * MB),
        keep: () => memory.keep(body),
        close: () => memory.close(body),
      }
    },
  }
}

t.test('a sender beyond its share loses its slowest body', async t => {
  const { open, evicted } = memoryOf(8, 6)
  await open('slow', 'a', 3)
  await open('small', 'a', 0.001)
  const quick = await open('quick', 'a', 2.9)
  t.strictSame(evicted, [])
  quick.grow(0.2)
  t.strictSame(evicted, ['slow'])
})

t.test('if all memory is full, the sender that holds most loses a body', async t => {
  const { open, evicted } = memoryOf(8, 6)
  await open('a1', 'a', 3)
  await open('a2', 'a', 2.5)
  const b = await open('b', 'b', 2.4)
  await open('c', 'c', 0.2)
  t.strictSame(evicted, ['a1'])
  b.grow(3)
  t.strictSame(evicted, ['a1', 'b'], 'also if it is the one that asks')
})

t.test('the memory of a complete body cannot be taken back', async t => {
  const { open, evicted } = memoryOf(8, 6)
  const a = await open('a', 'a', 6)
  a.keep()
  const b = await open('b', 'b', 2)
  b.keep()
  await open('small', 'c', 0.25)
  t.strictSame(evicted, [], 'a sender that holds little may go beyond the room')
  const large = await open('large', 'c')
  large.grow(1)
  t.strictSame(evicted, ['large'])

  a.close()
  a.close()
  await open('d', 'd', 5)
  t.strictSame(evicted, ['large'], 'each body is freed once')
})

t.test('even small bodies have a limit', async t => {
  const { open, evicted } = memoryOf(8, 6)
  for (let n = 0; n < 48; n++) (await open(`full ${n}`, `sender ${n}`, 0.25)).keep()
  t.strictSame(evicted, [])
  await open('one more', 'other', 0.1)
  t.strictSame(evicted, ['one more'])
})

t.test('all clients share one check', async t => {
  let checks = 0
  const check = sharedCheck(async () => {
    await sleep(5)
    return ++checks
  }, 50)
  t.strictSame(await Promise.all([check(), check(), check()]), [1, 1, 1])
  t.equal(await check(), 1, 'the answer is kept')
  await sleep(60)
  t.equal(await check(), 2)
})

t.test('a check that hangs is answered, and no other one starts meanwhile', async t => {
  const { promise, resolve } = Promise.withResolvers<number>()
  let checks = 0
  const check = sharedCheck(() => (checks++ === 0 ? promise : Promise.resolve(2)), 10, 20)
  t.equal(await check(), null)
  await sleep(30)
  t.equal(await check(), null)
  t.equal(checks, 1)
  resolve(1)
  await sleep(10)
  t.equal(await check(), 2)
})

t.test('a check that fails is answered with null', async t => {
  const check = sharedCheck(() => Promise.reject(new Error('no database')), 10)
  t.equal(await check(), null)
})

t.test('senders take turns, and after each turn others have as much time', async t => {
  const takeTurn = takingTurns()
  const order: string[] = []
  let ended = -Infinity
  const work = (name: string) => async () => {
    t.ok(performance.now() - ended >= 9, `${name}: others had as much time`)
    order.push(name)
    for (const until = performance.now() + 10; performance.now() < until;);
    ended = performance.now()
    return name
  }
  const all = [
    takeTurn('a', work('a1')),
    takeTurn('a', work('a2')),
    takeTurn('a', work('a3')),
    takeTurn('b', work('b1')),
    takeTurn('c', () => Promise.reject(new Error('c'))),
  ]
  t.match(await Promise.allSettled(all), [
    { value: 'a1' },
    { value: 'a2' },
    { value: 'a3' },
    { value: 'b1' },
    { reason: { message: 'c' } },
  ])
  t.strictSame(order, ['a1', 'a2', 'b1', 'a3'])
  t.equal(await takeTurn('a', () => Promise.resolve('a4')), 'a4', 'a turn is free again')
})

t.test(
  'work on a shared resource runs one after the other, and the senders take turns',
  async t => {
    const takeTurn = oneAtATime()
    const order: string[] = []
    let running = 0
    const work = (name: string) => async () => {
      t.equal(++running, 1, name)
      await new Promise(setImmediate)
      running--
      order.push(name)
      if (name === 'b1') throw new Error(name)
      return name
    }
    const all = ['a1', 'a2', 'a3', 'b1', 'c1'].map(name => takeTurn(name.slice(0, 1), work(name)))
    t.match(await Promise.allSettled(all), [
      { value: 'a1' },
      { value: 'a2' },
      { value: 'a3' },
      { reason: { message: 'b1' } },
      { value: 'c1' },
    ])
    t.strictSame(order, ['a1', 'a2', 'b1', 'c1', 'a3'])
    t.equal(await takeTurn('a', work('a4')), 'a4', 'a turn is free again')
  },
)
