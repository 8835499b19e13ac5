/** How far the message of a call got, and what the job that carries it is doing. */
import t from 'tap'
import { sql } from 'kysely'
import { business, customer, db, fake } from '../support/ringback.ts'
import { dueSince, miss, notRunning, requestsOf, until } from '../tasks/support.ts'
import { report } from './support.ts'

t.test('a call whose message is being sent, and has been sent', async t => {
  const shop = await business()
  const who = customer()
  const { id, callId } = await miss(shop, who.local)
  fake.script({ to: who.e164, outcome: { kind: 'accept', delayMs: 400 } })
  const done = dueSince(id)
  await until(() => requestsOf(shop).length === 1)
  t.match(await report(callId), [
    {
      outreach_state: 'sending',
      outreach_reason: 'claimed',
      message_state: 'sending',
      job: `lead_outreach:${id}`,
      job_state: 'running',
    },
  ])
  await done
  const lines = await report(callId)
  t.match(lines, [
    { outreach_state: 'sent', outreach_reason: 'accepted', message_state: 'accepted' },
  ])
  t.equal(lines.length, 1, 'one line, however many messages')
})

t.test('a call whose message was refused, and one that was skipped', async t => {
  const shop = await business()
  const who = customer()
  const { id, callId } = await miss(shop, who.local)
  fake.script({ to: who.e164, outcome: { kind: 'error', code: 131026 } })
  await dueSince(id)
  t.match(await report(callId), [
    {
      outreach_state: 'failed',
      outreach_reason: 'refused',
      message_state: 'failed',
      error_code: 131026,
      job: null,
    },
  ])
  const withheld = await miss(shop, '')
  t.match(await report(withheld.callId), [
    {
      caller_phone: null,
      outreach_state: 'skipped',
      outreach_reason: 'withheld_number',
      job: null,
      job_state: null,
    },
  ])
})

t.test('a job that failed is tried again, and in the end is dead', async t => {
  const shop = await business()
  const who = customer()
  const { id, callId } = await miss(shop, who.local)
  const broken = sql`update whatsapp_connections set access_token = 'v1:broken' where tenant_id = ${shop.tenantId}`
  await broken.execute(db)
  await dueSince(id)
  await notRunning(`lead_outreach:${id}`)
  const [retrying] = await report(callId)
  t.match(retrying, {
    job: `lead_outreach:${id}`,
    job_state: 'retrying',
    outreach_state: 'scheduled',
  })
  t.match(retrying?.job_last_error, /cannot be decrypted/)
  await sql`update graphile_worker._private_jobs set attempts = max_attempts - 1
            where key = ${`lead_outreach:${id}`}`.execute(db)
  await dueSince(id)
  await notRunning(`lead_outreach:${id}`)
  t.match(await report(callId), [{ job: `lead_outreach:${id}`, job_state: 'dead' }])
  t.strictSame(requestsOf(shop), [])
})
