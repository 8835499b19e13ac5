/** What a person said of a message counts until WhatsApp says what it knows. */
import { sql } from 'kysely'
import t from 'tap'
import { business, customer, db, fake, outreachOf } from '../support/ringback.ts'
import { dueSince, initialOf, messagesAfter, miss, requestsOf } from '../tasks/support.ts'
import { resolveUnknown, applyStatus } from '../../app/messages/statuses.ts'
import { recordOutcome } from '../../app/messages/record.ts'

/** A message whose answer was lost two minutes ago, and of which a person said what became of it. */
const said = async (arrived: boolean) => {
  const shop = await business()
  const who = customer()
  const { id, callId } = await miss(shop, who.local)
  fake.script({ to: who.e164, outcome: { kind: 'cut' } })
  await dueSince(id)
  const { id: messageId } = await initialOf(id)
  await sql`update messages set claimed_at = now() - interval '2 minutes' where id = ${messageId}`.execute(
    db,
  )
  const { tenantId } = shop
  await db
    .transaction()
    .execute(trx => resolveUnknown(trx, { as: 'operator' }, { tenantId, messageId, arrived }))
  const message = await initialOf(id)
  const report = (status: string, fields: object = {}) =>
    db.transaction().execute(trx =>
      applyStatus(
        trx,
        { tenantId, connectionId: message.whatsapp_connection_id ?? '' },
        {
          kind: 'status',
          id: `wamid.of${messageId}`,
          status,
          timestamp: Math.floor((message.claimed_at?.getTime() ?? 0) / 1000) + 2,
          recipient_id: who.e164.slice(1),
          pricing: { category: 'utility' },
          ...fields,
        },
      ),
    )
  return { shop, who, id, callId, messageId, report }
}

t.test('it arrived, said a person; it did not, says WhatsApp', async t => {
  const { shop, who, id, messageId, report } = await said(true)
  t.match(await messagesAfter(id), [
    ['initial', 'delivered', 'by_operator'],
    ['reminder_1', 'scheduled'],
    ['reminder_2', 'scheduled'],
  ])
  const stopped = { biz_opaque_callback_data: messageId, errors: [{ code: 131050 }] }
  t.equal(await report('failed', stopped), 'status')
  t.match(await messagesAfter(id), [
    ['initial', 'failed', 'reported'],
    ['reminder_1', 'cancelled'],
    ['reminder_2', 'cancelled'],
  ])
  const optOuts = await db
    .selectFrom('opt_outs')
    .select('phone')
    .where('tenant_id', '=', shop.tenantId)
    .execute()
  t.strictSame(optOuts, [{ phone: who.e164 }], 'she wants no more of it')
})

for (const [how, fields] of [
  ['by our id', true],
  ['by the first report of a send that nobody knows', false],
] as const)
  t.test(`it did not arrive, said a person; it did, says WhatsApp ${how}`, async t => {
    const { shop, id, callId, messageId, report } = await said(false)
    t.strictSame(await outreachOf(shop.tenantId, callId), ['failed', 'refused'])
    t.equal(
      await report('delivered', fields ? { biz_opaque_callback_data: messageId } : {}),
      'status',
    )
    t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
    t.match(await messagesAfter(id), [
      ['initial', 'delivered', null],
      ['reminder_1', 'scheduled'],
      ['reminder_2', 'scheduled'],
    ])
  })

t.test('it did not arrive, said a person; its sender knows better', async t => {
  const { shop, who, id, callId, messageId } = await said(false)
  const { attempts } = await initialOf(id)
  const accepted = { kind: 'accepted', wamid: 'wamid.late', waId: null } as const
  await db.transaction().execute(trx => recordOutcome(trx, messageId, accepted, attempts))
  t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
  t.match(await messagesAfter(id), [
    ['initial', 'accepted', null],
    ['reminder_1', 'scheduled'],
    ['reminder_2', 'scheduled'],
  ])
  const again = await miss(shop, who.local)
  t.strictSame(await outreachOf(shop.tenantId, again.callId), ['skipped', 'already_contacted'])
  t.equal(requestsOf(shop).length, 1, 'and she is not written to twice')
})
