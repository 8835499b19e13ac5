/** /webhooks/voicenter/popup: who may post there, what an agent's screen shows, and what happens to pending messages. */
import { sql } from 'kysely'
import t from 'tap'
import { z } from 'zod'
import { answeredPush } from '../../scripts/demo/cdr.ts'
import {
  popupCall,
  type PopupFields,
  popupQuery,
  sendPopup,
} from '../../scripts/fake_voicenter/popup.ts'
import { config } from '../../app/config.ts'
import { asObject } from '../../app/json.ts'
import { sha256 } from '../../app/crypto.ts'
import { checkAlerts } from '../../app/monitoring/alerts.ts'
import { deleteOldLiveCalls } from '../../app/outreach/live_calls.ts'
import { addToken } from '../../app/tenants/credentials.ts'
import { readPopup } from '../../app/voicenter/live.ts'
import { alertsOf } from '../monitoring/support.ts'
import { reported } from '../outreach/support.ts'
import {
  type Business,
  business,
  CDR,
  contents,
  customer,
  db,
  fake,
  jobs,
  missedCall,
  outreachOf,
  post,
  reminderDue,
  url,
  webDb,
  work,
} from '../support/ringback.ts'
import { voicenter, withCallLog } from '../support/voicenter.ts'
import { happens } from '../support/whatsapp.ts'
import {
  conversationOf,
  dueSince,
  leadsOf,
  messagesAfter,
  miss,
  requestsOf,
  secondsUntil,
  tell,
  until,
} from '../tasks/support.ts'

const POPUP = `${url}/webhooks/voicenter/popup`
const NOBODY = { status: 200, body: { STATUS: 'OK', TOTAL: 0 } }

const withPopup = async (shop: Business): Promise<string> => {
  const { webhookToken } = await db
    .transaction()
    .execute(trx => addToken(trx, { as: 'command line' }, shop.tenantId, 'popup'))
  return `${POPUP}?token=${webhookToken}`
}
/** A business with the Pop-Up Screen, and a caller. */
const scene = async (columns: Record<string, string | boolean | string[]> = {}) => {
  const shop = await business({ columns })
  const dana = customer()
  const popup = await withPopup(shop)
  const call = (fields: Partial<PopupFields> = {}) =>
    popupCall(dana.e164.slice(1), { did: shop.did, ...fields })
  /** Voicenter sends events, and the jobs that follow run. */
  const say = async (...events: PopupFields[]) => {
    for (const event of events) {
      const answer = await sendPopup(popup, event)
      if (answer.status !== 200) throw new Error(`answered ${answer.status}`)
      await work()
    }
  }
  return { shop, dana, popup, call, say }
}
/** As if everything about live calls had happened this long ago. */
const later = async (interval: string) => {
  await sql`update live_calls set received_at = received_at - ${interval}::interval`.execute(db)
}
const holdOf = async ({ tenantId }: Business, callId: string) => {
  const call = await missedCall(tenantId, callId)
  return [call?.outreach_state, call?.outreach_reason, call?.hold_reason]
}
const runJob = async (key: string) => {
  await sql`select graphile_worker.reschedule_jobs(array_agg(id), run_at := now())
            from graphile_worker.jobs where key = ${key} having count(*) > 0`.execute(db)
  await work()
}

t.test('only a popup token opens it, and it opens nothing else', async t => {
  const { shop, popup, call } = await scene()
  const token = new URL(popup).searchParams.get('token') ?? ''
  const { ringing } = call()
  t.match(await sendPopup(`${POPUP}?token=${token}`, ringing), NOBODY)
  t.match(await sendPopup(`${POPUP}?token=${shop.token}`, ringing), { status: 401 })
  t.match(await sendPopup(POPUP, ringing), { status: 401 })
  t.match(await sendPopup(`${POPUP}?token=forged`, ringing), { status: 401 })
  t.equal((await fetch(`${POPUP}?token=${shop.token}&${popupQuery(ringing)}`)).status, 401)
  const before = await contents()
  t.match(await post(answeredPush({ did: shop.did }), { token }), { status: 401 })
  t.match(await fetch(`${CDR}?token=${token}`, { method: 'POST', body: '[]' }), { status: 401 })
  const unused = new URL(await withPopup(shop)).searchParams.get('token') ?? ''
  t.match(await post(answeredPush({ did: shop.did }), { token: unused }), { status: 401 })
  await sql`delete from webhook_tokens where hash = ${sha256(unused)}`.execute(db)
  await sql`delete from audit_log where id = (select max(id) from audit_log)`.execute(db)
  t.strictSame(await contents(), before, 'nothing is stored')

  await sql`update webhook_tokens set revoked_at = now() where tenant_id = ${shop.tenantId} and kind = 'popup'`.execute(
    db,
  )
  t.match(await sendPopup(popup, ringing), { status: 401 }, 'also if it was valid a moment ago')
  t.equal((await fetch(popup, { method: 'PUT' })).status, 405)
  await t.rejects(
    db
      .insertInto('webhook_tokens')
      .values({ kind: 'popup', hash: Buffer.alloc(32) })
      .execute(),
    /webhook_tokens_unbound_is_cdr/,
  )
})

t.test("the agent's screen shows the name and what happened last", async t => {
  const { shop, dana, popup, call } = await scene()
  const { ringing } = call()
  t.match(await sendPopup(popup, ringing), NOBODY, 'nobody knows them yet')
  // Just now, so that they are calls of today also after midnight.
  await miss(shop, dana.local, {}, 0)
  await miss(shop, dana.local, {}, 0)
  const [lead] = await leadsOf(shop.tenantId)
  const screen = async (event = ringing) => (await sendPopup(popup, event)).body
  t.match(await screen(), {
    STATUS: 'OK',
    TOTAL: 1,
    CLIENTNAME: dana.e164,
    COMPANY: '2 שיחות שלא נענו היום',
    URL: `${config().PUBLIC_URL}/ops/leads/${lead?.id}`,
  })
  await happens({
    from: dana.e164,
    phoneNumberId: shop.phoneNumberId,
    kind: 'text',
    text: 'תחזרו\nאליי',
  })
  t.match(await screen(), {
    CLIENTNAME: /^\S/,
    COMPANY: /^2 שיחות שלא נענו היום; כתב\/ה \d\d:\d\d: תחזרו אליי$/,
  })
  await sql`update tenants set languages = '{en}' where id = ${shop.tenantId}`.execute(db)
  t.match(await screen(), { COMPANY: /^2 missed calls today; wrote \d\d:\d\d: תחזרו אליי$/ })
  await sql`update missed_calls set called_at = now() - interval '3 days' where tenant_id = ${shop.tenantId}`.execute(
    db,
  )
  t.match(await screen(), { COMPANY: /^last missed call \d\d\/\d\d \d\d:\d\d; wrote/ })

  t.test('in every form that Voicenter has', async t => {
    const shown = { TOTAL: 1, CLIENTNAME: /^\S/ }
    t.match(await (await fetch(`${popup}&${popupQuery(ringing)}`)).json(), shown, 'GET')
    const form = await fetch(popup, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: popupQuery(ringing),
    })
    t.match(await form.json(), shown, 'a form')
    for (const phone of [
      dana.local,
      dana.e164,
      `972-${dana.local.slice(1)}`,
      `0${dana.e164.slice(1)}`,
    ])
      t.match(await screen({ ...ringing, phone }), shown, phone)
    const original = { currentCall: { originalCallerID: dana.local } }
    t.match(await screen({ ...ringing, phone: '203', ...original }), shown, 'a transfer')
    t.match(await screen({ ...ringing, phone: shop.did, ...original }), shown, 'our own line')
    t.match(await screen({ ...ringing, direction: 'Outgoing', status: 'Dialing' }), shown)
    t.match(await screen({ ...ringing, ivrid: '' }), shown, 'without the id of a call')
  })
  t.test('and nothing for anybody else', async t => {
    const nobody = { STATUS: 'OK', TOTAL: 0 }
    t.strictSame(await screen({ ...ringing, phone: 'anonymous', currentCall: {} }), nobody)
    t.strictSame(await screen({ ...ringing, currentCall: { isInternal: true } }), nobody)
    t.strictSame(await (await fetch(popup)).json(), nobody, 'a GET without a query')
    for (const body of ['', '{', '[]', '"x"', 'x'.repeat(200_000)])
      t.strictSame(await (await fetch(popup, { method: 'POST', body })).json(), nobody)
    const other = await withPopup(await business())
    t.strictSame((await sendPopup(other, ringing)).body, nobody, 'another business')
  })
})

t.test("Voicenter's extension in the browser may send events", async t => {
  const { popup, call } = await scene()
  const origin = 'chrome-extension://abcdefghijklmnopabcdefghijklmnop'
  const preflight = await fetch(POPUP, {
    method: 'OPTIONS',
    headers: { origin, 'access-control-request-method': 'POST' },
  })
  t.equal(preflight.status, 204)
  const allowed = (response: Response) => response.headers.get('access-control-allow-origin')
  t.equal(allowed(preflight), origin)
  t.match(preflight.headers.get('access-control-allow-methods'), /POST/)
  t.match(preflight.headers.get('access-control-allow-headers'), /content-type/i)
  const body = JSON.stringify(call().ringing)
  const from = (origin: string) => fetch(popup, { method: 'POST', body, headers: { origin } })
  t.equal(allowed(await from(origin)), origin)
  t.equal(allowed(await from('https://example.com')), null)
  t.equal(allowed(await from('chrome-extension://x\\.evil')), null)
})

t.test('a fault of ours does not break the screen', async t => {
  const { shop, dana, popup, call } = await scene()
  await miss(shop, dana.local)
  await sql`alter table live_calls rename to gone`.execute(webDb)
  t.match(await sendPopup(popup, call().ringing), NOBODY)
  await sql`alter table gone rename to live_calls`.execute(webDb)
  t.match(await sendPopup(popup, call().ringing), { body: { TOTAL: 1 } })
})

t.test('a slow database does not delay the answer, and the event is stored', async t => {
  const { shop, dana, popup, call } = await scene()
  await miss(shop, dana.local)
  const { ringing, talking } = call()
  await sendPopup(popup, ringing)
  const locked = Promise.withResolvers<void>()
  const release = Promise.withResolvers<void>()
  const holding = db.transaction().execute(async trx => {
    await sql`lock table live_calls in exclusive mode`.execute(trx)
    locked.resolve()
    await release.promise
  })
  await locked.promise
  const started = performance.now()
  t.match(await sendPopup(popup, talking), NOBODY)
  const took = performance.now() - started
  t.ok(took >= 390, `it waited for the database: ${took} ms`)
  release.resolve()
  await holding
  await until(async () => {
    const { rows } = await sql`
      select from live_calls where tenant_id = ${shop.tenantId} and phase = 'talking'`.execute(db)
    return rows.length === 1
  })
})

t.test('nothing is sent during a talk, and the Hangup cancels the message', async t => {
  const { shop, dana, call, say } = await scene()
  const { id, callId } = await miss(shop, dana.local)
  const { ringing, talking, hangup } = call()
  await say(ringing)
  t.strictSame(await holdOf(shop, callId), ['scheduled', 'in_call', 'in_call'])
  await say(talking)
  await dueSince(id)
  t.strictSame(await holdOf(shop, callId), ['scheduled', 'in_call', 'in_call'])
  await dueSince(id, '5 minutes')
  t.strictSame(requestsOf(shop), [])
  await say(hangup)
  t.strictSame(await holdOf(shop, callId), ['cancelled', 'reached_by_phone', null])
  t.match(await leadsOf(shop.tenantId), [{ state: 'reached_by_phone' }])
  t.strictSame(await jobs(`lead_outreach:${id}`), [])
  await dueSince(id)
  t.strictSame(requestsOf(shop), [])
})

t.test(
  'after a call without an answer one message is sent, not earlier than it was due',
  async t => {
    const { shop, dana, call, say } = await scene()
    const { id, callId } = await miss(shop, dana.local)
    const before = await missedCall(shop.tenantId, callId)
    const { ringing, unanswered } = call()
    await say(ringing, unanswered)
    const after = await missedCall(shop.tenantId, callId)
    t.strictSame(after?.outreach_due_at, before?.outreach_due_at, 'due at its original time')
    t.strictSame(await holdOf(shop, callId), ['scheduled', 'waiting', null])
    t.strictSame((await jobs(`lead_outreach:${id}`))[0]?.run_at, before?.outreach_due_at)

    const again = call()
    await say(again.ringing)
    await dueSince(id)
    t.strictSame(await holdOf(shop, callId), ['scheduled', 'in_call', 'in_call'])
    await say(again.unanswered)
    t.strictSame(await holdOf(shop, callId), ['scheduled', 'waiting', 'after_call'])
    const [job] = await jobs(`lead_outreach:${id}`)
    t.ok(Math.abs((await secondsUntil(job?.run_at)) - 30) <= 2, 'thirty seconds after the event')
    await say(again.ringing, again.unanswered, again.ringing)
    await runJob(`lead_outreach:${id}`)
    t.strictSame(requestsOf(shop), [], 'not earlier, also if its job runs')

    await later('31 seconds')
    await runJob(`lead_outreach:${id}`)
    t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
    t.equal(fake.inbox(dana.e164).length, 1)
  },
)

t.test('a time that means "never" is no answer', async t => {
  const { call } = await scene()
  const { unanswered } = call()
  const isAnswered = (callAnswered: unknown) =>
    readPopup(asObject(JSON.stringify({ ...unanswered, callAnswered })) ?? {})?.isAnswered
  const never = [
    -1,
    0,
    '-1',
    '-1.0',
    '0',
    '+0',
    '',
    '-',
    null,
    -62135596800,
    '0001-01-01T00:00:00',
    '1970-01-01 02:00:00',
    '01/01/1970 02:00:00',
    '1970-01-01T00:00:00Z',
    '1999-12-31',
  ]
  for (const written of never) t.equal(isAnswered(written), false, String(written))
  for (const written of [1_700_000_000, '1700000000', '+1700000000.5', '2026-11-30 10:00:00'])
    t.equal(isAnswered(written), true, String(written))

  const { shop, dana, ...other } = await scene()
  const { callId } = await miss(shop, dana.local)
  const { ringing, unanswered: hangup } = other.call({ callAnswered: -1 })
  await other.say(ringing, hangup)
  t.strictSame(await holdOf(shop, callId), ['scheduled', 'waiting', null])
})

t.test('the time of a hold does not make a message late', async t => {
  const { shop, dana, call, say } = await scene({ grace: '1 minute' })
  const { id, callId } = await miss(shop, dana.local)
  const { ringing, unanswered } = call()
  await say(ringing, unanswered)
  await later('31 seconds')
  await dueSince(id, '80 seconds')
  t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
})

t.test('Ringing without a Hangup holds for ten minutes', async t => {
  const { shop, dana, call, say } = await scene()
  const { id, callId } = await miss(shop, dana.local)
  await say(call().ringing)
  const [job] = await jobs(`lead_outreach:${id}`)
  t.ok(Math.abs((await secondsUntil(job?.run_at)) - 600) <= 2)
  await later('9 minutes 50 seconds')
  await dueSince(id, '8 minutes')
  t.strictSame(await holdOf(shop, callId), ['scheduled', 'in_call', 'in_call'])
  await later('11 seconds')
  await dueSince(id, '8 minutes')
  t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
})

t.test('Talking without a Hangup cancels after the grace', async t => {
  const { shop, dana, call, say } = await scene({
    grace: '10 minutes',
    reminder_grace: '20 minutes',
  })
  const { id, callId } = await miss(shop, dana.local)
  await say(call().talking)
  await later('9 minutes')
  await dueSince(id)
  t.strictSame(await holdOf(shop, callId), ['scheduled', 'in_call', 'in_call'])
  await later('1 minute')
  await dueSince(id, '30 minutes')
  t.strictSame(await outreachOf(shop.tenantId, callId), ['cancelled', 'reached_by_phone'])

  t.test('a reminder after its own grace, also before it is due', async t => {
    const { shop, dana, call, say } = await scene({ reminder_grace: '20 minutes' })
    const { id } = await miss(shop, dana.local)
    await dueSince(id)
    const conversation = await conversationOf(id)
    await reported(conversation.id, 'initial', 'delivered')
    await say(call().talking)
    const [job] = await jobs(`lead_reminder:${conversation.id}:1`)
    t.ok(Math.abs((await secondsUntil(job?.run_at)) - 20 * 60) <= 2)
    await later('20 minutes')
    await sql`update messages set hold_until = now() where lead_conversation_id = ${conversation.id} and kind = 'reminder_1'`.execute(
      db,
    )
    await runJob(`lead_reminder:${conversation.id}:1`)
    t.strictSame((await messagesAfter(id)).slice(1), [
      ['reminder_1', 'cancelled', 'reached_by_phone'],
      ['reminder_2', 'cancelled', 'reached_by_phone'],
    ])
  })
})

t.test('a call holds and cancels reminders too', async t => {
  const { shop, dana, call, say } = await scene()
  const { id } = await miss(shop, dana.local)
  await dueSince(id)
  const { id: conversation } = await conversationOf(id)
  await reported(conversation, 'initial', 'delivered')
  const { ringing, unanswered } = call({ direction: 'Outgoing' })
  const held = async () => {
    const { rows } = await sql<{ hold: string | null }>`
      select hold_reason as hold from messages where lead_conversation_id = ${conversation} and kind like 'reminder%' order by kind`.execute(
      db,
    )
    return rows.map(({ hold }) => hold)
  }
  await say(ringing)
  t.strictSame(await held(), ['in_call', 'in_call'])
  await reminderDue(conversation, 1)
  t.equal(requestsOf(shop).length, 1, 'not during the call')
  await say(unanswered)
  t.strictSame(await held(), ['after_call', null])
  await later('31 seconds')
  await reminderDue(conversation, 1)
  t.equal(requestsOf(shop).length, 2)

  const { talking, hangup } = call()
  await say(talking, hangup)
  t.match(await messagesAfter(id), [
    ['initial', 'delivered'],
    ['reminder_1', 'accepted'],
    ['reminder_2', 'cancelled', 'reached_by_phone'],
  ])
  t.equal((await conversationOf(id)).state, 'reached_by_phone')
})

t.test('the missed call is recorded only after the events of a later call', async t => {
  const { shop, dana, call, say } = await scene({ outreach_delay: '10 seconds' })
  const { ringing, talking, hangup, unanswered } = call()
  await say(ringing)
  const held = await miss(shop, dana.local)
  t.strictSame(await holdOf(shop, held.callId), ['scheduled', 'in_call', 'in_call'])
  const [job] = await jobs(`lead_outreach:${held.id}`)
  t.ok(Math.abs((await secondsUntil(job?.run_at)) - 600) <= 5)
  await say(unanswered)
  t.strictSame(await holdOf(shop, held.callId), ['scheduled', 'waiting', 'after_call'])
  await say(talking, hangup)
  t.strictSame(await outreachOf(shop.tenantId, held.callId), ['cancelled', 'reached_by_phone'])
})

t.test('a talk that was over when the missed call was recorded', async t => {
  const { shop, dana, call, say } = await scene()
  const { talking, hangup } = call()
  await say(talking, hangup)
  const { callId } = await miss(shop, dana.local, {}, 60)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['cancelled', 'reached_by_phone'])
  await later('5 minutes')
  const other = await miss(shop, dana.local, {}, 60)
  t.strictSame(
    await outreachOf(shop.tenantId, other.callId),
    ['scheduled', 'waiting'],
    'a new call',
  )
})

t.test('events twice, late, in every order, of others: never an earlier message', async t => {
  const { shop, dana, call, say } = await scene()
  const other = await business()
  const otherPopup = await withPopup(other)
  const { ringing, talking, hangup } = call()
  const { id, callId } = await miss(shop, dana.local)
  for (const event of [ringing, talking, hangup])
    t.match(await sendPopup(otherPopup, event), NOBODY, 'another business')
  await work()
  t.strictSame(await holdOf(shop, callId), ['scheduled', 'waiting', null])
  const due = (await missedCall(shop.tenantId, callId))?.outreach_due_at
  const jobAt = async () => (await jobs(`lead_outreach:${id}`))[0]?.run_at

  await say(talking, talking, ringing, ringing)
  t.strictSame(await holdOf(shop, callId), ['scheduled', 'in_call', 'in_call'])
  t.ok(((await jobAt())?.getTime() ?? 0) > (due?.getTime() ?? 0))
  await say(hangup, hangup, talking, ringing)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['cancelled', 'reached_by_phone'])

  await later('1 minute')
  const next = await miss(shop, dana.local)
  await say(hangup, talking, ringing)
  t.strictSame(
    await outreachOf(shop.tenantId, next.callId),
    ['scheduled', 'waiting'],
    'repeats of an earlier call do nothing to a later one',
  )
})

t.test('a hold of another kind is not shortened', async t => {
  const { shop, dana, call, say } = await scene()
  const { id, callId } = await miss(shop, dana.local)
  await sql`update whatsapp_connections set state = 'paused' where tenant_id = ${shop.tenantId}`.execute(
    db,
  )
  await dueSince(id)
  const [before] = await jobs(`lead_outreach:${id}`)
  const { ringing, unanswered } = call()
  await say(ringing, unanswered)
  t.strictSame(await holdOf(shop, callId), ['scheduled', 'connection_paused', 'connection_paused'])
  t.strictSame((await jobs(`lead_outreach:${id}`))[0]?.run_at, before?.run_at)
})

t.test('a token shows sixty people an hour', async t => {
  const { shop, popup } = await scene()
  const people = Array.from({ length: 63 }, customer)
  await sql`insert into leads (tenant_id, phone) select ${shop.tenantId}, p from unnest(${people.map(({ e164 }) => e164)}::text[]) p`.execute(
    db,
  )
  const ask = async ({ e164 }: { e164: string }, url = popup) =>
    z
      .looseObject({ TOTAL: z.number() })
      .parse((await sendPopup(url, popupCall(e164.slice(1)).ringing)).body).TOTAL
  const answers = await Promise.all(people.map(one => ask(one)))
  const [shown = [], hidden = []] = [1, 0].map(total =>
    people.filter((_, n) => answers[n] === total),
  )
  t.strictSame([shown.length, hidden.length], [60, 3])
  const [one = customer()] = shown
  const [other = customer()] = hidden
  t.equal(await ask(one), 1, 'those who were shown still are')
  t.equal(await ask(other), 0)
  t.equal(await ask(other, await withPopup(shop)), 1, 'with another token')

  await checkAlerts(0)
  t.match(await alertsOf(shop), [['popup_lookups', /^webhook_tokens \d+$/, false, false]])
  await sql`update popup_lookups set looked_up_at = looked_up_at - interval '61 minutes'`.execute(
    db,
  )
  await checkAlerts(0)
  t.match(await alertsOf(shop), [['popup_lookups', /^webhook_tokens \d+$/, false, true]])
  t.equal(await ask(other), 1, 'an hour later')
})

t.test('a cancel that no CDR confirms raises an alert', async t => {
  const { shop, dana, call, say } = await scene()
  await miss(shop, dana.local)
  const { talking, hangup } = call()
  await say(talking, hangup)
  const [lead] = await leadsOf(shop.tenantId)
  await checkAlerts(0)
  t.strictSame(await alertsOf(shop), [], 'not at once')
  await sql`update live_calls set cancelled_at = cancelled_at - interval '31 minutes'`.execute(db)
  await checkAlerts(0)
  t.strictSame(await alertsOf(shop), [['popup_unconfirmed', `leads ${lead?.id}`, false, false]])
  await tell(shop.token, answeredPush({ caller: dana.local, did: shop.did }, 60))
  await checkAlerts(0)
  t.strictSame(await alertsOf(shop), [['popup_unconfirmed', `leads ${lead?.id}`, false, true]])

  t.test('also if the claim or the record of the call cancelled it', async t => {
    for (const first of ['miss', 'talk']) {
      const { shop, dana, popup, call } = await scene()
      const { talking, hangup } = call()
      const talk = async () => {
        await sendPopup(popup, talking)
        await sendPopup(popup, hangup)
        // As if the job had not run yet.
        await sql`select graphile_worker.complete_jobs(array_agg(id)) from graphile_worker.jobs
                  where task_identifier = 'live_call' having count(*) > 0`.execute(db)
      }
      if (first === 'talk') await talk()
      const { id, callId } = await miss(shop, dana.local, {}, 60)
      if (first === 'miss') await talk()
      await dueSince(id)
      t.strictSame(await outreachOf(shop.tenantId, callId), ['cancelled', 'reached_by_phone'])
      await sql`update live_calls set cancelled_at = cancelled_at - interval '31 minutes'`.execute(
        db,
      )
      await checkAlerts(0)
      t.match(await alertsOf(shop), [['popup_unconfirmed']], first)
    }
  })
})

t.test('events are deleted after a day', async t => {
  const { shop, dana, call, say } = await scene()
  await say(call().ringing)
  const rows = async () =>
    (
      await db
        .selectFrom('live_calls')
        .select('phase')
        .where('tenant_id', '=', shop.tenantId)
        .execute()
    ).length
  await deleteOldLiveCalls()
  t.equal(await rows(), 1)
  await later('1 day 1 second')
  t.ok((await deleteOldLiveCalls()) >= 1)
  t.equal(await rows(), 0)
  t.ok(dana)
})

// The last look: Active Calls is asked before a message is sent.

const lookingScene = async () => {
  const made = await scene({ last_look: true })
  const account = await withCallLog(made.shop)
  const active = (callstatus: 'Ringing' | 'Talking', ivrid = 'x') =>
    voicenter.setActive(account, {
      username: 'SIPNOA01',
      callerphone: made.dana.local,
      callstatus,
      ivrid,
      ...(callstatus === 'Talking' && { callAnswered: 1_700_000_000 }),
    })
  const asked = () => voicenter.asked().filter(id => id === account.id).length
  /** Five seconds pass. */
  const pause = () =>
    sql`update active_calls_requests set asked_at = asked_at - interval '5 seconds' where tenant_id = ${made.shop.tenantId}`.execute(
      db,
    )
  return { ...made, account, active, asked, pause }
}

t.test('a person who is on the line gets no message', async t => {
  const { shop, dana, account, active, asked, pause } = await lookingScene()
  const { id, callId } = await miss(shop, dana.local)
  t.equal(asked(), 0, 'not when the call is recorded')
  active('Talking')
  await dueSince(id)
  t.equal(asked(), 1)
  t.strictSame(await holdOf(shop, callId), ['scheduled', 'in_call', 'in_call'])
  const [job] = await jobs(`lead_outreach:${id}`)
  t.ok(Math.abs((await secondsUntil(job?.run_at)) - 30) <= 2, 'it is asked again')
  await dueSince(id)
  t.equal(asked(), 1, 'once in five seconds')
  await pause()
  await dueSince(id)
  t.equal(asked(), 2)
  t.strictSame(await holdOf(shop, callId), ['scheduled', 'in_call', 'in_call'])
  await pause()
  voicenter.setActive(account)
  await dueSince(id)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['cancelled', 'reached_by_phone'])
  await checkAlerts(0)
  t.strictSame(requestsOf(shop), [])
})

t.test('a phone that only rang leads to the message', async t => {
  const { shop, dana, account, active, pause } = await lookingScene()
  const { id, callId } = await miss(shop, dana.local)
  active('Ringing')
  await dueSince(id)
  t.strictSame(await holdOf(shop, callId), ['scheduled', 'in_call', 'in_call'])
  voicenter.setActive(account)
  await pause()
  await dueSince(id)
  t.strictSame(await holdOf(shop, callId), ['scheduled', 'waiting', 'after_call'])
  await later('31 seconds')
  await pause()
  await dueSince(id)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
})

t.test('without an answer the message is sent', async t => {
  for (const fault of [{ error: 2 }, { status: 500 }, { cut: true }, { hang: true }] as const) {
    const { shop, dana, asked } = await lookingScene()
    const { id, callId } = await miss(shop, dana.local)
    voicenter.script(fault)
    await dueSince(id)
    t.equal(asked(), 1)
    t.strictSame(
      await outreachOf(shop.tenantId, callId),
      ['sent', 'accepted'],
      JSON.stringify(fault),
    )
  }
})

t.test('only where it is on, there is access, and a message would be sent', async t => {
  const off = await lookingScene()
  await sql`update tenants set last_look = false where id = ${off.shop.tenantId}`.execute(db)
  off.active('Talking')
  const sent = await miss(off.shop, off.dana.local)
  await dueSince(sent.id)
  t.strictSame(await outreachOf(off.shop.tenantId, sent.callId), ['sent', 'accepted'])
  const none = await scene({ last_look: true })
  await dueSince((await miss(none.shop, none.dana.local)).id)
  t.equal(requestsOf(none.shop).length, 1)
  const late = await lookingScene()
  const { id } = await miss(late.shop, late.dana.local)
  await dueSince(id, '31 minutes')
  t.strictSame([off.asked(), late.asked()], [0, 0])
})

t.test('many messages at once share one answer', async t => {
  const { shop, asked } = await lookingScene()
  const calls = []
  for (let n = 0; n < 8; n++) calls.push(await miss(shop, customer().local))
  await sql`update missed_calls set outreach_due_at = now() where tenant_id = ${shop.tenantId}`.execute(
    db,
  )
  for (const { id } of calls)
    await sql`select graphile_worker.reschedule_jobs(array_agg(id), run_at := now())
              from graphile_worker.jobs where key = ${`lead_outreach:${id}`} having count(*) > 0`.execute(
      db,
    )
  await work(8)
  t.equal(asked(), 1)
  t.equal(requestsOf(shop).length, 8)
})
