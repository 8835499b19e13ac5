import { beforeEach, test } from 'tap'
import { startFakeWhatsApp } from '../../scripts/fake-whatsapp/server.ts'
import type { StatusPlanInput } from '../../scripts/fake-whatsapp/status-plan.ts'
import { dana, post, startReceiver, template } from './support.ts'

const fake = await startFakeWhatsApp()
beforeEach(fake.reset)

/** Sends one message to a business of its own and waits for everything that follows. */
const statusesOf = async (plan?: StatusPlanInput) => {
  const receiver = await startReceiver()
  const number = fake.addNumber({ callbackUrl: receiver.url })
  if (plan) fake.script({ statuses: plan })
  const answer = await post(fake, number, template(dana))
  const beforeResponse = receiver.received.length
  await fake.idle()
  receiver.close()
  const statuses = receiver.changes().flatMap(({ value }) => value.statuses ?? [])
  return { answer, number, receiver, beforeResponse, statuses }
}
const names = (statuses: Record<string, unknown>[]) => statuses.map(({ status }) => status)

await test('sent and delivered follow by themselves, after the response', async t => {
  const { statuses, receiver, beforeResponse, number } = await statusesOf()
  t.equal(beforeResponse, 0)
  const [message] = fake.inbox(dana)
  const common = {
    id: message?.wamid,
    recipient_id: dana.slice(1),
    biz_opaque_callback_data: '17',
    timestamp: /^\d{10}$/,
    pricing: { billable: true, pricing_model: 'PMP', type: 'regular', category: 'utility' },
  }
  t.match(statuses, [
    { ...common, status: 'sent' },
    { ...common, status: 'delivered' },
  ])
  t.equal(statuses.length, 2)
  t.match(receiver.changes()[0]?.value, {
    messaging_product: 'whatsapp',
    metadata: {
      display_phone_number: number.displayNumber.slice(1),
      phone_number_id: number.phoneNumberId,
    },
  })
  t.match(message?.statuses, [{ status: 'sent' }, { status: 'delivered' }])
})

await test('none, only sent, read without delivered', async t => {
  t.strictSame(names((await statusesOf([])).statuses), [])
  t.strictSame(names((await statusesOf(['sent'])).statuses), ['sent'])
  t.strictSame(names((await statusesOf(['sent', 'read'])).statuses), ['sent', 'read'])
})

await test('what the plan says decides at once whether the person has the message', async t => {
  const number = fake.addNumber()
  fake.script({ statuses: [{ status: 'failed', afterMs: 50 }] })
  fake.script({ statuses: ['failed', 'delivered'] })
  await post(fake, number, template(dana))
  t.equal(fake.inbox(dana).length, 0)
  await post(fake, number, template(dana))
  t.equal(fake.inbox(dana).length, 1)
})

await test('failed, with a code: the person never sees the message', async t => {
  const { statuses } = await statusesOf([{ status: 'failed', code: 131049 }])
  t.match(statuses, [{ status: 'failed', errors: [{ code: 131049, title: String, href: String }] }])
  t.notOk('pricing' in (statuses[0] ?? {}))
  t.strictSame(fake.inbox(dana), [])
  t.match(fake.accepted(), [{ received: false }])
})

await test('failed and delivered all the same: the person has it', async t => {
  await statusesOf(['failed', 'delivered'])
  t.match(fake.inbox(dana), [{ received: true }])
})

await test('before the HTTP response', async t => {
  const { beforeResponse, statuses, answer } = await statusesOf([
    'delivered',
    { status: 'sent', beforeResponse: true },
  ])
  t.equal(answer.status, 200)
  t.equal(beforeResponse, 1)
  t.strictSame(names(statuses), ['sent', 'delivered'])
})

await test('out of order, by their delays', async t => {
  const { statuses } = await statusesOf([
    { status: 'sent', afterMs: 60 },
    { status: 'delivered', afterMs: 1 },
  ])
  t.strictSame(names(statuses), ['delivered', 'sent'])
})

await test('copies come at the same time, or one after the other', async t => {
  let open = 0
  let most = 0
  const receiver = await startReceiver([], async () => {
    most = Math.max(most, ++open)
    // Long enough for the others to come, on a busy machine too.
    await new Promise(resume => setTimeout(resume, 500))
    open--
  })
  t.teardown(receiver.close)
  const number = fake.addNumber({ callbackUrl: receiver.url })
  fake.script({ statuses: [{ status: 'sent', copies: 4 }] })
  await post(fake, number, template(dana))
  await fake.idle()
  t.strictSame([receiver.received.length, most], [4, 4])
  most = 0
  fake.script({ statuses: [{ status: 'sent', copies: 3, together: false }] })
  await post(fake, number, template(dana))
  await fake.idle()
  t.strictSame([receiver.received.length, most], [7, 1])
})

await test('without the callback data, days late, and with fields of any kind', async t => {
  const { statuses } = await statusesOf([
    { status: 'sent', callbackData: false, agoSeconds: 3 * 86_400, fields: { pricing: null } },
  ])
  const [status] = statuses
  t.notOk('biz_opaque_callback_data' in (status ?? {}))
  t.equal(status?.pricing, null)
  t.ok(Math.abs(Number(status?.timestamp) + 3 * 86_400 - Date.now() / 1000) < 5)
})

await test('a status can be sent at any time, also of a message whose response was lost', async t => {
  fake.setStatuses([])
  const receiver = await startReceiver()
  t.teardown(receiver.close)
  const number = fake.addNumber({ callbackUrl: receiver.url })
  fake.script({ outcome: { kind: 'hang', accept: true } })
  await t.rejects(post(fake, number, template(dana)))
  const [message] = fake.inbox(dana)
  await fake.sendStatus(message?.wamid ?? '', { status: 'read' })
  t.match(receiver.changes(), [
    { value: { statuses: [{ status: 'read', biz_opaque_callback_data: '17' }] } },
  ])
  await t.rejects(fake.sendStatus('wamid.none', { status: 'read' }), /no such message/)
})

await fake.close()
