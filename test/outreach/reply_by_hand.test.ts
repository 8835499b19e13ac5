/** Replies by hand: what the business writes on the page of a person. */
import { sql } from 'kysely'
import t from 'tap'
import { erase } from '../../app/privacy/erase.ts'
import { asTenant } from '../support/ops.ts'
import { business, contents, db, fake, jobDue, jobs, work } from '../support/ringback.ts'
import { miss, requestsOf } from '../tasks/support.ts'
import { doneTo, leadOf, partOf } from '../web/ops/support.ts'
import { contacted, writes } from './support.ts'

/** A person who has written, and their page as the owner sees it. */
const wrote = async () => {
  const { shop, who, conversation } = await contacted()
  await writes(who.e164, 'אפשר תור למחר?')
  const { id } = await leadOf(shop.tenantId, who.e164)
  const owner = await asTenant(shop.tenantId)
  const path = `/ops/leads/${id}`
  const box = async () => partOf(await owner.get(path), 'reply')
  const keyNow = async () => /name="key" value="([^"]+)"/.exec(await box())?.[1] ?? 'none'
  const send = async (text: string, key?: string) =>
    owner.submit(`${path}/reply`, { back: path, text, key: key ?? (await keyNow()) })
  const repliesOf = () =>
    db
      .selectFrom('messages')
      .select(['id', 'state', 'reason', 'text'])
      .where('lead_id', '=', id)
      .where('kind', '=', 'manual')
      .orderBy('id')
      .execute()
  /** The texts that the person got as free text. */
  const got = () =>
    fake.inbox(who.e164).flatMap(({ template, text }) => (template ? [] : (text ?? [])))
  return { shop, who, id, conversation, owner, path, box, keyNow, send, repliesOf, got }
}

t.test('the owner answers, once per form', async t => {
  const { shop, path, box, keyNow, send, repliesOf, got, owner } = await wrote()
  t.match(await box(), /You can write until (tomorrow |Tue)?.*\d\d:\d\d/i)
  const key = await keyNow()
  const answers = await Promise.all([1, 2, 3, 4].map(() => send('כן, בעשר.\r\nנתראה', key)))
  for (const answer of answers) t.match(answer, { status: 303, location: path })
  await Promise.all([work(), work()])
  t.match(await send('כן, בעשר.\nנתראה', key), { status: 303 }, 'also later')
  await work()
  t.strictSame(got(), ['כן, בעשר.\nנתראה'])
  t.match(await repliesOf(), [{ state: 'accepted' }])

  const other = await send('something else', key)
  t.match(other, { status: 400, text: /Another reply was sent meanwhile/ })
  t.match(other.text, />\s*something else<\/textarea>/, 'the text stays')
  await work()
  t.equal(got().length, 1)
  t.match(await send('something else'), { status: 303 }, 'with the key of the page now')
  await work()
  t.strictSame(got().slice(1), ['something else'])
  t.match((await owner.get(path)).text, /class="out by-hand"[^]*something else/)
  t.strictSame(
    (await doneTo(shop)).map(({ action }) => action),
    ['message.send', 'message.send'],
  )
})

t.test('a reply cancels what is pending', async t => {
  const { who, send, shop } = await wrote()
  // They called again meanwhile, and a first message waits.
  await sql`update tenants set repeat_window = interval '1 second' where id = ${shop.tenantId}`.execute(
    db,
  )
  await sql`update messages set claimed_at = now() - interval '1 hour' where tenant_id = ${shop.tenantId} and claimed_at is not null`.execute(
    db,
  )
  const { id } = await miss(shop, who.local, {}, -2)
  t.match(await stateOf(id), { outreach_state: 'scheduled' })
  await send('מיד חוזרת')
  t.match(await stateOf(id), { outreach_state: 'cancelled', outreach_reason: 'owner_replied' })
  t.strictSame(await jobs(`lead_outreach:${id}`), [])
})
const stateOf = (id: string) =>
  db
    .selectFrom('missed_calls')
    .select(['outreach_state', 'outreach_reason'])
    .where('id', '=', id)
    .executeTakeFirstOrThrow()

/** What closes the box, and what the page says. */
const CLOSED: Record<string, { set: (tenantId: string, leadId: string) => unknown; says: RegExp }> =
  {
    window_closed: {
      set: (_tenantId, leadId) =>
        sql`update leads set heard_at = now() - interval '24 hours' where id = ${leadId}`.execute(
          db,
        ),
      says: /More than 24 hours/,
    },
    not_live: {
      set: tenantId => sql`update tenants set mode = 'paused' where id = ${tenantId}`.execute(db),
      says: /paused or in trial mode/,
    },
    no_connection: {
      set: tenantId =>
        sql`update whatsapp_connections set state = 'paused' where tenant_id = ${tenantId}`.execute(
          db,
        ),
      says: /No active WhatsApp number/,
    },
    opted_out: {
      set: async (_tenantId, leadId) => {
        const { phone } = await db
          .selectFrom('leads')
          .select('phone')
          .where('id', '=', leadId)
          .executeTakeFirstOrThrow()
        await writes(phone, 'הסר')
      },
      says: /asked for no messages/,
    },
  }
for (const [why, { set, says }] of Object.entries(CLOSED))
  t.test(`${why}: the reply is refused, or not sent if it was queued`, async t => {
    const { shop, id, box, keyNow, send, repliesOf, got } = await wrote()
    const key = await keyNow()
    t.match(await send('queued before', key), { status: 303 })
    await set(shop.tenantId, id)
    // While the "stop" was unread, the reply was held for a second.
    await jobDue(`manual:${(await repliesOf())[0]?.id}`)
    await work()
    t.match(await repliesOf(), [{ state: 'skipped', reason: why }])
    const requests = requestsOf(shop).length
    const page = await box()
    t.match(page, says)
    t.notMatch(page, '<textarea')

    const before = await repliesOf()
    t.match(await send('too late', 'another key'), {
      status: 409,
      text: />\s*too late<\/textarea>/,
    })
    await work()
    t.strictSame(await repliesOf(), before)
    t.strictSame(
      got().filter(text => /queued|late/.test(text)),
      [],
    )
    t.equal(requestsOf(shop).length, requests, 'no request to Graph')
    t.match((await doneTo(shop)).at(-1), { action: 'message.refuse', after: { refused: why } })
  })

t.test('a person who opted out may be answered after they write again', async t => {
  const { who, box, send, got } = await wrote()
  await writes(who.e164, 'הסר')
  t.match(await box(), /asked for no messages/)
  await writes(who.e164, 'בעצם, יש תור?')
  t.match(await box(), '<textarea')
  await writes(who.e164, 'הסר')
  t.match(await box(), /asked for no messages/, 'they said so again')
  await writes(who.e164, 'מה השעות?')
  await send('עד שש')
  await work()
  t.match(got().at(-1), 'עד שש')
})

t.test('a lost answer: the reply is unknown and never repeated', async t => {
  const { shop, who, keyNow, send, repliesOf } = await wrote()
  const key = await keyNow()
  fake.script({ to: who.e164, outcome: { kind: 'http', status: 502, body: 'x', accept: true } })
  await send('שלום', key)
  await work()
  t.match(await repliesOf(), [{ state: 'unknown' }])
  const requests = requestsOf(shop).length
  const [reply] = await repliesOf()
  await send('שלום', key)
  await sql`select graphile_worker.add_job('manual', json_build_object('messageId', ${reply?.id}::text))`.execute(
    db,
  )
  await work()
  t.equal(requestsOf(shop).length, requests)
  t.match(await repliesOf(), [{ state: 'unknown' }])
})

t.test('an unread message of the person holds the reply, since it may say "stop"', async t => {
  const { shop, who, send, repliesOf } = await wrote()
  await writes(who.e164, 'רגע')
  await sql`update whatsapp_events set outcome = null
            where id = (select max(id) from whatsapp_events where tenant_id = ${shop.tenantId})`.execute(
    db,
  )
  await send('שלום')
  await work()
  t.match(await repliesOf(), [{ state: 'scheduled' }])
})

t.test('wrong texts, an erased person and another business send nothing', async t => {
  const { shop, who, path, send, owner, repliesOf, got } = await wrote()
  for (const text of ['', ' \u200f\n', 'x'.repeat(4097)])
    t.match(await send(text), { status: 400, text: /role="alert"/ })
  t.match(await owner.submit(`${path}/reply`, { text: 'hi' }), { status: 400 }, 'no key')
  t.match(await send('x'.repeat(4096)), { status: 303 })
  t.equal((await repliesOf()).length, 1)
  const outsider = await asTenant((await business()).tenantId)
  await outsider.get('/ops')
  const before = await contents()
  t.equal((await outsider.submit(`${path}/reply`, { text: 'hi', key: 'k' })).status, 404)
  t.equal((await owner.post(`${path}/reply`, { text: 'hi', key: 'k' })).status, 403)
  t.strictSame(await contents(), before)

  await db
    .transaction()
    .execute(trx =>
      erase(trx, { as: 'command line' }, { tenantId: shop.tenantId, number: who.e164 }),
    )
  await work()
  t.strictSame(got(), [], 'a queued reply is not sent to a person who was erased')
  t.equal((await owner.submit(`${path}/reply`, { text: 'hi', key: 'k' })).status, 404)
})
