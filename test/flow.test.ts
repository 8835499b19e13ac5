/** The whole flow, from Voicenter's request to the message on the caller's phone. */
import t from 'tap'
import {
  business,
  customer,
  db,
  fake,
  jobs,
  messagesOf,
  missedCall,
  OK,
  outreachOf,
  post,
  verdictsOf,
  work,
  workAsIfDue,
} from './support/ringback.ts'
import { push } from '../scripts/demo/cdr.ts'

t.test('a missed call becomes one WhatsApp message, two minutes later', async t => {
  const { tenantId, token, did, line } = await business()
  const dana = customer()
  const record = push({ caller: dana.local, did })
  const callId = record.ivruniqueid

  t.strictSame(await post(record, { token }), OK, 'Voicenter gets OK')
  const [raw] = await db.selectFrom('raw_cdrs').selectAll().where('call_id', '=', callId).execute()
  t.match(
    raw,
    { tenant_id: tenantId, payload: record, deliveries: 1, verdict: null },
    'the record is stored',
  )
  t.equal(raw?.body?.toString(), JSON.stringify(record), 'with its bytes as received')
  t.strictSame((await jobs(`voicenter_cdr:${callId}`)).length, 1, 'together with its job')

  await work()
  t.strictSame(await verdictsOf(tenantId, callId), [['missed', 'noanswer']])
  const call = await missedCall(tenantId, callId)
  t.match(call, {
    caller_phone: dana.e164,
    business_phone: line,
    status: 'NOANSWER',
    outreach_state: 'scheduled',
    outreach_reason: 'waiting',
  })
  t.equal(
    Number(call?.outreach_due_at) - Number(call?.created_at),
    120_000,
    'due two minutes after it was recorded',
  )
  const [job] = await jobs(`lead_outreach:${call?.id}`)
  t.strictSame(job?.run_at, call?.outreach_due_at, 'its job is due at the same time')
  t.strictSame(fake.inbox(dana.e164), [], 'nothing has been sent yet')

  await work()
  t.strictSame(fake.inbox(dana.e164), [], 'and nothing is sent before it is due')

  await workAsIfDue()
  const inbox = fake.inbox(dana.e164)
  t.equal(inbox.length, 1, 'the caller gets one message')
  t.match(inbox[0], { template: { name: 'ringback_missed_call' } })
  t.strictSame(await outreachOf(tenantId, callId), ['sent', 'accepted'])
  const messages = await messagesOf(tenantId)
  t.strictSame(
    messages.map(({ kind, state }) => [kind, state]),
    [
      ['initial', 'accepted'],
      ['reminder_1', 'scheduled'],
      ['reminder_2', 'scheduled'],
    ],
  )
  t.match(await db.selectFrom('leads').selectAll().where('phone', '=', dana.e164).execute(), [
    { state: 'contacted', missed_call_count: 1 },
  ])

  t.strictSame(await post(record, { token }), OK, 'the same record a day later')
  await workAsIfDue()
  t.equal(fake.inbox(dana.e164).length, 1, 'changes nothing')
  t.equal((await jobs(`voicenter_cdr:${callId}`)).length, 0)
})
