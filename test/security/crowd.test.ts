/** Ten thousand wrong tokens from the address of a sender who has the right one. */
import t from 'tap'
import { business, contents, db } from '../support/ringback.ts'
import { push } from '../../scripts/demo/cdr.ts'
import { program } from './support.ts'

const app = await program()
/** In production the router says who it is. */
const send = async (token: string, body: string) => {
  const response = await fetch(`${app.url}/webhooks/voicenter/cdr?token=${token}`, {
    method: 'POST',
    body,
    headers: { 'x-forwarded-for': '203.0.113.7' },
  })
  await response.text()
  return response.status
}

await t.test('she is served as ever; the others hear 429 and leave nothing', async t => {
  const { tenantId, token } = await business()
  const before = await contents()
  const wrong: Record<number, number> = {}
  let over = false
  const attack = Promise.all(
    Array.from({ length: 50 }, async (_, one) => {
      for (let n = 0; n < 200; n++) {
        const status = await send(`${token.slice(0, -2)}${one}${n}`, JSON.stringify(push()))
        wrong[status] = (wrong[status] ?? 0) + 1
      }
    }),
  ).finally(() => {
    over = true
  })
  const records = []
  while (!over) {
    const record = push()
    records.push(record.ivruniqueid)
    t.equal(await send(token, JSON.stringify(record)), 200)
  }
  await attack
  t.equal((wrong[401] ?? 0) + (wrong[429] ?? 0), 10_000, JSON.stringify(wrong))
  // A hundred a minute, and the attack may last several.
  t.ok((wrong[429] ?? 0) > 9000, JSON.stringify(wrong))
  t.ok(records.length > 5, `${records.length} were stored meanwhile`)

  const rows = db.selectFrom('raw_cdrs').select('call_id').where('tenant_id', '=', tenantId)
  t.strictSame(
    new Set((await rows.execute()).map(({ call_id }) => call_id)),
    new Set(records),
    'hers, and no others',
  )
  const after = await contents()
  for (const [table, hash] of Object.entries(before))
    if (table.startsWith('public.') && table !== 'public.raw_cdrs')
      t.equal(after[table], hash, `${table} is as it was`)
})
