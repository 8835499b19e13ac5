import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { readPhone } from '../../app/phone.ts'
import { readBody, type Cdr, readCdr } from '../../app/voicenter/parse.ts'
import type { JsonObject } from '../../app/json.ts'
import {
  answeredBy,
  classify,
  reachedIn,
  statusOf,
  type Verdict,
} from '../../app/voicenter/classify.ts'

const OURS = '0722776772'
const OTHERS = '0732791800'
const CALLER = '0502345678'

/** The statuses that count as missed unless a business says otherwise, from where they are kept. */
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

/** A customer's call that nobody took. */
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
/** The same without any agent field, as records with CallID and published queue records have it. */
const noAgentField = (fields: JsonObject = {}): Cdr => noAgent(call(fields))
const noAgent = (leg: Cdr): Cdr => {
  const { agent: _, ...rest } = leg
  return rest
}
/** Another record of that call. */
const part = (type: string, fields: JsonObject = {}): Cdr =>
  call({ ivruniqueid: `part of ${type}`, OriginalIvrUniqueID: 'R', type, ...fields })
const agent = (fields: JsonObject = {}): Cdr =>
  call({ status: 'ANSWER', extenUser: 'KGpK4iWq', ...fields })
const machine = (fields: JsonObject = {}): Cdr => call({ status: 'ANSWER', ...fields })

type Options = { missed?: readonly string[]; minRing?: number }

const verdictOf = (legs: Cdr[], { missed = DEFAULT, minRing = 0 }: Options = {}): Verdict<Cdr> =>
  classify(legs, {
    missedStatuses: missed,
    minRingSeconds: minRing,
    isOurs: leg => leg.did === OURS,
  })

const inWords = ({ verdict, reason }: { verdict: string; reason: string }) =>
  `${verdict} / ${reason}`

const permutations = <Item>(items: readonly Item[]): Item[][] =>
  items.length < 2
    ? [[...items]]
    : items.flatMap((item, i) => permutations(items.toSpliced(i, 1)).map(rest => [item, ...rest]))

/** In whichever order the records stand. */
const holds = (t: Test, name: string, legs: Cdr[], wanted: string, options?: Options) => {
  for (const order of permutations(legs)) {
    const found = inWords(verdictOf(order, options))
    const types = order.map(({ type, status }) => `${type} ${status}`).join(', ')
    t.equal(found, wanted, `${name}: ${types}`)
  }
}

await t.test('the statuses of a business are those of its table', async t => {
  t.equal(DEFAULT.length, 12)
})

// Whose call it was.

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

await t.test('a call that no customer made is not inbound, however it ended', async t => {
  for (const [type, kind] of NOT_INBOUND)
    for (const status of ['NOANSWER', 'ANSWER', 'ABANDONE', 'VOICEMAIL', 'NEVERHEARDOF'])
      for (const did of ['', OURS, OTHERS])
        for (const extenUser of ['', 'KGpK4iWq'])
          holds(t, kind, [call({ type, status, did, extenUser })], `not_inbound / ${kind}`)
  for (const direction of ['outgoing', 'internal'])
    for (const type of ['Incoming Call', 'Queue', 'VoiceMail', 'Something New', ''])
      holds(t, direction, [call({ type, direction })], `not_inbound / ${direction}`)
})

await t.test('a call that a customer made can be missed', async t => {
  for (const type of ['Incoming Call', 'Queue', '1', '8'])
    holds(t, type, [call({ type })], 'missed / noanswer')
  for (const type of ['VoiceMail', '11']) holds(t, type, [call({ type })], 'missed / voicemail')
  // The direction wins, except over what the dialer made or somebody handed on.
  for (const type of ['Extension Outgoing', 'CC', 'FaxCdr', 'Something New', ''])
    holds(t, type, [call({ type, direction: 'incoming' })], 'missed / noanswer')
  for (const type of ['Click 2 IVR Incoming', 'Click2Call leg1', 'ProductiveCall Leg1'])
    holds(t, type, [call({ type, direction: 'incoming' })], 'not_inbound / dialer')
  holds(t, 'no type, no direction', [noAgentField({ type: '' })], 'missed / noanswer')
})

await t.test('a record that tells nothing of its direction is unknown', async t => {
  holds(t, 'no number dialled', [call({ type: '', did: '' })], 'unknown / unknown_direction')
  holds(
    t,
    'an extension',
    [call({ type: 'New', callerextension: 'X' })],
    'unknown / unknown_direction',
  )
  holds(t, 'answered', [agent({ type: '', did: '' })], 'unknown / unknown_direction')
})

await t.test('a part that was handed on never opens a case alone', async t => {
  const WAITING = 'unknown / waiting_for_root'
  const parts = ['XferCDR', 'Attended CDR leg1', 'Attended CDR leg2', '13', '21', '22']
  for (const type of parts)
    for (const status of ['NOANSWER', 'ANSWER', 'BUSY', 'VOICEMAIL', 'NEVERHEARDOF'])
      for (const direction of ['', 'incoming', 'internal'])
        holds(t, direction, [part(type, { status, direction })], WAITING)
  for (const type of ['Auto forward', '23']) {
    for (const direction of ['', 'internal', 'sideways'])
      holds(t, direction, [part(type, { direction })], WAITING)
    holds(t, 'answered', [part(type, { direction: 'incoming', status: 'ANSWER' })], WAITING)
    const withAgent = { direction: 'incoming', extenUser: 'KGpK4iWq', isAnswer: 1 }
    holds(t, 'answered', [part(type, withAgent)], WAITING)
  }
  const two = [part('XferCDR'), part('Attended CDR leg1', { status: 'ANSWER' })]
  holds(t, 'two parts', two, WAITING)
  for (const type of parts) holds(t, 'no root named', [call({ type })], WAITING)
  for (const status of ['NOANSWER', 'ANSWER'])
    holds(t, status, [call({ type: 'Click 2 Queue Incoming', status })], 'unknown / click_to_queue')
})

await t.test('an incoming call that was forwarded opens a case only without its root', async t => {
  const forward = part('Auto forward', { direction: ' Incoming ' })
  holds(t, 'alone', [forward], 'missed / noanswer')
  holds(t, 'with a transfer', [forward, part('XferCDR', { status: 'BUSY' })], 'missed / noanswer')
  holds(
    t,
    'at an end nobody knows',
    [part('Auto forward', { direction: 'incoming', status: 'EXIT' })],
    'unknown / exit',
  )
  holds(
    t,
    'answered elsewhere',
    [forward, part('XferCDR', { status: 'ANSWER' })],
    'answered / transfer',
  )
  holds(t, 'its root was answered', [forward, agent()], 'answered / agent')
  const outgoing = call({ type: 'Extension Outgoing', did: '' })
  holds(t, 'its root was our own call', [forward, outgoing], 'not_inbound / outgoing')
  const unclear = call({ type: '', did: '' })
  holds(t, 'nobody knows its root', [forward, unclear], 'unknown / unknown_direction')
})

await t.test('what was handed on out of a call of our own is not inbound', async t => {
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
          holds(t, kind, [root, part(type, { status, direction })], `not_inbound / ${kind}`)
  // Not its root, so the root may still be a customer's.
  const other = part('Extension Outgoing', { did: '' })
  holds(t, 'no root', [other, part('XferCDR')], 'unknown / waiting_for_root')
  holds(t, 'nor anything else', [other], 'not_inbound / outgoing')
})

// How it ended.

const MISSED =
  'ABANDONE NOANSWER CANCEL BUSY TIMEOUT FULL JOINEMPTY CONGESTION CHANUNAVAIL INVALIDARGS SSWPREAUTH VOICEMAIL'
const NOT_KNOWN = 'EXIT VOEND TE NOTCALLED NOTDIALED'

await t.test('these statuses are missed calls', async t => {
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

await t.test('these statuses leave it open, unless the business counts them', async t => {
  for (const status of NOT_KNOWN.split(' ')) {
    const reason = status.toLowerCase()
    holds(t, 'default', [call({ status })], `unknown / ${reason}`)
    holds(t, 'counted', [call({ status })], `missed / ${reason}`, { missed: [...DEFAULT, status] })
    holds(t, 'with an agent', [call({ status, extenUser: 'X' })], `unknown / ${reason}`)
    const talked = call({ status, extenUser: 'X', isAnswer: 1 })
    holds(t, 'answered after all', [talked], 'answered / agent', { missed: [...DEFAULT, status] })
  }
})

await t.test('a status that nobody has heard of is unknown', async t => {
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

await t.test('statuses are read in every spelling', async t => {
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
    t.equal(verdict, 'missed', `${written}, as a business may have written it`)
  }
  holds(t, 'answered', [agent({ status: 'ANSWERED' })], 'answered / agent')
})

await t.test('each business says which statuses it counts', async t => {
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

// Who answered.

await t.test('a person answered', async t => {
  const rows: [name: string, leg: Cdr, reason: string][] = [
    ['agent and status', call({ status: 'ANSWER', extenUser: 'X' }), 'agent'],
    ['the other agent field', call({ status: 'ANSWER', targetextension: 'X' }), 'agent'],
    ['agent and isAnswer', call({ extenUser: 'X', isAnswer: 1 }), 'agent'],
    ['agent, whatever the status', call({ extenUser: 'X', isAnswer: 1, status: 'NEW' }), 'agent'],
    [
      'agent, though voicemail',
      call({ type: 'VoiceMail', status: 'ANSWER', extenUser: 'X' }),
      'agent',
    ],
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
    ['isAnswer, talk time not told', noAgentField({ isAnswer: 1 }), 'missed / noanswer'],
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
    t.equal(reachedIn(leg), null, `${name}: nobody was reached`)
    holds(t, name, [leg], verdict)
  }
})

await t.test('a business may count what a machine answered', async t => {
  const missed = [...DEFAULT, 'ANSWER']
  holds(t, 'a machine', [machine()], 'missed / answer', { missed })
  holds(t, 'a person', [agent()], 'answered / agent', { missed })
  holds(t, 'a queue', [noAgentField({ type: 'Queue', status: 'ANSWER' })], 'answered / answer', {
    missed,
  })
})

await t.test('a caller who hung up too soon misdialled', async t => {
  const ring = (seconds: number | null, status = 'CANCEL') => [call({ status, dialtime: seconds })]
  holds(t, 'no minimum', ring(0), 'missed / cancel')
  holds(t, 'too short', ring(3), 'unknown / short_ring', { minRing: 4 })
  holds(t, 'not at all', ring(0), 'unknown / short_ring', { minRing: 1 })
  holds(t, 'long enough', ring(4), 'missed / cancel', { minRing: 4 })
  holds(t, 'not told', ring(null), 'missed / cancel', { minRing: 4 })
  holds(t, 'only a caller hangs up', ring(0, 'NOANSWER'), 'missed / noanswer', { minRing: 4 })
  holds(t, 'nor in a queue', ring(0, 'ABANDONE'), 'missed / abandone', { minRing: 4 })
  holds(t, 'not counted at all', ring(0), 'unknown / cancel', { missed: [], minRing: 4 })
  holds(t, 'another ring was longer', [...ring(0), call({ dialtime: 9 })], 'missed / noanswer', {
    minRing: 4,
  })
})

await t.test('somebody who was called back was reached, by the number that was called', async t => {
  const own = { caller: OURS, target: '0523456789', did: '' }
  for (const type of ['Extension Outgoing', 'Click2Call leg2', 'ProductiveCall Leg2']) {
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
  t.equal(reachedIn(unclear), null, 'in a call of which nobody knows who made it')
  const outside = part('XferCDR', { status: 'ANSWER', direction: 'outgoing', caller: OURS })
  t.equal(reachedIn(outside), null, 'in a part whose caller may be a colleague')
})

// The whole call.

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
    ['a transfer', [call(), part('XferCDR', { status: 'ANSWER' })], 'answered / transfer'],
    ['attended', [call(), part('Attended CDR leg2', { status: 'ANSWER' })], 'answered / transfer'],
    ['a forward', [call(), part('Auto forward', { status: 'ANSWER' })], 'answered / transfer'],
    [
      'a forward to an outside phone',
      [call(), part('Auto forward', outside)],
      'answered / transfer',
    ],
    ['a transfer to an outside phone', [call(), part('XferCDR', outside)], 'answered / transfer'],
    [
      'dialled on',
      [call(), part('Extension Outgoing', { status: 'ANSWER' })],
      'answered / called_back',
    ],
    [
      'of a type nobody knows',
      [call(), part('New', { did: '', status: 'ANSWER', extenUser: 'X' })],
      'answered / agent',
    ],
    ['lost after the agent', [agent(), part('XferCDR'), part('Auto forward')], 'answered / agent'],
    [
      'one of four',
      [
        machine(),
        call({ status: 'EXIT' }),
        part('Auto forward'),
        part('XferCDR', { status: 'ANSWER' }),
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

await t.test('one missed record makes a missed call, if no person answered another', async t => {
  const ivr = { status: 'ANSWER', representative_name: 'External IVR' }
  const calls: [name: string, legs: Cdr[], verdict: string][] = [
    ['a machine first', [machine(), call()], 'missed / noanswer'],
    ['two machines', [machine(), machine({ type: '' }), call({ status: 'BUSY' })], 'missed / busy'],
    ['unclear and missed', [call({ status: 'EXIT' }), call()], 'missed / noanswer'],
    ['unclear and a machine', [call({ status: 'EXIT' }), machine()], 'answered / machine'],
    [
      'three ways',
      [call({ status: 'NEW' }), machine(), call({ status: 'CANCEL' })],
      'missed / cancel',
    ],
    ['a transfer in vain', [call({ status: 'BUSY' }), part('XferCDR')], 'missed / busy'],
    ['a forward in vain', [call({ status: 'BUSY' }), part('Auto forward')], 'missed / busy'],
    ['an IVR forwarded in vain', [machine(), part('Auto forward')], 'missed / noanswer'],
    [
      'outwards too',
      [machine(), part('Auto forward', { direction: 'outgoing' })],
      'missed / noanswer',
    ],
    ['after an exit', [call({ status: 'EXIT' }), part('Auto forward')], 'missed / noanswer'],
    [
      'to a mailbox',
      [machine(), part('Auto forward', { status: 'VOICEMAIL' })],
      'missed / voicemail',
    ],
    ['from one machine to another', [machine(), part('Auto forward', ivr)], 'answered / machine'],
    [
      'to an unclear end',
      [machine(), part('Auto forward', { status: 'EXIT' })],
      'answered / machine',
    ],
    ['a person made the transfer', [machine(), part('XferCDR')], 'answered / machine'],
    [
      'answered, by whom and to whom nobody knows',
      [call(), noAgent(part('New', { did: '', status: 'ANSWER', isAnswer: 1, duration: 9 }))],
      'missed / noanswer',
    ],
    ['tried to dial on', [call(), part('Extension Outgoing')], 'missed / noanswer'],
    [
      'a talk between colleagues',
      [call(), part('New', { direction: 'internal', status: 'ANSWER', extenUser: 'X' })],
      'missed / noanswer',
    ],
    [
      'one leg of the dialer',
      [call(), part('Click2Call leg1', { status: 'ANSWER', extenUser: 'X' })],
      'missed / noanswer',
    ],
  ]
  for (const [name, legs, verdict] of calls) holds(t, name, legs, verdict)
})

await t.test("the record that says missed is the customer's own call", async t => {
  const missedIn = (legs: Cdr[]): Cdr | null => {
    const verdict = verdictOf(legs)
    return verdict.verdict === 'missed' ? verdict.missed : null
  }
  const root = call({ status: 'BUSY' })
  const toColleague = part('XferCDR', { caller: 'KGpK4iWq', did: '' })
  for (const order of permutations([root, machine(), toColleague])) t.equal(missedIn(order), root)
  const forward = part('Auto forward', { caller: OURS, did: OTHERS, status: 'BUSY' })
  const answered = machine()
  for (const order of permutations([answered, forward]))
    t.strictSame(missedIn(order), { ...answered, status: 'BUSY' }, 'with how it ended')
  const first = call({ caller: '0523456789' })
  t.equal(missedIn([first, root]), first, 'of two the first')
  t.equal(missedIn([root, first]), root, 'of two the first')
})

await t.test('a record that came twice, or with more in it, changes nothing', async t => {
  for (const [leg, verdict] of [
    [call(), 'missed / noanswer'],
    [agent(), 'answered / agent'],
    [machine(), 'answered / machine'],
    [call({ type: 'Extension Outgoing' }), 'not_inbound / outgoing'],
    [part('XferCDR'), 'unknown / waiting_for_root'],
  ] as const)
    holds(t, 'three times', [leg, leg, { ...leg, talkSeconds: 1 }], verdict)
})

// Whose number was dialled.

await t.test('a call to a number of nobody is not matched, however it ended', async t => {
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
    part('XferCDR', { did: OTHERS, status: 'ANSWER' }),
  ]
  holds(t, 'two records', answeredElsewhere, 'unmatched_number / number_dialled')
  holds(t, 'one of them ours', [call({ did: OTHERS }), call()], 'missed / noanswer')
})

await t.test('whether a customer called is asked before whose number it was', async t => {
  for (const [type, kind] of NOT_INBOUND)
    holds(t, type, [call({ type, did: OTHERS })], `not_inbound / ${kind}`)
  holds(t, 'waiting', [part('XferCDR', { did: OTHERS })], 'unknown / waiting_for_root')
  const ours = call({ type: 'Extension Outgoing' })
  const theirs = part('New', { direction: 'incoming', did: OTHERS })
  holds(t, 'our own call lends no number', [ours, theirs], 'unmatched_number / number_dialled')
})

// The samples.

const sample = (file: string): Cdr => {
  const url = new URL(`../fixtures/voicenter/${file}`, import.meta.url)
  const body = readBody(readFileSync(url))
  const element = 'elements' in body ? body.elements[0] : undefined
  if (!element || 'wrong' in element) throw new Error(`${file} is no record`)
  return cdrOf(element.record)
}

await t.test('every sample record is judged', async t => {
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
