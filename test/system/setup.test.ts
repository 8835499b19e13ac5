/** From an empty database to live on the pages alone, in a real browser: in Hebrew, on a phone, against a fake Meta. */
import type { Page } from 'playwright-core'
import t from 'tap'
import { push } from '../../scripts/demo/cdr.ts'
import { tenant } from '../scripts/tenant.ts'
import { browser, faults } from '../support/browser.ts'
import { OPERATOR_PASSWORD } from '../support/ops.ts'
import {
  APP_SECRET,
  customer,
  db,
  fake,
  post,
  url,
  VERIFY_TOKEN,
  WHATSAPP,
  work,
} from '../support/ringback.ts'
import { happens } from '../support/whatsapp.ts'

const DID = '072-277-6772'
const OWNER = customer()
const number = fake.addNumber({
  displayNumber: '+972722776772',
  appSecret: APP_SECRET,
  verifyToken: VERIFY_TOKEN,
  callbackUrl: WHATSAPP,
})

const step = (page: Page, name: string) => page.locator(`#step-${name}`)
/** The marks of the steps, in their order. */
const marks = async (page: Page): Promise<string> =>
  (await page.locator('.checklist b[aria-hidden]').allTextContents()).join('')

t.test('from nothing to live', async t => {
  const context = await browser.newContext({
    viewport: { width: 390, height: 844 },
    locale: 'he',
    timezoneId: 'Asia/Jerusalem',
  })
  const page = await context.newPage()
  const errors: string[] = []
  page.on('pageerror', error => errors.push(error.message))
  const press = async (name: string, within = page.locator('main')) => {
    await within.getByRole('button', { name, exact: true }).click()
    await page.getByRole('status').waitFor()
  }

  await page.goto(`${url}/ops/tenants`)
  await page.locator('[name=name]').fill('operator')
  await page.locator('[name=password]').fill(OPERATOR_PASSWORD)
  await page.locator('main button.main').click()

  // A business.
  await page.getByRole('link', { name: 'הוספת עסק' }).click()
  await page.locator('[name=name]').fill('מספרת נועה')
  await page.locator('[name=numbers]').fill(DID)
  await page.locator('[name=ownerPhone]').fill(OWNER.local)
  await page.getByRole('button', { name: 'הוספה' }).click()
  const [shown = ''] = /http\S+cdr\?token=[\w-]+/.exec((await page.textContent('main')) ?? '') ?? []
  const webhook = new URL(shown)
  const { id: tenantId } = await db.selectFrom('tenants').select('id').executeTakeFirstOrThrow()
  const overview = `${url}/ops/tenants/${tenantId}`
  await page.goto(overview)
  t.equal(await marks(page), '○○○○○○○')
  t.strictSame(await page.evaluate(faults), [])

  // Voicenter reports a call, and later one to another number.
  const token = webhook.searchParams.get('token') ?? ''
  await post(push({ did: DID.replaceAll('-', ''), caller: customer().local }), { token })
  await work()
  await page.reload()
  t.equal(await marks(page), '✓✓○○○○○')
  t.match(await step(page, 'calls').textContent(), /דיווח השיחה הראשון:\s+היום \d\d:\d\d/)
  t.match(await step(page, 'numbers').textContent(), /072-277-6772.*היום/)

  // WhatsApp, first with a wrong token.
  await step(page, 'whatsapp').getByRole('link', { name: /לדף/ }).click()
  const connect = async (accessToken: string) => {
    await page.locator('[name=whatsappNumber]').fill(DID)
    await page.locator('form[action$=connect] [name=phoneNumberId]').fill(number.phoneNumberId)
    await page.locator('form[action$=connect] [name=accessToken]').fill(accessToken)
    await page.getByRole('button', { name: 'חיבור', exact: true }).click()
  }
  await connect('a wrong token')
  await page.getByRole('alert').waitFor()
  t.match(await page.textContent('main'), /לא מקבל/)
  await connect(number.token)
  await page.getByRole('status').waitFor()
  await page.goto(overview)
  t.equal(await marks(page), '✓✓✓○○○○')
  t.match(await step(page, 'whatsapp').textContent(), number.wabaId)

  // Meta verifies the address with the values that the page shows, and sends an event.
  const values = await step(page, 'events').locator('.copy code').allTextContents()
  t.equal(values[1], VERIFY_TOKEN)
  const callback = new URL(values[0] ?? '')
  callback.search = new URLSearchParams({
    'hub.mode': 'subscribe',
    'hub.challenge': '42',
    'hub.verify_token': values[1] ?? '',
  }).toString()
  t.equal(await (await fetch(callback)).text(), '42')
  await page.reload()
  t.match(await step(page, 'events').textContent(), /אימתה את הכתובת, אבל עוד לא דיווחה/)
  const { phoneNumberId } = number
  await happens({ kind: 'text', from: customer().e164, text: 'שלום', phoneNumberId })
  await page.reload()
  t.equal(await marks(page), '✓✓✓✓○○○')

  // The templates. Pressed twice, they are created once.
  for (let press2 = 0; press2 < 2; press2++) {
    await page.goto(`${overview}/templates`)
    await press('הגשה ל־Meta')
  }
  t.equal(fake.templates(number.wabaId).length, 4)
  t.match(await page.textContent('main'), /שלום, כאן מספרת נועה\. ראינו שהתקשרת אלינו/)
  await page.goto(overview)
  t.equal(await marks(page), '✓✓✓✓…○○')
  for (const template of fake.templates(number.wabaId))
    await happens({
      kind: 'template_status',
      template: template.name,
      event: 'APPROVED',
      phoneNumberId,
    })
  await page.reload()
  t.equal(await marks(page), '✓✓✓✓✓○○')

  // A test message.
  await press('שליחת הודעת בדיקה')
  await work()
  await page.reload()
  t.equal(await marks(page), '✓✓✓✓✓…○')
  const [message] = fake.inbox(OWNER.e164)
  t.match(message?.text, 'שלום, כאן מספרת נועה')
  await fake.sendStatus(message?.wamid ?? '', { status: 'delivered' })
  await work()
  await page.reload()
  t.equal(await marks(page), '✓✓✓✓✓✓○')

  // Quiet times, and live.
  await step(page, 'quiet').getByLabel('בשבת ובחגים', { exact: true }).check()
  await press('שמירת הבחירה')
  t.equal(await marks(page), '✓✓✓✓✓✓✓')
  for (const one of await page.locator('.checklist > li').all())
    t.match(await one.locator('.evidence').textContent(), /היום \d\d:\d\d/, 'evidence and its time')
  t.strictSame(await page.evaluate(faults), [])
  t.equal((await tenant(['check', '--tenant', tenantId])).status, 0)
  await page.locator('#go-live summary').click()
  t.equal(await page.locator('#go-live .problem').count(), 0, 'no warnings')
  await press('כן, הפעלת שליחה ללקוחות')
  t.match(await page.locator('.row .badge').first().textContent(), 'פעיל')
  t.strictSame(errors, [])
  await context.close()
})
