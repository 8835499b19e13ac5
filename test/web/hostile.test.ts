/**
 * Some thousand hostile bodies with a valid token or signature, made up by chance: every one is answered as
 * it should be and kept, and none of the jobs they lead to dies. SEED=... repeats a run.
 */
import { randomInt } from 'node:crypto'
import fc from 'fast-check'
import { sql } from 'kysely'
import t, { type Test } from 'tap'
import {
  business,
  CDR,
  customer,
  db,
  fake,
  WHATSAPP,
  work,
  workAsIfDue,
} from '../support/ringback.ts'
import { contacted, hmac } from '../support/whatsapp.ts'
import { type Hostile, hostileCdr } from '../../scripts/abuse/hostile_cdr.ts'
import { hostileWebhook } from '../../scripts/abuse/hostile_webhook.ts'
import { type Posted, posted, violations } from '../../scripts/abuse/kept.ts'

const seed = Number(process.env['SEED']) || randomInt(2 ** 31)
t.comment(`SEED=${seed}`)

const query = async <Row extends Record<string, unknown>>(text: string): Promise<Row[]> =>
  (await sql<Row>`${sql.raw(text)}`.execute(db)).rows

const postTo = async (url: string, body: Hostile, headers: Record<string, string> = {}) => {
  const response = await fetch(url, {
    method: 'POST',
    body: new Uint8Array(body.bytes),
    headers: { ...body.headers, ...headers },
  })
  return posted(body, response.status, await response.text())
}

/** Works until nothing is left to do; what failed is tried again, for it may only have met another. */
const workOff = async (): Promise<string[]> => {
  for (let round = 0; round < 4; round++) {
    await work()
    await query(`select graphile_worker.reschedule_jobs(array_agg(id), run_at := now())
                 from graphile_worker.jobs where last_error is not null having count(*) > 0`)
  }
  const failed = await query<{ task: string; error: string }>(
    'select task_identifier as task, last_error as error from graphile_worker.jobs where last_error is not null',
  )
  return [...new Set(failed.map(({ task, error }) => `${task}: ${error.replaceAll(/\d+/g, 'N')}`))]
}

const inBatches = async <T>(
  bodies: fc.Arbitrary<T>,
  count: number,
  post: (body: T) => Promise<Posted>,
): Promise<Posted[]> => {
  const all: Posted[] = []
  for (let done = 0; done < count; done += 50) {
    const batch = fc.sample(bodies, { seed: seed + done, numRuns: 50 })
    all.push(...(await Promise.all(batch.map(post))))
  }
  return all
}

const told = (t: Test, all: Posted[]) => {
  const kinds = Object.groupBy(all, ({ kind, status }) => `${kind} ${status}`)
  for (const [kind, { length } = []] of Object.entries(kinds)) t.comment(`${kind}: ${length}`)
}

await t.test('hostile call records are stored or kept aside, and judged', async t => {
  const shop = await business({ columns: { contact_foreign: true } })
  const posts = await inBatches(hostileCdr(shop.did), 400, body =>
    postTo(`${CDR}?token=${shop.token}`, body),
  )
  told(t, posts)
  t.strictSame(await violations(query, posts, []), [])

  t.strictSame(await workOff(), [])
  t.strictSame(await query('select id from raw_cdrs where verdict is null'), [])
  const absurd = `not outreach_due_at between now() and now() + interval '2 minutes'`
  t.strictSame(await query(`select outreach_due_at from missed_calls where ${absurd}`), [])
  t.strictSame(
    await query(`select called_at from missed_calls where outreach_state = 'scheduled'
                 and not called_at between now() - interval '2 hours' and now()`),
    [],
    'nobody is written to because of a call of another time',
  )
  const scheduled = await query(`select from missed_calls where outreach_state = 'scheduled'`)
  t.ok(scheduled.length > 50, 'and most of it has gone deep')
  await workAsIfDue()
  t.strictSame(await workOff(), [])
  t.equal(fake.accepted().length, scheduled.length)
  t.notOk('admin' in {}, 'no object of ours has changed')
})

await t.test('hostile webhooks are stored or kept aside, and followed', async t => {
  const shop = await business({ columns: { owner_phone: customer().e164 } })
  const known = [await contacted(shop), await contacted(shop), await contacted(shop)]
  const target = {
    phoneNumberId: shop.phoneNumberId,
    wamids: known.map(({ wamid }) => wamid),
    waIds: known.map(({ e164 }) => e164.slice(1)),
  }
  const posts = await inBatches(hostileWebhook(target), 200, body =>
    postTo(WHATSAPP, body, { 'x-hub-signature-256': `sha256=${hmac(body.bytes)}` }),
  )
  told(t, posts)
  t.strictSame(await violations(query, [], posts), [])

  t.strictSame(await workOff(), [], 'no job dies')
  t.strictSame(
    await query(`select id, due_at from messages
                 where due_at is not null and not due_at between now() - interval '1 hour' and now() + interval '25 hours'`),
    [],
  )
  t.notOk('admin' in {}, 'no object of ours has changed')
})
