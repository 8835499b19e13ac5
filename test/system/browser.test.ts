/** /ops in a real browser: with and without JavaScript, on a phone and a desktop, in both languages. */
import { sql } from 'kysely'
import type { BrowserContextOptions } from 'playwright-core'
import t from 'tap'
import { push } from '../../scripts/demo/cdr.ts'
import { contacted, LINK, owned, writes } from '../outreach/support.ts'
import { browser, faults } from '../support/browser.ts'
import { OPERATOR_PASSWORD } from '../support/ops.ts'
import {
  business,
  customer,
  db,
  fake,
  post,
  url,
  webhookToken,
  work,
  workAsIfDue,
} from '../support/ringback.ts'
import { leadOf } from '../web/ops/support.ts'

const PHONE = { width: 390, height: 844 }
const DESKTOP = { width: 1280, height: 800 }

/** Signs in as the operator and collects the errors of the browser. */
const visit = async (options: BrowserContextOptions = {}) => {
  const context = await browser.newContext({ viewport: DESKTOP, locale: 'en', ...options })
  const page = await context.newPage()
  const errors: string[] = []
  page.on('console', message => {
    if (message.type() === 'error') errors.push(message.text())
  })
  page.on('pageerror', error => errors.push(error.message))
  await page.goto(`${url}/ops`)
  // The sign-in form has status 401, which the browser reports as an error.
  errors.length = 0
  await page.locator('[name=name]').fill('operator')
  await page.locator('[name=password]').fill(OPERATOR_PASSWORD)
  await page.locator('main button.main').click()
  await page.waitForURL(`${url}/ops`)
  return { page, errors, context }
}

const shop = await business()
// A second business shows the choice of a business. Long names must not make a page wider than the screen.
const long = await business({
  columns: { name: 'הסלון של נועה ורמי בעיר העתיקה '.repeat(3) },
})
const silenced = customer()
const waits = customer()
const staff = customer()
const unknownLine = '0733334444'
await db
  .insertInto('opt_outs')
  .values({ tenant_id: shop.tenantId, phone: silenced.e164, source: 'reply' })
  .execute()
await db
  .insertInto('excluded_numbers')
  .values({ tenant_id: long.tenantId, phone: staff.e164, note: 'ANoteWithoutSpaces'.repeat(8) })
  .execute()
for (const { local } of [silenced, waits])
  await post(push({ did: shop.did, caller: local }), { token: shop.token })
const longName = customer()
for (const { local } of [longName, staff])
  await post(push({ did: long.did, caller: local }), { token: long.token })
// On the page "Needs attention", the button for this number contains the name of the business.
await post(push({ did: '0733334446', caller: waits.local }), { token: long.token })
const unbound = await webhookToken(null)
await work()
await workAsIfDue()
await fake.inbound({ kind: 'text', from: waits.e164, text: 'מתי אפשר לבוא?' })
await work()

await db
  .updateTable('leads')
  .set({ name: 'ANameWithoutSpaces'.repeat(4) })
  .where('phone', '=', longName.e164)
  .execute()

// Before the first test: tap ends if it has to wait between two tests. The database has rows of other tests too.
const calls = await db
  .selectFrom('missed_calls')
  .select(['id', 'lead_id'])
  .where('tenant_id', 'in', [shop.tenantId, long.tenantId])
  .execute()
const leads = new Set(calls.flatMap(({ lead_id }) => lead_id ?? []))

for (const javaScriptEnabled of [true, false])
  await t.test(javaScriptEnabled ? 'with JavaScript' : 'without JavaScript', async t => {
    const { page, errors, context } = await visit({ javaScriptEnabled })

    await t.test('the list shows why a caller got no message', async t => {
      await page.getByRole('link', { name: 'Calls', exact: true }).click()
      await page.getByRole('searchbox').fill(silenced.local)
      await page.getByRole('button', { name: 'Show' }).click()
      await page.waitForURL(/number=/)
      t.match(
        await page.locator('tbody').textContent(),
        /No message: the caller asked for no messages/,
      )
      t.equal(await page.locator('tbody tr').count(), 1, 'this call and no other')
    })

    await t.test('a person who waits is marked as called back, and back again', async t => {
      await page.getByRole('link', { name: 'People', exact: true }).click()
      const row = page.locator('.person', { has: page.locator(`a[href="tel:${waits.e164}"]`) })
      t.match(await row.textContent(), 'מתי אפשר לבוא?')
      await row.getByRole('button', { name: /Called back/ }).click()
      await page.getByRole('status').waitFor()
      t.equal(await row.count(), 0)
      await page.getByRole('button', { name: 'Undo' }).click()
      await row.waitFor()
      await row.getByRole('link', { name: /מתי אפשר לבוא/ }).click()
      await page.getByRole('link', { name: 'Call', exact: true }).waitFor()
    })

    await t.test('an unknown number is added to a business', async t => {
      const line = javaScriptEnabled ? unknownLine : unknownLine.replace(/4$/, '5')
      const outsider = customer()
      await post(push({ did: line, caller: outsider.local }), { token: unbound })
      await work()
      await page.getByRole('link', { name: 'Needs attention', exact: true }).click()
      const row = page.locator('#numbers tr', { hasText: line.slice(-4) })
      await row.getByRole('combobox').selectOption(shop.tenantId)
      await row.getByRole('button').click()
      await page.getByRole('status').waitFor()
      await work()
      await page.reload()
      t.equal(await row.count(), 0)
      const calls = await db
        .selectFrom('missed_calls')
        .select('tenant_id')
        .where('caller_phone', '=', outsider.e164)
        .execute()
      t.strictSame(calls, [{ tenant_id: shop.tenantId }], 'its call is decided again')
    })
    t.strictSame(errors, [])
    await context.close()
  })

await t.test('a reply survives a reload, and a double tap sends it once', async t => {
  const { shop, who } = await contacted()
  await writes(who.e164, 'אפשר תור?')
  const { id } = await leadOf(shop.tenantId, who.e164)
  const { page, errors, context } = await visit({ viewport: PHONE })
  await page.goto(`${url}/ops/leads/${id}`)
  const box = page.locator('#reply textarea')
  await box.fill('כן, בעשר')
  await page.reload()
  t.equal(await box.inputValue(), 'כן, בעשר')
  await page.locator('#reply button.main').dblclick()
  await page.locator('.thread .planned', { hasText: 'כן, בעשר' }).waitFor()
  await work()
  t.equal(fake.inbox(who.e164).filter(({ template }) => !template).length, 1)
  await page.reload()
  t.equal(await box.inputValue(), '', 'it was sent')
  t.strictSame(errors, [])
  await context.close()
})

await t.test('after the settings are saved, the page stays where it was', async t => {
  const { page, errors, context } = await visit({ viewport: PHONE })
  await page.goto(`${url}/ops/tenants/${shop.tenantId}/settings`)
  const windows = page.locator('textarea[name=quietWindows]')
  const save = page.locator('main button.main')
  const place = async () => (await windows.boundingBox())?.y ?? -1
  await windows.fill('never')
  await save.click()
  await page.locator('[name=quietWindows][aria-invalid]').waitFor()
  for (const entered of ['13:00-14:00', '13:00-15:00']) {
    await windows.fill(entered)
    await windows.scrollIntoViewIfNeeded()
    const before = await place()
    await save.click()
    await page.waitForURL(/settings$/)
    await page.getByRole('status').waitFor()
    t.ok(Math.abs((await place()) - before) < 150, `${before} and ${await place()}`)
  }
  await windows.fill('')
  await save.click()
  await page.getByRole('status').waitFor()
  // The browser reports the answer with status 400.
  t.strictSame(
    errors.filter(error => !error.includes('400')),
    [],
  )
  await context.close()
})

await t.test('from the notice to the outcome, on the phone of the owner, in Hebrew', async t => {
  const { shop, who, owner } = await owned()
  await writes(who.e164, 'אפשר לבוא מחר?')
  const what = fake.inbox(owner)[0]?.template?.parameters[2] ?? ''
  const [, path = ''] = LINK.exec(what) ?? []
  t.match(path, /^\/l\//, 'the notice has a link')

  const context = await browser.newContext({ viewport: PHONE, locale: 'he', hasTouch: true })
  const page = await context.newPage()
  const errors: string[] = []
  page.on('console', message => {
    if (message.type() === 'error') errors.push(message.text())
  })
  page.on('pageerror', error => errors.push(error.message))
  await page.goto(`${url}${path}`)
  t.strictSame(await page.evaluate(faults), [])
  t.equal(await page.getByRole('button').count(), 1)
  t.strictSame(await context.cookies(), [], 'opening the link does not sign in')

  await page.getByRole('button', { name: 'פתיחת השיחה' }).tap()
  await page.waitForURL(/\/ops\/leads\/\d+#latest$/)
  t.match(await page.locator('.thread .in').last().textContent(), 'אפשר לבוא מחר?')
  t.ok(((await page.locator('h1').boundingBox())?.y ?? -1) >= 0, 'it is in sight whose page it is')

  await page.locator('#reply textarea').fill('כן, בעשר')
  await page.locator('#reply button.main').tap()
  await page.locator('.thread .planned', { hasText: 'כן, בעשר' }).waitFor()
  await work()
  t.equal(fake.inbox(who.e164).at(-1)?.text, 'כן, בעשר', 'the customer gets the answer')

  await page.locator('#outcome [value=won]').check()
  await page.locator('#outcome [name=value]').fill('350')
  await page.locator('#outcome button').tap()
  await page.getByRole('status').waitFor()
  t.match(await page.locator('main .badge.good').textContent(), '₪350')

  await page.goto(`${url}/ops`)
  const won = page.locator('.figures li', { hasText: 'נסגרו' })
  t.match(await won.textContent(), /1.*350/s, 'Today counts it')
  await page.goto(`${url}/ops/tenants/${shop.tenantId}/settings`)
  await page.locator('[name=password]').waitFor()
  // The browser reports the answer with status 401.
  t.strictSame(
    errors.filter(error => !error.includes('401')),
    [],
  )
  await context.close()
})

for (const [size, viewport] of Object.entries({ phone: PHONE, desktop: DESKTOP }))
  for (const language of ['he', 'en'])
    await t.test(`the page of a link fits a ${size}, in ${language}`, async t => {
      const { shop, who, owner } = await owned({
        name: 'הסלון של נועה ורמי בעיר העתיקה '.repeat(3),
      })
      await db
        .updateTable('tenants')
        .set({ languages: [language] })
        .where('id', '=', shop.tenantId)
        .execute()
      await writes(who.e164, 'היי')
      const [, path = ''] = LINK.exec(fake.inbox(owner)[0]?.template?.parameters[2] ?? '') ?? []
      const context = await browser.newContext({
        viewport,
        locale: language === 'he' ? 'en' : 'he',
      })
      const page = await context.newPage()
      const direction = () => page.locator('html').getAttribute('dir')
      await page.goto(`${url}${path}`)
      t.strictSame(await page.evaluate(faults), [])
      t.equal(await direction(), language === 'he' ? 'rtl' : 'ltr')
      await db
        .updateTable('sessions')
        .set({ revoked_at: new Date() })
        .where('tenant_id', '=', shop.tenantId)
        .execute()
      await page.reload()
      t.strictSame(await page.evaluate(faults), [])
      t.equal(await direction(), language === 'he' ? 'rtl' : 'ltr')
      await context.close()
    })

await t.test('the page reloads itself', async t => {
  const { page, context } = await visit()
  const missed = page.locator('.figures strong').first()
  const before = Number(await missed.textContent())
  await post(push({ did: shop.did, caller: customer().local }), { token: shop.token })
  await work()
  const after = page.locator('.figures strong', { hasText: new RegExp(`^${before + 1}$`) })
  await t.resolves(after.first().waitFor())
  await context.close()
})

await t.test(
  'an open page says that the session has ended, and a form keeps what was entered',
  async t => {
    const { page, errors, context } = await visit()
    const settings = await context.newPage()
    await settings.goto(`${url}/ops/tenants/${shop.tenantId}/settings`)
    await settings.locator('[name=outreachDelay]').fill('7 minutes')
    const notice = page.locator('#signed-out')
    t.notOk(await notice.isVisible())
    await db.updateTable('sessions').set({ revoked_at: new Date() }).execute()
    await t.resolves(notice.waitFor())
    t.match(await page.locator('h1').textContent(), 'Today', 'the old content stays')

    await settings.locator('form button.main').first().click()
    await settings.getByRole('alert').waitFor()
    await settings.getByRole('button', { name: 'עברית' }).click()
    await settings.getByRole('button', { name: 'כניסה' }).waitFor()
    await settings.getByRole('button', { name: 'English' }).click()
    await settings.getByRole('button', { name: 'Sign in' }).waitFor()
    await settings.locator('[name=name]').fill('operator')
    await settings.locator('[name=password]').fill(OPERATOR_PASSWORD)
    await settings.locator('[name=password]').press('Enter')
    await settings.locator('[name=outreachDelay]').waitFor()
    t.equal(await settings.locator('[name=outreachDelay]').inputValue(), '7 minutes')
    t.match(await settings.getByRole('status').textContent(), 'Nothing was changed yet')
    await settings.locator('form button.main').first().click()
    await settings.waitForURL(/settings$/)
    t.equal(await settings.locator('[name=outreachDelay]').inputValue(), '7 minutes')
    const { outreach_delay } = await db
      .selectFrom('tenants')
      .select(sql<string>`outreach_delay::text`.as('outreach_delay'))
      .where('id', '=', shop.tenantId)
      .executeTakeFirstOrThrow()
    t.equal(outreach_delay, '00:07:00')
    await t.resolves(notice.waitFor({ state: 'hidden' }), 'the session of the browser is back')
    // The browser reports the answers with status 401.
    t.strictSame(
      errors.filter(error => !error.includes('401')),
      [],
    )
    await context.close()
  },
)

for (const [size, viewport] of Object.entries({ phone: PHONE, desktop: DESKTOP }))
  for (const locale of ['en', 'he'])
    await t.test(`the sign-in form fits a ${size}, in ${locale}`, async t => {
      const context = await browser.newContext({ viewport, locale })
      const page = await context.newPage()
      await page.goto(`${url}/ops`)
      await page.locator('#forgot summary').click()
      t.strictSame(await page.evaluate(faults), [])
      t.equal(await page.locator('html').getAttribute('dir'), locale === 'he' ? 'rtl' : 'ltr')
      await context.close()
    })

const PAGES = [
  ...calls.map(({ id }) => `/calls/missed/${id}`),
  ...Array.from(leads, id => `/leads/${id}`),
  '',
  '/leads',
  '/calls',
  '/waiting',
  '/trouble',
  '/tenants',
  `/tenants/${shop.tenantId}`,
  `/tenants/${long.tenantId}`,
  `/tenants/${shop.tenantId}/settings`,
  `/tenants/${shop.tenantId}/exclusions`,
  `/tenants/${long.tenantId}/exclusions`,
  `/tenants/${shop.tenantId}/templates`,
  `/tenants/${shop.tenantId}/webhook`,
  '/log',
]

for (const [size, viewport] of Object.entries({ phone: PHONE, desktop: DESKTOP }))
  for (const locale of ['en', 'he'])
    await t.test(`each page fits a ${size}, in ${locale}`, async t => {
      const { page, errors, context } = await visit({ viewport, locale })
      for (const path of PAGES) {
        await page.goto(`${url}/ops${path}`)
        t.strictSame(await page.evaluate(faults), [], path)
        t.equal(await page.locator('html').getAttribute('dir'), locale === 'he' ? 'rtl' : 'ltr')
        // The heading of a person is their name.
        if (locale === 'he' && !path.startsWith('/leads/'))
          t.match(await page.locator('h1').textContent(), /[א-ת]/)
      }
      t.strictSame(errors, [])
      await context.close()
    })
