/** Every page, also that of a link, in a real browser: what axe finds, what the keyboard reaches, how large the controls are. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Page } from 'playwright-core'
import t from 'tap'
import { ops } from '../../app/web/ops/router.ts'
import { answeredPush, push } from '../../scripts/demo/cdr.ts'
import { LINK, owned, reported, writes } from '../outreach/support.ts'
import { endpointOf } from '../events/support.ts'
import { browser } from '../support/browser.ts'
import { OPERATOR_PASSWORD } from '../support/ops.ts'
import { business, customer, db, fake, post, url, webhookToken, work } from '../support/ringback.ts'
import { leadOf } from '../web/ops/support.ts'

/** The paths of all GET routes, so that no new page can be forgotten. */
const pathsOf = (router: unknown): string[] => {
  const layers: unknown = Reflect.get(Object(router), 'stack')
  if (!Array.isArray(layers)) return []
  return layers.flatMap((layer: unknown) => {
    const route: unknown = Reflect.get(Object(layer), 'route')
    if (!route) return pathsOf(Reflect.get(Object(layer), 'handle'))
    const methods: unknown = Reflect.get(route, 'methods')
    const paths: unknown[] = [Reflect.get(route, 'path')].flat()
    return Reflect.get(Object(methods), 'get') === true ? paths.map(String) : []
  })
}

const { shop, who, conversation, owner } = await owned()
const { tenantId } = shop
// It cannot be reached, so its deliveries wait.
await endpointOf(shop, 'http://127.0.0.1:9/')
await reported(conversation, 'initial', 'read')
await writes(who.e164, 'אפשר תור ליום שלישי?')
// A second business shows the choice of a business.
const other = await business({ columns: { name: 'הסלון של נועה ורמי בעיר העתיקה '.repeat(3) } })
await post(push({ did: other.did, caller: customer().local }), { token: other.token })
await post(answeredPush({ did: shop.did, caller: customer().local }), { token: shop.token })
// What needs attention: an unknown line, and a report that cannot be read.
await post(push({ did: '0733334444', caller: customer().local }), {
  token: await webhookToken(null),
})
await post('{"not": "a call"}', { token: shop.token })
await work()
const lead = await leadOf(tenantId, who.e164)
const [, link = ''] = LINK.exec(fake.inbox(owner)[0]?.template?.parameters[2] ?? '') ?? []
const [call] = await db
  .selectFrom('missed_calls')
  .select('id')
  .where('tenant_id', '=', tenantId)
  .execute()
const [record] = await db
  .selectFrom('raw_cdrs')
  .select('id')
  .where('tenant_id', '=', tenantId)
  .execute()
const [rejected] = await db.selectFrom('rejected_deliveries').select('id').execute()

const IDS: Record<string, string | undefined> = {
  '/leads/:id': lead.id,
  '/calls/:id': record?.id,
  '/calls/missed/:id': call?.id,
  '/trouble/deliveries/:id': rejected?.id,
}

/** Static files, and a redirect. The address of an action shows the page of its section. */
const NOT_A_PAGE = /^\/(style\.css|page\.js|icon\.svg|sign-in)$|^\/tenants\/:tenantId\/\w+\/[\w-]+$/

const routes = [...new Set(pathsOf(ops))].filter(path => !NOT_A_PAGE.test(path))
const pages = routes
  .map(route => route.replace(':tenantId', tenantId))
  .map(path => path.replace(':id', IDS[path] ?? ':id'))

await t.test('the routes are found, and each can be visited', async t => {
  for (const page of ['/', '/leads', '/calls', '/waiting', '/trouble', '/tenants', '/log'])
    t.ok(pages.includes(page), page)
  t.ok(pages.includes(`/tenants/${tenantId}/settings`))
  t.ok(pages.length >= 20, String(pages.length))
  t.strictSame(
    pages.filter(page => page.includes(':')),
    [],
    'say in IDS what to visit',
  )
})

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

type Look = { locale: 'he' | 'en'; colorScheme: 'light' | 'dark'; size: 'phone' | 'desktop' }
const SIZES = { phone: { width: 390, height: 844 }, desktop: { width: 1280, height: 800 } }

const visit = async ({ locale, colorScheme, size }: Look) => {
  const options = { viewport: SIZES[size], locale, colorScheme, bypassCSP: true }
  const context = await browser.newContext(options)
  const page = await context.newPage()
  await page.goto(`${url}/ops`)
  return { page, context }
}

const signIn = async (page: Page) => {
  await page.locator('[name=name]').fill('operator')
  await page.locator('[name=password]').fill(OPERATOR_PASSWORD)
  await page.locator('main button.main').click()
  await page.waitForURL(`${url}/ops`)
}

const violations = async (page: Page): Promise<string[]> => {
  await page.evaluate(axe)
  return page.evaluate(`axe.run(document).then(({ violations }) => violations.map(found =>
    found.impact + ' ' + found.id + ': ' + found.nodes.slice(0, 3).map(node => node.target.join(' ')).join(', ')))`)
}

/** Controls that are lower than a finger is wide. */
const lowControls = (page: Page): Promise<string[]> =>
  page.evaluate(`[...document.querySelectorAll('nav a, button, .button, summary, select, textarea,' +
    'input:not([type=hidden], [type=checkbox], [type=radio])')]
    .filter(one => one.checkVisibility() && one.getBoundingClientRect().height < 43.5)
    .map(one => one.tagName + ' ' + (one.name ?? '') + ' ' + one.textContent.trim().slice(0, 30) + ' ' + Math.round(one.getBoundingClientRect().height))`)

/** Visible controls that the key Tab does not reach. A group of radio buttons has one place. */
const unreachable = async (page: Page): Promise<string[]> => {
  const count: number = await page.evaluate(`
    window.controls = [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary')]
      .filter(one => one.checkVisibility())
    window.reached = new Set()
    document.addEventListener('focusin', ({ target }) => {
      for (const one of controls)
        if (one === target || (target.type === 'radio' && one.name === target.name)) reached.add(one)
    })
    controls.length`)
  // A date has several places, so there may be more places than controls.
  for (let presses = 0; presses < count + 30; presses++) await page.keyboard.press('Tab')
  return page.evaluate(
    `controls.filter(one => !reached.has(one)).map(one => one.outerHTML.slice(0, 100))`,
  )
}

const LOOKS: Look[] = [
  { locale: 'he', colorScheme: 'light', size: 'phone' },
  { locale: 'en', colorScheme: 'dark', size: 'phone' },
  { locale: 'he', colorScheme: 'dark', size: 'desktop' },
  { locale: 'en', colorScheme: 'light', size: 'desktop' },
]

for (const look of LOOKS)
  await t.test(Object.values(look).join(', '), async t => {
    const { page, context } = await visit(look)
    t.strictSame(await violations(page), [], 'the sign-in form')
    await db
      .updateTable('tenants')
      .set({ languages: [look.locale] })
      .where('id', '=', tenantId)
      .execute()
    for (const path of [link, '/l/unknown']) {
      await page.goto(`${url}${path}`)
      t.equal(await page.locator('html').getAttribute('lang'), look.locale)
      t.strictSame([...(await violations(page)), ...(await lowControls(page))], [], path)
    }
    await page.goto(`${url}/ops`)
    await signIn(page)
    for (const path of pages) {
      await page.goto(`${url}/ops${path}`)
      t.strictSame(await violations(page), [], path)
      if (look.size === 'phone') t.strictSame(await lowControls(page), [], `${path}: low controls`)
      else t.strictSame(await unreachable(page), [], `${path}: not reached by the keyboard`)
    }
    await context.close()
  })

await t.test('a form that failed leads to its first problem, also without JavaScript', async t => {
  for (const javaScriptEnabled of [true, false]) {
    const context = await browser.newContext({
      viewport: SIZES.phone,
      locale: 'en',
      javaScriptEnabled,
    })
    const page = await context.newPage()
    await page.goto(`${url}/ops`)
    await signIn(page)
    await page.goto(`${url}/ops/tenants/${tenantId}/settings`)
    await page.locator('[name=repeatWindow]').fill('never')
    await page.locator('[name=reminder1After]').fill('soon')
    await page.locator('form[action$="/settings/save"] button.main').last().click()
    const focused = page.locator(':focus')
    t.equal(await focused.getAttribute('name'), 'reminder1After', 'the first on the page')
    const described = await focused.getAttribute('aria-describedby')
    t.match(await page.locator(`#${described}`).textContent(), 'A time such as 2 hours.')
    const box = await focused.boundingBox()
    t.ok(box && box.y > 0 && box.y < 800, 'it is in sight')
    await context.close()
  }
})
