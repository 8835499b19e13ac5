/** A list of people who must not be written to: read in whatever form it comes, and heeded at once. */
import t from 'tap'
import { business, customer, db, fake, jobs, outreachOf } from '../support/ringback.ts'
import { optOutsOf, storyOf } from '../support/whatsapp.ts'
import { conversationOf, dueSince, leadsOf, messagesAfter, miss } from '../tasks/support.ts'
import { readNumbers } from '../../app/privacy/inputs.ts'
import { addOptOuts } from '../../app/privacy/import_opt_outs.ts'

const take = (tenantId: string, ...numbers: string[]) =>
  db.transaction().execute(trx => addOptOuts(trx, { as: 'operator' }, { tenantId, numbers }))

await t.test('numbers are read in every form, one in a line', t => {
  const text = [
    'טלפון',
    '052-1234567',
    '',
    '# from the old system',
    '+972 (0)52-765-4321',
    '00972521111111\r',
    '\u200e0522222222\u200f',
    '523333333',
    "'+972524444444",
    '"052-5555555"',
    '0521234567',
    '03-6123456',
    '+1 415 555 0123',
  ].join('\n')
  const numbers = [
    '+972521234567',
    '+972527654321',
    '+972521111111',
    '+972522222222',
    '+972523333333',
  ]
  numbers.push('+972524444444', '+972525555555', '+97236123456', '+14155550123')
  t.strictSame(readNumbers(Buffer.from(text)), { numbers, badLines: [] })
  t.strictSame(readNumbers(Buffer.from(`\ufeff${text}`)), { numbers, badLines: [] })
  t.strictSame(readNumbers(Buffer.from(`\ufeff${text}`, 'utf16le')), { numbers, badLines: [] })
  t.end()
})

await t.test('of a CSV all numbers of a line count, whichever columns they stand in', t => {
  const csv =
    'name,mobile,home\r\n"כהן, דנה",052-1234567,03-6123456\r\nלוי;;0527654321\r\nx\t0521111111\r\n'
  t.strictSame(readNumbers(Buffer.from(csv)), {
    numbers: ['+972521234567', '+97236123456', '+972527654321', '+972521111111'],
    badLines: [],
  })
  t.end()
})

await t.test('a line that is no number is told by its place, and keeps no other back', t => {
  const text = '0521234567\n9.72521E+11\n12345\nדנה\n\n0521234567890123\n0527654321'
  t.strictSame(readNumbers(Buffer.from(text)), {
    numbers: ['+972521234567', '+972527654321'],
    badLines: [2, 3, 4, 6],
  })
  t.strictSame(readNumbers(Buffer.alloc(0)), { numbers: [], badLines: [] })
  t.end()
})

await t.test(
  'what is pending for them is cancelled as if they had asked, and nothing is sent again',
  async t => {
    const shop = await business()
    const other = await business()
    const [waiting, reminded, stranger] = [customer(), customer(), customer()]
    const { id, callId } = await miss(shop, waiting.local)
    const sent = await miss(shop, reminded.local)
    await dueSince(sent.id)
    const elsewhere = await miss(other, waiting.local)

    const list = [waiting.e164, reminded.e164, stranger.e164]
    t.strictSame(await take(shop.tenantId, ...list), { added: 3, known: 0 })
    t.strictSame(await storyOf(shop, waiting.e164), ['opted_out', 'cancelled / opted_out', null])
    t.strictSame(await storyOf(shop, reminded.e164), [
      'opted_out',
      'sent / accepted',
      'opted_out / opted_out',
    ])
    t.strictSame((await messagesAfter(sent.id)).slice(1), [
      ['reminder_1', 'cancelled', 'opted_out'],
      ['reminder_2', 'cancelled', 'opted_out'],
    ])
    t.strictSame(await jobs(`lead_outreach:${id}`), [])
    t.strictSame(await jobs(`lead_reminder:${(await conversationOf(sent.id)).id}:1`), [])
    t.strictSame(await outreachOf(shop.tenantId, callId), ['cancelled', 'opted_out'])
    t.strictSame(await outreachOf(other.tenantId, elsewhere.callId), ['scheduled', 'waiting'])
    t.equal(fake.inbox(waiting.e164).length, 0, 'not even a confirmation')

    const again = await miss(shop, stranger.local)
    t.strictSame(await outreachOf(shop.tenantId, again.callId), ['skipped', 'opted_out'])
    t.strictSame(await take(shop.tenantId, ...list), { added: 0, known: 3 })
    t.strictSame(
      await optOutsOf(shop),
      list.map(phone => [phone, 'import']),
    )
    t.match(
      await db
        .selectFrom('audit_log')
        .selectAll()
        .where('action', '=', 'opt_outs.add')
        .orderBy('id')
        .execute(),
      [
        { who: 'operator', tenant_id: shop.tenantId, after: { added: 3, known: 0 } },
        { after: { added: 0, known: 3 } },
      ],
    )
  },
)

await t.test('whoever moved to a number in the list is left alone under both', async t => {
  const shop = await business()
  const [old, moved] = [customer(), customer()]
  const { callId } = await miss(shop, old.local)
  const [lead] = await leadsOf(shop.tenantId)
  await db
    .insertInto('lead_identities')
    .values({ tenant_id: shop.tenantId, lead_id: lead?.id ?? '', identity: moved.e164.slice(1) })
    .execute()
  t.strictSame(await take(shop.tenantId, moved.e164), { added: 1, known: 0 })
  t.strictSame(await outreachOf(shop.tenantId, callId), ['cancelled', 'opted_out'])
  t.strictSame(
    (await optOutsOf(shop)).map(([phone]) => phone),
    [moved.e164, old.e164],
  )
})

await t.test('a business that is none has no list', async t => {
  await t.rejects(take('999', customer().e164), /there is no tenant 999/)
})
