import { beforeEach, test } from 'tap'
import { startFakeWhatsApp } from '../../scripts/fake-whatsapp/server.ts'
import { codeOf, dana, freeText, post, template } from './support.ts'

const fake = await startFakeWhatsApp()
beforeEach(fake.reset)

const number = fake.addNumber({ displayNumber: '+97237654321' })
const strict = fake.addNumber()
fake.addTemplate({
  wabaId: strict.wabaId,
  name: 'ringback_missed_call',
  parameters: 2,
  body: 'שלום {{1}}, כאן {{2}}.',
  buttons: [{ text: 'חזרו אליי' }, { text: 'הסר' }, { type: 'url', text: 'לאתר' }],
})
fake.addTemplate({ wabaId: strict.wabaId, name: 'news', category: 'marketing' })
fake.addTemplate({ wabaId: strict.wabaId, name: 'long', body: '{{1}}' })
fake.addTemplate({ wabaId: strict.wabaId, name: 'paused', status: 'paused' })
fake.addTemplate({ wabaId: strict.wabaId, name: 'disabled', status: 'disabled' })

const refusal = async (answer: Response) => [answer.status, await codeOf(answer)]

const button = (sub_type: string, index: number | string, payload: string) => ({
  type: 'button',
  sub_type,
  index,
  parameters: [{ type: 'payload', payload }],
})

await test('a template is accepted and reaches the person', async t => {
  const answer = await post(fake, number, template(dana, 'hello', ['Dana']))
  t.equal(answer.status, 200)
  const body: unknown = await answer.json()
  const [message] = fake.inbox(dana)
  t.strictSame(body, {
    messaging_product: 'whatsapp',
    contacts: [{ input: dana, wa_id: dana.slice(1) }],
    messages: [{ id: message?.wamid, message_status: 'accepted' }],
  })
  t.match(message, {
    to: dana,
    from: '+97237654321',
    type: 'template',
    text: 'hello · Dana',
    template: { name: 'hello', language: 'he', parameters: ['Dana'] },
    biz_opaque_callback_data: '17',
    received: true,
  })
  t.match(fake.requests(), [
    { phoneNumberId: number.phoneNumberId, outcome: 'accept', accepted: true, status: 200 },
  ])
})

await test('a configured template is filled in, with its buttons and their payloads', async t => {
  const body = template(dana, 'ringback_missed_call', ['דנה', 'מספרה'])
  const components = [...body.template.components, button('quick_reply', '1', 'STOP')]
  await post(fake, strict, { ...body, template: { ...body.template, components } })
  const [message] = fake.inbox(dana)
  t.equal(message?.text, 'שלום דנה, כאן מספרה.')
  t.strictSame(message?.template?.buttons, [
    { text: 'חזרו אליי', payload: 'חזרו אליי' },
    { text: 'הסר', payload: 'STOP' },
  ])
})

await test('of a template that is not configured the payloads stand for the buttons', async t => {
  const body = template(dana)
  const components = [button('url', 0, 'x'), button('quick_reply', 1, 'STOP')]
  await post(fake, number, { ...body, template: { ...body.template, components } })
  t.strictSame(fake.inbox(dana)[0]?.template?.buttons, [{ text: 'STOP', payload: 'STOP' }])
})

await test('what Meta refuses is refused with its code and HTTP status, and reaches nobody', async t => {
  const { to: _to, ...withoutTo } = template(dana)
  const cases: [string, Response | Promise<Response>, number[]][] = [
    ['wrong token', post(fake, { ...number, token: 'no' }, template(dana)), [401, 190]],
    ['unknown number', post(fake, { ...number, phoneNumberId: '9' }, template(dana)), [400, 100]],
    ["another's token", post(fake, { ...number, token: strict.token }, template(dana)), [400, 100]],
    ['no to', post(fake, number, withoutTo), [400, 131008]],
    ['no template', post(fake, number, { ...template(dana), template: undefined }), [400, 131008]],
    ['to is a number', post(fake, number, { ...template(dana), to: 5 }), [400, 131009]],
    ['to is a word', post(fake, number, template('dana')), [400, 131009]],
    ['no JSON', post(fake, number, '{"messaging_product'), [400, 100]],
    ['unknown type', post(fake, number, { ...template(dana), type: 'fax' }), [400, 131051]],
    ['unknown template', post(fake, strict, template(dana, 'other')), [404, 132001]],
    ['too few', post(fake, strict, template(dana, undefined, ['a'])), [400, 132000]],
    ['too long', post(fake, strict, template(dana, 'long', ['x'.repeat(1025)])), [400, 132005]],
    ['paused', post(fake, strict, template(dana, 'paused')), [400, 132015]],
    ['disabled', post(fake, strict, template(dana, 'disabled')), [400, 132016]],
    ['to itself', post(fake, number, template('+97237654321')), [400, 131021]],
    ['free text, window closed', post(fake, number, freeText(dana, 'hi')), [400, 131047]],
  ]
  for (const [name, answer, expected] of cases)
    t.strictSame(await refusal(await answer), expected, name)
  t.strictSame(fake.accepted(), [])
  t.equal(fake.requests().length, cases.length)
})

await test('a template exists only in its own language', async t => {
  const body = template(dana, 'ringback_missed_call', ['a', 'b'])
  const inEnglish = { ...body.template, language: { code: 'en' } }
  t.strictSame(
    await refusal(await post(fake, strict, { ...body, template: inEnglish })),
    [404, 132001],
  )
  t.equal((await post(fake, strict, body)).status, 200)
})

await test('a number without + goes to a stranger in the country of the business', async t => {
  await post(fake, number, template('972501234567'))
  await post(fake, number, template('+972 50-123 (4567)'))
  t.equal(fake.inbox('+972972501234567').length, 1)
  t.equal(fake.inbox(dana).length, 1)
})

await test('free text needs the window that a message of the person opens', async t => {
  await fake.inbound({ kind: 'text', from: dana, text: 'היי', phoneNumberId: number.phoneNumberId })
  t.equal((await post(fake, number, freeText(dana, 'hi'))).status, 200)
  t.match(fake.people(), [{ phone: dana, openWindows: [number.phoneNumberId] }])
  t.equal((await post(fake, strict, freeText(dana, 'hi'))).status, 400, "not another business's")
  fake.closeWindow({ phone: dana, phoneNumberId: number.phoneNumberId })
  t.equal((await post(fake, number, freeText(dana, 'hi'))).status, 400)
  const yesterday = { kind: 'text', from: dana, text: 'hi', agoSeconds: 25 * 3600 } as const
  await fake.inbound({ ...yesterday, phoneNumberId: number.phoneNumberId })
  t.equal((await post(fake, number, freeText(dana, 'hi'))).status, 400, 'older than 24 hours')
})

await test('marketing after a stop is accepted and fails; utility goes through', async t => {
  const { phoneNumberId } = strict
  const preference = { kind: 'user_preferences', from: dana, phoneNumberId } as const
  await fake.inbound({ ...preference, value: 'stop' })
  t.equal((await post(fake, strict, template(dana, 'news'))).status, 200)
  await post(fake, strict, template(dana, 'ringback_missed_call', ['a', 'b']))
  await fake.idle()
  t.match(fake.accepted()[0], { received: false, statuses: [{ status: 'failed', code: 131050 }] })
  t.strictSame(
    fake.inbox(dana).map(one => one.template?.name),
    ['ringback_missed_call'],
  )
  await fake.inbound({ ...preference, value: 'resume' })
  await post(fake, strict, template(dana, 'news'))
  t.equal(fake.inbox(dana).length, 2)
})

await test('tokens are not kept in the list of requests', async t => {
  await post(fake, number, template(dana))
  await post(fake, { ...number, token: 'other-secret' }, template(dana))
  const requests = fake.requests()
  t.strictSame(
    requests.map(one => one.authorization),
    [number.phoneNumberId, 'wrong'],
  )
  t.notMatch(JSON.stringify(requests), new RegExp(`${number.token}|other-secret`))
  t.match(requests[0], {
    version: 'v26.0',
    body: { to: dana },
    headers: { 'content-type': /json/ },
  })
})

await fake.close()
