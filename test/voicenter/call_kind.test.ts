import t from 'tap'
import {
  type CallKind,
  callKind,
  transferKind,
  isNotInbound,
  typeName,
} from '../../app/voicenter/call_kind.ts'

type Row = {
  number: string
  type: string
  /** Without a direction. */
  kind: CallKind
  /** Whatever a direction says; where it is false, the direction wins. */
  always: boolean
  notInbound: boolean
}

/** All types that Voicenter has, with their numbers in the Call Log. */
const TYPES: Row[] = [
  { number: '1', type: 'Incoming Call', kind: 'inbound', always: false, notInbound: false },
  { number: '8', type: 'Queue', kind: 'inbound', always: false, notInbound: false },
  { number: '11', type: 'VoiceMail', kind: 'inbound', always: false, notInbound: false },
  { number: '13', type: 'XferCDR', kind: 'transfer', always: true, notInbound: false },
  { number: '21', type: 'Attended CDR leg1', kind: 'transfer', always: true, notInbound: false },
  { number: '22', type: 'Attended CDR leg2', kind: 'transfer', always: true, notInbound: false },
  { number: '23', type: 'Auto forward', kind: 'forward', always: true, notInbound: false },
  {
    number: '19',
    type: 'Click 2 Queue Incoming',
    kind: 'click_to_queue',
    always: true,
    notInbound: false,
  },
  { number: '17', type: 'Click 2 IVR', kind: 'dialer', always: true, notInbound: true },
  { number: '18', type: 'Click 2 IVR Incoming', kind: 'dialer', always: true, notInbound: true },
  { number: '4', type: 'Extension Outgoing', kind: 'outgoing', always: false, notInbound: true },
  { number: '9', type: 'Click2Call leg1', kind: 'dialer', always: true, notInbound: true },
  { number: '10', type: 'Click2Call leg2', kind: 'outgoing', always: true, notInbound: true },
  { number: '14', type: 'ProductiveCall Leg1', kind: 'dialer', always: true, notInbound: true },
  { number: '15', type: 'ProductiveCall Leg2', kind: 'outgoing', always: true, notInbound: true },
  { number: '2', type: 'CC', kind: 'other', always: false, notInbound: true },
  { number: '12', type: 'Callference', kind: 'other', always: false, notInbound: true },
  { number: '16', type: 'Scrubber', kind: 'other', always: false, notInbound: true },
  { number: '20', type: 'FaxCdr', kind: 'other', always: false, notInbound: true },
]

for (const { number, type, kind, always, notInbound } of TYPES)
  await t.test(`${type} is a call of the kind ${kind}`, async t => {
    const spellings = [type, type.toLowerCase(), type.toUpperCase(), ` ${type}\n`, number]
    for (const written of [...spellings, type.replaceAll(' ', '  '), ` ${number} `]) {
      t.equal(callKind({ type: written }), kind, written)
      t.equal(typeName({ type: written }), type.toLowerCase(), written)
    }
    t.equal(isNotInbound(kind), notInbound)
    // With a number dialled or not: a known type asks for nothing else.
    t.equal(callKind({ type, did: '0722776772' }), kind)
    t.equal(callKind({ type, callerExtension: 'SIPSIP' }), kind)

    const handed = kind === 'transfer' || kind === 'forward' ? kind : null
    for (const direction of [null, 'incoming', 'outgoing', 'internal'])
      t.equal(transferKind({ type, direction }), handed, `handed on, ${direction}`)

    t.equal(callKind({ type, direction: 'incoming' }), always ? kind : 'inbound', 'incoming')
    t.equal(callKind({ type, direction: 'internal' }), always ? kind : 'internal', 'internal')
    const outgoing = handed ? 'internal' : always ? kind : 'outgoing'
    t.equal(callKind({ type, direction: 'outgoing' }), outgoing, 'outgoing')
    for (const direction of ['', ' ', null, undefined, 'sideways'])
      t.equal(callKind({ type, direction }), kind, `direction ${String(direction)}`)
  })

await t.test('every type stands in the table once', async t => {
  t.equal(new Set(TYPES.map(({ type }) => type)).size, 19)
  t.equal(new Set(TYPES.map(({ number }) => number)).size, 19)
})

await t.test('a direction is read in any spelling', async t => {
  for (const direction of ['incoming', 'Incoming', 'INCOMING', ' incoming '])
    t.equal(callKind({ direction }), 'inbound', direction)
  for (const direction of ['outgoing', 'Outgoing', 'OUTGOING\n'])
    t.equal(callKind({ direction }), 'outgoing', direction)
  for (const direction of ['internal', 'Internal']) t.equal(callKind({ direction }), 'internal')
})

await t.test('without type and direction, the number dialled tells', async t => {
  const did = '0722776772'
  const blanks = [undefined, null, '']
  for (const type of [...blanks, ' ', 'Something New', '99', '0', 'constructor', '__proto__'])
    for (const direction of [...blanks, 'sideways']) {
      const name = `${String(type)} ${String(direction)}`
      for (const callerExtension of blanks)
        t.equal(callKind({ type, direction, did, callerExtension }), 'inbound', name)
      t.equal(callKind({ type, direction, did, callerExtension: 'SIPSIP' }), 'unknown', name)
      for (const none of blanks) t.equal(callKind({ type, direction, did: none }), 'unknown', name)
    }
  t.equal(callKind({}), 'unknown')
})

await t.test('a type is known only as a whole', async t => {
  const types = ['Queue 2', 'Incoming', 'Call', 'XferCDR leg1', '1.0', '01', '+1', 'Incoming-Call']
  for (const type of [...types, 'toString', 'constructor', '__proto__', 'hasOwnProperty']) {
    t.equal(callKind({ type }), 'unknown', type)
    t.equal(transferKind({ type }), null, type)
    t.equal(typeName({ type }), type.toLowerCase(), 'and keeps its name')
  }
})

await t.test('only these kinds are calls that no customer made', async t => {
  const rows: [kind: CallKind, notInbound: boolean][] = [
    ['inbound', false],
    ['transfer', false],
    ['forward', false],
    ['click_to_queue', false],
    ['unknown', false],
    ['outgoing', true],
    ['dialer', true],
    ['internal', true],
    ['other', true],
  ]
  for (const [kind, notInbound] of rows) t.equal(isNotInbound(kind), notInbound, kind)
})
