/** The kind of a call, who answered it, and the verdict on it. */
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import assert from 'node:assert/strict'
import t, { type Test } from 'tap'
import type { JsonObject } from '../../app/json.ts'
import { readPhone } from '../../app/phone.ts'
import {
  type CallKind,
  callKind,
  isNotInbound,
  transferKind,
  typeName,
} from '../../app/voicenter/call_kind.ts'
import {
  answeredBy,
  byStart,
  classify,
  completeLegs,
  decidingLegs,
  type Leg,
  legOf,
  reachedIn,
  statusOf,
  usesNumberOf,
  type Verdict,
} from '../../app/voicenter/classify.ts'
import { readBody } from '../../app/voicenter/body.ts'
import { type Cdr, readCdr } from '../../app/voicenter/parse.ts'

type Row = {
  number: string
  type: string
  /** The kind without a direction. */
  kind: CallKind
  /** The type takes precedence over the direction. */
  always: boolean
  notInbound: boolean
}

/** All of Voicenter's types, with their numbers in the Call Log. */
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
    const apart = ['  ', '', '_', '-', '\u2011'].map(mark => type.replaceAll(' ', mark))
    for (const written of [...spellings, ...apart, ` ${number} `]) {
      t.equal(callKind({ type: written }), kind, written)
      t.equal(typeName({ type: written }), type.toLowerCase(), written)
    }
    t.equal(isNotInbound(kind), notInbound)
    // With a known type, the number dialled does not matter.
    t.equal(callKind({ type, did: '0722776772' }), kind)
    const handed = kind === 'transfer' || kind === 'forward' ? kind : null
    const dialled = kind === 'inbound' || handed ? 'internal' : kind
    const byExtension = { type, callId: 'A', callerExtension: 'SIPSIP' }
    t.equal(callKind(byExtension), dialled, 'an extension dialled')
    t.equal(callKind({ ...byExtension, rootCallId: 'A' }), dialled, 'the root is itself')
    const part = callKind({ ...byExtension, rootCallId: 'B' })
    t.equal(part, handed ? kind : dialled, 'it is part of another call')
    for (const direction of [null, 'incoming', 'outgoing', 'internal'])
      t.equal(transferKind({ type, direction }), handed, `transfer kind, ${direction}`)

    t.equal(callKind({ type, direction: 'incoming' }), always ? kind : 'inbound', 'incoming')
    t.equal(callKind({ type, direction: 'internal' }), always ? kind : 'internal', 'internal')
    const outgoing = handed ? 'internal' : always ? kind : 'outgoing'
    t.equal(callKind({ type, direction: 'outgoing' }), outgoing, 'outgoing')
    for (const direction of ['', ' ', null, undefined, 'sideways'])
      t.equal(callKind({ type, direction }), kind, `direction ${String(direction)}`)
  })

await t.test('the table has each type once', async t => {
  t.equal(new Set(TYPES.map(({ type }) => type)).size, 19)
  t.equal(new Set(TYPES.map(({ number }) => number)).size, 19)
})

await t.test('a direction is read in any case and under its other name', async t => {
  for (const direction of ['incoming', 'Incoming', 'INCOMING', ' incoming '])
    t.equal(callKind({ direction }), 'inbound', direction)
  for (const direction of ['outgoing', 'Outgoing', 'OUTGOING\n'])
    t.equal(callKind({ direction }), 'outgoing', direction)
  for (const direction of ['inbound', 'Inbound', 'IN', 'in-coming'])
    t.equal(callKind({ direction }), 'inbound', direction)
  for (const direction of ['outbound', 'OutBound', 'out', 'Out bound'])
    t.equal(callKind({ direction }), 'outgoing', direction)
  for (const direction of ['internal', 'Internal']) t.equal(callKind({ direction }), 'internal')
})

await t.test('without type and direction, the number dialled decides', async t => {
  const did = '0722776772'
  const blanks = [undefined, null, '']
  for (const type of [...blanks, ' ', 'Something New', '99', '0', 'constructor', '__proto__'])
    for (const direction of [...blanks, 'sideways']) {
      const name = `${String(type)} ${String(direction)}`
      for (const callerExtension of blanks)
        t.equal(callKind({ type, direction, did, callerExtension }), 'inbound', name)
      t.equal(callKind({ type, direction, did, callerExtension: 'SIPSIP' }), 'internal', name)
      // Some accounts repeat the caller's number there.
      t.equal(callKind({ type, direction, did, callerExtension: '0502345678' }), 'inbound', name)
      for (const none of blanks) t.equal(callKind({ type, direction, did: none }), 'unknown', name)
    }
  t.equal(callKind({}), 'unknown')
})

await t.test('a type must match as a whole', async t => {
  const types = [
    'Queue 2',
    'Incoming',
    'Call',
    'XferCDR leg1',
    '1.0',
    '01',
    '+1',
    '-1',
    '1 3',
    'C.C',
  ]
  for (const type of [...types, 'toString', 'constructor', '__proto__', 'hasOwnProperty']) {
    t.equal(callKind({ type }), 'unknown', type)
    t.equal(transferKind({ type }), null, type)
    t.equal(typeName({ type }), type.toLowerCase(), 'it keeps its name')
  }
})

await t.test('the kinds of calls that no customer made', async t => {
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

const OURS = '0722776772'
const OTHERS = '0732791800'
const CALLER = '0502345678'
const NIL_GUID = '00000000-0000-0000-0000-000000000000'

/** The statuses that count as missed by default, from the schema. */
const DEFAULT: readonly string[] = (() => {
  const schema = readFileSync(new URL('../../sql/0001_tenants.sql', import.meta.url), 'utf8')
  const list = /missed_statuses\s.*?default array\[(.*?)\]/s.exec(schema)?.[1] ?? ''
  return [...list.matchAll(/'(.*?)'/g)].map(([, status = '']) => status)
})()

const cdrOf = (record: JsonObject): Cdr => {
  const read = readCdr(record)
  if ('wrong' in read) throw new Error(read.wrong)
  return read.cdr
}

/** A customer's unanswered call. */
const call = (fields: JsonObject = {}): Cdr =>
  cdrOf({
    ivruniqueid: 'R',
    type: 'Incoming Call',
    status: 'NOANSWER',
    caller: CALLER,
    did: OURS,
    extenUser: '',
    ...fields,
  })
/** The same without an agent field, like records with CallID and published queue records. */
const noAgentField = (fields: JsonObject = {}): Cdr => noAgent(call(fields))
const noAgent = (leg: Cdr): Cdr => {
  const { agent: _, ...rest } = leg
  return rest
}
/** Another record of the same call. */
const leg = (type: string, fields: JsonObject = {}): Cdr =>
  call({ ivruniqueid: `leg of ${type}`, OriginalIvrUniqueID: 'R', type, ...fields })
const agent = (fields: JsonObject = {}): Cdr =>
  call({ status: 'ANSWER', extenUser: 'KGpK4iWq', ...fields })
const machine = (fields: JsonObject = {}): Cdr => call({ status: 'ANSWER', ...fields })

type Options = { missed?: readonly string[]; minRing?: number; hasWaited?: boolean }

const verdictOf = (
  legs: Cdr[],
  { missed = DEFAULT, minRing = 0, hasWaited = false }: Options = {},
): Verdict<Cdr> => {
  const rules = {
    missedStatuses: missed,
    minRingSeconds: minRing,
    isOurs: (leg: Cdr) => leg.did === OURS,
    isOwnLine: () => false,
  }
  return classify(legs, rules, hasWaited)
}

const inWords = ({ verdict, reason }: { verdict: string; reason: string }) =>
  `${verdict} / ${reason}`

const permutations = <Item>(items: readonly Item[]): Item[][] =>
  items.length < 2
    ? [[...items]]
    : items.flatMap((item, i) => permutations(items.toSpliced(i, 1)).map(rest => [item, ...rest]))

/** Checks the verdict for each order of the records. */
const holds = (t: Test, name: string, legs: Cdr[], wanted: string, options?: Options) => {
  for (const order of permutations(legs)) {
    const found = inWords(verdictOf(order, options))
    const types = order.map(({ type, status }) => `${type} ${status}`).join(', ')
    t.equal(found, wanted, `${name}: ${types}`)
  }
}

await t.test('the default statuses are found in the schema', async t => {
  t.equal(DEFAULT.length, 12)
})

// Did a customer call in?

const NOT_INBOUND: [type: string, kind: string][] = [
  ['Click 2 IVR', 'dialer'],
  ['Click 2 IVR Incoming', 'dialer'],
  ['Extension Outgoing', 'outgoing'],
  ['Click2Call leg1', 'dialer'],
  ['Click2Call leg2', 'outgoing'],
  ['ProductiveCall Leg1', 'dialer'],
  ['ProductiveCall Leg2', 'outgoing'],
  ['CC', 'other'],
  ['Callference', 'other'],
  ['Scrubber', 'other'],
  ['FaxCdr', 'other'],
]

await t.test('a call that no customer made is not inbound, whatever its status', async t => {
  for (const [type, kind] of NOT_INBOUND)
    for (const status of ['NOANSWER', 'ANSWER', 'ABANDONE', 'VOICEMAIL', 'NEVERHEARDOF'])
      for (const did of ['', OURS, OTHERS])
        for (const extenUser of ['', 'KGpK4iWq'])
          holds(t, kind, [call({ type, status, did, extenUser })], `not_inbound / ${kind}`)
  for (const direction of ['outgoing', 'internal'])
    for (const type of ['Incoming Call', 'Queue', 'VoiceMail', 'Something New', ''])
      holds(t, direction, [call({ type, direction })], `not_inbound / ${direction}`)
})

await t.test('a call from a customer can be missed', async t => {
  for (const type of ['Incoming Call', 'Queue', '1', '8'])
    holds(t, type, [call({ type })], 'missed / noanswer')
  for (const type of ['VoiceMail', '11']) holds(t, type, [call({ type })], 'missed / voicemail')
  // The direction takes precedence, except over dialer calls and transfers.
  for (const type of ['Extension Outgoing', 'CC', 'FaxCdr', 'Something New', ''])
    holds(t, type, [call({ type, direction: 'incoming' })], 'missed / noanswer')
  for (const type of ['Click 2 IVR Incoming', 'Click2Call leg1', 'ProductiveCall Leg1'])
    holds(t, type, [call({ type, direction: 'incoming' })], 'not_inbound / dialer')
  holds(t, 'no type, no direction', [noAgentField({ type: '' })], 'missed / noanswer')
})

await t.test('a record without any direction is unknown', async t => {
  holds(t, 'no number dialled', [call({ type: '', did: '' })], 'unknown / unknown_direction')
  holds(t, 'an extension', [call({ type: 'New', callerextension: 'X' })], 'not_inbound / internal')
  holds(t, 'answered', [agent({ type: '', did: '' })], 'unknown / unknown_direction')
})

await t.test('a transferred leg waits for the root that it names', async t => {
  const WAITING = 'unknown / waiting_for_root'
  const transfers = ['XferCDR', 'Attended CDR leg1', 'Attended CDR leg2', '13', '21', '22']
  for (const type of transfers)
    for (const status of ['NOANSWER', 'ANSWER', 'BUSY', 'VOICEMAIL', 'NEVERHEARDOF'])
      for (const direction of ['', 'incoming', 'internal'])
        holds(t, direction, [leg(type, { status, direction })], WAITING)
  for (const type of ['Auto forward', '23']) {
    for (const direction of ['', 'internal', 'sideways'])
      holds(t, direction, [leg(type, { direction })], WAITING)
    holds(t, 'answered', [leg(type, { direction: 'incoming', status: 'ANSWER' })], WAITING)
    const withAgent = { direction: 'incoming', extenUser: 'KGpK4iWq', isAnswer: 1 }
    holds(t, 'answered', [leg(type, withAgent)], WAITING)
  }
  const two = [leg('XferCDR'), leg('Attended CDR leg1', { status: 'ANSWER' })]
  holds(t, 'two legs', two, WAITING)
  const click = (status: string) => [call({ type: 'Click 2 Queue Incoming', status })]
  holds(t, 'a call-back that failed', click('NOANSWER'), 'unknown / click_to_queue')
  holds(t, 'a call-back', click('ANSWER'), 'not_inbound / click_to_queue')
})

await t.test('a transferred leg without a root is a call of its own', async t => {
  const types = ['XferCDR', 'Attended CDR leg1', 'Attended CDR leg2', 'Auto forward', '13', '23']
  const waited = { hasWaited: true }
  for (const type of types)
    for (const direction of ['', 'incoming', 'internal']) {
      const both = (fields: JsonObject, wanted: string) => {
        holds(t, 'no root named', [call({ type, direction, ...fields })], wanted)
        holds(t, 'waited', [leg(type, { direction, ...fields })], wanted, waited)
      }
      both({}, 'missed / noanswer')
      both({ status: 'EXIT' }, 'unknown / exit')
      both({ status: 'VOICEMAIL', extenUser: 'X', isAnswer: 1 }, 'missed / voicemail')
      both({ status: 'ANSWER' }, 'answered / transfer')
      both({ extenUser: 'X', isAnswer: 1 }, 'answered / agent')
      both({ did: OTHERS }, 'unmatched_number / number_dialled')
      both({ did: '' }, 'unknown / unknown_direction')
      const outgoing = { direction: 'outgoing' }
      holds(t, 'no root named', [call({ type, ...outgoing })], 'missed / noanswer')
      holds(t, 'outgoing', [leg(type, outgoing)], 'not_inbound / internal', waited)
      both({ ...outgoing, did: '' }, 'not_inbound / internal')
    }
  const circle = [
    leg('Auto forward', { ivruniqueid: 'A', OriginalIvrUniqueID: 'B' }),
    leg('Auto forward', { ivruniqueid: 'B', OriginalIvrUniqueID: 'A' }),
  ]
  holds(t, 'a circle does not wait', circle, 'missed / noanswer')
})

await t.test('a forwarded incoming call waits for its root, and then stands alone', async t => {
  const forward = leg('Auto forward', { direction: ' Incoming ' })
  const waited = { hasWaited: true }
  holds(t, 'alone', [forward], 'unknown / waiting_for_root')
  holds(t, 'waited', [forward], 'missed / noanswer', waited)
  const withTransfer = [forward, leg('XferCDR', { status: 'NOANSWER' })]
  holds(t, 'with a transfer', withTransfer, 'missed / noanswer', waited)
  holds(
    t,
    'with an unclear status',
    [leg('Auto forward', { direction: 'incoming', status: 'EXIT' })],
    'unknown / exit',
    waited,
  )
  holds(
    t,
    'answered elsewhere',
    [forward, leg('XferCDR', { status: 'ANSWER' })],
    'answered / transfer',
    waited,
  )
  holds(t, 'its root was answered', [forward, agent()], 'answered / agent')
  const outgoing = call({ type: 'Extension Outgoing', did: '' })
  holds(t, 'its root was an outgoing call', [forward, outgoing], 'not_inbound / outgoing')
  const unclear = call({ type: '', did: '' })
  holds(t, 'its root has no direction', [forward, unclear], 'unknown / unknown_direction')
})

await t.test('a transfer of an outgoing call is not inbound', async t => {
  const roots: [Cdr, string][] = [
    [call({ type: 'Extension Outgoing', did: '', status: 'ANSWER' }), 'outgoing'],
    [call({ direction: 'outgoing', did: '' }), 'outgoing'],
    [call({ direction: 'internal' }), 'internal'],
    [call({ type: 'Click 2 IVR' }), 'dialer'],
  ]
  for (const [root, kind] of roots)
    for (const type of ['XferCDR', 'Attended CDR leg2', 'Auto forward'])
      for (const status of ['NOANSWER', 'ANSWER'])
        for (const direction of ['', 'incoming', 'outgoing'])
          holds(t, kind, [root, leg(type, { status, direction })], `not_inbound / ${kind}`)
  // This is not the root, so the root may still be a customer's call.
  const other = leg('Extension Outgoing', { did: '' })
  holds(t, 'no root', [other, leg('XferCDR')], 'unknown / waiting_for_root')
  holds(t, 'nothing else', [other], 'not_inbound / outgoing')
})

// How did it end?

const MISSED =
  'ABANDONE NOANSWER CANCEL BUSY TIMEOUT FULL JOINEMPTY CONGESTION CHANUNAVAIL INVALIDARGS SSWPREAUTH VOICEMAIL'
const NOT_KNOWN = 'EXIT VOEND TE NOTCALLED NOTDIALED'

await t.test('statuses that are missed calls', async t => {
  for (const status of MISSED.split(' '))
    for (const written of [status, status.toLowerCase(), ` ${status} `]) {
      holds(t, 'push', [call({ status: written })], `missed / ${status.toLowerCase()}`)
      holds(
        t,
        'no agent field',
        [noAgentField({ status: written })],
        `missed / ${status.toLowerCase()}`,
      )
      holds(
        t,
        'queue',
        [call({ type: 'Queue', status: written })],
        `missed / ${status.toLowerCase()}`,
      )
    }
})

await t.test('statuses that are unknown unless the business counts them', async t => {
  for (const status of NOT_KNOWN.split(' ')) {
    const reason = status.toLowerCase()
    holds(t, 'default', [call({ status })], `unknown / ${reason}`)
    holds(t, 'counted', [call({ status })], `missed / ${reason}`, { missed: [...DEFAULT, status] })
    holds(t, 'with an agent', [call({ status, extenUser: 'X' })], `unknown / ${reason}`)
    const talked = call({ status, extenUser: 'X', isAnswer: 1 })
    holds(t, 'answered after all', [talked], 'answered / agent', { missed: [...DEFAULT, status] })
  }
})

await t.test('an unpublished status is unknown', async t => {
  for (const status of [
    'FORWARD',
    'JOIN',
    'LEAVEEMPTY',
    'DONTCALL',
    'ABANDONEE',
    '0',
    'constructor',
  ])
    for (const isAnswer of ['', 0])
      holds(t, 'status', [call({ status, isAnswer })], 'unknown / unknown_status')
})

await t.test('each spelling of a status is read', async t => {
  const rows: [written: string, status: string][] = [
    ['ABANDON', 'ABANDONE'],
    ['Abandoned', 'ABANDONE'],
    ['ABANDONE', 'ABANDONE'],
    ['answered', 'ANSWER'],
    ['No  Answer', 'NOANSWER'],
    ['no_answer', 'NOANSWER'],
    [' noanswer\n', 'NOANSWER'],
    ['FORWARD', 'FORWARD'],
    ['toString', 'TOSTRING'],
  ]
  for (const [written, status] of rows) {
    t.equal(statusOf({ status: written }), status, written)
    const { verdict } = verdictOf([call({ status })], { missed: [written] })
    t.equal(verdict, 'missed', `${written}, as a business may write it`)
  }
  holds(t, 'answered', [agent({ status: 'ANSWERED' })], 'answered / agent')
})

await t.test('each business has its own missed statuses', async t => {
  const all = [...MISSED.split(' '), ...NOT_KNOWN.split(' ')]
  for (const status of all) {
    const reason = status.toLowerCase()
    const others = all.filter(other => other !== status)
    holds(t, 'not counted', [call({ status })], `unknown / ${reason}`, { missed: others })
    holds(t, 'nothing counted', [call({ status })], `unknown / ${reason}`, { missed: [] })
    holds(t, 'small letters', [call({ status })], `missed / ${reason}`, { missed: [reason] })
  }
  const mailbox = call({ type: 'VoiceMail' })
  holds(t, 'voicemail is a type too', [mailbox], 'unknown / voicemail', { missed: ['NOANSWER'] })
})

// Did a person answer?

await t.test('a person answered', async t => {
  const rows: [name: string, leg: Cdr, reason: string][] = [
    ['agent and status', call({ status: 'ANSWER', extenUser: 'X' }), 'agent'],
    ['the other agent field', call({ status: 'ANSWER', targetextension: 'X' }), 'agent'],
    ['agent and isAnswer', call({ extenUser: 'X', isAnswer: 1 }), 'agent'],
    ['agent, with any status', call({ extenUser: 'X', isAnswer: 1, status: 'NEW' }), 'agent'],
    ['agent of a queue', call({ type: 'Queue', status: 'ANSWER', extenUser: 'X' }), 'agent'],
    ['a queue, agent field empty', call({ type: 'Queue', status: 'ANSWER' }), 'answer'],
    ['a queue by its number', call({ type: '8', status: 'ANSWER' }), 'answer'],
    ['a queue, no agent field', noAgentField({ type: 'Queue', status: 'ANSWER' }), 'answer'],
    ['no agent field', noAgentField({ status: 'ANSWER' }), 'answer'],
    ['no agent field, no type', noAgentField({ status: 'answered', type: '' }), 'answer'],
    ['talk time', noAgentField({ isAnswer: 1, duration: 20 }), 'talk_time'],
    [
      'talk time, odd status',
      noAgentField({ isAnswer: 1, duration: 1, status: 'NEW' }),
      'talk_time',
    ],
  ]
  for (const [name, leg, reason] of rows) {
    t.equal(answeredBy(leg), reason, name)
    t.equal(reachedIn(leg), CALLER, `${name}: the caller was reached`)
    holds(t, name, [leg], `answered / ${reason}`)
  }
})

await t.test('no person answered', async t => {
  const rows: [name: string, leg: Cdr, verdict: string][] = [
    ['agent, but no answer', call({ extenUser: 'X' }), 'missed / noanswer'],
    ['agent, isAnswer 0', call({ extenUser: 'X', isAnswer: 0 }), 'missed / noanswer'],
    ['empty agent field, isAnswer 1', call({ isAnswer: 1, duration: 20 }), 'missed / noanswer'],
    ['isAnswer without talk time', noAgentField({ isAnswer: 1, duration: 0 }), 'missed / noanswer'],
    ['isAnswer, no talk time', noAgentField({ isAnswer: 1 }), 'missed / noanswer'],
    ['talk time without isAnswer', noAgentField({ duration: 20 }), 'missed / noanswer'],
    ['a machine', machine(), 'answered / machine'],
    ['a machine, isAnswer 1', machine({ isAnswer: 1, duration: 20 }), 'answered / machine'],
    ['a machine by direction', machine({ type: '', direction: 'incoming' }), 'answered / machine'],
    [
      'External IVR',
      noAgentField({ status: 'ANSWER', representative_name: 'External IVR' }),
      'answered / machine',
    ],
    [
      'ExternalIVR',
      noAgentField({ status: 'ANSWER', representative_name: 'ExternalIVR' }),
      'answered / machine',
    ],
    [
      'external ivr in a queue',
      machine({ type: 'Queue', representative_name: 'external ivr' }),
      'answered / machine',
    ],
    ['voicemail', call({ type: 'VoiceMail', status: 'ANSWER' }), 'missed / voicemail'],
    [
      'voicemail, no agent field',
      noAgentField({ type: '11', status: 'ANSWER' }),
      'missed / voicemail',
    ],
    [
      'talked to the voicemail',
      noAgentField({ status: 'VOICEMAIL', isAnswer: 1, duration: 9 }),
      'missed / voicemail',
    ],
  ]
  for (const [name, leg, verdict] of rows) {
    t.equal(answeredBy(leg), null, name)
    t.equal(reachedIn(leg), null, `${name}: no one was reached`)
    holds(t, name, [leg], verdict)
  }
})

await t.test('in a queue, the time of waiting is no talk, also if it is rounded', async t => {
  const queue = (actualCallDuration: number, seconds_waiting_in_queue: number) =>
    noAgentField({ status: 'ABANDONE', isAnswer: 1, actualCallDuration, seconds_waiting_in_queue })
  for (const duration of [44, 45, 46])
    holds(t, `${duration} of 45`, [queue(duration, 45)], 'missed / abandone')
  for (const [duration, waiting] of [
    [43, 45],
    [47, 45],
    [1, 0],
    [2, 0],
    [2, 1],
    [1, 2],
  ] as const)
    holds(t, `${duration} of ${waiting}`, [queue(duration, waiting)], 'answered / talk_time')
})

await t.test(
  'in a queue, a duration is no talk, since it includes the time of waiting',
  async t => {
    for (const status of ['ABANDONE', 'NOANSWER', 'BUSY', 'CANCEL', 'TIMEOUT', 'no answer']) {
      const ended = (fields: JsonObject) => [noAgentField({ status, isAnswer: 1, ...fields })]
      const missed = `missed / ${statusOf({ status }).toLowerCase()}`
      for (const actualCallDuration of ['', 0, '-'])
        for (const fields of [
          { type: 'Queue', duration: 45 },
          { type: 'Queue', duration: 65, seconds_waiting_in_queue: 45 },
          { type: '', duration: 65, seconds_waiting_in_queue: 45 },
        ])
          holds(t, 'only a duration', ended({ ...fields, actualCallDuration }), missed)
      const talked = { type: 'Queue', actualCallDuration: 30 }
      for (const duration of ['', 0, 30, 75])
        holds(t, 'a talk time', ended({ ...talked, duration }), 'answered / talk_time')
      holds(t, 'no queue', ended({ duration: 20 }), 'answered / talk_time')
    }
  },
)

await t.test('a business may count answers by a machine as missed', async t => {
  const missed = [...DEFAULT, 'ANSWER']
  holds(t, 'a machine', [machine()], 'missed / answer', { missed })
  holds(t, 'a person', [agent()], 'answered / agent', { missed })
  holds(t, 'a queue', [noAgentField({ type: 'Queue', status: 'ANSWER' })], 'answered / answer', {
    missed,
  })
})

await t.test('a caller who hung up too early misdialled', async t => {
  const ring = (seconds: number | null, status = 'CANCEL') => [call({ status, dialtime: seconds })]
  holds(t, 'no minimum', ring(0), 'missed / cancel')
  holds(t, 'too short', ring(3), 'unknown / short_ring', { minRing: 4 })
  holds(t, 'not at all', ring(0), 'unknown / short_ring', { minRing: 1 })
  holds(t, 'long enough', ring(4), 'missed / cancel', { minRing: 4 })
  holds(t, 'unknown ringing time', ring(null), 'missed / cancel', { minRing: 4 })
  holds(t, 'only a caller hangs up', ring(0, 'NOANSWER'), 'missed / noanswer', { minRing: 4 })
  holds(t, 'in a queue', ring(0, 'ABANDONE'), 'missed / abandone', { minRing: 4 })
  holds(t, 'not counted at all', ring(0), 'unknown / cancel', { missed: [], minRing: 4 })
  holds(t, 'another ring was longer', [...ring(0), call({ dialtime: 9 })], 'missed / noanswer', {
    minRing: 4,
  })
})

await t.test('after a call-back, the customer is reached at the number called', async t => {
  const own = { caller: OURS, target: '0523456789', did: '' }
  const types = ['Extension Outgoing', 'Click2Call leg2', 'ProductiveCall Leg2']
  for (const type of [...types, 'ExtensionOutgoing', 'Click2Call_leg2', 'Click 2 Call leg2']) {
    const answered = call({ ...own, type, status: 'ANSWER' })
    t.equal(answeredBy(answered), 'called_back', type)
    t.equal(reachedIn(answered), '0523456789', type)
    for (const status of ['NOANSWER', 'BUSY', 'CANCEL', 'VOICEMAIL']) {
      const failed = call({ ...own, type, status, isAnswer: 1, extenUser: 'X', duration: 9 })
      t.equal(answeredBy(failed), null, `${type} ${status}`)
      t.equal(reachedIn(failed), null, `${type} ${status}`)
    }
  }
  for (const type of ['Click2Call leg1', 'ProductiveCall Leg1', 'Click 2 IVR', 'FaxCdr', 'CC']) {
    const toOurselves = call({ ...own, type, status: 'ANSWER', extenUser: 'X', isAnswer: 1 })
    t.equal(answeredBy(toOurselves), null, type)
    t.equal(reachedIn(toOurselves), null, type)
  }
  t.equal(
    reachedIn(call({ ...own, target: '', type: 'Extension Outgoing', status: 'ANSWER' })),
    null,
  )
  t.equal(reachedIn(agent({ caller: '' })), null, 'a withheld caller')
  const unclear = agent({ type: '', did: '' })
  t.equal(reachedIn(unclear), null, 'in a call of unknown direction')
  const outside = leg('XferCDR', { status: 'ANSWER', direction: 'outgoing', caller: OURS })
  t.equal(reachedIn(outside), null, 'in a leg whose caller may be a colleague')
})

// The whole call

await t.test('a call is answered if a person answered any record of it, in any order', async t => {
  const outside = { status: 'ANSWER', direction: 'outgoing' }
  const calls: [name: string, legs: Cdr[], verdict: string][] = [
    ['the same id twice', [call(), agent()], 'answered / agent'],
    ['overflow', [call({ type: 'Queue', status: 'TIMEOUT' }), agent()], 'answered / agent'],
    [
      'a full queue',
      [call({ status: 'FULL' }), call({ status: 'JOINEMPTY' }), agent()],
      'answered / agent',
    ],
    ['a transfer', [call(), leg('XferCDR', { status: 'ANSWER' })], 'answered / transfer'],
    ['attended', [call(), leg('Attended CDR leg2', { status: 'ANSWER' })], 'answered / transfer'],
    ['a forward', [call(), leg('Auto forward', { status: 'ANSWER' })], 'answered / transfer'],
    ['one word', [call(), leg('AutoForward', { status: 'ANSWER' })], 'answered / transfer'],
    ['a hyphen', [call(), leg('Auto-Forward', { status: 'ANSWER' })], 'answered / transfer'],
    [
      'a forward to an outside phone',
      [call(), leg('Auto forward', outside)],
      'answered / transfer',
    ],
    ['a transfer to an outside phone', [call(), leg('XferCDR', outside)], 'answered / transfer'],
    [
      'with an outgoing leg',
      [call(), leg('Extension Outgoing', { status: 'ANSWER' })],
      'answered / called_back',
    ],
    [
      'of an unknown type',
      [call(), leg('New', { did: '', status: 'ANSWER', extenUser: 'X' })],
      'answered / agent',
    ],
    ['lost after the agent', [agent(), leg('XferCDR'), leg('Auto forward')], 'answered / agent'],
    [
      'one of four',
      [
        machine(),
        call({ status: 'EXIT' }),
        leg('Auto forward'),
        leg('XferCDR', { status: 'ANSWER' }),
      ],
      'answered / transfer',
    ],
    [
      'called back in the same call',
      [call(), call({ type: 'Click2Call leg2', did: '', status: 'ANSWER' })],
      'answered / called_back',
    ],
  ]
  for (const [name, legs, verdict] of calls) holds(t, name, legs, verdict)
})

await t.test(
  'one missed record makes the call missed, unless a person answered another',
  async t => {
    const ivr = { status: 'ANSWER', representative_name: 'External IVR' }
    const calls: [name: string, legs: Cdr[], verdict: string][] = [
      ['a machine first', [machine(), call()], 'missed / noanswer'],
      [
        'two machines',
        [machine(), machine({ type: '' }), call({ status: 'BUSY' })],
        'missed / busy',
      ],
      ['unclear and missed', [call({ status: 'EXIT' }), call()], 'missed / noanswer'],
      ['unclear and a machine', [call({ status: 'EXIT' }), machine()], 'answered / machine'],
      [
        'three ways',
        [call({ status: 'NEW' }), machine(), call({ status: 'CANCEL' })],
        'missed / cancel',
      ],
      [
        'a transfer that was not answered',
        [call({ status: 'BUSY' }), leg('XferCDR')],
        'missed / busy',
      ],
      [
        'a forward that was not answered',
        [call({ status: 'BUSY' }), leg('Auto forward')],
        'missed / busy',
      ],
      ['an IVR forwarded, not answered', [machine(), leg('Auto forward')], 'missed / noanswer'],
      [
        'forwarded to an outside phone',
        [machine(), leg('Auto forward', { direction: 'outgoing' })],
        'missed / noanswer',
      ],
      ['after an exit', [call({ status: 'EXIT' }), leg('Auto forward')], 'missed / noanswer'],
      [
        'to a mailbox',
        [machine(), leg('Auto forward', { status: 'VOICEMAIL' })],
        'missed / voicemail',
      ],
      ['from one machine to another', [machine(), leg('Auto forward', ivr)], 'answered / machine'],
      [
        'to an unclear end',
        [machine(), leg('Auto forward', { status: 'EXIT' })],
        'answered / machine',
      ],
      ['a person made the transfer', [machine(), leg('XferCDR')], 'answered / machine'],
      [
        'answered, with unknown caller and agent',
        [call(), noAgent(leg('New', { did: '', status: 'ANSWER', isAnswer: 1, duration: 9 }))],
        'missed / noanswer',
      ],
      ['tried to dial on', [call(), leg('Extension Outgoing')], 'missed / noanswer'],
      [
        'a talk between colleagues',
        [call(), leg('New', { direction: 'internal', status: 'ANSWER', extenUser: 'X' })],
        'missed / noanswer',
      ],
      [
        'one leg of the dialer',
        [call(), leg('Click2Call leg1', { status: 'ANSWER', extenUser: 'X' })],
        'missed / noanswer',
      ],
    ]
    for (const [name, legs, verdict] of calls) holds(t, name, legs, verdict)
  },
)

await t.test('a default value names no agent and no root', async t => {
  const forwarded = { type: 'Auto forward', ivruniqueid: 'F' }
  for (const value of [false, 'false', 'N.A.', '#N/A', '\\N', '0.0', '[]', 'unknown', NIL_GUID]) {
    const name = JSON.stringify(value)
    const ivr = call({ status: 'ANSWER', extenUser: value })
    const unanswered = leg('Auto forward', { extenUser: value })
    holds(t, name, [ivr, unanswered], 'missed / noanswer')
    holds(t, name, [call({ callerextension: value })], 'missed / noanswer')
    holds(t, name, [call({ ...forwarded, OriginalIvrUniqueID: value })], 'missed / noanswer')
  }
})

await t.test("the missed record is the customer's own call", async t => {
  const missedIn = (legs: Cdr[]): Cdr | null => {
    const verdict = verdictOf(legs)
    return verdict.verdict === 'missed' ? verdict.missed : null
  }
  const root = call({ status: 'BUSY' })
  const toColleague = leg('XferCDR', { caller: 'KGpK4iWq', did: '' })
  for (const order of permutations([root, machine(), toColleague])) t.equal(missedIn(order), root)
  const forward = leg('Auto forward', { caller: OURS, did: OTHERS, status: 'BUSY' })
  const answered = machine()
  for (const order of permutations([answered, forward]))
    t.strictSame(
      missedIn(order),
      { ...answered, status: 'BUSY' },
      'with the status of the forwarded leg',
    )
  const first = call({ caller: '0523456789' })
  t.equal(missedIn([first, root]), first, 'the first of two')
  t.equal(missedIn([root, first]), root, 'the first of two')
})

await t.test('a repeated record, or one with more fields, changes nothing', async t => {
  for (const [record, verdict] of [
    [call(), 'missed / noanswer'],
    [agent(), 'answered / agent'],
    [machine(), 'answered / machine'],
    [call({ type: 'Extension Outgoing' }), 'not_inbound / outgoing'],
    [leg('XferCDR'), 'unknown / waiting_for_root'],
  ] as const)
    holds(t, 'three times', [record, record, { ...record, talkSeconds: 1 }], verdict)
})

// Whose number was dialled?

await t.test('a call to another number is unmatched, whatever its status', async t => {
  for (const did of [OTHERS, ''])
    for (const leg of [
      call({ did, direction: 'incoming' }),
      agent({ did }),
      machine({ did }),
      call({ did, status: 'EXIT' }),
      call({ did, status: 'CANCEL', dialtime: 0 }),
    ])
      holds(t, did, [leg], 'unmatched_number / number_dialled', { minRing: 4 })
  const answeredElsewhere = [
    call({ did: OTHERS }),
    leg('XferCDR', { did: OTHERS, status: 'ANSWER' }),
  ]
  holds(t, 'two records', answeredElsewhere, 'unmatched_number / number_dialled')
  holds(t, 'one record has our number', [call({ did: OTHERS }), call()], 'missed / noanswer')
})

await t.test('not_inbound is decided before unmatched_number', async t => {
  for (const [type, kind] of NOT_INBOUND)
    holds(t, type, [call({ type, did: OTHERS })], `not_inbound / ${kind}`)
  holds(t, 'waiting', [leg('XferCDR', { did: OTHERS })], 'unknown / waiting_for_root')
  const ours = call({ type: 'Extension Outgoing' })
  const theirs = leg('New', { direction: 'incoming', did: OTHERS })
  holds(
    t,
    'the number of an outgoing call does not count',
    [ours, theirs],
    'unmatched_number / number_dialled',
  )
})

// The samples

const sample = (file: string): Cdr => {
  const url = new URL(`../fixtures/voicenter/${file}`, import.meta.url)
  const body = readBody(readFileSync(url))
  const element = 'elements' in body ? body.elements[0] : undefined
  if (!element || 'wrong' in element) throw new Error(`${file} is not a record`)
  return cdrOf(element.record)
}

await t.test('the verdict on each sample record', async t => {
  const rows: [file: string, verdict: string, caller: string | null][] = [
    ['missed-callid-shape.json', 'missed / noanswer', '+972502345678'],
    ['missed-noanswer.json', 'missed / noanswer', '+972523456789'],
    ['missed-abandone-queue.json', 'missed / abandone', '+972542345678'],
    ['missed-withheld.json', 'missed / noanswer', null],
    ['missed-landline.json', 'missed / cancel', '+97231234567'],
    ['missed-form-encoded.txt', 'missed / busy', '+972542345678'],
    ['queue-answer.json', 'answered / answer', '+972501234567'],
    ['answered-by-agent.json', 'answered / agent', '+972502345678'],
    ['transfer-root.json', 'answered / agent', '+972523456789'],
    ['transfer-leg.json', 'unknown / waiting_for_root', '+972523456789'],
    ['outgoing-answer.json', 'not_inbound / outgoing', '+972722776772'],
    ['outgoing-callback-answered.json', 'not_inbound / outgoing', '+972722776772'],
  ]
  for (const [file, verdict, e164] of rows) {
    const leg = sample(file)
    holds(t, file, [leg], verdict)
    const phone = readPhone(leg.caller)
    t.strictSame(phone, e164 ? { kind: 'number', e164 } : { kind: 'withheld' }, `${file}: caller`)
  }
  holds(
    t,
    'transfer',
    [sample('transfer-root.json'), sample('transfer-leg.json')],
    'answered / agent',
  )
  const reached = readPhone(reachedIn(sample('outgoing-callback-answered.json')))
  t.strictSame(
    reached,
    readPhone(sample('missed-noanswer.json').caller),
    'the caller was called back',
  )
})

const inOrderOf =
  (legs: readonly Leg[]) =>
  (a: Leg, b: Leg): number =>
    legs.indexOf(a) - legs.indexOf(b)

await t.test('of a large call, the deciding records give the verdict of all', async t => {
  const lines = new Set(['+972722776772', '+972722776773'])
  const rules = {
    missedStatuses: ['NOANSWER', 'CANCEL'],
    minRingSeconds: 5,
    isOurs: usesNumberOf(lines),
    isOwnLine: (e164: string) => lines.has(e164),
    timezone: 'Asia/Jerusalem',
  }
  const receivedAt = new Date('2026-11-30T12:00:00Z')
  const record = fc.record({
    ivruniqueid: fc.constantFrom('root', 'a', 'b'),
    OriginalIvrUniqueID: fc.constantFrom('root', 'root', ''),
    type: fc.oneof(
      fc.constantFrom('Queue', 'XferCDR', 'Auto forward'),
      fc.constantFrom('Incoming Call', 'VoiceMail', 'CC', 'odd', 'Click 2 Queue Incoming'),
      fc.constantFrom('Extension Outgoing', 'Click2Call leg1'),
    ),
    direction: fc.constantFrom('', '', 'outgoing', 'incoming', 'internal'),
    status: fc.constantFrom('NOANSWER', 'ANSWER', 'CANCEL', 'BUSY', 'ABANDONE', 'odd'),
    caller: fc.constantFrom('0502345678', 'anonymous', '', '0722776773'),
    did: fc.constantFrom('0722776772', '0722776773', '035551234', ''),
    target: fc.constantFrom('', '0541112233', '0722776772'),
    targetextension: fc.constantFrom('', '', 'SIP1'),
    dialtime: fc.constantFrom(0, 3, 20),
    duration: fc.constantFrom(0, 40),
    time: fc.integer({ min: 1_796_040_000, max: 1_796_040_030 }),
  })
  const read = (records: readonly JsonObject[]) =>
    records.flatMap((record): Leg[] => {
      const result = readCdr(record)
      return 'cdr' in result ? [legOf(result.cdr, receivedAt)] : []
    })
  let compared = 0
  fc.assert(
    fc.property(
      fc.array(record, { minLength: 3, maxLength: 40 }),
      fc.integer({ min: 1, max: 9 }),
      fc.boolean(),
      (records, size, hasWaited) => {
        const legs = read(records)
        let deciding: Leg[] = []
        for (let from = 0; from < legs.length; from += size)
          deciding = decidingLegs(
            byStart([...deciding, ...legs.slice(from, from + size)].toSorted(inOrderOf(legs))),
            rules,
          )
        if (legs.length < 3) return
        compared++
        assert.deepStrictEqual(
          classify(completeLegs(deciding, rules.isOwnLine), rules, hasWaited),
          classify(completeLegs(legs, rules.isOwnLine), rules, hasWaited),
        )
        assert.ok(deciding.length <= 50, `${deciding.length} decide`)
      },
    ),
    { numRuns: 500, includeErrorInReport: true },
  )
  t.ok(compared > 300, `${compared} calls`)
})
