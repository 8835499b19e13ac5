/** A reply, or a word from the owner, ends what is pending; each at its own business. */
import { test } from 'tap'
import {
  business,
  type Business,
  customer,
  db,
  fake,
  jobs,
  messagesOf,
  outreachOf,
} from '../support/ringback.ts'
import {
  contacted,
  eventsOf,
  happens,
  outcomesOf,
  receivedBy,
  storyOf,
} from '../support/whatsapp.ts'
import {
  addStrayJobs,
  dueSince,
  messagesAfter,
  miss,
  requestsOf,
  until,
  waitingFor,
} from './support.ts'

const says = ({ phoneNumberId }: Business, from: string, text = 'אני כאן') =>
  happens({ kind: 'text', text, from, phoneNumberId })

await test('a reply before the first message is due cancels it', async t => {
  const shop = await business()
  const dana = customer()
  const { id } = await miss(shop, dana.local)
  await says(shop, dana.e164)
  t.strictSame(await storyOf(shop, dana.e164), ['replied', 'cancelled / replied', null])
  t.strictSame(await jobs(`lead_outreach:${id}`), [])

  await addStrayJobs(id)
  await dueSince(id)
  t.strictSame(requestsOf(shop), [], 'not even when a job is left')
  t.strictSame(await messagesAfter(id), [])
})

for (const [what, outcome, call, message] of [
  ['accepted', { kind: 'accept', delayMs: 400 }, 'sent / accepted', 'accepted'],
  [
    'refused for now',
    { kind: 'error', code: 131000, delayMs: 400 },
    'cancelled / replied',
    'cancelled',
  ],
  ['refused', { kind: 'error', code: 131026, delayMs: 400 }, 'failed / refused', 'failed'],
  ['lost', { kind: 'cut', delayMs: 400 }, 'unknown / no_answer', 'unknown'],
] as const)
  await test(`a reply while the first message is sent, which is then ${what}`, async t => {
    const shop = await business()
    const dana = customer()
    const { id } = await miss(shop, dana.local)
    fake.script({ to: dana.e164, outcome })
    const done = dueSince(id)
    await until(() => requestsOf(shop).length === 1)
    await says(shop, dana.e164)
    await done
    t.strictSame(await storyOf(shop, dana.e164), ['replied', call, 'replied / replied'])
    t.match(await messagesAfter(id), [
      ['initial', message],
      ['inbound', 'received'],
    ])
    t.strictSame(await waitingFor(shop.tenantId), [])
    await addStrayJobs(id)
    await dueSince(id)
    t.equal(requestsOf(shop).length, 1)
  })

await test('the name under which she writes is remembered', async t => {
  const shop = await business()
  const dana = await contacted(shop)
  fake.setPerson({ phone: dana.e164, name: 'דנה כהן' })
  await says(shop, dana.e164)
  t.match(await messagesOf(shop.tenantId), [
    {},
    {},
    {},
    { kind: 'inbound', wa_id: dana.e164.slice(1) },
  ])
  t.match(
    await db.selectFrom('leads').select('name').where('tenant_id', '=', shop.tenantId).execute(),
    [{ name: 'דנה כהן' }],
  )
})

await test('the owner wrote by hand: what is pending ends, and she has not answered', async t => {
  const shop = await business()
  const { phoneNumberId } = shop
  const [dana, ruth] = [await contacted(shop), customer()]
  const { id, callId } = await miss(shop, ruth.local)
  for (const to of [dana.e164, ruth.e164])
    await happens({ kind: 'echo', to, text: 'היי, כאן נועה', phoneNumberId })

  t.strictSame(await storyOf(shop, dana.e164), [
    'contacted',
    'sent / accepted',
    'stopped / owner_replied',
  ])
  t.match(await messagesAfter(dana.id), [
    ['initial', 'accepted'],
    ['reminder_1', 'cancelled', 'owner_replied'],
    ['reminder_2', 'cancelled', 'owner_replied'],
  ])
  t.strictSame(await outreachOf(shop.tenantId, callId), ['cancelled', 'owner_replied'])
  t.strictSame(await jobs(`lead_outreach:${id}`), [])
  t.strictSame(await waitingFor(shop.tenantId), [])
  t.strictSame(await receivedBy(shop), [])

  await says(shop, dana.e164)
  t.match(await storyOf(shop, dana.e164), ['replied'], 'until she does')
})

await test('the owner wrote to somebody who never called', async t => {
  const shop = await business()
  const { phoneNumberId } = shop
  await happens({ kind: 'echo', to: customer().e164, text: 'היי', phoneNumberId })
  t.strictSame(await outcomesOf(shop), ['echo unassigned'])
})

await test('one customer of two businesses, in one batch: each hears only what is its own', async t => {
  const [one, other] = [await business(), await business()]
  const dana = customer()
  const [atOne, atOther] = [await contacted(one, dana), await contacted(other, dana)]
  const { phoneNumberId } = one
  const [id] = await happens([
    { kind: 'text', text: 'רק לנועה', from: dana.e164, phoneNumberId },
    { kind: 'echo', text: 'שלום', to: customer().e164, phoneNumberId: other.phoneNumberId },
  ])
  t.equal(fake.deliveries().at(-1)?.updates, 2, 'one POST')
  t.match(await storyOf(one, dana.e164), ['replied'])
  t.strictSame(await storyOf(other, dana.e164), ['contacted', 'sent / accepted', 'open / '])
  t.equal((await waitingFor(other.tenantId)).length, 2)
  t.notMatch(JSON.stringify(await eventsOf(other.tenantId)), 'רק לנועה')
  t.strictSame(await receivedBy(other), [])
  t.match(await eventsOf(one.tenantId), [{ payload: { item: { id } } }])

  await happens({
    kind: 'text',
    text: 'אל שתיכן',
    from: dana.e164,
    context: atOne.wamid,
    phoneNumberId: other.phoneNumberId,
  })
  t.match(await storyOf(other, dana.e164), ['replied'], 'known by her number')
  t.notSame(atOne.wamid, atOther.wamid)
})

await test('whoever is known to one business only is a stranger to the other', async t => {
  const [one, other] = [await business(), await business()]
  const { phoneNumberId } = other
  const [dana, ruth] = [await contacted(one), customer()]
  const { callId } = await miss(one, ruth.local)
  for (const { e164 } of [dana, ruth])
    await happens([
      { kind: 'text', text: 'אני', from: e164, context: dana.wamid, phoneNumberId },
      { kind: 'text', text: 'אני', from: e164, phoneNumberId },
      { kind: 'echo', text: 'היי', to: e164, phoneNumberId },
      { kind: 'user_preferences', value: 'stop', from: e164, phoneNumberId },
      { kind: 'text', text: 'הסר', from: e164, phoneNumberId },
    ])
  t.strictSame(await storyOf(one, dana.e164), ['contacted', 'sent / accepted', 'open / '])
  t.strictSame(await outreachOf(one.tenantId, callId), ['scheduled', 'waiting'])
  t.equal((await waitingFor(one.tenantId)).length, 3)
  t.strictSame(await receivedBy(one), [])
  t.ok((await receivedBy(other)).every(([, isKnown]) => !isKnown))
  t.equal(requestsOf(one).length, 1, 'and is told nothing more by the first')
})
