/** Two minutes later: what is looked at again before anything is sent. */
import t from 'tap'
import { sql } from 'kysely'
import {
  business,
  type Business,
  customer,
  db,
  fake,
  jobs,
  missedCall,
  outreachOf,
  work,
} from '../support/ringback.ts'
import {
  addStrayJobs,
  dueSince,
  messagesAfter,
  miss,
  requestsOf,
  until,
  waitingFor,
} from './support.ts'

type Person = ReturnType<typeof customer>

const setTenant =
  (column: string, value: string | boolean) =>
  async ({ tenantId }: Business) => {
    await sql`update tenants set ${sql.ref(column)} = ${value} where id = ${tenantId}`.execute(db)
  }
/** What may happen in the two minutes, and how the call then ends. */
const meanwhile: Record<
  string,
  [(shop: Business, who: Person) => Promise<unknown>, [string, string]]
> = {
  'her number was added as one of ours': [
    ({ tenantId }, { e164 }) =>
      db.insertInto('tenant_numbers').values({ tenant_id: tenantId, phone: e164 }).execute(),
    ['skipped', 'own_number'],
  ],
  'she opted out': [
    ({ tenantId }, { e164 }) =>
      sql`insert into opt_outs (tenant_id, phone, source) values (${tenantId}, ${e164}, 'operator')`.execute(
        db,
      ),
    ['skipped', 'opted_out'],
  ],
  'the tenant was paused': [setTenant('mode', 'paused'), ['skipped', 'tenant_paused']],
  'the connection was taken away': [
    ({ tenantId }) =>
      db.deleteFrom('whatsapp_connections').where('tenant_id', '=', tenantId).execute(),
    ['skipped', 'no_connection'],
  ],
  'another message to her was sent': [
    async (shop, { local }) => {
      // As if an operator had scheduled by hand what had been skipped.
      const second = await miss(shop, local)
      const [first] = await db
        .selectFrom('missed_calls')
        .selectAll()
        .where('tenant_id', '=', shop.tenantId)
        .orderBy('id')
        .execute()
      await sql`update missed_calls set outreach_state = 'cancelled', outreach_reason = 'by_operator' where id = ${first?.id}`.execute(
        db,
      )
      await sql`update missed_calls set outreach_state = 'scheduled', outreach_reason = 'waiting', outreach_due_at = now()
                where id = ${second.id}`.execute(db)
      await addStrayJobs(second.id)
      await work()
      await sql`update missed_calls set outreach_state = 'scheduled', outreach_reason = 'waiting' where id = ${first?.id}`.execute(
        db,
      )
      await addStrayJobs(first?.id ?? '')
    },
    ['skipped', 'already_contacted'],
  ],
  'nothing of the kind': [() => Promise.resolve(), ['sent', 'accepted']],
}

for (const [name, [happens, end]] of Object.entries(meanwhile))
  t.test(`${name} meanwhile`, async t => {
    const shop = await business()
    const dana = customer()
    const { callId, id } = await miss(shop, dana.local)
    await happens(shop, dana)
    await dueSince(id)
    t.strictSame(await outreachOf(shop.tenantId, callId), end)
    t.equal(
      fake.inbox(dana.e164).length,
      name.startsWith('nothing') || name.startsWith('another') ? 1 : 0,
    )
    if (end[0] === 'skipped') t.strictSame(await messagesAfter(id), [], 'nothing is claimed')
    t.notOk((await waitingFor(shop.tenantId)).includes(`lead_outreach:${id}`))
  })

t.test('a foreign number that is no longer wanted is not written to', async t => {
  const shop = await business({ columns: { contact_foreign: true } })
  const { callId, id } = await miss(shop, '+447400123456')
  await setTenant('contact_foreign', false)(shop)
  await dueSince(id)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['skipped', 'not_mobile'])
  t.strictSame(requestsOf(shop), [])
})

t.test('a message that could not start within the grace is too late', async t => {
  const shop = await business()
  const [dana, yossi] = [customer(), customer()]
  const late = await miss(shop, dana.local)
  await dueSince(late.id, '30 minutes 1 second')
  t.strictSame(await outreachOf(shop.tenantId, late.callId), ['skipped', 'too_late'])
  const justInTime = await miss(shop, yossi.local)
  await dueSince(justInTime.id, '29 minutes 50 seconds')
  t.strictSame(await outreachOf(shop.tenantId, justInTime.callId), ['sent', 'accepted'])
  t.equal(requestsOf(shop).length, 1)

  const strict = await business({ columns: { grace: '10 seconds' } })
  const { callId, id } = await miss(strict, customer().local)
  await dueSince(id, '11 seconds')
  t.strictSame(await outreachOf(strict.tenantId, callId), ['skipped', 'too_late'])
})

t.test('a job that comes before its time is set for its time', async t => {
  const shop = await business()
  const { callId, id } = await miss(shop, customer().local)
  await sql`select graphile_worker.remove_job(${`lead_outreach:${id}`})`.execute(db)
  await addStrayJobs(id)
  await work()
  t.strictSame(await outreachOf(shop.tenantId, callId), ['scheduled', 'waiting'])
  const [job] = await jobs(`lead_outreach:${id}`)
  t.strictSame(job?.run_at, (await missedCall(shop.tenantId, callId))?.outreach_due_at)
  t.strictSame(requestsOf(shop), [])
})

t.test('a job for a call that is not there any more ends quietly', async t => {
  const shop = await business()
  const { id } = await miss(shop, customer().local)
  await addStrayJobs(id)
  await db.deleteFrom('missed_calls').where('id', '=', id).execute()
  await work()
  // One that failed would stay.
  await until(async () => (await jobs('lead_outreach')).every(({ attempts }) => attempts === 0))
  t.strictSame(requestsOf(shop), [])
})
