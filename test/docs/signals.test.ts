/** docs/signals.md tells of every figure and every alert that there is, and of no other. */
import { readFileSync } from 'node:fs'
import { sql } from 'kysely'
import t from 'tap'
import { db } from '../support/ringback.ts'
import { registry } from '../../app/monitoring/metrics.ts'

await import('../../app/monitoring/metrics.ts')

const page = readFileSync(new URL('../../docs/signals.md', import.meta.url), 'utf8')
const rows = [...page.matchAll(/^\| `(\w+)` +\| (.*?) +\|/gm)].map(([, name = '', second = '']) => [
  name,
  second,
])
const OWN = /^ringback_/

await t.test('every figure of ours, with its labels', async t => {
  const known = registry
    .getMetricsAsArray()
    .filter(({ name }) => OWN.test(name))
    .map(metric => {
      const labels: unknown = 'labelNames' in metric ? metric.labelNames : null
      return [metric.name, Array.isArray(labels) ? labels.map(one => `\`${one}\``).join(', ') : '?']
    })
  const told = rows.filter(([name = '']) => OWN.test(name))
  t.strictSame(
    new Map(told.map(([name, labels]) => [name, labels])),
    new Map(known.map(([name, labels]) => [name, labels])),
  )
  t.equal(told.length, known.length)
  t.ok(known.length > 10)
})

await t.test('its query runs', async t => {
  const [, query = ''] = /^```sql\n(.+?)^```/ms.exec(page) ?? []
  await db.insertInto('alerts').values({ kind: 'unmatched_number', subject: '+972721' }).execute()
  const { rows } = await sql.raw(query).execute(db)
  t.match(rows, [{ kind: 'unmatched_number', tenant_id: null, subject: '+972721' }])
})

await t.test('every figure that a rule asks for', async t => {
  const known = new Set(registry.getMetricsAsArray().map(({ name }) => name))
  const rules = [...page.matchAll(/^```ya?ml\n(.+?)^```/gms)].map(([, text]) => text).join()
  const asked = [...rules.matchAll(/\b(ringback_\w+|process_\w+|nodejs_\w+)/g)].map(([name]) =>
    name.replace(/_(bucket|count|sum)$/, ''),
  )
  t.ok(asked.length > 5)
  for (const name of asked) t.ok(known.has(name), name)
})

await t.test('every kind of alert', async t => {
  const told = rows.map(([name = '']) => name).filter(name => !OWN.test(name))
  for (const kind of told)
    await t.resolves(
      db.insertInto('alerts').values({ kind, subject: 'x' }).execute(),
      `${kind} is one`,
    )
  const kinds = readFileSync(
    new URL('../../sql/0005_operations.sql', import.meta.url),
    'utf8',
  ).match(/kind in \((.+?)\)/)?.[1]
  t.strictSame(told.toSorted(), (kinds ?? '').replaceAll("'", '').split(', ').toSorted())
})
