/** The checklist: every step has evidence, and every mistake is named on the page and by `tenant -- check`. */
import { sql } from 'kysely'
import t from 'tap'
import { z } from 'zod'
import { reloadConfig } from '../../app/config.ts'
import {
  checklist,
  type EvidenceCode,
  type Facts,
  isSetUp,
  PROBLEMS,
  type ProblemCode,
  STEPS,
  type StepName,
} from '../../app/tenants/checklist.ts'
import { callBackPush, push } from '../../scripts/demo/cdr.ts'
import { tenant } from '../scripts/tenant.ts'
import { asOperator, asTenant, auditLogOf } from '../support/ops.ts'
import { business, type Business, customer, db, fake, post, work } from '../support/ringback.ts'
import { deliver, change, envelope, happens, verifyCallback } from '../support/whatsapp.ts'
import { miss } from '../tasks/support.ts'

const [english, hebrew] = [await asOperator('en'), await asOperator('he')]

const AT = new Date('2026-11-30T10:00:00Z')
const LATER = new Date('2026-11-30T11:00:00Z')
const connection: Facts['connections'][number] = {
  displayNumber: '+972722776772',
  phoneNumberId: '106',
  wabaId: '200',
  state: 'active',
  reason: null,
  confirmedAt: AT,
  accountConfirmedAt: AT,
  graphRefusal: null,
  hasAppSecret: false,
  eventAt: AT,
  wrongSignatureAt: null,
}
const template: Facts['templates'][number] = {
  kind: 'initial',
  name: 'ringback_missed_call',
  state: 'active',
  reason: '',
  metaStatus: 'APPROVED',
  metaReason: null,
  submitError: null,
  isHeld: false,
  differs: [],
  stateAt: AT,
  syncedAt: AT,
}
const meta = { hasAppSecret: true, hasVerifyToken: true, verifiedAt: AT, refusedAt: null }
const number = { phone: '+972722776772', seenAt: AT, confirmedAt: null }
const DONE: Facts = {
  firstCallAt: AT,
  lastCallAt: AT,
  numbers: [number],
  unknownNumbers: [],
  connections: [connection],
  meta,
  templates: [template],
  ownerPhone: '+972502345678',
  test: { state: 'delivered', code: null, reportedAt: AT },
  quiet: { isChosen: true, chosenAt: AT },
}
type Connection = Partial<typeof connection>
const connected = (changes: Connection): Partial<Facts> => ({
  connections: [{ ...connection, ...changes }],
})
const templated = (changes: Partial<typeof template>): Partial<Facts> => ({
  templates: [{ ...template, ...changes }],
})
const paused = (reason: string): Partial<Facts> => templated({ state: 'paused', reason })
const tested = (state: 'sent' | 'failed' | 'unknown', code: number | null = null) => ({
  test: { state, code, reportedAt: null },
})

const FOUND: [facts: Partial<Facts>, ...problems: [StepName, ProblemCode][]][] = [
  [{}],
  [{ firstCallAt: null, lastCallAt: null }, ['calls', 'no_calls']],
  [{ numbers: [] }, ['numbers', 'no_number']],
  [{ numbers: [{ ...number, seenAt: null }] }, ['numbers', 'number_unseen']],
  [{ numbers: [{ ...number, seenAt: null, confirmedAt: AT }] }],
  [{ unknownNumbers: [{ phone: '+97231', calls: 2 }] }, ['numbers', 'unknown_number']],
  [
    { connections: [], templates: [] },
    ['whatsapp', 'not_connected'],
    ['events', 'not_connected'],
    ['templates', 'not_connected'],
  ],
  [connected({ confirmedAt: null }), ['whatsapp', 'connection_unconfirmed']],
  [connected({ graphRefusal: 'token' }), ['whatsapp', 'token_wrong']],
  [connected({ state: 'paused', reason: 'WhatsApp error 190' }), ['whatsapp', 'token_wrong']],
  [connected({ graphRefusal: 'number' }), ['whatsapp', 'number_id_wrong']],
  [
    connected({ state: 'paused', reason: 'WhatsApp error 100/33' }),
    ['whatsapp', 'number_id_wrong'],
  ],
  [
    connected({ state: 'paused', reason: 'WhatsApp error 131042' }),
    ['whatsapp', 'connection_paused'],
  ],
  [connected({ graphRefusal: 'account', accountConfirmedAt: null }), ['whatsapp', 'account_wrong']],
  [connected({ accountConfirmedAt: null }), ['whatsapp', 'account_unknown']],
  [{ meta: { ...meta, hasAppSecret: false } }, ['events', 'app_secret_missing']],
  [{ meta: { ...meta, hasAppSecret: false }, ...connected({ hasAppSecret: true }) }],
  [connected({ wrongSignatureAt: LATER }), ['events', 'app_secret_wrong']],
  [connected({ wrongSignatureAt: AT, eventAt: LATER })],
  [{ meta: { ...meta, hasVerifyToken: false } }, ['events', 'verify_token_missing']],
  [{ meta: { ...meta, refusedAt: LATER } }],
  [
    { meta: { ...meta, refusedAt: LATER }, ...connected({ eventAt: null }) },
    ['events', 'verify_token_wrong'],
  ],
  [{ meta: { ...meta, verifiedAt: null, refusedAt: AT } }, ['events', 'verify_token_wrong']],
  [{ meta: { ...meta, refusedAt: AT, verifiedAt: LATER } }],
  [{ meta: { ...meta, verifiedAt: null } }, ['events', 'not_verified']],
  [connected({ eventAt: null }), ['events', 'no_events']],
  [templated({ metaStatus: null }), ['templates', 'template_unknown']],
  [paused('template MISSING'), ['templates', 'template_missing']],
  [paused('template PENDING'), ['templates', 'template_pending']],
  [templated({ metaStatus: null, submitError: '100: no' }), ['templates', 'template_refused']],
  [paused('template REJECTED'), ['templates', 'template_rejected']],
  [paused('template PAUSED'), ['templates', 'template_paused']],
  [paused('WhatsApp error 132001'), ['templates', 'template_paused']],
  [templated({ isHeld: true }), ['templates', 'template_marketing']],
  [templated({ differs: ['body'] }), ['templates', 'template_differs']],
  [{ ownerPhone: null, test: null }, ['test', 'no_owner_phone']],
  [{ test: null }, ['test', 'no_test']],
  [tested('sent'), ['test', 'test_pending']],
  [tested('failed', 131026), ['test', 'test_failed']],
  [tested('unknown'), ['test', 'test_unanswered']],
  [{ quiet: { isChosen: false, chosenAt: null } }, ['quiet', 'no_quiet_windows']],
]

t.test('a step is done only with evidence, and each problem has a code', async t => {
  for (const [facts, ...problems] of FOUND) {
    const steps = checklist({ ...DONE, ...facts })
    const name = JSON.stringify(facts)
    t.strictSame(
      steps.flatMap(({ name, missing }) => missing.map(({ code }) => [name, code])),
      problems,
      name,
    )
    for (const { name: step, state, evidence } of steps)
      if (state === 'done') t.ok(evidence.length > 0, `${step}: ${name}`)
    t.equal(isSetUp(steps), problems.length === 0, name)
  }
  const codes = FOUND.flatMap(([, ...problems]) => problems.map(([, code]) => code))
  t.strictSame(new Set(codes), new Set(Object.keys(PROBLEMS)))
  const [, review] = checklist({ ...DONE, ...paused('template PENDING') }).filter(
    ({ name }) => name === 'calls' || name === 'templates',
  )
  t.equal(review?.state, 'waiting')
})

const accountOf = ({ phoneNumberId }: Business) =>
  fake.numbers().find(one => one.phoneNumberId === phoneNumberId)?.wabaId ?? ''

/** Every step was done, as it happens in real life. */
const readyShop = async ({ isHeard = true } = {}): Promise<Business> => {
  const shop = await business({ mode: 'shadow', columns: { owner_phone: customer().e164 } })
  const { tenantId, phoneNumberId } = shop
  fake.setReview(accountOf(shop), { status: 'APPROVED' })
  await miss(shop, customer().local)
  await verifyCallback()
  await english.submit(`/ops/tenants/${tenantId}/whatsapp/check`)
  await english.submit(`/ops/tenants/${tenantId}/templates/submit`)
  await english.submit(`/ops/tenants/${tenantId}/overview/quiet`, { quiet: 'all' })
  if (!isHeard) return shop
  await happens({ kind: 'text', from: customer().e164, text: 'hi', phoneNumberId })
  await english.submit(`/ops/tenants/${tenantId}/overview/test`)
  await work()
  const [message] = fake.accepted().filter(one => one.phoneNumberId === phoneNumberId)
  await fake.sendStatus(message?.wamid ?? '', { status: 'delivered' })
  await work()
  return shop
}

const answer = z.object({
  done: z.boolean(),
  steps: z.array(
    z.object({
      name: z.string(),
      state: z.string(),
      evidence: z.array(
        z.object({ code: z.string(), about: z.string().nullable(), at: z.string().nullable() }),
      ),
      missing: z.array(
        z.object({ code: z.string(), about: z.string().nullable(), what: z.string() }),
      ),
    }),
  ),
})
const checked = async ({ tenantId }: Business) => {
  const { status, stdout } = await tenant(['check', '--tenant', tenantId, '--json'])
  const { done, steps } = answer.parse(JSON.parse(stdout))
  const codes = steps.flatMap(({ missing }) => missing.map(({ code }) => code))
  return { status, done, steps, codes }
}
const at = ({ tenantId }: Business, rest = '') => `/ops/tenants/${tenantId}${rest}`

t.test('everything is done, and every mark has its evidence', async t => {
  const shop = await readyShop()
  const { status, done, steps, codes } = await checked(shop)
  t.strictSame([status, done, codes], [0, true, []])
  t.strictSame(
    steps.map(({ name }) => name),
    STEPS,
  )
  for (const { name, evidence } of steps) {
    t.ok(evidence.length > 0, name)
    for (const one of evidence) t.ok(Date.parse(one.at ?? '') > Date.now() - 600_000, one.code)
  }
  const text = await tenant(['check', '--tenant', shop.tenantId])
  t.match(text.stdout, /^templates +done\n {2}\+ template_approved ringback_missed_call, 20/m)
  const { text: page } = await english.get(at(shop))
  t.equal([...page.matchAll(/<b aria-hidden="true">✓<\/b>/g)].length, 7)
  t.match(page, /First call report:\s*<time/)
  t.match(page, 'Everything is set up')
  t.match((await hebrew.get(at(shop))).text, /הודעת הבדיקה הגיעה:\s*<time/)

  await sql`
    insert into whatsapp_connections (tenant_id, display_phone_number, phone_number_id, access_token, state, state_reason)
    select tenant_id, display_phone_number, 'old' || phone_number_id, access_token, 'paused', 'number_moved'
    from whatsapp_connections where tenant_id = ${shop.tenantId}`.execute(db)
  t.equal((await checked(shop)).done, true, 'an id that the number had before does not count')
})

t.test('a new business: each missing step says what to do, with the values to copy', async t => {
  const shop = await business({ mode: 'shadow', connected: false })
  await sql`delete from whatsapp_verification`.execute(db)
  const { status, codes } = await checked(shop)
  t.equal(status, 1)
  t.strictSame(codes, [
    'no_calls',
    'number_unseen',
    'not_connected',
    'not_verified',
    'not_connected',
    'not_connected',
    'no_owner_phone',
    'no_quiet_windows',
  ])
  const { text } = await hebrew.get(at(shop))
  t.match(text, new RegExp(`>${shop.line.replace('+', '\\+')}</code>`))
  t.match(text, /webhooks\/whatsapp<\/code>[^]*data-copy/)
  t.match(text, '>entered in the dashboard</code>')
  const owner = await asTenant(shop.tenantId, 'he')
  const { text: own } = await owner.get(at(shop))
  t.match(own, 'webhooks/whatsapp</code>')
  t.notMatch(own, 'entered in the dashboard', 'the verify token is for all businesses')
})

t.test('a number is seen with its first call, or a person confirms it', async t => {
  const shop = await business({ mode: 'shadow', connected: false })
  const seen = async () => {
    const { steps } = await checked(shop)
    const [step] = steps.filter(({ name }) => name === 'numbers')
    return [
      step?.evidence.map(({ code, about }) => `${code} ${about}`),
      step?.missing.map(({ code, about }) => `${code} ${about}`),
    ]
  }
  const second = `+97277${customer().local.slice(-7)}`
  await tenant(['number', 'add', '--tenant', shop.tenantId, '--number', second])
  await post(callBackPush({ caller: shop.did, target: customer().local }), { token: shop.token })
  await work()
  t.strictSame(await seen(), [[], [`number_unseen ${shop.line}`, `number_unseen ${second}`]])
  await miss(shop, customer().local)
  t.strictSame(await seen(), [[`number_called ${shop.line}`], [`number_unseen ${second}`]])

  const other = await business()
  const owner = await asTenant(shop.tenantId)
  t.match((await owner.get(at(shop))).text, 'Customers dial this number')
  const wrong = await owner.submit(at(shop, '/numbers/confirm'), { phone: other.line })
  t.equal(wrong.status, 404)
  const { status, location } = await owner.submit(at(shop, '/numbers/confirm'), {
    phone: second,
    back: at(shop),
  })
  t.strictSame([status, location], [303, at(shop)], 'back to the checklist')
  const expected = [[`number_called ${shop.line}`, `number_confirmed ${second}`], []]
  t.strictSame(await seen(), expected)
  t.match((await auditLogOf(shop.tenantId)).at(-1), {
    who: `tenant ${shop.tenantId}`,
    action: 'number.confirm',
  })
  const third = `+97277${customer().local.slice(-7)}`
  await tenant(['number', 'add', '--tenant', shop.tenantId, '--number', third])
  await tenant(['number', 'confirm', '--tenant', shop.tenantId, '--number', third])
  t.strictSame((await seen())[1], [])
})

t.test('the time of an event is renewed once an hour', async t => {
  const shop = await business()
  const { phoneNumberId, tenantId } = shop
  const hear = () => happens({ kind: 'text', from: customer().e164, text: 'hi', phoneNumberId })
  const heardAt = async (ago: string) => {
    await sql`update whatsapp_connections set event_at = now() - ${ago}::interval where tenant_id = ${tenantId}`.execute(
      db,
    )
    await hear()
    const { rows } = await sql<{ seconds: number }>`
      select extract(epoch from now() - event_at)::int as seconds from whatsapp_connections
      where tenant_id = ${tenantId}`.execute(db)
    return rows[0]?.seconds ?? -1
  }
  t.ok((await heardAt('50 minutes')) > 2900)
  t.ok((await heardAt('70 minutes')) < 60)
  const body = envelope(change(phoneNumberId, { messages: [] }))
  await deliver(body, { 'x-hub-signature-256': `sha256=${'0'.repeat(64)}` })
  t.ok((await checked(shop)).codes.includes('app_secret_wrong'))
  await hear()
  t.notOk((await checked(shop)).codes.includes('app_secret_wrong'), 'a signed event is newer')
})

/** Runs the nightly job of a business. */
const night = async ({ tenantId }: Business): Promise<void> => {
  await sql`select graphile_worker.add_job('template_sync', json_build_object('tenantId', ${tenantId}::text))`.execute(
    db,
  )
  await work()
}
const setColumn = (shop: Business, column: string, value: string) =>
  sql`update whatsapp_connections set ${sql.ref(column)} = ${value} where tenant_id = ${shop.tenantId}`.execute(
    db,
  )
/** With these variables of the environment. */
const withEnvironment = async (variables: Record<string, string>, work: () => Promise<void>) => {
  const before = Object.fromEntries(
    Object.keys(variables).map(name => [name, process.env[name] ?? '']),
  )
  Object.assign(process.env, variables)
  reloadConfig()
  await work().finally(() => {
    Object.assign(process.env, before)
    reloadConfig()
  })
}

type Mistake = {
  make: (shop: Business) => Promise<unknown>
  codes: ProblemCode[]
  en: RegExp
  he: RegExp
  env?: Record<string, string>
  isHeard?: boolean
  /** The evidence that is gone. */
  without?: EvidenceCode[]
}
const MISTAKES: Record<string, Mistake> = {
  'a wrong token': {
    make: shop => {
      fake.addNumber({ phoneNumberId: shop.phoneNumberId, token: 'another' })
      return night(shop)
    },
    codes: ['token_wrong'],
    en: /does not accept the access token of [^]*Create a new token of a system user/,
    he: /לא מקבלת את מפתח הגישה[^]*יש ליצור ב־Meta Business מפתח חדש/,
  },
  'a wrong number id': {
    make: async shop => {
      await setColumn(shop, 'phone_number_id', `99${shop.phoneNumberId}`)
      await night(shop)
    },
    codes: ['number_id_wrong'],
    en: /Meta knows no number with the ID 99[^]*Copy the Phone number ID/,
    he: /לא מכירה מספר עם המזהה 99[^]*יש להעתיק את ה־Phone number ID/,
  },
  'a wrong account': {
    make: async shop => {
      fake.addNumber({ phoneNumberId: shop.phoneNumberId, seesNoAccount: true })
      await setColumn(shop, 'waba_id', '555')
      await night(shop)
    },
    codes: ['account_wrong'],
    without: ['account_confirmed'],
    en: /account 555 does not have[^]*Copy the WhatsApp Business Account ID/,
    he: /555 אין את [^]*יש להעתיק את ה־WhatsApp Business Account ID/,
  },
  'no app secret and no verify token': {
    make: async () => {},
    env: { WHATSAPP_APP_SECRET: '', WHATSAPP_VERIFY_TOKEN: '' },
    codes: ['app_secret_missing', 'verify_token_missing'],
    en: /app secret is not set[^]*verify token is not set[^]*sets the variable to a text/,
    he: /app secret לא הוגדר[^]*verify token לא הוגדר/,
  },
  'a wrong app secret': {
    make: async ({ phoneNumberId }) => {
      const body = envelope(change(phoneNumberId, { messages: [] }))
      await deliver(body, { 'x-hub-signature-256': `sha256=${'0'.repeat(64)}` })
    },
    codes: ['app_secret_wrong'],
    en: /signed with another app secret[^]*copies the secret of the app again/,
    he: /חתומים ב־app secret אחר[^]*להעתיק מחדש את ה־secret/,
  },
  'a wrong verify token': {
    make: () => verifyCallback('another'),
    isHeard: false,
    codes: ['verify_token_wrong', 'no_test'],
    en: /with another verify token[^]*Verify and save[^]*webhooks\/whatsapp</,
    he: /עם verify token אחר[^]*Verify and save/,
  },
  'no subscription': {
    make: async () => {},
    isHeard: false,
    codes: ['no_events', 'no_test'],
    en: /verified the address, but has reported nothing[^]*Webhook fields, subscribe/,
    he: /אימתה את הכתובת, אבל עוד לא דיווחה[^]*Webhook fields/,
  },
  'a rejected template': {
    make: shop =>
      happens({
        kind: 'template_status',
        template: 'ringback_reminder_1',
        event: 'REJECTED',
        reason: 'PROMOTIONAL',
        phoneNumberId: shop.phoneNumberId,
      }),
    codes: ['template_rejected'],
    en: /First reminder \(ringback_reminder_1\): Meta rejected it \(the text promotes something\)[^]*Submit another text/,
    he: /Meta דחתה את הנוסח \(הנוסח מפרסם משהו\)[^]*יש להגיש נוסח אחר/,
  },
  'no number': {
    make: ({ tenantId }) =>
      db.deleteFrom('tenant_numbers').where('tenant_id', '=', tenantId).execute(),
    codes: ['no_number'],
    en: /No number that customers dial is entered[^]*The operator adds the numbers/,
    he: /לא הוזן מספר שהלקוחות מחייגים[^]*להוסיף את המספרים/,
  },
  'a wrong number': {
    make: async ({ token }) => {
      for (let calls = 0; calls < 2; calls++)
        await post(push({ did: '0731112222', caller: customer().local }), { token })
      await work()
    },
    codes: ['unknown_number'],
    en: /073-111-2222[^]*2 times\. It is not entered here[^]*the operator adds it or corrects/,
    he: /התקבלו 2 שיחות אל [^]*073-111-2222[^]*להוסיף אותו או לתקן/,
  },
  'a problem with the payment': {
    make: async shop => {
      await setColumn(shop, 'state', 'paused')
      await setColumn(shop, 'state_reason', 'WhatsApp error 131042')
    },
    codes: ['connection_paused'],
    en: /is paused\. WhatsApp cannot charge the account\. \(131042\)<\/b> Fix the payment method/,
    he: /מושהה\. WhatsApp לא מצליח לחייב[^]*אמצעי התשלום/,
  },
  'a test message that failed': {
    make: ({ tenantId }) =>
      db
        .updateTable('messages')
        .set({ state: 'failed', error_code: 131026 })
        .where('tenant_id', '=', tenantId)
        .where('occasion', 'like', 'test:%')
        .execute(),
    codes: ['test_failed'],
    en: /failed\. the number has no WhatsApp, or cannot receive this message/,
    he: /נכשלה\. למספר אין WhatsApp/,
  },
  'no quiet windows': {
    make: ({ tenantId }) =>
      db
        .updateTable('tenants')
        .set({ quiet_windows: [], quiet_chosen_at: null })
        .where('id', '=', tenantId)
        .execute(),
    codes: ['no_quiet_windows'],
    en: /No quiet times were chosen yet[^]*Choose here/,
    he: /עוד לא נבחר מתי לא לשלוח[^]*אפשר לבחור כאן/,
  },
}

for (const [name, { make, codes, en, he, env = {}, isHeard, without = [] }] of Object.entries(
  MISTAKES,
))
  t.test(`${name}: the page and the command say what to do`, async t => {
    const shop = await readyShop({ ...(isHeard !== undefined && { isHeard }) })
    await make(shop)
    await withEnvironment(env, async () => {
      const found = await checked(shop)
      t.strictSame([found.status, found.done, found.codes], [1, false, codes])
      for (const code of without)
        t.notOk(found.steps.some(({ evidence }) => evidence.some(one => one.code === code)))
      for (const { missing } of found.steps)
        for (const { what } of missing) t.ok(what.length > 10, what)
      t.match((await english.get(at(shop))).text, en)
      t.match((await hebrew.get(at(shop))).text, he)
      const { text } = await (await asTenant(shop.tenantId, 'he')).get(at(shop))
      t.match(text, he, 'the owner reads the same')
    })
  })

t.test('a number is confirmed by Graph, at once or at night', async t => {
  const shop = await business({ connected: false })
  const { phoneNumberId, token, wabaId } = fake.addNumber()
  const env = { TOKEN: token }
  const connect = ['connect', '--tenant', shop.tenantId, '--access-token-env', 'TOKEN']
  const numbers = ['--phone-number-id', phoneNumberId, '--whatsapp-number', shop.did]
  const codes = async () => {
    const { steps } = await checked(shop)
    return steps.flatMap(step =>
      step.name === 'whatsapp' ? step.missing.map(({ code }) => code) : [],
    )
  }
  await fake.refuseConnections()
  await tenant([...connect, ...numbers], { env })
  await fake.acceptConnections()
  t.strictSame(await codes(), ['connection_unconfirmed'], 'it is saved')
  await night(shop)
  t.strictSame(await codes(), [])
  t.match((await checked(shop)).steps[2]?.evidence, [
    { code: 'graph_confirmed', about: shop.line },
    { code: 'account_confirmed', about: wabaId },
  ])

  await setColumn(shop, 'waba_id', '555')
  await night(shop)
  t.strictSame(await codes(), [], 'the token tells the right account')
  t.match((await checked(shop)).steps[2]?.evidence[1], { about: wabaId })

  fake.addNumber({ phoneNumberId, token: 'another' })
  await fake.refuseConnections()
  await tenant([...connect, ...numbers], { env: { TOKEN: 'another' } })
  await fake.acceptConnections()
  t.strictSame(await codes(), ['connection_unconfirmed'], 'a new token is not confirmed yet')
  const refused = await tenant([...connect, ...numbers], { env })
  t.match(refused, { status: 1, stderr: /does not accept this access token/ })
  t.strictSame(await codes(), ['connection_unconfirmed'], 'a clear no changes nothing')
})
