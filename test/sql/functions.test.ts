/** The functions that an operator calls in SQL: cancel_outreach(), call_report(), campaign_report() and quiet_until(). */
import fc from 'fast-check'
import { sql } from 'kysely'
import t from 'tap'
import { holyEnd, nextHolyWindow } from '../../app/outreach/calendar.ts'
import { firstAllowed } from '../../app/outreach/quiet_hours.ts'
import { fillQuietDays } from '../../app/tenants/quiet_days.ts'
import { answeredPush, callBackPush, push } from '../../scripts/demo/cdr.ts'
import { business, customer, db, fake, outreachOf, post, work } from '../support/ringback.ts'
import {
  addStrayJobs,
  conversationOf,
  dueSince,
  leadsOf,
  messagesAfter,
  miss,
  notRunning,
  requestsOf,
  tell,
  unboundToken,
  until,
  waitingFor,
} from '../tasks/support.ts'

const cancel = async (id: string): Promise<string | null | undefined> => {
  const { rows } = await sql<{
    answer: string | null
  }>`select cancel_outreach(${id}) as answer`.execute(db)
  return rows[0]?.answer
}

t.test('cancel_outreach', async t => {
  t.test('cancels a scheduled message and removes its job', async t => {
    const tenant = await business()
    const { id, callId } = await miss(tenant, customer().local)
    const other = await miss(tenant, customer().local)
    t.equal(await cancel(id), 'cancelled')
    t.strictSame(await outreachOf(tenant.tenantId, callId), ['cancelled', 'by_operator'])
    t.strictSame(await waitingFor(tenant.tenantId), [`lead_outreach:${other.id}`])
    t.strictSame(await outreachOf(tenant.tenantId, other.callId), ['scheduled', 'waiting'])

    t.equal(await cancel(id), 'nothing to cancel', 'the second time')
    await addStrayJobs(id)
    await dueSince(id)
    t.strictSame(await outreachOf(tenant.tenantId, callId), ['cancelled', 'by_operator'])
    t.strictSame(requestsOf(tenant), [])
  })

  t.test('cancels a message that waits for its connection', async t => {
    const tenant = await business()
    await sql`update whatsapp_connections set state = 'paused' where tenant_id = ${tenant.tenantId}`.execute(
      db,
    )
    const { id, callId } = await miss(tenant, customer().local)
    t.equal(await cancel(id), 'cancelled')
    t.strictSame(await outreachOf(tenant.tenantId, callId), ['cancelled', 'by_operator'])
  })

  t.test('cancels a message that waits for another attempt', async t => {
    const tenant = await business()
    const caller = customer()
    const { id, callId } = await miss(tenant, caller.local)
    fake.script({ to: caller.e164, outcome: { kind: 'error', code: 130429 } })
    await dueSince(id)
    t.equal(await cancel(id), 'cancelled')
    t.strictSame(await outreachOf(tenant.tenantId, callId), ['cancelled', 'by_operator'])
    t.strictSame(await messagesAfter(id), [['initial', 'cancelled', 'by_operator']])
    t.match(await conversationOf(id), { state: 'stopped' })
    t.strictSame(await waitingFor(tenant.tenantId), [])
  })

  t.test('stops the reminders after the first message was sent', async t => {
    const tenant = await business()
    const { id, callId } = await miss(tenant, customer().local)
    await dueSince(id)
    t.equal(await cancel(id), 'reminders stopped')
    t.strictSame(await outreachOf(tenant.tenantId, callId), ['sent', 'accepted'])
    t.strictSame(await messagesAfter(id), [
      ['initial', 'accepted', null],
      ['reminder_1', 'cancelled', 'by_operator'],
      ['reminder_2', 'cancelled', 'by_operator'],
    ])
    t.match(await conversationOf(id), { state: 'stopped' })
    t.strictSame(await waitingFor(tenant.tenantId), [])
    t.equal(await cancel(id), 'nothing to cancel')
  })

  t.test('stops the reminders while the first message is being sent', async t => {
    const tenant = await business()
    const caller = customer()
    const { id, callId } = await miss(tenant, caller.local)
    fake.script({ to: caller.e164, outcome: { kind: 'accept', delayMs: 500 } })
    const sent = dueSince(id)
    await until(() => requestsOf(tenant).length === 1)
    t.equal(await cancel(id), 'reminders stopped')
    t.strictSame(await outreachOf(tenant.tenantId, callId), ['sending', 'claimed'])
    await sent
    t.strictSame(await outreachOf(tenant.tenantId, callId), ['sent', 'accepted'])
    t.strictSame(await messagesAfter(id), [['initial', 'accepted', null]])
    t.strictSame(await waitingFor(tenant.tenantId), [])
  })

  t.test('changes nothing after the outreach has ended', async t => {
    const paused = await business({ mode: 'paused' })
    const skipped = await miss(paused, customer().local)
    const withheld = await miss(paused, '')
    t.equal(await cancel(skipped.id), 'nothing to cancel')
    t.equal(await cancel(withheld.id), 'nothing to cancel')
    t.strictSame(await outreachOf(paused.tenantId, skipped.callId), ['skipped', 'tenant_paused'])
    t.strictSame(await outreachOf(paused.tenantId, withheld.callId), ['skipped', 'withheld_number'])

    const live = await business()
    const caller = customer()
    const refused = await miss(live, caller.local)
    fake.script({ to: caller.e164, outcome: { kind: 'error', code: 131026 } })
    await dueSince(refused.id)
    t.equal(await cancel(refused.id), 'nothing to cancel')
    t.strictSame(await outreachOf(live.tenantId, refused.callId), ['failed', 'refused'])

    const shadow = await business({ mode: 'shadow' })
    const shadowed = await miss(shadow, customer().local)
    await dueSince(shadowed.id)
    t.equal(await cancel(shadowed.id), 'nothing to cancel')
    t.strictSame(await messagesAfter(shadowed.id), [['initial', 'shadow', null]])
  })

  t.test('answers null for an unknown call', async t => {
    t.equal(await cancel('999999999'), null)
  })

  t.test('waits for the lock on the lead', async t => {
    const tenant = await business()
    const { id, callId } = await miss(tenant, customer().local)
    let answered = false
    const answer = await db.transaction().execute(async trx => {
      await trx
        .selectFrom('leads')
        .select('id')
        .where('tenant_id', '=', tenant.tenantId)
        .forUpdate()
        .execute()
      const cancelling = cancel(id).finally(() => {
        answered = true
      })
      await until(async () => {
        const { rows } = await sql`select from pg_stat_activity
          where datname = current_database() and wait_event_type = 'Lock' and query like '%cancel_outreach%'`.execute(
          db,
        )
        return rows.length > 0
      })
      t.notOk(answered)
      // The function must decide by the state after it got the lock.
      await sql`update missed_calls set outreach_state = 'cancelled', outreach_reason = 'replied' where id = ${id}`.execute(
        trx,
      )
      return { cancelling }
    })
    t.equal(await answer.cancelling, 'nothing to cancel')
    t.strictSame(await outreachOf(tenant.tenantId, callId), ['cancelled', 'replied'])
  })

  t.test('is needed: a message whose job alone is removed is still sent', async t => {
    const tenant = await business()
    const caller = customer()
    const { id, callId } = await miss(tenant, caller.local)
    await sql`select graphile_worker.remove_job(${`lead_outreach:${id}`})`.execute(db)
    t.strictSame(await outreachOf(tenant.tenantId, callId), ['scheduled', 'waiting'])
    await sql`update missed_calls set outreach_due_at = now() where id = ${id}`.execute(db)
    await addStrayJobs(id)
    await work()
    t.equal(fake.inbox(caller.e164).length, 1)
  })

  t.test('does not affect the next call of the same caller', async t => {
    const tenant = await business()
    const caller = customer()
    const first = await miss(tenant, caller.local)
    await cancel(first.id)
    const second = await miss(tenant, caller.local)
    t.strictSame(await outreachOf(tenant.tenantId, second.callId), ['scheduled', 'waiting'])
    t.match(await leadsOf(tenant.tenantId), [{ missed_call_count: 2 }])
  })
})

/** The columns that the tests read one by one. The rows have all columns. */
type Line = {
  tenant_id: string | null
  call_id: string
  called_at: Date | null
  outreach_due_at: Date | null
  job_run_at: Date | null
  job_last_error: string | null
}

/** The rows of call_report(), of one call or of all. */
const report = async (callId: string | null = null, since = '1 day') => {
  const { rows } = await sql<Line>`
    select * from call_report(${since}::interval) where ${callId}::text is null or call_id = ${callId}`.execute(
    db,
  )
  return rows
}

t.test('call_report', async t => {
  t.test('a call that is not classified yet', async t => {
    const { tenantId, token, did } = await business()
    const cdr = push({ did })
    await post(cdr, { token })
    await post(cdr, { token })
    const [line, ...more] = await report(cdr.ivruniqueid)
    t.strictSame(more, [])
    t.match(line, {
      tenant_id: tenantId,
      verdict: null,
      reason: null,
      records: '1',
      deliveries: '2',
      outreach_state: null,
      job: `voicenter_cdr:${cdr.ivruniqueid}`,
      job_state: 'waiting',
      job_last_error: null,
    })
    await work()
  })

  t.test('a scheduled call, with its due time and its job', async t => {
    const tenant = await business()
    const caller = customer()
    const { id, callId, record } = await miss(tenant, caller.local)
    const [line] = await report(callId)
    t.match(line, {
      caller_phone: caller.e164,
      business_phone: tenant.line,
      verdict: 'missed',
      reason: 'noanswer',
      missed_call_id: id,
      outreach_state: 'scheduled',
      outreach_reason: 'waiting',
      message_state: null,
      job: `lead_outreach:${id}`,
      job_state: 'waiting',
    })
    t.ok(line?.outreach_due_at)
    t.strictSame(line?.job_run_at, line?.outreach_due_at)

    await post({ ...record, dialtime: 3 }, { token: tenant.token })
    const lines = await report(callId)
    t.match(
      lines,
      [{ records: '2', verdict: 'missed', job: `voicenter_cdr:${callId}` }],
      'a second CDR that is not classified yet',
    )
    t.equal(lines.length, 1)
    await work()
    t.match(await report(callId), [{ job: `lead_outreach:${id}` }])
  })

  t.test('calls without a missed call, and a call without a tenant', async t => {
    const tenant = await business()
    const answered = answeredPush({ did: tenant.did })
    const outgoing = callBackPush({ caller: tenant.did })
    await tell(tenant.token, answered, outgoing)
    const unmatched = push({ did: '0739999999' })
    await tell(await unboundToken(), unmatched)
    t.match(await report(answered.ivruniqueid), [
      { verdict: 'answered', outreach_state: null, job: null },
    ])
    t.match(await report(outgoing.ivruniqueid), [{ verdict: 'not_inbound', outreach_state: null }])
    t.match(await report(unmatched.ivruniqueid), [{ tenant_id: null, verdict: 'unmatched_number' }])
  })

  t.test('one row for all legs of a call', async t => {
    const tenant = await business()
    const caller = customer()
    const { callId } = await miss(tenant, caller.local)
    await tell(
      tenant.token,
      answeredPush({ caller: caller.local, did: '', type: 'XferCDR', OriginalIvrUniqueID: callId }),
    )
    const lines = await report(callId)
    t.equal(lines.length, 1)
    t.match(lines, [{ records: '2', verdict: 'answered', outreach_state: 'cancelled' }])
  })

  t.test('newest call first; older calls only if asked for', async t => {
    const tenant = await business()
    const earlier = await miss(tenant, customer().local, {}, 90)
    const later = await miss(tenant, customer().local, {}, 5)
    const order = (await report()).map(({ call_id }) => call_id)
    t.ok(order.indexOf(later.callId) < order.indexOf(earlier.callId))
    const times = (await report()).flatMap(({ called_at }) =>
      called_at ? [called_at.getTime()] : [],
    )
    t.strictSame(
      times,
      times.toSorted((a, b) => b - a),
    )

    await sql`update raw_cdrs set received_at = now() - interval '3 days' where call_id = ${later.callId}`.execute(
      db,
    )
    t.strictSame(await report(later.callId), [])
    t.equal((await report(later.callId, '7 days')).length, 1)
  })

  t.test('the same CallID in two tenants is two rows', async t => {
    const [one, two] = [await business(), await business()]
    const { record, callId } = await miss(one, customer().local)
    await tell(two.token, { ...record, did: two.did })
    const lines = await report(callId)
    t.strictSame(
      new Set(lines.map(({ tenant_id }) => tenant_id)),
      new Set([one.tenantId, two.tenantId]),
    )
    t.match(lines, [{ records: '1' }, { records: '1' }])
  })

  t.test('a message that is being sent, and one that was sent', async t => {
    const tenant = await business()
    const caller = customer()
    const { id, callId } = await miss(tenant, caller.local)
    fake.script({ to: caller.e164, outcome: { kind: 'accept', delayMs: 400 } })
    const sent = dueSince(id)
    await until(() => requestsOf(tenant).length === 1)
    t.match(await report(callId), [
      {
        outreach_state: 'sending',
        outreach_reason: 'claimed',
        message_state: 'sending',
        job: `lead_outreach:${id}`,
        job_state: 'running',
      },
    ])
    await sent
    const lines = await report(callId)
    t.match(lines, [
      { outreach_state: 'sent', outreach_reason: 'accepted', message_state: 'accepted' },
    ])
    t.equal(lines.length, 1, 'one row, with the reminders scheduled')
  })

  t.test('a refused message, and a skipped call', async t => {
    const tenant = await business()
    const caller = customer()
    const { id, callId } = await miss(tenant, caller.local)
    fake.script({ to: caller.e164, outcome: { kind: 'error', code: 131026 } })
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
    const withheld = await miss(tenant, '')
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

  t.test('a job that failed is retrying, and dead after its last attempt', async t => {
    const tenant = await business()
    const { id, callId } = await miss(tenant, customer().local)
    await sql`update whatsapp_connections set access_token = 'v1:broken' where tenant_id = ${tenant.tenantId}`.execute(
      db,
    )
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
    t.strictSame(requestsOf(tenant), [])
  })
})

const HOUR = 3_600_000
/** A person whose messages are due in the very second in which Shabbat ends. */
const AT_ONCE = (() => {
  const quiet = { windows: ['shabbat'], timezone: 'UTC', location: 'Tel Aviv' }
  const saturday = new Date('2027-01-09T10:00Z')
  const end = holyEnd(saturday, 'shabbat', 'Tel Aviv')?.getTime()
  const phones = Array.from({ length: 3000 }, (_, n) => `+97252${2_000_000 + n}`)
  return phones.find(phone => firstAllowed(saturday, quiet, phone).getTime() === end) ?? ''
})()

t.test('campaign_report', async t => {
  const shop = await business()
  const other = await business()
  const google = { utm_source: 'google', utm_medium: 'cpc', utm_campaign: 'spring' }
  const reportOf = async ({ tenantId }: typeof shop, since = '30 days') => {
    const { rows } = await sql<Record<string, unknown>>`
      select source, medium, campaign, answered::int, missed::int, recovered::int, won::int, value::float8
      from campaign_report(${since}::interval) where tenant_id = ${tenantId}`.execute(db)
    return rows
  }
  const leadId = async (phone: string) =>
    (await leadsOf(shop.tenantId)).find(lead => lead.phone === phone)?.id ?? ''

  t.strictSame(await reportOf(shop), [])
  const [reached, won, stopped] = [customer(), customer(), customer()]
  await miss(shop, reached.local, { CustomData: google }, 600)
  await miss(shop, won.local, { CustomData: google }, 500)
  await miss(shop, stopped.local, { CustomData: JSON.stringify({ gclid: 'g' }) }, 400)
  const answered = { did: shop.did, caller: customer().local, CustomData: google }
  await tell(shop.token, answeredPush(answered, 300))
  await miss(shop, customer().local)
  await miss(other, customer().local, { CustomData: google })
  await tell(shop.token, callBackPush({ caller: shop.did, target: reached.e164.slice(1) }, 100))
  await sql`
    update leads set outcome = 'won', outcome_at = now(), outcome_value = 350
    where id = ${await leadId(won.e164)}`.execute(db)
  await sql`
    insert into messages (tenant_id, lead_id, direction, kind, state, keyword)
    values (${shop.tenantId}, ${await leadId(stopped.e164)}, 'in', 'inbound', 'received', 'stop')`.execute(
    db,
  )
  const spring = { source: 'google', medium: 'cpc', campaign: 'spring' }
  const nothing = { recovered: 0, won: 0, value: 0 }
  t.strictSame(await reportOf(shop), [
    { ...spring, answered: 1, missed: 2, recovered: 1, won: 1, value: 350 },
    { source: 'google', medium: null, campaign: null, answered: 0, missed: 1, ...nothing },
  ])
  t.strictSame(await reportOf(other), [{ ...spring, answered: 0, missed: 1, ...nothing }])

  // A person who won counts once, for their last call. A call with several CDRs counts once, for its first campaign.
  const again = await miss(shop, won.local, { CustomData: { utm_source: 'facebook' } }, 90)
  await tell(shop.token, {
    ...push({ caller: '', did: shop.did, CustomData: google }),
    type: 'XferCDR',
    originalIvrUniqueID: again.callId,
  })
  t.match(await reportOf(shop), [
    { ...spring, answered: 1, missed: 2, won: 0 },
    { source: 'facebook', missed: 1, won: 1, value: 350 },
    { source: 'google', medium: null },
  ])
  await sql`
    update leads set outcome_at = now() - interval '1 hour' where id = ${await leadId(won.e164)}`.execute(
    db,
  )
  const later = await reportOf(shop)
  t.ok(
    later.every(row => row['won'] === 0),
    'an outcome from before the call does not count',
  )
  t.strictSame(await reportOf(shop, '1 second'), [])
})

t.test('quiet_until', async t => {
  type Answer = { message: string; quietUntil: Date | null; windows: string[] }
  const ask = async (tenantId: string, moments: Date[]) => {
    const { rows } = await sql<Answer & { at: Date }>`
      select at, q.message, q.quiet_until as "quietUntil", q.windows
      from unnest(${moments}::timestamptz[]) with ordinality as m (at, n), quiet_until(${tenantId}, at) q
      order by n, q.message`.execute(db)
    return rows
  }

  t.test('says the same as the program, at any moment and in any windows', async t => {
    const settings = fc.record({
      timezone: fc.constantFrom('Asia/Jerusalem', 'America/New_York', 'UTC'),
      location: fc.constantFrom('Jerusalem', 'Eilat', 'Tel Aviv', '40.7128,-74.006', '60.17,24.94'),
      quiet_windows: fc.subarray(['shabbat', '21:00-08:00', 'fri 14:00-sat 20:15', '12:00-12:30']),
      reminder_quiet_windows: fc.subarray([
        'holidays',
        'shabbat',
        'sun 22:00-mon 06:00',
        '22:00-01:30',
      ]),
    })
    const soon = Math.floor(Date.now() / 60_000) * 60_000
    const moments = fc.array(
      fc
        .integer({ min: -300 * 24 * 60, max: 1000 * 24 * 60 })
        .map(n => new Date(soon + n * 60_000)),
      { minLength: 100, maxLength: 100 },
    )
    const { tenantId } = await business()
    await fc.assert(
      fc.asyncProperty(settings, moments, async (columns, moments) => {
        await db.updateTable('tenants').set(columns).where('id', '=', tenantId).execute()
        await db.transaction().execute(fillQuietDays)
        for (const { at, message, quietUntil } of await ask(tenantId, moments)) {
          const { quiet_windows, reminder_quiet_windows } = columns
          const windows =
            message === 'reminder' ? [...quiet_windows, ...reminder_quiet_windows] : quiet_windows
          const until = firstAllowed(at, { ...columns, windows }, AT_ONCE)
          if (until.getTime() !== (quietUntil ?? at).getTime())
            throw new Error(`${message} ${at.toISOString()}: ${quietUntil?.toISOString()}`)
        }
      }),
      { numRuns: 20 },
    )
    t.pass()
  })

  t.test('on the nights when the clocks change', async t => {
    const { tenantId } = await business({
      columns: { quiet_windows: ['21:00-08:00', '22:00-01:30', '00:00-02:30'] },
    })
    const quiet = {
      windows: ['21:00-08:00', '22:00-01:30', '00:00-02:30'],
      timezone: 'Asia/Jerusalem',
      location: 'Tel Aviv',
    }
    for (const night of ['2027-03-25T15:00Z', '2027-10-30T15:00Z'])
      for (const windows of [...quiet.windows.map(one => [one]), quiet.windows]) {
        await db
          .updateTable('tenants')
          .set({ quiet_windows: windows })
          .where('id', '=', tenantId)
          .execute()
        const moments = Array.from(
          { length: 96 },
          (_, n) => new Date(Date.parse(night) + n * 15 * 60_000),
        )
        for (const { at, message, quietUntil } of await ask(tenantId, moments))
          if (message === 'first message')
            t.strictSame(
              quietUntil ?? at,
              firstAllowed(at, { ...quiet, windows }),
              at.toISOString(),
            )
      }
  })

  t.test('names the windows, and says when it cannot know', async t => {
    const { tenantId } = await business({
      columns: { quiet_windows: ['shabbat'], reminder_quiet_windows: ['18:00-08:00'] },
    })
    const until = nextHolyWindow(new Date(), ['shabbat'], 'Tel Aviv')?.until ?? new Date()
    const saturday = new Date(until.getTime() - 5 * HOUR)
    t.match(await ask(tenantId, [saturday]), [
      { message: 'first message', windows: ['shabbat'] },
      { message: 'reminder', windows: ['shabbat'] },
    ])
    const [first, reminder] = await ask(tenantId, [new Date(until.getTime() + 4 * HOUR)])
    t.match(first, { quietUntil: null, windows: [] })
    t.match(reminder, { windows: ['18:00-08:00'] })
    t.strictSame(await ask('999999', [saturday]), [])
    await t.rejects(ask(tenantId, [new Date('2050-01-01')]), /quiet_days does not cover Tel Aviv/)
    await sql`update tenants set location = '51.5,0' where id = ${tenantId}`.execute(db)
    await t.rejects(ask(tenantId, [saturday]), /quiet_days does not cover 51.5,0/)
    await db.transaction().execute(fillQuietDays)
    t.match(await ask(tenantId, [saturday]), [{ windows: ['shabbat'] }, { windows: ['shabbat'] }])
    const { rows } = await sql`
      select location from quiet_days where location in ('Tel Aviv', '51.5,0') and name = 'yom_kippur'
      group by 1 having count(*) >= 4`.execute(db)
    t.equal(rows.length, 2, 'from a year back to three years ahead')
  })
})
