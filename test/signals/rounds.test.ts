/** The program looks for trouble by itself, tells the operator in its log, and two copies tell once. */
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { push } from '../../scripts/demo/cdr.ts'
import { IN_ORDER, soon, startProcess } from '../support/process.ts'
import { business, post, work } from '../support/ringback.ts'
import { alertsOf } from './support.ts'

await t.test('two copies of the worker', async t => {
  const shop = await business()
  await post(push({ did: '0772000001' }), { token: shop.token })
  await work()

  const copies = [startProcess({ ROLE: 'worker' }), startProcess({ ROLE: 'worker' })]
  const lines = () => copies.flatMap(copy => copy.lines)
  const said = () => lines().filter(line => line.includes('something is wrong'))
  await soon('it is raised and told', () => said().length > 0)
  // By then the other one has looked too.
  await sleep(10_000)

  t.equal((await alertsOf(shop)).length, 1)
  t.equal(said().length, 1, 'once')
  t.match(JSON.parse(said()[0] ?? ''), {
    level: 40,
    tenantId: shop.tenantId,
    kind: 'unmatched_number',
    alertId: /^\d+$/,
  })
  t.notOk(
    lines().some(line => line.includes('72000001')),
    'without the number',
  )
  for (const copy of copies) copy.signal('SIGTERM')
  for (const copy of copies) t.match(await copy.ended(), IN_ORDER)
})
