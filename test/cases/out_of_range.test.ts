/**
 * Signed webhooks with values that no table takes, though each is what Meta's page calls a string or a number:
 * kept, at worst without effect. A job that tries for hours and ends dead is not "kept". (Cases 1, 6 and 8 of
 * the forty, through the other door.)
 */
import { sql } from 'kysely'
import t from 'tap'
import { business, db, work } from '../support/ringback.ts'
import { change, contacted, deliver, envelope, eventsOf } from '../support/whatsapp.ts'

/** Of a length that no index takes, and so random that nothing shortens it. */
const digits = Array.from({ length: 9000 }, () => Math.floor(Math.random() * 10)).join('')
const letters = Array.from({ length: 9000 }, () =>
  String.fromCharCode(0x400 + Math.floor(Math.random() * 0xbff)),
).join('')

const shop = await business()
const dana = await contacted(shop)
const status = (fields: object) => ({ statuses: [{ id: dana.wamid, status: 'failed', ...fields }] })
const message = (fields: object) => ({
  messages: [{ id: `wamid.${Math.random()}`, from: dana.e164.slice(1), type: 'text', ...fields }],
})

const UPDATES: Record<string, [value: Record<string, unknown>, field?: string]> = {
  'a report of the year 31688738506': [status({ id: 'wamid.unknown', timestamp: '1e18' })],
  'an error code beyond 32 bits': [status({ errors: [{ code: 2 ** 31 }] })],
  'a status that is a name of the language': [status({ status: 'constructor' })],
  'a status that is __proto__': [status({ status: '__proto__' })],
  'a price that is very long': [status({ status: 'delivered', pricing: { category: letters } })],
  'a message id that is very long': [message({ id: letters })],
  'a writer whose number is very long': [message({ from: digits })],
  'a user id that is very long': [message({ from_user_id: letters })],
  'a recipient that is very long': [
    status({ id: dana.wamid, status: 'read', recipient_id: digits }),
  ],
  'a new number that is very long': [message({ type: 'system', system: { wa_id: digits } })],
  'an answer to a message whose id is very long': [message({ context: { id: letters } })],
  'words that are very long': [message({ text: { body: letters } })],
  'a template event that is a name of the language': [
    {
      event: 'constructor',
      message_template_name: 'ringback_reminder_1',
      message_template_language: 'he',
    },
    'message_template_status_update',
  ],
}
// From here on the account is known, of which templates are told by.
await deliver(envelope(change(shop.phoneNumberId, message({ text: { body: 'שלום' } }))))
await work()

for (const [name, [value, field]] of Object.entries(UPDATES))
  await t.test(`${name} is kept, and no job dies of it`, async t => {
    const answer = await deliver(envelope(change(shop.phoneNumberId, value, field)))
    t.equal(answer.status, 200)
    await work()
    const { rows } = await sql<{ last_error: string }>`
      select last_error from graphile_worker.jobs where last_error is not null`.execute(db)
    await sql`select graphile_worker.complete_jobs(array_agg(id)) from graphile_worker.jobs
              where last_error is not null having count(*) > 0`.execute(db)
    t.strictSame(rows, [], 'no error')
  })

await t.test('signed bytes that are not UTF-8 are kept as they came', async t => {
  const text = JSON.stringify(
    envelope(change(shop.phoneNumberId, message({ text: { body: 'XX' } }))),
  )
  const bytes = Buffer.from(text.replace('XX', '\xf9\xec'), 'latin1')
  t.equal((await deliver(bytes)).status, 200)
  const { rows } = await sql`select from rejected_deliveries where body = ${bytes}`.execute(db)
  t.equal(rows.length, 1, 'in quarantine')
  const stored = JSON.stringify(await eventsOf(shop.tenantId))
  t.notMatch(stored, '\ufffd', 'none is made up')
})
