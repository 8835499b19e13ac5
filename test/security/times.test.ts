/** Whatever time a record contains, no message is sent at an absurd time. */
import t from 'tap'
import {
  business,
  customer,
  db,
  fake,
  missedCall,
  post,
  work,
  workAsIfDue,
} from '../support/ringback.ts'
import { push } from '../../scripts/demo/cdr.ts'

const now = Math.floor(Date.now() / 1000)
const DAY = 24 * 60 * 60
/** What stands in `time`; undefined = the field is missing. */
const TIMES: Record<string, unknown> = {
  now: 'now',
  tomorrow: 'tomorrow',
  infinity: 'infinity',
  '-infinity': '-infinity',
  nothing: '',
  null: null,
  missing: undefined,
  'an object': { $gt: 0 },
  'an array': [now],
  true: true,
  zero: 0,
  'below zero': -1,
  'year 1': '0001-01-01T00:00:00Z',
  'before there was Voicenter': 1_000_000_000,
  'the last date there is': 8_640_000_000_000,
  'beyond it': 1e20,
  'ten days ahead': now + 10 * DAY,
  'a year ago': now - 365 * DAY,
  milliseconds: now * 1000,
  microseconds: now * 1_000_000,
  'no number': 'NaN',
  'an hour that was skipped': '2026-03-27 02:30:00',
  'the 30th of February': '2026-02-30 12:00:00',
}

await t.test(
  'a call is as old as it can be, and its message due in two minutes or never',
  async t => {
    const shop = await business()
    const told = []
    for (const [name, time] of Object.entries(TIMES)) {
      const who = customer()
      const record = { ...push({ caller: who.local, did: shop.did }), time }
      t.match(await post(record, { token: shop.token }), { status: 200 }, name)
      told.push({ name, who, callId: record.ivruniqueid })
    }
    await work()
    for (const { name, callId } of told) {
      const call = await missedCall(shop.tenantId, callId)
      t.ok(call, `${name}: recorded`)
      const calledAt = call?.called_at.getTime() ?? 0
      t.ok(
        calledAt > Date.UTC(2000) && calledAt < Date.now() + DAY * 1000,
        `${name}: called at ${calledAt}`,
      )
      const due = call?.outreach_due_at?.getTime() ?? null
      if (due === null) t.equal(call?.outreach_state, 'skipped', name)
      else t.ok(Math.abs(due - Date.now() - 120_000) < 60_000, `${name}: due at ${due}`)
    }
    const read = await db
      .selectFrom('raw_cdrs')
      .select(({ fn }) => ['clock', fn.countAll<string>().as('count')])
      .where('tenant_id', '=', shop.tenantId)
      .groupBy('clock')
      .execute()
    t.ok(
      Number(read.find(({ clock }) => clock === 'call_id')?.count) > 15,
      'instead of what cannot be, the head of the call id is read',
    )

    await workAsIfDue()
    for (const { name, who } of told) t.ok(fake.inbox(who.e164).length <= 1, name)
    const old = told.find(({ name }) => name === 'a year ago')
    t.strictSame(old && fake.inbox(old.who.e164), [], 'too late is too late')
  },
)
