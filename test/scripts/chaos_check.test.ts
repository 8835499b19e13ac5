/** npm run chaos counts at both ends: each broken promise is found when it is planted. */
import t from 'tap'
import { check } from '../../scripts/chaos/check.ts'
import type { Accepted, Evidence, Message } from '../../scripts/chaos/evidence.ts'

const CUSTOMER = '+972520000001'
const CALLED_AT = 1_000_000

const message = (changes: Partial<Message> = {}): Message => ({
  id: '7',
  tenantId: '1',
  phoneNumberId: '101',
  kind: 'initial',
  state: 'delivered',
  reason: null,
  conversationId: '3',
  missedCallId: '5',
  callState: 'sent',
  calledAt: CALLED_AT,
  phone: CUSTOMER,
  claimedAt: CALLED_AT + 3000,
  ...changes,
})
const accepted = (changes: Partial<Accepted> = {}): Accepted => ({
  wamid: 'wamid.1',
  messageId: '7',
  to: CUSTOMER,
  template: 'ringback_missed_call',
  phoneNumberId: '101',
  wordBroken: false,
  reported: ['sent', 'delivered'],
  ...changes,
})
/** A run in which one call was missed, written to, and all is well. */
const evidence = (changes: Partial<Evidence> = {}): Evidence => ({
  promised: [{ what: 'missed', kept: 'raw', tenantId: '1', hash: 'a', acknowledged: 2 }],
  stored: [{ kept: 'raw', tenantId: '1', hash: 'a', deliveries: 3 }],
  missedCalls: [{ id: '5', tenantId: '1', callId: 'x', state: 'sent' }],
  messages: [message()],
  accepted: [accepted()],
  wrongTokens: 0,
  stops: [],
  businesses: [
    { tenantId: '1', phoneNumberId: '101' },
    { tenantId: '2', phoneNumberId: '102' },
  ],
  customers: new Map([[CUSTOMER, new Set(['1'])]]),
  deadJobs: [],
  lockedJobs: [],
  leaks: [],
  ...changes,
})
const found = (changes: Partial<Evidence>): string => check(evidence(changes)).violations.join('\n')
const stop = (changes = {}) => ({
  tenantId: '1',
  phone: CUSTOMER,
  why: 'replied',
  upTo: CALLED_AT + 1000,
  seenAt: CALLED_AT + 2000,
  ...changes,
})

await t.test('a good run has no violations', t => {
  t.same(check(evidence()).violations, [])
  t.match(check(evidence()).counts, { stored: 1, accepted: 1, lost: 0, sentTwice: 0 })
  t.end()
})

await t.test('what was acknowledged is there, once, as often as it was acknowledged', t => {
  t.match(found({ stored: [] }), /acknowledged and not there/)
  t.equal(check(evidence({ stored: [] })).counts.lost, 1)
  t.match(
    found({ stored: [{ kept: 'raw', tenantId: '2', hash: 'a', deliveries: 3 }] }),
    /not there/,
  )
  t.match(
    found({ stored: [{ kept: 'rejected', tenantId: '1', hash: 'a', deliveries: 3 }] }),
    /not there/,
  )
  t.match(
    found({ stored: [{ kept: 'raw', tenantId: '1', hash: 'a', deliveries: 1 }] }),
    /counted 1 times/,
  )
  const row = { kept: 'raw' as const, tenantId: '1', hash: 'a', deliveries: 2 }
  t.match(found({ stored: [row, row] }), /stored 2 times/)
  t.match(found({ stored: [row, { ...row, hash: 'b' }] }), /nobody sent it/)
  t.end()
})

await t.test('a call is missed once', t => {
  const call = { id: '5', tenantId: '1', callId: 'x', state: 'sent' }
  t.match(found({ missedCalls: [call, { ...call, id: '6' }] }), /missed calls 5,6 are one call/)
  t.equal(found({ missedCalls: [call, { ...call, id: '6', tenantId: '2' }] }), '')
  t.end()
})

await t.test('nothing is sent twice, neither by our id nor to the person', t => {
  const again = accepted({ wamid: 'wamid.2' })
  t.match(found({ accepted: [accepted(), again] }), /message 7 was taken 2 times/)
  const twin = message({ id: '8', conversationId: '4' })
  const messages = [message(), twin]
  t.match(
    found({ messages, accepted: [accepted(), { ...again, messageId: '8' }] }),
    /got ringback_missed_call 2 times/,
  )
  t.equal(
    found({
      messages,
      accepted: [accepted({ reported: ['failed'] }), { ...again, messageId: '8' }],
    }),
    '',
    'the first did not arrive',
  )
  const broken = check(evidence({ accepted: [accepted({ wordBroken: true }), again] }))
  t.same(broken.violations, [], 'WhatsApp had said that it did not take the first')
  t.match(broken.counts, { sentTwice: 0, wordBroken: 1 })
  t.end()
})

await t.test('what WhatsApp took belongs to a message that says so', t => {
  t.match(found({ messages: [] }), /we know nothing of/)
  for (const state of ['scheduled', 'sending', 'cancelled', 'skipped', 'failed'])
    t.match(found({ messages: [message({ state })] }), /was taken by WhatsApp/, state)
  t.equal(
    found({
      messages: [message({ state: 'failed' })],
      accepted: [accepted({ reported: ['failed'] })],
    }),
    '',
  )
  t.match(found({ messages: [message({ callState: 'cancelled' })] }), /its call is cancelled/)
  t.end()
})

await t.test('an unknown message is listed, and settled where WhatsApp has reported on it', t => {
  const messages = [message({ state: 'unknown' })]
  const { violations, counts } = check(
    evidence({ messages, accepted: [accepted({ reported: [] })] }),
  )
  t.same(violations, [])
  t.same(
    counts.unknown.map(({ id }) => id),
    ['7'],
  )
  t.match(found({ messages }), /WhatsApp has reported on it/)
  t.end()
})

await t.test('nobody is written to in the name of another, nor instead of another', t => {
  t.match(found({ accepted: [accepted({ phoneNumberId: '102' })] }), /another business's name/)
  t.match(found({ accepted: [accepted({ to: '+972520000002' })] }), /somebody else/)
  t.match(found({ customers: new Map([[CUSTOMER, new Set(['2'])]]) }), /never called that business/)
  t.match(found({ wrongTokens: 1 }), /another number's token/)
  t.end()
})

await t.test('nothing goes to whoever was known not to want it, or to have been reached', t => {
  t.match(found({ stops: [stop()] }), /claimed after it was known that she had replied/)
  t.equal(found({ stops: [stop({ seenAt: CALLED_AT + 4000 })] }), '', 'known later')
  t.equal(found({ stops: [stop({ upTo: CALLED_AT - 1 })] }), '', 'she called again')
  t.equal(found({ stops: [stop({ tenantId: '2' })] }), '', 'at another business')
  t.end()
})

await t.test('jobs given up, jobs of the dead and leaks are found', t => {
  t.match(found({ deadJobs: ['voicenter_cdr:x'] }), /given up/)
  t.match(found({ lockedJobs: ['voicenter_cdr:x'] }), /locked/)
  t.match(found({ leaks: ['line 3 of copy-A.log: a phone number'] }), /a phone number/)
  t.end()
})
