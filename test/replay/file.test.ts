/** Records from a file: as Voicenter posts them, or with the moment they came. */
import t from 'tap'
import { recordsOf } from '../../app/replay/stored.ts'
import { exchangeTime } from '../../scripts/demo/cdr.ts'

const NOW = new Date('2026-07-10T00:00:00Z')
const BEGAN = new Date('2026-07-06T07:00:00Z')

async function* lines(...written: unknown[]) {
  for (const line of written) yield typeof line === 'string' ? line : JSON.stringify(line)
}
const read = async (...written: unknown[]) => {
  const wrong: [number, string][] = []
  const heard = await recordsOf(lines(...written), NOW, (line, why) => wrong.push([line, why]))
  return { heard, wrong }
}
const record = (fields: object = {}) => ({
  ivruniqueid: '20260706100000abcdef',
  caller: '0502345678',
  did: '0722776772',
  status: 'NOANSWER',
  time: exchangeTime(BEGAN),
  dialtime: 24,
  duration: 0,
  ...fields,
})

await t.test('a record by itself came when its call ended', async t => {
  const { heard, wrong } = await read(record(), record({ status: 'ANSWER', duration: 90 }))
  t.strictSame(wrong, [])
  t.match(heard, [
    {
      rootCallId: '20260706100000abcdef',
      receivedAt: new Date('2026-07-06T07:00:24Z'),
      leg: { calledAt: BEGAN, caller: '0502345678' },
    },
    { receivedAt: new Date('2026-07-06T07:01:54Z'), leg: { calledAt: BEGAN } },
  ])
})

await t.test('or when the file says so, and in that order', async t => {
  const { heard } = await read(
    { received_at: '2026-07-06T10:10:00+03:00', record: record({ CallID: '1' }) },
    { received_at: '2026-07-06T07:05:00.123456Z', record: record({ ivruniqueid: 'second' }) },
  )
  t.strictSame(
    heard.map(({ receivedAt }) => receivedAt.toISOString()),
    ['2026-07-06T07:05:00.123Z', '2026-07-06T07:10:00.000Z'],
  )
  t.equal(heard[0]?.leg.callId, 'second')
})

await t.test('the same record again counts once, however it is written', async t => {
  const { heard } = await read(
    record(),
    JSON.stringify(record(), null, 1).replaceAll('\n', ' '),
    record({ dialtime: 25 }),
  )
  t.equal(heard.length, 2)
})

await t.test('a bad line is named by its number, and does not stop the rest', async t => {
  const { heard, wrong } = await read(
    record(),
    '',
    '{"ivruniqueid": ',
    '[1, 2]',
    record({ status: '' }),
    { received_at: 'yesterday', record: record() },
    record({ ivruniqueid: 'x', time: '' }),
    record({ ivruniqueid: '28202607061000001234567890123', did: '0771234567' }),
  )
  t.equal(heard.length, 2)
  t.strictSame(
    wrong.map(([line]) => line),
    [3, 4, 5, 6, 7],
  )
  t.match(wrong.map(([, why]) => why).join('\n'), /JSON.*object.*status.*received_at.*time/s)
  t.notMatch(JSON.stringify(wrong), /0502345678/)
})

await t.test('long call ids keep all their digits', async t => {
  const { heard } = await read(
    JSON.stringify(record()).replace('"20260706100000abcdef"', '2026070610000012345678901234'),
  )
  t.equal(heard[0]?.rootCallId, '2026070610000012345678901234')
})
