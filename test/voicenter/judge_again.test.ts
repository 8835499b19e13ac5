/** Calls that could not be decided are judged again: by npm run replay -- --apply, or one by one. */
import { sql } from 'kysely'
import t from 'tap'
import { push } from '../../scripts/demo/cdr.ts'
import { run } from '../scripts/command.ts'
import {
  type Business,
  business,
  customer,
  db,
  jobs,
  outreachOf,
  post,
  verdictsOf,
  webhookToken,
  work,
  workAsIfDue,
} from '../support/ringback.ts'
import { everythingOf, requestsOf, tell } from '../tasks/support.ts'
import { reclassify, undecidedCalls } from '../../app/voicenter/pending_calls.ts'

const apply = async (...args: string[]): Promise<number> => {
  const { status, stdout, stderr } = await run('replay', ['--apply', '--json', ...args])
  if (status !== 0) throw new Error(`exit code ${status}: ${stderr}`)
  const told: unknown = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')
  return told && typeof told === 'object' && 'calls' in told ? Number(told.calls) : Number.NaN
}
const again = (which: Parameters<typeof reclassify>[2]) =>
  db.transaction().execute(trx => reclassify(trx, { as: 'operator' }, which))
const undecided = (which: Parameters<typeof undecidedCalls>[1]) =>
  db.transaction().execute(trx => undecidedCalls(trx, which))
/** All of a business, as the command does, without starting one. */
const allOf = async ({ tenantId }: Business): Promise<number> =>
  again({ tenantId, callIds: await undecided({ tenantId }) })
const deedsOf = (tenantId: string) =>
  db
    .selectFrom('audit_log')
    .select(['who', 'subject', 'before', 'after'])
    .where('tenant_id', '=', tenantId)
    .where('action', '=', 'calls.judge_again')
    .orderBy('id')
    .execute()

/** A call with a status that does not count as missed here; told of a while after it began. */
const odd = async (
  shop: Business,
  {
    caller = customer().local,
    ago = 60,
    ...fields
  }: { caller?: string; ago?: number; did?: string } = {},
): Promise<string> => {
  const record = push({ caller, did: shop.did, status: 'VOEND', ...fields }, ago)
  await tell(shop.token, record)
  return record.ivruniqueid
}
const countVoend = ({ tenantId }: Business) =>
  sql`update tenants set missed_statuses = missed_statuses || 'VOEND'::text where id = ${tenantId}`.execute(
    db,
  )

await t.test(
  'an unknown call is judged by the settings of now, and its caller written to',
  async t => {
    const shop = await business()
    const callId = await odd(shop)
    await countVoend(shop)
    t.equal(await apply('--tenant', shop.tenantId), 1)
    t.match(await jobs(`voicenter_cdr:${callId}`), [{ attempts: 0 }], 'its job, in the usual way')
    await work()
    t.strictSame(await verdictsOf(shop.tenantId, callId), [['missed', 'voend']])
    await workAsIfDue()
    t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
    t.match(await deedsOf(shop.tenantId), [
      {
        who: 'command line',
        subject: /^raw_cdrs \d+$/,
        before: { verdicts: { unknown: 1 } },
        after: { queued: 1 },
      },
    ])
  },
)

await t.test('an old call is too late: nothing is sent', async t => {
  const shop = await business()
  const callId = await odd(shop, { ago: 5 * 3600 })
  await countVoend(shop)
  t.equal(await allOf(shop), 1)
  await work()
  await workAsIfDue()
  t.strictSame(await verdictsOf(shop.tenantId, callId), [['missed', 'voend']])
  t.strictSame(await outreachOf(shop.tenantId, callId), ['skipped', 'too_late'])
  t.equal(requestsOf(shop).length, 0)
})

await t.test('a second time changes nothing', async t => {
  const shop = await business()
  const [first] = [await odd(shop), await odd(shop)]
  await tell(shop.token, push({ caller: customer().local, did: shop.did }))
  await workAsIfDue()
  const before = await everythingOf(shop.tenantId)
  t.equal(await allOf(shop), 2)
  t.equal(await allOf(shop), 2, 'added anew before the first has run')
  t.equal((await jobs(`voicenter_cdr:${first}`)).length, 1)
  await work()
  t.strictSame(await everythingOf(shop.tenantId), before)
  t.match((await deedsOf(shop.tenantId))[0], { subject: /^raw_cdrs \d+ and 1 more$/ })
})

await t.test("which are undecided: never judged, unknown, and of nobody's number", async t => {
  const shop = await business()
  const unknown = await odd(shop)
  const unmatched = await odd(shop, { did: '0771234567' })
  await tell(shop.token, push({ caller: customer().local, did: shop.did }))
  const emptied = await odd(shop)
  await sql`update raw_cdrs set payload = null, body = null where call_id = ${emptied}`.execute(db)
  const waiting = push({ caller: customer().local, did: shop.did })
  await post(waiting, { token: shop.token })
  const { tenantId } = shop
  const wanted = [unknown, unmatched, waiting.ivruniqueid].toSorted()
  t.strictSame(await undecided({ tenantId }), wanted)
  t.strictSame(await undecided({ tenantId, businessPhone: '+972771234567' }), [unmatched])
  t.strictSame(await undecided({ tenantId, since: new Date(Date.now() + 60_000) }), [])
  const everybodys = await undecided({ tenantId: null })
  for (const callId of wanted) t.ok(everybodys.includes(callId))
  await work()
})

await t.test('a job that was tried to the end begins again', async t => {
  const shop = await business()
  const record = push({ caller: customer().local, did: shop.did })
  await post(record, { token: shop.token })
  const key = `voicenter_cdr:${record.ivruniqueid}`
  await sql`select graphile_worker.permanently_fail_jobs(array_agg(id), 'for a test')
            from graphile_worker.jobs where key = ${key}`.execute(db)
  await work()
  t.strictSame(await verdictsOf(shop.tenantId, record.ivruniqueid), [[null, null]])
  t.equal(await allOf(shop), 1)
  await work()
  t.strictSame(await verdictsOf(shop.tenantId, record.ivruniqueid), [['missed', 'noanswer']])
  t.match(await deedsOf(shop.tenantId), [{ before: { verdicts: { 'not classified': 1 } } }])
})

await t.test("one call by hand, and no call of another's", async t => {
  const [shop, neighbour] = [await business(), await business()]
  const callId = await odd(shop)
  t.equal(await again({ tenantId: neighbour.tenantId, callIds: [callId] }), 0)
  t.equal(await again({ tenantId: shop.tenantId, callIds: ['nonsense'] }), 0)
  t.strictSame(await jobs(`voicenter_cdr:${callId}`), [])
  t.strictSame(await deedsOf(neighbour.tenantId), [], 'nothing was done, so nothing is noted')
  t.equal(await again({ tenantId: shop.tenantId, callIds: [callId, 'nonsense'] }), 1)
  t.equal((await jobs(`voicenter_cdr:${callId}`)).length, 1)
  t.match(await deedsOf(shop.tenantId), [{ who: 'operator' }])
  await work()
})

await t.test("a call that is nobody's is judged again by the operator", async t => {
  const token = await webhookToken(null)
  const record = push({ caller: customer().local, did: '0779876543' })
  await tell(token, record)
  const callIds = await undecided({ tenantId: null, businessPhone: '+972779876543' })
  t.strictSame(callIds, [record.ivruniqueid])
  t.equal(await again({ tenantId: null, callIds }), 1)
  await work()
})

await t.test('more than fit into one transaction', async t => {
  const shop = await business()
  const records = Array.from({ length: 450 }, () =>
    push({ caller: customer().local, did: shop.did, status: 'VOEND' }),
  )
  await post(records, { token: shop.token })
  await sql`select graphile_worker.complete_jobs(array_agg(id)) from graphile_worker.jobs
            where task_identifier = 'voicenter_cdr'`.execute(db)
  t.equal(await apply('--tenant', shop.tenantId), 450)
  t.equal((await jobs('voicenter_cdr')).length, 450)
  t.equal((await deedsOf(shop.tenantId)).length, 3)
})
