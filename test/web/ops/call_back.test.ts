/** Waiting for a call back: who called or wrote, and nobody has talked with her since. */
import { sql } from 'kysely'
import t from 'tap'
import { asTenant } from '../../support/ops.ts'
import { doneTo, leadOf, toCall, partOf } from './support.ts'
import { happens } from '../../support/whatsapp.ts'
import { dueSince, miss } from '../../tasks/support.ts'
import { answeredPush } from '../../../scripts/demo/cdr.ts'
import { business, customer, db, fake, outreachOf, post, work } from '../../support/ringback.ts'

t.test('who called and was not called back stands there, the last first', async t => {
  const shop = await business()
  const [dana, noa, answered] = [customer(), customer(), customer()]
  await miss(shop, dana.local, {}, 600)
  await miss(shop, answered.local, {}, 500)
  await miss(shop, '031234567', {}, 400)
  await miss(shop, null, {}, 350)
  await miss(shop, noa.local, {}, 300)
  const owner = await asTenant(shop.tenantId)
  const LANDLINE = '+97231234567'
  t.strictSame(toCall(await owner.get('/ops/waiting')), [
    noa.e164,
    LANDLINE,
    answered.e164,
    dana.e164,
  ])

  await post(answeredPush({ caller: answered.local, did: shop.did }, 60), { token: shop.token })
  await miss(shop, dana.local, {}, 30)
  const page = await owner.get('/ops/waiting')
  t.strictSame(toCall(page), [dana.e164, noa.e164, LANDLINE], 'each once')
  t.match(partOf(page, 'call-back'), /2 missed calls/)
  t.match(partOf(page, 'call-back'), /this is a landline/)

  await sql`update missed_calls set called_at = called_at - interval '8 days' where tenant_id = ${shop.tenantId}`.execute(
    db,
  )
  t.strictSame(toCall(await owner.get('/ops/waiting')), [], 'not after a week')
})

t.test('what she wrote says more than what we did', async t => {
  const shop = await business()
  const dana = customer()
  const { id } = await miss(shop, dana.local)
  await dueSince(id)
  const owner = await asTenant(shop.tenantId)
  t.match(partOf(await owner.get('/ops/waiting'), 'call-back'), /A message was sent; no answer yet/)
  fake.setPerson({ phone: dana.e164, name: '<b>"Dana" & co' })
  await happens({ kind: 'text', from: dana.e164, text: '<script>alert("מחר?")</script>' })
  const page = await owner.get('/ops/waiting')
  t.strictSame(toCall(page), [dana.e164], 'a reply is no conversation')
  t.match(page.text, '&lt;script&gt;alert(&quot;מחר?&quot;)&lt;/script&gt;')
  t.match(page.text, '&lt;b&gt;&quot;Dana&quot; &amp; co')

  // A record has whole seconds: later than what she wrote.
  await post(answeredPush({ caller: dana.local, did: shop.did }, -2), { token: shop.token })
  await work()
  t.strictSame(toCall(await owner.get('/ops/waiting')), [])
  await sql`update messages set created_at = now() + interval '1 minute' where tenant_id = ${shop.tenantId} and direction = 'in'`.execute(
    db,
  )
  t.strictSame(toCall(await owner.get('/ops/waiting')), [dana.e164], 'she wrote after the talk')
})

t.test('whoever asked to be left alone is not called, unless she calls again', async t => {
  const shop = await business()
  const dana = customer()
  const { id } = await miss(shop, dana.local, {}, 60)
  await dueSince(id)
  await happens({ kind: 'text', from: dana.e164, text: 'הסר' })
  const owner = await asTenant(shop.tenantId)
  t.strictSame(toCall(await owner.get('/ops/waiting')), [])
  await miss(shop, dana.local, {}, 10)
  t.strictSame(toCall(await owner.get('/ops/waiting')), [dana.e164])
})

/** As `answeredPush` has it. */
const ANSWERED = {
  status: 'ANSWER',
  duration: 95,
  targetextension: 'KGpK4iWq',
  representative_name: 'Noa',
}

t.test('whom somebody has answered in whichever way waits no longer', async t => {
  const shop = await business()
  const [written, misread, palestinian] = [customer(), customer(), { e164: '+970569876521' }]
  await miss(shop, written.local)
  const { record } = await miss(shop, misread.local)
  const { id } = await miss(shop, palestinian.e164)
  // So that nothing is cancelled for her: only the call itself tells.
  await sql`update missed_calls set outreach_state = 'skipped', outreach_reason = 'too_late' where id = ${id}`.execute(
    db,
  )
  const owner = await asTenant(shop.tenantId)
  t.equal(toCall(await owner.get('/ops/waiting')).length, 3)
  const { phoneNumberId } = shop
  await happens({ kind: 'echo', to: written.e164, text: 'היי', phoneNumberId })
  t.strictSame(toCall(await owner.get('/ops/waiting')), [palestinian.e164, misread.e164])
  // Another record of the same call, which does not say with whom the agent talked.
  const answered = answeredPush({ ...record, ...ANSWERED, caller: '', callerphone: '' })
  await post(answered, { token: shop.token })
  await post(answeredPush({ caller: '0569876521', did: shop.did }, 0), { token: shop.token })
  await work()
  t.strictSame(toCall(await owner.get('/ops/waiting')), [])
})

t.test('"called back" ends the waiting and whatever was to be sent', async t => {
  const shop = await business()
  const dana = customer()
  const { callId } = await miss(shop, dana.local, {}, 300)
  const { id: leadId } = await leadOf(shop.tenantId, dana.e164)
  const owner = await asTenant(shop.tenantId)
  const answer = await owner.submit(`/ops/waiting/${shop.tenantId}/called-back/${leadId}`, {
    back: '/ops/waiting',
  })
  t.match(answer, { status: 303, location: '/ops/waiting' })
  const page = await owner.get('/ops/waiting')
  const shown = dana.local.replace(/^(\d{3})(\d{3})/, '$1-$2-')
  t.match(page.text, `${shown}\u2069 is marked as called back. Nothing more is sent`)
  t.strictSame(toCall(page), [])
  t.strictSame(await outreachOf(shop.tenantId, callId), ['cancelled', 'reached_by_phone'])
  t.match(await leadOf(shop.tenantId, dana.e164), {
    state: 'reached_by_phone',
    called_back_at: Date,
  })
  t.notMatch(JSON.stringify(await doneTo(shop)), dana.e164.slice(-9))
  t.match(await doneTo(shop), [
    {
      who: `tenant ${shop.tenantId}`,
      action: 'lead.called_back',
      subject: `leads ${leadId}`,
      before: { state: 'new', called_back_at: null },
      after: { state: 'reached_by_phone' },
    },
  ])

  const { id: landline } = await miss(shop, '031234567').then(() =>
    leadOf(shop.tenantId, '+97231234567'),
  )
  t.equal(toCall(await owner.get('/ops/waiting')).length, 1)
  await owner.submit(`/ops/waiting/${shop.tenantId}/called-back/${landline}`)
  t.strictSame(toCall(await owner.get('/ops/waiting')), [], 'also where nothing was to be sent')

  const { callId: before } = await miss(shop, dana.local, {}, 200)
  const known = await outreachOf(shop.tenantId, before)
  t.strictSame(known, ['cancelled', 'reached_by_phone'], 'a call of before that we hear of late')
  // Voicenter's clock has whole seconds.
  await miss(shop, dana.local, {}, -2)
  t.strictSame(toCall(await owner.get('/ops/waiting')), [dana.e164], 'until she calls again')
})
