/** A business changes what it has set, and it is written down what. */
import { sql } from 'kysely'
import { test } from 'tap'
import type { z } from 'zod'
import { business, contents, customer, db, outreachOf, workAsIfDue } from '../support/ringback.ts'
import { miss } from '../tasks/support.ts'
import { act, auditSince, OPERATOR, refusalOf } from './support.ts'
import { resumeTenant } from '../../app/tenants/settings.ts'
import { setTenant, settings } from '../../app/tenants/settings.ts'

type Wish = Omit<z.input<typeof settings>, 'tenantId'>
const set = (tenantId: string, wish: Wish) =>
  act(trx => setTenant(trx, OPERATOR, settings.parse({ tenantId, ...wish })))
/** What is said about a wish, as [field, message]. */
const complaints = (wish: Wish) =>
  settings
    .safeParse({ tenantId: '1', ...wish })
    .error?.issues.map(({ path, message }) => [path[0], message])
const row = (id: string) =>
  db.selectFrom('tenants').selectAll().where('id', '=', id).executeTakeFirstOrThrow()

await test('everything can be changed, and only what changed is written down', async t => {
  const { tenantId } = await business({ mode: 'shadow' })
  const written = await auditSince(tenantId)
  const changed = await set(tenantId, {
    name: ' מספרת דנה ',
    mode: 'live',
    ownerPhone: '050-234-5678',
    timezone: 'Europe/Paris',
    outreachDelay: '90s',
    reminder1After: '3h',
    reminder2After: '2 days',
    unresponsiveAfter: '24h',
    repeatWindow: '12 hours',
    oldestCall: '1h',
    grace: '20 minutes',
    reminderGrace: '4h',
    missedStatuses: ['noanswer', 'ABANDONED', 'NOANSWER'],
    minRingSeconds: '7',
    contactForeign: true,
    quietWindows: ['21:00-08:00', 'Fri 15:00 - Sat 20:30'],
  })
  t.match(await row(tenantId), {
    name: 'מספרת דנה',
    mode: 'live',
    owner_phone: '+972502345678',
    timezone: 'Europe/Paris',
    outreach_delay: { minutes: 1, seconds: 30 },
    reminder_2_after: { hours: 48 },
    missed_statuses: ['NOANSWER', 'ABANDONE'],
    min_ring_seconds: 7,
    contact_foreign: true,
    quiet_windows: ['21:00-08:00', 'fri 15:00-sat 20:30'],
  })
  t.match(changed.before, {
    outreachDelay: '2 minutes',
    reminder2After: '24 hours',
    mode: 'shadow',
  })
  t.match(changed.after, {
    outreachDelay: '1 minute 30 seconds',
    reminder2After: '2 days',
    mode: 'live',
  })
  t.notOk('unresponsiveAfter' in changed.after, 'which had been 24 hours')
  t.equal(Object.keys(changed.after).length, 15)
  t.strictSame(await written(), [
    ['operator', 'tenant.set', `tenants ${tenantId}`, changed.before, changed.after],
  ])
})

await test('what is as it was is not written down', async t => {
  const { tenantId } = await business()
  const written = await auditSince(tenantId)
  t.strictSame(await set(tenantId, {}), { before: {}, after: {} })
  const same: Wish = {
    mode: 'live',
    outreachDelay: '120 seconds',
    quietWindows: [],
    ownerPhone: '',
  }
  t.strictSame(await set(tenantId, same), { before: {}, after: {} })
  t.strictSame(await written(), [])
})

await test("the owner's phone can be taken away", async t => {
  const { tenantId } = await business({ columns: { owner_phone: customer().e164 } })
  await set(tenantId, { ownerPhone: '' })
  t.equal((await row(tenantId)).owner_phone, null)
})

await test('a span of another kind that is not touched stays to the letter', async t => {
  const { tenantId } = await business({ columns: { reminder_2_after: '1 day' } })
  await set(tenantId, { reminder1After: '1h' })
  t.match(await row(tenantId), { reminder_2_after: { days: 1 }, reminder_1_after: { hours: 1 } })
})

await test('reminders stay in order, also when only one of them is given', async t => {
  const { tenantId } = await business()
  const before = await contents()
  const refusal = (wish: Wish) =>
    refusalOf(trx => setTenant(trx, OPERATOR, settings.parse({ tenantId, ...wish })))
  t.strictSame(await refusal({ reminder1After: '25h' }), [
    'reminders_out_of_order',
    'reminder1After',
  ])
  t.strictSame(await refusal({ reminder2After: '1h' }), [
    'reminders_out_of_order',
    'reminder2After',
  ])
  t.strictSame(await contents(), before)
  await set(tenantId, { reminder1After: '30h', reminder2After: '30h' })
})

const WRONG: [wish: Wish, field: string, said: RegExp][] = [
  [{ name: ' ' }, 'name', /a name/],
  [{ name: 'A\nB' }, 'name', /in one line/],
  [{ name: 'A'.repeat(101) }, 'name', /at most 100/],
  [{ mode: 'off' as 'live' }, 'mode', /live, shadow or paused/],
  [{ ownerPhone: '*2700' }, 'ownerPhone', /a telephone number/],
  [{ ownerPhone: 'me' }, 'ownerPhone', /a telephone number/],
  [{ timezone: 'Mars/Base' }, 'timezone', /such as Asia\/Jerusalem/],
  [{ timezone: 'IST' }, 'timezone', /such as Asia\/Jerusalem/],
  [{ timezone: '+02:00' }, 'timezone', /such as Asia\/Jerusalem/],
  [{ outreachDelay: '-2 minutes' }, 'outreachDelay', /2 minutes, 90s/],
  [{ repeatWindow: 'long' }, 'repeatWindow', /2 minutes, 90s/],
  [{ grace: '0' }, 'grace', /at least 1 minute/],
  [{ reminderGrace: '59s' }, 'reminderGrace', /at least 1 minute/],
  [{ oldestCall: '0s' }, 'oldestCall', /at least 1 minute/],
  [
    { missedStatuses: ['NOANSWER', 'NEVER'] },
    'missedStatuses',
    /statuses from this list: ANSWER, NOANSWER/,
  ],
  [{ missedStatuses: [] }, 'missedStatuses', /at least one status/],
  [{ minRingSeconds: '-1' }, 'minRingSeconds', /from 0 to 600/],
  [{ minRingSeconds: '' }, 'minRingSeconds', /from 0 to 600/],
  [{ minRingSeconds: 601 }, 'minRingSeconds', /from 0 to 600/],
  [{ minRingSeconds: 1.5 }, 'minRingSeconds', /from 0 to 600/],
  [{ quietWindows: ['21:00'] }, 'quietWindows', /such as 21:00-08:00/],
  [{ quietWindows: ['21:00-21:00'] }, 'quietWindows', /such as 21:00-08:00/],
  [{ quietWindows: ['fri 15:00-20:30'] }, 'quietWindows', /such as 21:00-08:00/],
  [
    { quietWindows: Array.from({ length: 21 }, (_, n) => `0${n % 10}:00-0${n % 10}:3${n % 10}`) },
    'quietWindows',
    /at most 20/,
  ],
]

await test('what is wrong is said, and of which field', async t => {
  for (const [wish, field, said] of WRONG) {
    const [[name, message] = []] = complaints(wish) ?? []
    t.equal(name, field, JSON.stringify(wish))
    t.match(message, said)
  }
})

const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']

await test('windows must leave some time of the week', async t => {
  const never = [
    ['00:00-12:00', '12:00-00:00'],
    ['20:00-10:00', '10:00-20:00'],
    ['sun 00:00-sat 00:00', 'fri 23:00-sun 00:00'],
    ['sat 12:00-wed 12:00', 'tue 00:00-sat 12:00'],
    DAYS.map((day, n) => `${day} 06:00-${DAYS[(n + 1) % 7]} 06:00`),
  ]
  for (const windows of never)
    t.match(
      complaints({ quietWindows: windows }),
      [['quietWindows', /no message is ever sent/]],
      windows.join(),
    )
  const some = [
    [],
    ['21:00-08:00', 'fri 15:00-sat 20:30'],
    ['00:00-23:59'],
    ['12:00-11:59'],
    ['sun 00:00-sat 23:59'],
    ['fri 15:01-fri 15:00'],
    DAYS.slice(1).map((day, n) => `${day} 06:00-${DAYS[(n + 2) % 7]} 06:00`),
  ]
  for (const windows of some)
    t.strictSame(complaints({ quietWindows: windows }), undefined, windows.join())
})

await test('what is set here, the database takes', async t => {
  const { tenantId } = await business()
  for (const zone of ['UTC', 'Asia/Jerusalem', 'America/Argentina/Buenos_Aires', 'Asia/Kolkata'])
    await set(tenantId, { timezone: zone })
  for (const windows of [['00:00-23:59'], ['mon 09:00-mon 17:00'], []])
    await set(tenantId, { quietWindows: windows })
  t.equal((await row(tenantId)).timezone, 'Asia/Kolkata')
})

await test('a business that is not there is not found', async t => {
  for (const tenantId of ['999999', '999999999999999999'])
    t.strictSame(await refusalOf(trx => setTenant(trx, OPERATOR, { tenantId, mode: 'live' })), [
      'not_found',
      null,
    ])
})

await test('what waits is decided again when it is due', async t => {
  for (const [mode, end] of [
    ['paused', ['skipped', 'tenant_paused']],
    ['shadow', ['skipped', 'shadow']],
  ] as const) {
    const shop = await business()
    const { callId } = await miss(shop, customer().local)
    await set(shop.tenantId, { mode })
    t.strictSame(await outreachOf(shop.tenantId, callId), ['scheduled', 'waiting'])
    await workAsIfDue()
    t.strictSame(await outreachOf(shop.tenantId, callId), end)
  }
  const shop = await business({ mode: 'shadow' })
  const { callId } = await miss(shop, customer().local)
  await set(shop.tenantId, { mode: 'live' })
  await workAsIfDue()
  t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
})

await test('who resumes goes on as before', async t => {
  const resume = (tenantId: string) => act(trx => resumeTenant(trx, OPERATOR, tenantId))
  for (const mode of ['shadow', 'live'] as const) {
    const { tenantId } = await business({ mode })
    t.strictSame(await refusalOf(trx => resumeTenant(trx, OPERATOR, tenantId)), [
      'not_paused',
      null,
    ])
    await set(tenantId, { mode: 'paused' })
    await set(tenantId, { name: 'another' })
    t.strictSame(await resume(tenantId), { before: { mode: 'paused' }, after: { mode } })
    t.equal((await row(tenantId)).mode, mode)
  }
})

await test('who was never anything else, or was paused by SQL, must say how to go on', async t => {
  const { tenantId } = await business({ mode: 'paused' })
  const unknown = ['mode_before_unknown', null]
  t.strictSame(await refusalOf(trx => resumeTenant(trx, OPERATOR, tenantId)), unknown)
  await set(tenantId, { mode: 'live' })
  await sql`update tenants set mode = 'paused' where id = ${tenantId}`.execute(db)
  t.strictSame(await refusalOf(trx => resumeTenant(trx, OPERATOR, tenantId)), unknown)
})

await test('two who change at once both leave a trace of what they changed', async t => {
  const { tenantId } = await business()
  const written = await auditSince(tenantId)
  await Promise.all(['A', 'B', 'C'].map(name => set(tenantId, { name })))
  const names = (await written()).map(([, , , before, after]) => ({ before, after }))
  t.equal(names.length, 3)
  t.strictSame(
    names.slice(1).map(({ before }) => before),
    names.slice(0, -1).map(({ after }) => after),
    'each begins where the one before ended',
  )
})
