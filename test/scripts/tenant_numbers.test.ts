/** npm run tenant -- number, template: where customers call and what they read, by command. */
import t from 'tap'
import { push } from '../../scripts/demo/cdr.ts'
import { business, customer, verdictsOf, work } from '../support/ringback.ts'
import { tell } from '../tasks/support.ts'
import { auditSince } from '../tenants/support.ts'
import { answered } from './tenant.ts'

t.test('a number is added, listed and removed, and calls to it are judged again', async t => {
  const shop = await business()
  const written = await auditSince(shop.tenantId)
  const record = push({ caller: customer().local, did: '0739000001' })
  await tell(shop.token, record)
  const number = ['--tenant', shop.tenantId, '--number', '073-900-0001']
  const added = await answered(['number', 'add', ...number])
  t.strictSame(added.json, {
    tenantId: shop.tenantId,
    phone: '+972739000001',
    added: true,
    judgedAgain: 1,
  })
  t.match(added.stderr, /1 call is judged again/)
  await work()
  t.strictSame(await verdictsOf(shop.tenantId, record.ivruniqueid), [['missed', 'noanswer']])
  t.match((await answered(['number', 'add', ...number])).json, { added: false, judgedAgain: 0 })
  for (const list of [['number', 'list'], ['number']])
    t.match((await answered([...list, '--tenant', shop.tenantId])).json, {
      tenantId: shop.tenantId,
      numbers: [{ phone: shop.line }, { phone: '+972739000001' }],
    })
  const removed = await answered(['number', 'remove', ...number])
  t.strictSame(removed.json, { tenantId: shop.tenantId, phone: '+972739000001' })
  t.match(await written(), [
    ['command line', 'number.add'],
    ['command line', 'number.remove'],
  ])
})

t.test('a template is set and shown', async t => {
  const { tenantId } = await business()
  const written = await auditSince(tenantId)
  const { json } = await answered([
    'template',
    '--tenant',
    tenantId,
    '--kind',
    'reminder_1',
    '--name',
    'again',
    '--language',
    'en',
  ])
  t.match(json, {
    templates: [
      { kind: 'initial', name: 'ringback_missed_call' },
      { kind: 'reminder_1', name: 'again', language: 'en' },
    ],
  })
  t.match(await written(), [
    [
      'command line',
      'template.set',
      /^whatsapp_connections/,
      { kind: 'reminder_1' },
      { name: 'again' },
    ],
  ])
})
