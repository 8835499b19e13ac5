/** The links in notices to the owner: who they sign in, to what, and until when. */
import { sql } from 'kysely'
import t from 'tap'
import { config, reloadConfig } from '../../../app/config.ts'
import { sha256 } from '../../../app/crypto.ts'
import { findLink, signInByLink, signOutEverywhere } from '../../../app/tenants/sessions.ts'
import { newLink } from '../../../app/outreach/owner_links.ts'
import { setTenant } from '../../../app/tenants/settings.ts'
import { setPassword } from '../../../app/tenants/credentials.ts'
import { erase } from '../../../app/privacy/erase.ts'
import { LINK, owned, writes } from '../../outreach/support.ts'
import { asOperator, asTenant, auditLogOf, browser } from '../../support/ops.ts'
import { type Business, customer, db, fake, messagesOf, work } from '../../support/ringback.ts'
import { act as inTrx } from '../../tenants/support.ts'
import { leadOf } from './support.ts'

const BY_COMMAND = { as: 'command line' } as const

/** A person wrote, and the owner got a notice with a link to their page. */
const notified = async (met: Awaited<ReturnType<typeof owned>> | null = null) => {
  met ??= await owned()
  await writes(met.who.e164, 'מתי אפשר לבוא?')
  const lead = await leadOf(met.shop.tenantId, met.who.e164)
  const [path] = linksTo(met.owner)
  if (!path) throw new Error('the notice has no link')
  const token = path.slice('/l/'.length)
  return { ...met, lead, path, token, page: `/ops/leads/${lead.id}` }
}

/** The paths of the links that a phone received. */
const linksTo = (phone: string): string[] =>
  fake.inbox(phone).flatMap(({ template }) => LINK.exec(template?.parameters[2] ?? '')?.[1] ?? [])

const rowOf = (token: string) =>
  db.selectFrom('sessions').selectAll().where('hash', '=', sha256(token)).executeTakeFirstOrThrow()

const sessionsOf = ({ tenantId }: Business) =>
  db
    .selectFrom('sessions')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .where('kind', '=', 'session')
    .execute()

t.test('a notice ends with a link to the page of the person, also after a long text', async t => {
  const { owner, who } = await owned()
  await writes(who.e164, 'שלום '.repeat(400))
  const what = fake.inbox(owner)[0]?.template?.parameters[2] ?? ''
  t.match(what, /^– הודעה חדשה: שלום .* http:\/\/localhost:\d+\/l\/[\w-]{43}$/)
  t.ok(what.length <= 300 && what.length > 290, 'the text is cut, the link is whole')
})

t.test('where the pages are off, a notice has no link', async t => {
  const target = { leadId: null, credential: null }
  t.ok(newLink(target))
  const before = { ...process.env }
  const ENCRYPTION_KEY = config().ENCRYPTION_KEY.toString('base64')
  t.teardown(() => {
    process.env = before
    reloadConfig()
  })
  Object.assign(process.env, { NODE_ENV: 'production', ENCRYPTION_KEY })
  delete process.env['OPS_PASSWORD']
  reloadConfig()
  t.equal(newLink(target), null)
})

t.test('only the hash of a token is stored, in no table and in no message the token', async t => {
  const { shop, token, lead, who } = await notified()
  t.match(await rowOf(token), {
    kind: 'link',
    tenant_id: shop.tenantId,
    scope: 'leads',
    lead_id: lead.id,
    revoked_at: null,
  })
  const { created_at, expires_at } = await rowOf(token)
  t.equal(expires_at.getTime() - created_at.getTime(), 7 * 24 * 3_600_000)
  const owner = browser('he')
  await owner.post(`/l/${token}`, {})
  await owner.submit(`/ops/leads/${lead.id}/called-back`)
  const { rows: tables } = await sql<{ name: string }>`
    select format('%I.%I', schemaname, tablename) as name from pg_tables
    where schemaname in ('public', 'graphile_worker')`.execute(db)
  for (const { name } of tables) {
    const { rows } = await sql`
      select from ${sql.raw(name)} t where t::text like ${`%${token}%`}`.execute(db)
    t.equal(rows.length, 0, name)
  }
  const notice = (await messagesOf(shop.tenantId)).find(({ kind }) => kind === 'owner_notice')
  t.equal(notice?.text, '– הודעה חדשה: מתי אפשר לבוא?')
  t.notMatch(JSON.stringify(await auditLogOf(shop.tenantId)), token)
  const { text } = await (
    await asOperator()
  ).submit(`/ops/tenants/${shop.tenantId}/export/csv`, {
    what: 'messages',
  })
  t.notMatch(text, token)
  t.match(who.e164, /^\+972/)
})

t.test('opening a link does not sign in, any number of times', async t => {
  const { shop, path, page } = await notified()
  const before = await sql`select * from sessions order by id`.execute(db)
  for (const method of ['GET', 'HEAD', 'GET']) {
    const bot = browser()
    const { status, headers, text } = await bot.ask(path, { method })
    t.equal(status, 200)
    t.equal(headers.get('cache-control'), 'no-store')
    t.equal(headers.get('referrer-policy'), 'no-referrer')
    t.strictSame(headers.getSetCookie(), [])
    if (method === 'GET') {
      t.equal(text.match(/<button/g)?.length, 1, 'one button')
      t.match(text, 'פתיחת השיחה', 'in the language of the business, whatever the browser wants')
      t.match(text, 'dir="rtl"')
      t.notMatch(text, page, 'no data of the person')
    }
    t.equal((await bot.get(page)).status, 401)
  }
  t.strictSame(await sql`select * from sessions order by id`.execute(db), before)
  t.strictSame(await sessionsOf(shop), [])
})

t.test('one tap signs in for thirty days, on any number of devices', async t => {
  const { shop, path, page } = await notified()
  for (const _ of [1, 2]) {
    const owner = browser('en')
    const { status, location, headers } = await owner.post(path, {})
    t.strictSame([status, location], [303, `${page}#latest`])
    t.match(
      headers.getSetCookie().find(line => line.startsWith('ringback=')),
      `Max-Age=${30 * 24 * 3600};`,
    )
    const shown = await owner.get(page)
    t.equal(shown.status, 200)
    t.match(shown.text, 'מתי אפשר לבוא?')
    t.match(shown.text, 'lang="he"', 'in the language of the business, until the owner chooses')
    t.match(await owner.get(path), { status: 303, location: `${page}#latest` }, 'no second tap')
    t.match(await owner.post(path, {}), { status: 303 })
  }
  const sessions = await sessionsOf(shop)
  t.equal(sessions.length, 2, 'a device that is signed in needs no further session')
  for (const { scope, created_at, expires_at } of sessions) {
    t.equal(scope, 'leads')
    t.equal(expires_at.getTime() - created_at.getTime(), 30 * 24 * 3_600_000)
  }
})

t.test('such a session reads and answers leads, and the rest needs the password', async t => {
  const { shop, path, page, lead, who } = await notified()
  const other = await notified()
  const owner = browser()
  await owner.post(path, {})
  for (const allowed of [page, '/ops', '/ops/leads', '/ops/calls', '/ops/waiting'])
    t.equal((await owner.get(allowed)).status, 200, allowed)
  const { text: today } = await owner.get('/ops')
  const [, navigation = ''] = /<nav[^>]*>(.*?)<\/nav>/s.exec(today) ?? []
  t.match(navigation, 'href="/ops/waiting"')
  t.notMatch(navigation, /\/ops\/(trouble|tenants|log)/, 'offers no page that needs the password')
  t.match(today, '<a class="alone" href="/ops/tenants">', 'but a way to enter it')
  const tenant = `/ops/tenants/${shop.tenantId}`
  for (const forbidden of [
    '/ops/tenants',
    tenant,
    `${tenant}/settings`,
    `${tenant}/password`,
    `${tenant}/webhook`,
    `${tenant}/whatsapp`,
    `${tenant}/export`,
    '/ops/log',
    '/ops/trouble',
    '/ops/queue',
  ]) {
    const { status, text } = await owner.get(forbidden)
    t.equal(status, 401, forbidden)
    t.match(text, 'name="password"')
  }
  t.equal((await owner.get(other.page)).status, 404, 'for that tenant only')
  const form = /name="form" value="([^"]+)"/.exec((await owner.get(page)).text)?.[1] ?? ''
  const before = await db.selectFrom('tenants').selectAll().execute()
  const refused = await owner.post(`${tenant}/settings`, { form, name: 'mine' })
  t.equal(refused.status, 401)
  t.equal((await owner.post(`${tenant}/export/csv`, { form, what: 'messages' })).status, 401)
  t.strictSame(await db.selectFrom('tenants').selectAll().execute(), before)

  const key = `reply-${lead.id}-0`
  const answered = await owner.post(`${page}/reply`, { form, key, text: 'מחר בעשר', back: page })
  t.equal(answered.status, 303)
  await work()
  t.equal(fake.inbox(who.e164).at(-1)?.text, 'מחר בעשר')
  t.match(await auditLogOf(shop.tenantId), [
    ...(await auditLogOf(shop.tenantId)).slice(0, -1),
    { who: `tenant ${shop.tenantId}`, action: 'message.send' },
  ])
  t.equal((await owner.post(`${page}/outcome`, { form, outcome: 'won', value: '350' })).status, 303)
})

t.test('a visitor who is signed in keeps that session', async t => {
  const met = await owned()
  const tenant = await asTenant(met.shop.tenantId)
  const { path, page } = await notified(met)
  for (const visitor of [tenant, await asOperator()]) {
    const session = visitor.cookies.get('ringback')
    t.match(await visitor.get(path), { status: 303, location: `${page}#latest` })
    t.match(await visitor.post(path, {}), { status: 303, location: `${page}#latest` })
    t.equal(visitor.cookies.get('ringback'), session)
    t.equal((await visitor.get('/ops/log')).status, 200, 'with all that it may do')
  }
  const stranger = await asTenant((await notified()).shop.tenantId)
  t.equal((await stranger.get(path)).status, 200, 'another business sees the button')
  t.equal((await stranger.get(page)).status, 404)
  await stranger.post(path, {})
  t.equal((await stranger.get(page)).status, 200, 'and changes the business by it')
})

/** What ends a link, with the status and the text of its page. */
const ENDS: [
  string,
  (met: Awaited<ReturnType<typeof notified>>) => Promise<unknown>,
  number,
  string,
][] = [
  [
    'seven days',
    ({ token }) =>
      sql`
        update sessions set created_at = created_at - interval '7 days', expires_at = expires_at - interval '7 days'
        where hash = ${sha256(token)}`.execute(db),
    410,
    'כבר לא בתוקף',
  ],
  [
    'another phone of the owner',
    ({ shop }) =>
      inTrx(trx =>
        setTenant(trx, BY_COMMAND, { tenantId: shop.tenantId, ownerPhone: customer().e164 }),
      ),
    410,
    'הקישור הזה בוטל',
  ],
  [
    'another password',
    ({ shop: { tenantId } }) =>
      inTrx(trx => setPassword(trx, BY_COMMAND, { tenantId, password: 'a new password' })),
    410,
    'הקישור הזה בוטל',
  ],
  [
    'sign-out everywhere',
    ({ shop }) => inTrx(trx => signOutEverywhere(trx, BY_COMMAND, shop.tenantId)),
    410,
    'הקישור הזה בוטל',
  ],
  [
    'erasing the person',
    ({ shop: { tenantId }, who }) =>
      inTrx(trx => erase(trx, BY_COMMAND, { tenantId, number: who.e164 })),
    404,
    'הקישור הזה לא מוכר',
  ],
]

for (const [what, end, status, text] of ENDS)
  t.test(`a link ends with ${what}, and its page says so`, async t => {
    const met = await notified()
    const owner = browser('he')
    await owner.post(met.path, {})
    t.equal((await owner.get('/ops/leads')).status, 200)
    await end(met)
    for (const answer of [
      await browser('he').get(met.path),
      await browser('he').post(met.path, {}),
    ]) {
      t.equal(answer.status, status)
      t.match(answer.text, text)
      t.match(answer.text, 'href="/ops/leads', 'it offers to sign in')
      t.notMatch(answer.text, '<button')
      t.strictSame(answer.headers.getSetCookie(), [])
      t.equal(answer.headers.get('cache-control'), 'no-store')
    }
    const isAlsoOut = !['seven days', 'erasing the person'].includes(what)
    t.equal((await owner.get('/ops/leads')).status, isAlsoOut ? 401 : 200, 'the session')
  })

t.test('links that open nothing: cut off, foreign, of a session, and too many of them', async t => {
  const met = await owned()
  const tenant = await asTenant(met.shop.tenantId)
  const { token } = await notified(met)
  const session = tenant.cookies.get('ringback') ?? ''
  const foreign = 'A'.repeat(43)
  const visitor = browser()
  for (const path of [
    `/l/${token.slice(0, -1)}`,
    `/l/${foreign}`,
    `/l/${session}`,
    '/l',
    '/l/',
    '/l/x/y',
  ]) {
    const { status, text, headers } = await visitor.get(path)
    t.equal(status, 404, path)
    t.match(text, 'We do not know this link')
    t.equal(headers.get('referrer-policy'), 'no-referrer')
  }
  t.equal((await visitor.get('/l/%E0%A4%A')).status, 400)
  t.equal((await visitor.ask(`/l/${foreign}`, { method: 'DELETE' })).status, 404)
  const statuses = new Set<number>()
  for (let n = 0; n < 40; n++) statuses.add((await visitor.get(`/l/${foreign}`)).status)
  t.strictSame([...statuses], [404, 429])
  const { headers } = await visitor.get(`/l/${foreign}`)
  t.equal(headers.get('retry-after'), '60')
  t.equal((await visitor.get(`/l/${token}`)).status, 200, 'a valid link is never limited')
})

t.test('another site cannot sign a visitor in', async t => {
  const { path } = await notified()
  const visitor = browser()
  const { status, headers } = await visitor.ask(path, {
    method: 'POST',
    headers: { 'sec-fetch-site': 'cross-site' },
  })
  t.equal(status, 403)
  t.strictSame(headers.getSetCookie(), [])
})

t.test('a notice that waits for another phone of the owner is not sent, nor its link', async t => {
  const { shop, who, owner } = await owned()
  fake.script({ to: owner, outcome: { kind: 'error', code: 131000 } })
  await writes(who.e164, 'היי')
  const links = () =>
    db.selectFrom('sessions').select('id').where('tenant_id', '=', shop.tenantId).execute()
  const before = await links()
  const next = customer().e164
  await inTrx(trx => setTenant(trx, BY_COMMAND, { tenantId: shop.tenantId, ownerPhone: next }))
  await sql`update messages set hold_until = now() where tenant_id = ${shop.tenantId} and kind = 'owner_notice'`.execute(
    db,
  )
  await sql`select graphile_worker.reschedule_jobs(array_agg(id), run_at := now()) from graphile_worker.jobs
            where task_identifier = 'owner_notice' having count(*) > 0`.execute(db)
  await work()
  const notice = (await messagesOf(shop.tenantId)).find(({ kind }) => kind === 'owner_notice')
  t.match(notice, { state: 'skipped', reason: 'owner_changed' })
  t.strictSame([fake.inbox(owner), fake.inbox(next)], [[], []])
  t.strictSame(await links(), before)
})

t.test('a notice to a phone that was removed is not sent', async t => {
  const { shop, owner, who } = await owned()
  await db
    .updateTable('tenants')
    .set({ owner_phone: null })
    .where('id', '=', shop.tenantId)
    .execute()
  const { id: leadId } = await leadOf(shop.tenantId, who.e164)
  const { id } = await db
    .insertInto('messages')
    .values({
      tenant_id: shop.tenantId,
      lead_id: leadId,
      direction: 'out',
      kind: 'owner_notice',
      state: 'scheduled',
      due_at: new Date(),
      to_phone: owner,
      text: '– הודעה חדשה: היי',
      occasion: 'reply:x',
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  await sql`select graphile_worker.add_job('owner_notice', ${JSON.stringify({ messageId: id })}::json)`.execute(
    db,
  )
  await work()
  t.strictSame(fake.inbox(owner), [])
  t.match((await messagesOf(shop.tenantId)).at(-1), { state: 'skipped', reason: 'owner_changed' })
})

t.test('a session cannot begin while all sessions of the business are being ended', async t => {
  const { shop, path, token } = await notified()
  const trx = await db.startTransaction().execute()
  await signOutEverywhere(trx, BY_COMMAND, shop.tenantId)
  const owner = browser('he')
  const tapped = owner.post(path, {})
  // It waits for the transaction, which holds the row of the business.
  await new Promise(resolve => setTimeout(resolve, 100))
  await trx.commit().execute()
  t.equal((await tapped).status, 410)
  t.strictSame(await sessionsOf(shop), [])
  t.match(await findLink(db, token), { ended: 'revoked' })
})

t.test('sign-ins by a link do not end those with the password', async t => {
  const met = await owned()
  const tenant = await asTenant(met.shop.tenantId)
  const { token } = await notified(met)
  for (let n = 0; n < 101; n++) await signInByLink(db, token)
  t.equal((await tenant.get('/ops/log')).status, 200)
  const sessions = await sessionsOf(met.shop)
  t.equal(sessions.filter(({ scope }) => scope === 'leads').length, 100)
})
