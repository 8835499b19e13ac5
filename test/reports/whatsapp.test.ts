/** Faults of WhatsApp set-ups and clients that users reported in public: each file is one case, played step by step. */
import { createHmac, randomInt } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { sql } from 'kysely'
import t from 'tap'
import { z } from 'zod'
import { reloadConfig } from '../../app/config.ts'
import { checkAlerts } from '../../app/monitoring/alerts.ts'
import { asciiJson } from '../../scripts/fake_whatsapp/webhooks.ts'
import { APP_SECRET, business, customer, db, fake, WHATSAPP, work } from '../support/ringback.ts'
import { dueSince, miss } from '../tasks/support.ts'

const SECOND_SECRET = 'secret-of-another-app'
process.env['WHATSAPP_APP_SECRET'] = `${APP_SECRET},${SECOND_SECRET}`
reloadConfig()

const folder = new URL('whatsapp/', import.meta.url)
const rows = z.array(z.array(z.string().nullable()))
const Step = z.union([
  z.object({ cdr: z.literal(true) }),
  z.object({ webhook: z.string(), secret: z.string().optional() }),
  z.object({
    graph: z.object({ status: z.number(), times: z.number(), body: z.unknown() }),
  }),
  z.object({ until: z.string(), is: rows }),
])
const Case = z.object({
  title: z.string(),
  steps: z.array(Step),
  webhooks: z.record(z.string(), z.unknown()),
  expect: z.array(z.object({ what: z.string(), sql: z.string(), is: rows })),
})

/** Replaces {{name}}, and {{now-60}} by an epoch; "{{=name}}" as a whole value becomes a number. */
const fill = (template: string, values: Record<string, string>): string =>
  template.replaceAll(
    /("?)\{\{(=?)(\w+)([+-]\d+)?\}\}("?)/g,
    (_, open: string, number: string, name: string, offset: string | undefined, close: string) => {
      const known = values[name]
      if (known === undefined) throw new Error(`unknown placeholder: ${name}`)
      const value = offset === undefined ? known : String(Number(known) + Number(offset))
      return number && open && close ? value : `${open}${value}${close}`
    },
  )

const textRows = async (query: string): Promise<(string | null)[][]> => {
  const { rows } = await sql.raw<Record<string, unknown>>(query).execute(db)
  return rows.map(row =>
    Object.values(row).map(value => {
      if (value === null || value === undefined) return null
      return typeof value === 'string' ? value : JSON.stringify(value)
    }),
  )
}

let uniq = randomInt(1_000_000)

for (const file of readdirSync(folder).toSorted()) {
  const one = Case.parse(JSON.parse(readFileSync(new URL(file, folder), 'utf8')))
  t.test(`${file}: ${one.title}`, async t => {
    const shop = await business()
    await sql`update tenants set owner_phone = '+972541234567' where id = ${shop.tenantId}`.execute(
      db,
    )
    const who = customer()
    const number = fake.numbers().find(({ phoneNumberId }) => phoneNumberId === shop.phoneNumberId)
    const values = (): Record<string, string> => ({
      tenant: shop.tenantId,
      pnid: shop.phoneNumberId,
      waba: number?.wabaId ?? '',
      did: shop.did,
      wa: who.e164.slice(1),
      wa2: '972541111111',
      to: who.e164,
      bsuid: `IL.${who.e164.slice(4)}`,
      tplid: '7001',
      now: String(Math.floor(Date.now() / 1000)),
      uniq: `wamid.R${++uniq}`,
      wamid: fake.inbox(who.e164)[0]?.wamid ?? '',
      msgid: messageId,
    })
    let messageId = ''
    for (const step of one.steps) {
      if ('graph' in step)
        fake.script({
          phoneNumberId: shop.phoneNumberId,
          times: step.graph.times,
          outcome: {
            kind: 'http',
            status: step.graph.status,
            body: fill(JSON.stringify(step.graph.body), values()),
            headers: { 'content-type': 'application/json' },
          },
        })
      else if ('cdr' in step) {
        fake.setPerson({ phone: who.e164, userId: values()['bsuid'] ?? '' })
        const { id } = await miss(shop, who.local)
        await dueSince(id)
        const [row] = await textRows(
          `select id from messages where tenant_id = ${shop.tenantId} and kind = 'initial'`,
        )
        messageId = row?.[0] ?? ''
      } else if ('webhook' in step) {
        const body = asciiJson(
          JSON.parse(fill(JSON.stringify(one.webhooks[step.webhook]), values())),
        )
        const signature = createHmac('sha256', step.secret ?? APP_SECRET)
          .update(body)
          .digest('hex')
        const { status } = await fetch(WHATSAPP, {
          method: 'POST',
          headers: {
            'content-type': 'application/json',
            'x-hub-signature-256': `sha256=${signature}`,
          },
          body,
        })
        t.equal(status, 200, step.webhook)
        await work()
      } else t.strictSame(await textRows(fill(step.until, values())), step.is, step.until)
    }
    await checkAlerts(600_000)
    for (const { what, sql: query, is } of one.expect)
      t.strictSame(await textRows(fill(query, values())), is, what)
  })
}
