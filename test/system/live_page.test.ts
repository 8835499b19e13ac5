/** An open page in a real browser: what it does while things happen, and what it costs. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import type { Page } from 'playwright-core'
import t from 'tap'
import { push } from '../../scripts/demo/cdr.ts'
import { contacted, writes } from '../outreach/support.ts'
import { browser } from '../support/browser.ts'
import { asOperator, asTenant } from '../support/ops.ts'
import { business, customer, db, post, url, work } from '../support/ringback.ts'
import { leadOf } from '../web/ops/support.ts'

/** Signs in as the owner of a business, on a phone. */
const ownerOf = async (tenantId: string, { at = url, fakeClock = false } = {}) => {
  await asTenant(tenantId)
  const context = await browser.newContext({
    viewport: { width: 390, height: 844 },
    locale: 'en',
    hasTouch: true,
  })
  const page = await context.newPage()
  if (fakeClock) await page.clock.install()
  await page.goto(`${at}/ops`)
  await page.locator('[name=name]').fill(tenantId)
  await page.locator('[name=password]').fill(`the password of ${tenantId}`)
  await page.locator('main button.main').click()
  await page.waitForURL(`${at}/ops`)
  return { page, context }
}

type Shop = Awaited<ReturnType<typeof business>>
const misses = async ({ did, token }: Shop, caller = customer()) => {
  await post(push({ did, caller: caller.local }), { token })
  await work()
  return caller
}

/** The next version of the page that the browser asks for. */
const nextAnswer = (page: Page, status = 200) =>
  page.waitForResponse(
    answer => answer.request().resourceType() === 'fetch' && answer.status() === status,
  )

const hint = (page: Page) => page.locator('#news button')

const visibility = (page: Page, hidden: boolean) =>
  page.evaluate(`
    Object.defineProperty(document, 'hidden', { value: ${hidden}, configurable: true })
    document.dispatchEvent(new Event('visibilitychange'))`)

await t.test('no row moves until the visitor asks for the new version', async t => {
  const shop = await business()
  const first = await misses(shop)
  const second = await misses(shop)
  const { page, context } = await ownerOf(shop.tenantId)
  await page.goto(`${url}/ops/leads`)
  const row = (phone: string) =>
    page.locator('.person', { has: page.locator(`a[href="tel:${phone}"]`) })
  const before = await row(first.e164).boundingBox()
  const third = await misses(shop)
  await hint(page).waitFor()
  t.equal(await hint(page).textContent(), 'New: 1 · show')
  t.match(await page.title(), '(1)')
  t.strictSame(await row(first.e164).boundingBox(), before)
  t.equal(await row(third.e164).count(), 0)

  await hint(page).click()
  t.equal(await row(third.e164).count(), 1)
  t.equal(await page.locator('.person').count(), 3)
  t.notOk(await hint(page).isVisible())
  t.notMatch(await page.title(), '(1)')

  // A double tap, on a page that is scrolled down: the second tap meets the next person's button, and does nothing.
  await page.setViewportSize({ width: 390, height: 500 })
  const button = row(second.e164).getByRole('button', { name: /Called back/ })
  await button.scrollIntoViewIfNeeded()
  const place = (await button.boundingBox()) ?? { x: 0, y: 0 }
  const [x, y, scrolled] = [place.x + 20, place.y + 20, Number(await page.evaluate('scrollY'))]
  t.ok(scrolled > 0)
  await Promise.all([page.waitForURL(/done=/), page.mouse.click(x, y)])
  await page.mouse.click(x, y)
  const undo = page.getByRole('button', { name: 'Undo' })
  await undo.waitFor()
  t.ok(Number(await page.evaluate('scrollY')) > 0, 'the visitor stays where they were')
  t.ok(((await undo.boundingBox())?.y ?? -1) >= 0, 'and sees the undo')
  await page.waitForTimeout(300)
  const marked = await db
    .selectFrom('leads')
    .select('phone')
    .where('tenant_id', '=', shop.tenantId)
    .where('called_back_at', 'is not', null)
    .execute()
  t.strictSame(marked, [{ phone: second.e164 }], 'the person whose button was pressed')
  await context.close()
})

await t.test('a row that another phone has answered fades, and stays in its place', async t => {
  const shop = await business()
  const [first, second] = [await misses(shop), await misses(shop)]
  const { page, context } = await ownerOf(shop.tenantId)
  await page.goto(`${url}/ops/leads`)
  const row = (phone: string) =>
    page.locator('.person', { has: page.locator(`a[href="tel:${phone}"]`) })
  const before = await row(first.e164).boundingBox()
  const { id } = await leadOf(shop.tenantId, second.e164)
  // Another sign-in of the business would set its password again, and end the session of the browser.
  const colleague = await asOperator()
  await colleague.submit(`/ops/leads/${id}/called-back`)
  await page.locator('.person.gone').waitFor()
  t.match(await row(second.e164).getAttribute('class'), 'gone')
  t.notMatch(await row(first.e164).getAttribute('class'), 'gone')
  t.strictSame(await row(first.e164).boundingBox(), before)

  await colleague.submit(`/ops/leads/${id}/called-back/undo`)
  await page.locator('.person:not(.gone)').nth(1).waitFor()
  t.equal(await page.locator('.person').count(), 2)
  await context.close()
})

await t.test('texts change in place, but not while the visitor touches the page', async t => {
  const shop = await business()
  const { page, context } = await ownerOf(shop.tenantId)
  const waiting = page.locator('#waiting strong')
  t.equal(await waiting.textContent(), '0')
  await page.mouse.move(100, 700)
  await page.mouse.down()
  await Promise.all([nextAnswer(page), misses(shop)])
  await page.waitForTimeout(200)
  t.equal(await waiting.textContent(), '0', 'a finger is on the page')
  await page.mouse.up()
  await page.locator('#waiting strong', { hasText: '1' }).waitFor()
  t.notOk(await hint(page).isVisible())
  await context.close()
})

await t.test('typed text survives news and a new sign-in', async t => {
  const { shop, who } = await contacted()
  await writes(who.e164, 'אפשר תור?')
  const { id } = await leadOf(shop.tenantId, who.e164)
  const { page, context } = await ownerOf(shop.tenantId)
  await page.goto(`${url}/ops/leads/${id}`)
  const note = page.locator('#note textarea')
  await note.fill('likes mornings')
  await Promise.all([hint(page).waitFor(), writes(who.e164, 'או מחר?')])
  t.equal(await page.locator('.thread .in').count(), 1, 'nothing changes while a form has focus')
  await hint(page).click()
  t.equal(await page.locator('.thread .in').count(), 2)
  t.equal(await note.inputValue(), 'likes mornings')

  await note.fill('likes evenings')
  await page.locator('h1').click()
  await db.updateTable('sessions').set({ revoked_at: new Date() }).execute()
  const notice = page.locator('#signed-out')
  await notice.waitFor()
  t.equal(await note.inputValue(), 'likes evenings', 'the page stays')
  await notice.getByRole('link').click()
  await page.locator('[name=name]').fill(shop.tenantId)
  await page.locator('[name=password]').fill(`the password of ${shop.tenantId}`)
  await page.locator('main button.main').click()
  await note.waitFor()
  t.equal(await note.inputValue(), 'likes evenings')
  await page.locator('#note button').click()
  await page.locator('.flash').waitFor()
  t.equal((await leadOf(shop.tenantId, who.e164)).note, 'likes evenings')
  await context.close()
})

await t.test('a typed note does not replace the note that came meanwhile', async t => {
  const { shop, who } = await contacted()
  const { id } = await leadOf(shop.tenantId, who.e164)
  const { page, context } = await ownerOf(shop.tenantId)
  await page.goto(`${url}/ops/leads/${id}`)
  const note = page.locator('#note textarea')
  await note.fill('likes mornings')
  await page.locator('h1').click()
  await db.updateTable('leads').set({ note: 'asks for Dana' }).where('id', '=', id).execute()
  await page.locator('#note textarea', { hasText: 'asks for Dana' }).waitFor()
  await page.locator('#note button').click()
  await page.locator('#note .problem bdi', { hasText: 'asks for Dana' }).waitFor()
  t.equal(await note.inputValue(), 'likes mornings')
  t.equal((await leadOf(shop.tenantId, who.e164)).note, 'asks for Dana')
  await context.close()
})

await t.test('a hidden page asks for nothing, and is new when it is shown', async t => {
  const shop = await business()
  const { page, context } = await ownerOf(shop.tenantId, { fakeClock: true })
  await page.goto(`${url}/ops/leads`)
  let asked = 0
  page.on('request', request => {
    if (request.resourceType() === 'fetch') asked++
  })
  await visibility(page, true)
  for (let minute = 0; minute < 10; minute++) await page.clock.fastForward(60_000)
  t.equal(asked, 0)
  await misses(shop)
  await visibility(page, false)
  await page.locator('.person').waitFor()
  t.notOk(await hint(page).isVisible())
  t.equal(asked, 1)
  await context.close()
})

/** Counts what passes between the browser and the program, in both directions. */
const countingProxy = async () => {
  const counted = { bytes: 0 }
  const server = createServer(client => {
    const upstream = connect(Number(new URL(url).port), '127.0.0.1')
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      from.on('data', chunk => (counted.bytes += chunk.length))
      from.on('error', () => to.destroy())
      from.pipe(to)
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return { counted, at: `http://localhost:${port}`, stop: () => server.close() }
}

await t.test('an idle open page costs under 1 MB an hour', async t => {
  const shop = await business()
  for (let n = 0; n < 30; n++) await misses(shop)
  const { counted, at, stop } = await countingProxy()
  const { page, context } = await ownerOf(shop.tenantId, { at, fakeClock: true })
  for (const path of ['/ops', '/ops/waiting']) {
    await page.goto(at + path)
    counted.bytes = 0
    const first = nextAnswer(page)
    await page.clock.fastForward(5_000)
    await first
    const whole = counted.bytes
    let asked = 0
    for (let seconds = 5; seconds < 3600; seconds += 20) {
      const answer = page.waitForResponse(response => response.request().resourceType() === 'fetch')
      await page.clock.fastForward(20_000)
      await answer
      asked++
    }
    const hour = counted.bytes
    t.comment(
      `${path}: ${whole} bytes when something changed, ${hour} bytes an hour (${asked + 1} requests)`,
    )
    t.ok(hour < 400_000, `${path}: ${hour} bytes`)
    // Even if a time such as "in 3 minutes" changes every minute, after which the page asks five times in a minute.
    const changing = 60 * whole + (300 - 60) * ((hour - whole) / asked)
    t.ok(changing < 1_000_000, `${path}: ${Math.round(changing)} bytes if it changes every minute`)
  }
  await context.close()
  stop()
})
