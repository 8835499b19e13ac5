/** npm run tenant -- list, show, set, pause, resume: what a business has set, by command. */
import t from 'tap'
import { business, customer, db } from '../support/ringback.ts'
import { auditSince } from '../tenants/support.ts'
import { answered, tenant } from './tenant.ts'

t.test('list and show say how it stands, for a script and for a person', async t => {
  const shop = await business({ columns: { quiet_windows: ['21:00-08:00'] } })
  const line = {
    tenantId: shop.tenantId,
    name: 'מספרת נועה',
    mode: 'live',
    numbers: [shop.line],
    connection: 'active',
    lastWebhookAt: null,
    waiting: 0,
  }
  t.match((await answered(['list'])).json, { tenants: [line] })
  const { json } = await answered(['show', '--tenant', shop.tenantId])
  t.match(json, {
    tenantId: shop.tenantId,
    outreachDelay: '2 minutes',
    quietWindows: ['21:00-08:00'],
    hasPassword: false,
    numbers: [{ phone: shop.line }],
    connections: [{ phoneNumberId: shop.phoneNumberId, state: 'active' }],
    webhookTokens: [{ revokedAt: null }],
    callLog: null,
  })
  const list = await tenant(['list'])
  t.match(list, { status: 0, stderr: '', stdout: shop.line })
  const shown = await tenant(['show', '--tenant', shop.tenantId])
  t.match(shown, { status: 0, stderr: '', stdout: /^outreachDelay +2 minutes$/m })
  for (const said of [
    /^quietWindows +21:00-08:00$/m,
    /^ownerPhone +none$/m,
    /^contactForeign +no$/m,
    /^callLog: not compared$/m,
    shop.phoneNumberId,
  ])
    t.match(shown.stdout, said)
})

t.test('set changes what is named, and says what was before', async t => {
  const { tenantId } = await business({ mode: 'shadow', columns: { owner_phone: customer().e164 } })
  const written = await auditSince(tenantId)
  const flags = {
    '--mode': 'live',
    '--name': 'Dana',
    '--owner-phone': 'none',
    '--timezone': 'Europe/Paris',
    '--outreach-delay': '90s',
    '--reminder-1-after': '3 hours',
    '--reminder-2-after': '2 days',
    '--unresponsive-after': '12h',
    '--repeat-window': '12h',
    '--oldest-call': '1h',
    '--grace': '20 minutes',
    '--reminder-grace': '4h',
    '--missed-statuses': 'NOANSWER, busy',
    '--min-ring-seconds': '7',
    '--contact-foreign': 'yes',
  }
  const windows = ['--quiet', '21:00-08:00', '--quiet', 'fri 15:00-sat 20:30']
  const args = [...Object.entries(flags).flat(), ...windows]
  const { json, stderr } = await answered(['set', '--tenant', tenantId, ...args])
  t.match(json, {
    tenantId,
    before: { mode: 'shadow', outreachDelay: '2 minutes', quietWindows: [], contactForeign: false },
    after: {
      mode: 'live',
      name: 'Dana',
      ownerPhone: null,
      timezone: 'Europe/Paris',
      outreachDelay: '1 minute 30 seconds',
      reminder1After: '3 hours',
      reminder2After: '2 days',
      unresponsiveAfter: '12 hours',
      repeatWindow: '12 hours',
      oldestCall: '1 hour',
      grace: '20 minutes',
      reminderGrace: '4 hours',
      missedStatuses: ['NOANSWER', 'BUSY'],
      minRingSeconds: 7,
      contactForeign: true,
      quietWindows: ['21:00-08:00', 'fri 15:00-sat 20:30'],
    },
  })
  t.match(stderr, /^ {2}mode: "shadow" -> "live"$/m)
  t.match(await written(), [['command line', 'tenant.set', `tenants ${tenantId}`]])
  const off = await answered(['set', '--tenant', tenantId, '--no-quiet', '--contact-foreign', 'no'])
  t.match(off.json, { after: { quietWindows: [], contactForeign: false } })
  const same = await answered(['set', '--tenant', tenantId, '--mode', 'live', '--no-quiet'])
  t.strictSame(same.json, { tenantId, before: {}, after: {} })
  t.match(same.stderr, /nothing changed/)
  t.equal((await written()).length, 2, 'of which nothing is written')
})

t.test('pause stops a business, and resume lets it go on as before', async t => {
  const { tenantId } = await business({ mode: 'shadow' })
  const written = await auditSince(tenantId)
  const paused = await answered(['pause', '--tenant', tenantId])
  t.strictSame(paused.json, { tenantId, before: { mode: 'shadow' }, after: { mode: 'paused' } })
  const resumed = await answered(['resume', '--tenant', tenantId])
  t.strictSame(resumed.json, { tenantId, before: { mode: 'paused' }, after: { mode: 'shadow' } })
  t.match(await written(), [
    ['command line', 'tenant.set'],
    ['command line', 'tenant.set'],
  ])
  t.match(await tenant(['resume', '--tenant', tenantId]), {
    status: 1,
    stdout: '',
    stderr: /is not paused, its mode is shadow/,
  })
})

t.test('without any business the list is empty', async t => {
  await db.deleteFrom('tenants').execute()
  t.strictSame((await answered(['list'])).json, { tenants: [] })
  t.match(await tenant(['list']), { status: 0, stdout: '', stderr: /there is no business yet/ })
})
