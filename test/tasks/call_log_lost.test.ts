/** One webhook in twenty never comes: every call is found, and only who still waits is written to. */
import t from 'tap'
import {
  business,
  customer,
  db,
  fake,
  outreachOf,
  post,
  work,
  workAsIfDue,
} from '../support/ringback.ts'
import {
  call,
  checkNow,
  checksOf,
  lossOf,
  sourcesOf,
  voicenter,
  withCallLog,
} from '../support/voicenter.ts'

const CALLS = 400
const ONE_IN = 20
/** The first began ten hours ago, the last ten minutes ago. */
const secondsAgo = (i: number) => 600 + Math.round(((CALLS - i) / CALLS) * 10 * 3600)
/** What the business calls too old to answer, by default. */
const OLDEST = 2 * 3600

t.test('with one webhook in twenty lost', async t => {
  const shop = await business()
  const account = await withCallLog(shop)
  const calls = Array.from({ length: CALLS }, (_, i) => {
    const who = customer()
    const ago = secondsAgo(i)
    // Every fifth was answered, and every seventh went out.
    const fields =
      i % 7 === 0
        ? { type: 'Extension Outgoing', caller: shop.did, did: '', target: who.local }
        : { caller: who.local, did: shop.did, ...(i % 5 === 1 && { status: 'ANSWER' }) }
    const isLost = i % ONE_IN === 3
    return { ...call(fields, ago), who, ago, isLost, isMissed: i % 7 !== 0 && i % 5 !== 1 }
  })
  const arrived = calls.filter(({ isLost }) => !isLost).map(({ push }) => push)
  t.match(await post(arrived, shop), { status: 200 })
  await work()
  voicenter.log(account, ...calls.map(({ record }) => record))
  await checkNow(shop)

  const lost = calls.filter(({ isLost }) => isLost)
  t.strictSame(await checksOf(shop), [[CALLS, lost.length, lost.length]])
  const sources = new Map((await sourcesOf(shop)).map(([id, source]) => [id, source]))
  for (const { callId, isLost } of calls)
    t.equal(sources.get(callId), isLost ? 'call_log' : 'push', 'every call is there')
  const unjudged = db.selectFrom('raw_cdrs').where('tenant_id', '=', shop.tenantId)
  t.strictSame(await unjudged.where('verdict', 'is', null).select('id').execute(), [])

  await workAsIfDue()
  const missed = lost.filter(({ isMissed }) => isMissed)
  const timely = missed.filter(({ ago }) => ago < OLDEST)
  t.ok(timely.length > 1 && timely.length < missed.length, `${timely.length} of ${missed.length}`)
  for (const { callId, who, isMissed, ago } of lost) {
    const outreach = await outreachOf(shop.tenantId, callId)
    if (!isMissed) t.equal(outreach, undefined)
    else t.strictSame(outreach, ago < OLDEST ? ['sent', 'accepted'] : ['skipped', 'too_late'])
    t.equal(fake.inbox(who.e164).length, isMissed && ago < OLDEST ? 1 : 0)
  }
  t.strictSame(await lossOf(shop), [CALLS, lost.length, 0, 5])

  await checkNow(shop)
  t.match(await checksOf(shop), [[CALLS], [Number, 0, 0]], 'nothing is found twice')
})
