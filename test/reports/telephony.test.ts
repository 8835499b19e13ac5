/** Faults of phone systems that users reported in public: each file is one case, posted in every order of arrival. */
import { readdirSync, readFileSync } from 'node:fs'
import { sql } from 'kysely'
import { DateTime } from 'luxon'
import t from 'tap'
import { z } from 'zod'
import { addTenant, newTenant } from '../../app/tenants/tenants.ts'
import { CDR, db, fake, work, WHATSAPP } from '../support/ringback.ts'
import { KINDS } from './telephony_kinds.ts'

// Each case runs in every order of arrival, twice.
t.setTimeout(600_000)

const folder = new URL('telephony/', import.meta.url)
const outcome = z.object({
  caller: z.string().optional(),
  at: z.number().optional(),
  outreach: z.string().optional(),
})
const Case = z.object({
  title: z.string(),
  tenant: z.object({ numbers: z.array(z.string()), set: z.array(z.string()).optional() }),
  posts: z.array(
    z.object({
      body: z.record(z.string(), z.unknown()).optional(),
      raw: z.string().optional(),
      form: z.boolean().optional(),
      contentType: z.string().optional(),
    }),
  ),
  expect: z.object({
    records: z.array(z.tuple([z.string(), z.string()]).nullable()).optional(),
    missed: z.array(outcome).optional(),
    mustNot: z.array(z.string()).optional(),
    mustBe: z.object({ verdict: z.string() }).optional(),
  }),
})
type Case = z.infer<typeof Case>

/** A moment in the forms that phone systems write. `shifted` and `wall` are wall clocks written as an epoch. */
const timeText = (now: DateTime, form: string, zone: string, seconds: number): string => {
  const at = now.setZone(zone).startOf('second').plus({ seconds })
  const wall = at.setZone('utc', { keepLocalTime: true })
  const forms: Record<string, () => string> = {
    head: () => at.toFormat('yyyyMMddHHmmss'),
    shifted: () => String(wall.toSeconds()),
    wall: () => String(wall.toSeconds()),
    shifted_f: () => `${wall.toSeconds()}.25`,
    plain: () => String(at.toSeconds()),
    plain_ms: () => String(at.toMillis()),
    plain_us: () => String(at.toMillis() * 1000),
    iso: () => at.toISO() ?? '',
    rfc: () => at.toRFC2822() ?? '',
    ymd_slash: () => at.toFormat('yyyy/MM/dd HH:mm:ss'),
    ddmm: () => at.toFormat('dd/MM/yyyy HH:mm:ss'),
    ampm: () => at.toFormat('MM/dd/yyyy hh:mm:ss a'),
  }
  const write = forms[form]
  if (!write) throw new Error(`unknown form of a time: ${form}`)
  return write()
}

/** Replaces {{form@Zone:-400}} in a text. A value that is only {{n:form:-400}} becomes a number. */
const fill = (now: DateTime, value: unknown): unknown => {
  if (typeof value !== 'string') return value
  const filled = value.replaceAll(
    /\{\{(?:n:)?(\w+)(?:@([\w/]+))?:(-?\d+)\}\}/g,
    (_, form: string, zone: string | undefined, seconds: string) =>
      timeText(now, form, zone ?? 'Asia/Jerusalem', Number(seconds)),
  )
  return /^\{\{n:[^}]*\}\}$/.test(value) ? Number(filled) : filled
}

/** The bytes of each post, filled in once, so that every order of arrival posts the same. All have times from one second. */
const bodiesOf = ({ posts }: Case, now = DateTime.now()) =>
  posts.map(({ body = {}, raw, form, contentType }) => {
    const filled = Object.fromEntries(Object.entries(body).map(([name, v]) => [name, fill(now, v)]))
    if (raw !== undefined) return { text: String(fill(now, raw)), contentType }
    const pairs = Object.entries(filled).map(([name, v]): [string, string] => [name, String(v)])
    return {
      text: form ? new URLSearchParams(pairs).toString() : JSON.stringify(filled),
      contentType: contentType ?? 'application/json',
    }
  })

const orders = <Item>(items: Item[]): Item[][] =>
  items.length < 2
    ? [items]
    : items.flatMap((item, i) => orders(items.toSpliced(i, 1)).map(rest => [item, ...rest]))

/** A live business of its own with the numbers of the case, which no other business keeps. */
const businessOf = async ({ tenant: { numbers, set = [] } }: Case) => {
  await db.deleteFrom('tenants').execute()
  const number = fake.addNumber({ callbackUrl: WHATSAPP })
  const tenant = newTenant.parse({
    name: 'Salon',
    numbers,
    mode: 'live',
    phoneNumberId: number.phoneNumberId,
    accessToken: number.token,
  })
  const added = await db
    .transaction()
    .execute(trx => addTenant(trx, { as: 'command line' }, tenant))
  const zone = set[set.indexOf('--timezone') + 1]
  if (zone)
    await db
      .updateTable('tenants')
      .set({ timezone: zone })
      .where('id', '=', added.tenantId)
      .execute()
  return added
}

/** As if this business had not received a call. Makes the next order faster than a new business. */
const forgetCalls = async (tenantId: string) => {
  for (const table of ['raw_cdrs', 'large_calls', 'missed_calls', 'leads'] as const)
    await db.deleteFrom(table).where('tenant_id', '=', tenantId).execute()
}

const missedCallsOf = async (tenantId: string) => {
  const { rows } = await sql<{ caller: string | null; at: number; outreach: string }>`
    select caller_phone as caller, round(extract(epoch from called_at - now()))::int as at,
           outreach_state || '/' || outreach_reason as outreach
    from missed_calls where tenant_id = ${tenantId} order by called_at, id`.execute(db)
  return rows
}

const reported = readdirSync(folder)
  .toSorted()
  .map((file): [string, Case] => [
    `${file}: `,
    Case.parse(JSON.parse(readFileSync(new URL(file, folder), 'utf8'))),
  ])
const further = KINDS.map((one): [string, Case] => ['', Case.parse(one)])

for (const [file, one] of [...reported, ...further]) {
  t.test(`${file}${one.title}`, async t => {
    const bodies = bodiesOf(one)
    const { tenantId, webhookToken } = await businessOf(one)
    for (const order of orders([...bodies.keys()]))
      for (const workBetween of [true, false]) {
        const name = `order ${order.join()}${workBetween ? '' : ', all at once'}`
        await forgetCalls(tenantId)
        for (const i of order) {
          const { text = '', contentType = 'application/json' } = bodies[i] ?? {}
          const { status } = await fetch(`${CDR}?token=${webhookToken}`, {
            method: 'POST',
            headers: { 'content-type': contentType },
            body: contentType === 'latin1' ? Buffer.from(text, 'latin1') : text,
          })
          t.equal(status, 200, name)
          if (workBetween) await work()
        }
        await work()
        const { records, missed, mustNot = [], mustBe } = one.expect
        const verdicts = await db
          .selectFrom('raw_cdrs')
          .select(['verdict', 'reason'])
          .where('tenant_id', '=', tenantId)
          .orderBy('id')
          .execute()
        for (const [at, i] of order.entries()) {
          const expected = records?.[i]
          const found = verdicts[at]
          if (expected) t.strictSame([found?.verdict, found?.reason], expected, `${name}: CDR ${i}`)
          if (mustBe) t.equal(found?.verdict, mustBe.verdict, name)
        }
        const calls = await missedCallsOf(tenantId)
        for (const { outreach } of calls)
          t.notOk(mustNot.includes(outreach), `${name}: ${outreach}`)
        if (!missed) continue
        t.equal(calls.length, missed.length, `${name}: missed calls`)
        for (const [i, expected] of missed.entries()) {
          const found = calls[i]
          if (expected.outreach) t.equal(found?.outreach, expected.outreach, name)
          if (expected.caller) t.equal(found?.caller, expected.caller, name)
          if (expected.at !== undefined)
            t.ok(Math.abs((found?.at ?? Infinity) - expected.at) < 60, `${name}: ${found?.at} s`)
        }
      }
  })
}
