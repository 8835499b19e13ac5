/** "Stop" and "start", typed or tapped: a wish that holds from then on. */
import { test } from 'tap'
import { business, type Business, customer, fake, jobs, outreachOf } from '../support/ringback.ts'
import { contacted, happens, optOutsOf, receivedBy, storyOf } from '../support/whatsapp.ts'
import { addStrayReminders, leadsOf, messagesAfter, miss, waitingFor } from './support.ts'

const says = ({ phoneNumberId }: Business, from: string, text: string) =>
  happens({ kind: 'text', text, from, phoneNumberId })
const prefers = ({ phoneNumberId }: Business, from: string, value: 'stop' | 'resume') =>
  happens({ kind: 'user_preferences', from, value, phoneNumberId })
/** What is on her phone, the first message left out. */
const more = (phone: string) =>
  fake
    .inbox(phone)
    .slice(1)
    .map(({ type, text }) => [type, text.includes('הוסרת')])
const CONFIRMED = ['text', true]

for (const word of ['הסר', 'הָסֵר.', '*STOP*', 'unsubscribe', '\u200fהסר\u200f 🙏', 'Remove me!'])
  await test(`"${word}" ends it for ever, confirmed once`, async t => {
    const shop = await business()
    const dana = await contacted(shop)
    await says(shop, dana.e164, word)
    t.strictSame(await storyOf(shop, dana.e164), [
      'opted_out',
      'sent / accepted',
      'opted_out / opted_out',
    ])
    t.strictSame(await optOutsOf(shop), [[dana.e164, 'typed']])
    t.strictSame(await messagesAfter(dana.id), [
      ['initial', 'accepted', null],
      ['reminder_1', 'cancelled', 'opted_out'],
      ['reminder_2', 'cancelled', 'opted_out'],
      ['inbound', 'received', null],
    ])
    t.strictSame(more(dana.e164), [CONFIRMED])
    t.strictSame(await waitingFor(shop.tenantId), [])

    await says(shop, dana.e164, word)
    await says(shop, dana.e164, 'תודה')
    await addStrayReminders(dana.id)
    t.strictSame(more(dana.e164), [CONFIRMED], 'and nothing more')
    t.match(await storyOf(shop, dana.e164), ['opted_out'], 'another word does not undo it')

    const { callId } = await miss(shop, dana.local)
    t.strictSame(await outreachOf(shop.tenantId, callId), ['skipped', 'opted_out'])
    t.strictSame(await waitingFor(shop.tenantId), [], 'also after calling again')
    t.match(await leadsOf(shop.tenantId), [{ state: 'opted_out' }])
  })

for (const text of ['לא להסיר', 'please stop by tomorrow', 'די טוב', 'לא מעוניינת'])
  await test(`"${text}" is an answer and no opt-out`, async t => {
    const shop = await business()
    const dana = await contacted(shop)
    await says(shop, dana.e164, text)
    t.match(await storyOf(shop, dana.e164), ['replied'])
    t.strictSame(await optOutsOf(shop), [])
    t.strictSame(more(dana.e164), [])
  })

const TAPS = [
  { text: 'לא תודה', payload: 'STOP' },
  { text: 'STOP', payload: 'button-1' },
  { text: 'הסר', payload: 'הסר' },
]
for (const { text, payload } of TAPS)
  await test(`a tap on "${text}" with the payload "${payload}" is an opt-out`, async t => {
    const shop = await business()
    const dana = await contacted(shop)
    const { phoneNumberId } = shop
    await happens({ kind: 'button', text, payload, from: dana.e164, phoneNumberId })
    t.match(await storyOf(shop, dana.e164), ['opted_out'])
    t.equal((await optOutsOf(shop)).length, 1)
    t.strictSame(more(dana.e164), [CONFIRMED])
  })

await test('an opt-out before the first message means that there is none', async t => {
  const shop = await business()
  const dana = customer()
  const { id } = await miss(shop, dana.local)
  await says(shop, dana.e164, 'הסר')
  t.strictSame(await storyOf(shop, dana.e164), ['opted_out', 'cancelled / opted_out', null])
  t.strictSame(await jobs(`lead_outreach:${id}`), [])
  t.strictSame(
    fake.inbox(dana.e164).map(({ type }) => type),
    ['text'],
    'but the confirmation',
  )
})

await test('somebody who never called can opt out, and is not written to when she calls', async t => {
  const shop = await business()
  const dana = customer()
  await says(shop, dana.e164, 'הסר')
  await says(shop, dana.e164, 'הסר')
  t.strictSame(await optOutsOf(shop), [[dana.e164, 'typed']])
  t.equal(fake.inbox(dana.e164).length, 1)
  const { callId } = await miss(shop, dana.local)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['skipped', 'opted_out'])
})

await test('"start" takes it back, and only what comes after that is written about', async t => {
  const shop = await business({ columns: { repeat_window: '0' } })
  const dana = await contacted(shop)
  await says(shop, dana.e164, 'הסר')
  await says(shop, dana.e164, 'התחל')
  t.strictSame(await optOutsOf(shop), [])
  t.match(await storyOf(shop, dana.e164), ['replied', 'sent / accepted', 'opted_out / opted_out'])
  t.strictSame(await waitingFor(shop.tenantId), [], 'the old story is not taken up again')
  // A call of this very moment: one that began before she wrote is not written about.
  const { callId } = await miss(shop, dana.local, {}, -2)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['scheduled', 'waiting'])

  await says(shop, dana.e164, 'STOP')
  t.strictSame(more(dana.e164), [CONFIRMED, CONFIRMED], 'and may be asked for again')
})

await test('"stop" in WhatsApp’s own settings is an opt-out that nobody confirms', async t => {
  const shop = await business()
  const dana = await contacted(shop)
  await prefers(shop, dana.e164, 'stop')
  t.strictSame(await storyOf(shop, dana.e164), [
    'opted_out',
    'sent / accepted',
    'opted_out / opted_out',
  ])
  t.strictSame(await optOutsOf(shop), [[dana.e164, 'user_preferences']])
  t.strictSame(more(dana.e164), [])
  t.strictSame(await receivedBy(shop), [], 'and is no message of hers')

  await prefers(shop, dana.e164, 'resume')
  t.strictSame(await optOutsOf(shop), [], '"resume" lifts it')
  t.match(await storyOf(shop, dana.e164), ['contacted'])
})

await test('"resume" does not lift what she typed', async t => {
  const shop = await business()
  const dana = await contacted(shop)
  await says(shop, dana.e164, 'הסר')
  await prefers(shop, dana.e164, 'stop')
  await prefers(shop, dana.e164, 'resume')
  t.strictSame(await optOutsOf(shop), [[dana.e164, 'typed']])
  t.match(await storyOf(shop, dana.e164), ['opted_out'])
})

await test('"stop" at one business is nothing to another', async t => {
  const shops = [await business(), await business()]
  const [dana] = [customer()]
  for (const shop of shops) await contacted(shop, dana)
  const [one, other] = shops
  if (!one || !other) throw new Error('two')
  await says(one, dana.e164, 'הסר')
  t.match(await storyOf(one, dana.e164), ['opted_out'])
  t.strictSame(await storyOf(other, dana.e164), ['contacted', 'sent / accepted', 'open / '])
  t.equal((await waitingFor(other.tenantId)).length, 2)
  t.strictSame(await optOutsOf(other), [])
})
