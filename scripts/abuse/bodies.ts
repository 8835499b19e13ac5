/** Hostile bodies with a valid token or signature, and what the program makes of them. */
import { createHmac } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { push } from '../demo/cdr.ts'
import type { Plan } from '../abuse.ts'
import { count, doorOf, JSON_TYPE, REAL, realSender, seconds, told } from './sender.ts'
import { hostileCdr } from './hostile_cdr.ts'
import { hostileWebhook } from './hostile_webhook.ts'
import { type Posted, posted, violations } from './kept.ts'
import type { Shop, Target } from '../chaos/target.ts'
import { abreast, newWire, type Wire } from './wire.ts'

const BATCH = 100
/** Of which a quarter are webhooks of WhatsApp. */
const WEBHOOKS = 4
const DRAINED_WITHIN_MS = 15 * 60_000
/** A job that failed once may have met another one; after these it was no chance. */
const TRIES = 3

/** With a valid token or signature: each is answered as it should be, and kept. */
export const hostile = async (target: Target, shop: Shop, real: Shop, plan: Plan) => {
  const program = await target.start('all')
  const wire = newWire(target.port, plan.connections)
  const senders = newWire(target.port, 2)
  const known = await contacts(target, wire, shop)
  const sender = realSender(senders, real)
  const cdrs: Posted[] = []
  const webhooks: Posted[] = []
  const answers = new Map<string, number>()
  const started = performance.now()
  const bodies = { cdr: hostileCdr(shop.line), webhook: hostileWebhook({ ...shop, ...known }) }
  for (let made = 0; made < plan.hostile; made += BATCH) {
    const isWebhook = (made / BATCH) % WEBHOOKS === WEBHOOKS - 1
    const settings = { seed: plan.seed + made, numRuns: BATCH }
    if (isWebhook) {
      const batch = fc.sample(bodies.webhook, settings)
      await abreast(BATCH, plan.connections, async n => {
        const body = batch[n]
        if (!body) return
        const signature = createHmac('sha256', target.secrets.WHATSAPP_APP_SECRET)
          .update(body.bytes)
          .digest('hex')
        const headers = { ...body.headers, 'x-hub-signature-256': `sha256=${signature}` }
        const { status, text } = await wire.send({
          path: '/webhooks/whatsapp',
          headers,
          body: body.bytes,
        })
        count(answers, status)
        webhooks.push(posted(body, status, text))
      })
    } else {
      const batch = fc.sample(bodies.cdr, settings)
      await abreast(BATCH, plan.connections, async n => {
        const body = batch[n]
        if (!body) return
        const { status, text } = await wire.send({
          path: doorOf(shop),
          headers: body.headers,
          body: body.bytes,
        })
        count(answers, status)
        cdrs.push(posted(body, status, text))
      })
    }
  }
  const took = seconds(started)
  const heard = await sender.stop()
  const drained = performance.now()
  const failing = await drain(target)
  const drainedIn = seconds(drained)
  const wrong = await violations(target.query, cdrs, webhooks)
  wrong.push(...heard.wrong)
  for (const job of failing) wrong.push(`a job dies: ${job}`)
  if (!program.isAlive()) wrong.push('the program has ended')
  const memory = await program.mostMemory()
  senders.close()
  wire.close()
  if ((await program.stop()) !== 0) wrong.push('the program did not end in order')
  const [kept] = await target.query<Record<string, number>>(`
    select (select count(*)::int from raw_cdrs where call_id not like '${REAL}%') as records,
           (select count(*)::int from rejected_deliveries) as "kept aside",
           (select count(*)::int from whatsapp_events) as events,
           (select count(*)::int from missed_calls) as "missed calls",
           (select count(*)::int from messages where direction = 'out' and wamid is not null) as messages`)
  console.log(`with a credential      ${cdrs.length} hostile records and ${webhooks.length} hostile webhooks in ${took}
  by answer            ${told(answers)}
  in the database      ${Object.entries(kept ?? {})
    .map(([what, n]) => `${what}: ${n}`)
    .join(', ')}
  jobs                 done ${drainedIn} after the last body; dying: ${failing.length ? failing.join('; ') : 'none'}
  real sender          ${heard.line}
  memory, at most      ${memory} MB`)
  return wrong
}

/** Three customers who have been written to, for the hostile webhooks to be about. */
const contacts = async ({ query, fake }: Target, wire: Wire, shop: Shop) => {
  await query(`update tenants set outreach_delay = '0 seconds'`)
  const phones = ['0528888881', '0528888882', '0528888883']
  for (const caller of phones)
    await wire.send({
      path: doorOf(shop),
      headers: JSON_TYPE,
      body: Buffer.from(JSON.stringify(push({ caller, did: shop.line }))),
    })
  for (let waited = 0; fake.accepted().length < phones.length; waited += 100) {
    if (waited > 20_000) throw new Error('the first messages do not go out')
    await sleep(100)
  }
  return {
    wamids: fake.accepted().map(({ wamid }) => wamid),
    waIds: phones.map(phone => `972${phone.slice(1)}`),
  }
}

/** Waits until no job is due any more. @returns the errors of those that fail again and again */
const drain = async ({ query }: Target): Promise<string[]> => {
  const until = performance.now() + DRAINED_WITHIN_MS
  const left: string[] = []
  for (;;) {
    const [jobs] = await query<{ due: number; trying: number }>(`
      select count(*) filter (where run_at <= now() and attempts = 0)::int as due,
             count(*) filter (where attempts between 1 and ${TRIES - 1})::int as trying
      from graphile_worker.jobs where attempts < max_attempts`)
    if (jobs?.due === 0 && jobs.trying === 0) break
    if (performance.now() > until) {
      left.push(`${jobs?.due} jobs are not done`)
      break
    }
    await sleep(500)
  }
  const rows = await query<{ what: string }>(`
    select count(*) || ' x ' || task_identifier || ', ' || regexp_replace(last_error, '[0-9]+', 'N', 'g') as what
    from graphile_worker.jobs where attempts >= ${TRIES} group by task_identifier, regexp_replace(last_error, '[0-9]+', 'N', 'g')`)
  return [...left, ...rows.map(({ what }) => what)]
}
