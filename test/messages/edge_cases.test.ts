/** Messages in unusual cases: late records, lost jobs, odd values, and answers at the last second. */
import { sql } from 'kysely'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { test } from 'tap'
import { recordOutcome } from '../../app/messages/record.ts'
import { answeredPush, push } from '../../scripts/demo/cdr.ts'
import type { ScriptInput } from '../../scripts/fake_whatsapp/scripts.ts'
import { addStrayReminders, reported } from '../outreach/support.ts'
import {
  business,
  type Business,
  customer,
  db,
  fake,
  jobDue,
  jobs,
  missedCall,
  OK,
  outreachOf,
  post,
  work,
  workAsIfDue,
} from '../support/ringback.ts'
import {
  change,
  contacted,
  deliver,
  envelope,
  eventsOf,
  happens,
  optOutsOf,
  storyOf,
} from '../support/whatsapp.ts'
import {
  addStrayJobs,
  conversationOf,
  dueSince,
  everythingOf,
  initialOf,
  leadsOf,
  messagesAfter,
  miss,
  requestsOf,
  runAtOnce,
  tell,
  until,
} from '../tasks/support.ts'

/** For the odd values below. */
const shop = await business()
const dana = await contacted(shop)

await test('a caller who wrote before the CDR of their call came gets no message', async t => {
  const shop = await business()
  const dana = customer()
  const { phoneNumberId } = shop
  // They called three minutes ago and then wrote. The CDR comes only now.
  await happens({ kind: 'text', from: dana.e164, phoneNumberId, text: 'התקשרתי, אין מענה' })
  const { callId } = await miss(shop, dana.local, {}, 180)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['cancelled', 'replied'])
  const lead = db.selectFrom('leads').select('state').where('phone', '=', dana.e164)
  t.match(await lead.execute(), [{ state: 'replied' }])
})

await test('a forwarded call whose root is a dialer call causes no message', async t => {
  const shop = await business()
  const dana = customer()
  const root = push({ caller: dana.local, did: shop.did, type: 'Click 2 IVR Incoming' })
  const forwarded = push({
    caller: dana.local,
    did: shop.did,
    type: 'Auto forward',
    direction: 'incoming',
    OriginalIvrUniqueID: root.ivruniqueid,
  })
  await tell(shop.token, forwarded)
  t.equal(await outreachOf(shop.tenantId, root.ivruniqueid), undefined, 'it waits for its root')
  await tell(shop.token, root)
  t.equal(await outreachOf(shop.tenantId, root.ivruniqueid), undefined)
  t.strictSame(fake.inbox(dana.e164), [])
})

await test('"resume" in WhatsApp does not take back "remove me"', async t => {
  const shop = await business()
  const dana = await contacted(shop)
  const switched = (value: 'stop' | 'resume') =>
    happens({ kind: 'user_preferences', from: dana.e164, phoneNumberId: shop.phoneNumberId, value })
  await switched('stop')
  await happens({ kind: 'text', from: dana.e164, phoneNumberId: shop.phoneNumberId, text: 'הסר' })
  await switched('resume')
  t.equal((await optOutsOf(shop)).length, 1)
})

await test('a message that was not sent in time no longer counts as contact', async t => {
  const shop = await business()
  const dana = customer()
  const { id } = await miss(shop, dana.local)
  // Its job is gone, as after ten failures, for an hour.
  await sql`select graphile_worker.remove_job(${`lead_outreach:${id}`}::text)`.execute(db)
  await sql`update missed_calls set outreach_due_at = now() - interval '1 hour' where id = ${id}`.execute(
    db,
  )
  const next = await miss(shop, dana.local)
  t.strictSame(await outreachOf(shop.tenantId, next.callId), ['scheduled', 'waiting'])
  await dueSince(next.id)
  t.equal(fake.inbox(dana.e164).length, 1)
  t.strictSame(await jobs(`lead_outreach:${next.id}`), [])
})

await test('an owner who wrote "stop" gets no more notices', async t => {
  const owner = customer()
  const shop = await business({ columns: { owner_phone: owner.e164 } })
  await db
    .insertInto('opt_outs')
    .values({ tenant_id: shop.tenantId, phone: owner.e164, source: 'typed' })
    .execute()
  const dana = await contacted(shop)
  await happens({ kind: 'text', from: dana.e164, phoneNumberId: shop.phoneNumberId, text: 'היי' })
  t.strictSame(fake.inbox(owner.e164), [])
  const notice = db
    .selectFrom('messages')
    .select(['state', 'reason'])
    .where('kind', '=', 'owner_notice')
  t.match(await notice.where('tenant_id', '=', shop.tenantId).execute(), [
    { state: 'skipped', reason: 'opted_out' },
  ])
})

await test('the database refuses quiet windows and time zones that do not exist', async t => {
  const shop = await business()
  const set = (columns: Record<string, string | string[]>) =>
    db.updateTable('tenants').set(columns).where('id', '=', shop.tenantId).execute()
  for (const window of ['08:00-08:00', '25:00-08:00', '21:00-08:00,fri 15:00-sat 20:30', ''])
    await t.rejects(set({ quiet_windows: [window] }), /tenants_quiet_windows_form/, window)
  await t.rejects(
    set({ reminder_quiet_windows: ['sabbath'] }),
    /tenants_reminder_quiet_windows_form/,
  )
  for (const location of [
    'Atlantis',
    'tel aviv',
    '31.77',
    '91,35',
    '31.77,181',
    '31.77, 35.21',
    '',
  ])
    await t.rejects(set({ location }), /tenants_location_known/, location)
  await t.rejects(set({ timezone: 'Asia/Jerusalm' }), /not recognized/)
  await set({
    quiet_windows: ['21:00-08:00', 'fri 15:00-sat 20:30', 'shabbat', 'holidays'],
    location: '-31.7683,35.2137',
    timezone: 'Europe/Berlin',
  })
})

await test('an outcome that is recorded twice does not change the next try', async t => {
  const shop = await business()
  const { id } = await miss(shop, customer().local)
  fake.script({ phoneNumberId: shop.phoneNumberId, outcome: { kind: 'error', code: 130429 } })
  await dueSince(id)
  const message = await initialOf(id)
  // The next try has claimed it when the first one records its outcome again, since the answer to its commit was lost.
  await sql`update messages set state = 'sending', attempts = 2 where id = ${message.id}`.execute(
    db,
  )
  await sql`update missed_calls set outreach_state = 'sending', outreach_reason = 'claimed' where id = ${id}`.execute(
    db,
  )
  const refused = {
    kind: 'refused',
    code: 130429,
    policy: { do: 'retry', after: [1, 2] },
    why: 'error_code',
  } as const
  await db.transaction().execute(trx => recordOutcome(trx, message.id, refused, 1))
  t.match(await initialOf(id), { state: 'sending', attempts: 2 })
  await db.transaction().execute(trx => recordOutcome(trx, message.id, refused, 2))
  t.match(await initialOf(id), { state: 'scheduled' })
})

/** A repeat of a CDR whose message failed: no new call and no new message. */

const ENDS: Record<
  string,
  { outcome?: ScriptInput['outcome']; ago?: string; end: [string, string] }
> = {
  'it was refused for good': {
    outcome: { kind: 'error', code: 131026 },
    end: ['failed', 'refused'],
  },
  'an unknown outcome': { outcome: { kind: 'cut' }, end: ['unknown', 'no_answer'] },
  'it was too late': { ago: '31 minutes', end: ['skipped', 'too_late'] },
}

for (const [name, { outcome, ago, end }] of Object.entries(ENDS))
  await t.test(`a repeat of the CDR after ${name} changes nothing, also a day later`, async t => {
    const shop = await business()
    const who = customer()
    const { id, callId, record } = await miss(shop, who.local)
    if (outcome) fake.script({ to: who.e164, outcome })
    await dueSince(id, ago)
    t.strictSame(await outreachOf(shop.tenantId, callId), end)
    const sent = requestsOf(shop).length

    for (const later of ['0 hours', '25 hours']) {
      await sql`update missed_calls set called_at = called_at - ${later}::interval,
                created_at = created_at - ${later}::interval where id = ${id}`.execute(db)
      await sql`update messages set created_at = created_at - ${later}::interval,
                claimed_at = claimed_at - ${later}::interval where tenant_id = ${shop.tenantId}`.execute(
        db,
      )
      const { records: _, ...before } = await everythingOf(shop.tenantId)
      t.strictSame(await post(record, { token: shop.token }), OK)
      await work()
      await workAsIfDue()
      const { records, ...after } = await everythingOf(shop.tenantId)
      t.strictSame(after, before, `${later} later`)
      t.match(records, [{}], 'one record')
      t.strictSame(after.jobs, [])
    }
    t.equal(requestsOf(shop).length, sent)
    t.match(await leadsOf(shop.tenantId), [{ missed_call_count: 1 }])
  })

/**
 * graphile-worker may add no job and raise no error: a worker took the job with that key at the same moment. Then the
 * rows that need the job must be rolled back too, and the work is tried again.
 */

const ADD_JOB =
  'graphile_worker.add_job(text, json, text, timestamptz, int, text, int, text[], text)'
const ADD_JOBS = 'graphile_worker.add_jobs(graphile_worker.job_spec[], boolean)'
const run = (statement: string) => sql.raw(statement).execute(db)

/** Meanwhile, jobs with such a key are not added, without an error. */
const withoutJobs = async (key: string, meanwhile: () => Promise<unknown>): Promise<void> => {
  await run(`alter function ${ADD_JOB} rename to real_add_job`)
  await run(`create function graphile_worker.add_job(identifier text, payload json default null, queue_name text default null,
      run_at timestamptz default null, max_attempts int default null, job_key text default null, priority int default null,
      flags text[] default null, job_key_mode text default 'replace')
    returns graphile_worker._private_jobs language sql as $$
      select case when job_key not like '${key}' then
        graphile_worker.real_add_job(identifier, payload, queue_name, run_at, max_attempts, job_key, priority, flags, job_key_mode) end $$`)
  await run(`alter function ${ADD_JOBS} rename to real_add_jobs`)
  await run(`create function graphile_worker.add_jobs(
      specs graphile_worker.job_spec[], job_key_preserve_run_at boolean default false)
    returns setof graphile_worker._private_jobs language sql as $$
      select * from graphile_worker.real_add_jobs(
        array(select s from unnest(specs) s where s.job_key not like '${key}'), job_key_preserve_run_at) $$`)
  try {
    await meanwhile()
  } finally {
    await run(`drop function ${ADD_JOBS}`)
    await run(`alter function ${ADD_JOBS.replace('add_jobs', 'real_add_jobs')} rename to add_jobs`)
    await run(`drop function ${ADD_JOB}`)
    await run(
      `alter function graphile_worker.real_add_job(text, json, text, timestamptz, int, text, int, text[], text) rename to add_job`,
    )
  }
}

await t.test('a missed call is not recorded without the job of its message', async t => {
  const { tenantId, token, did } = await business()
  const record = push({ caller: customer().local, did })
  await withoutJobs('lead_outreach:%', () => tell(token, record))
  t.equal(await missedCall(tenantId, record.ivruniqueid), undefined)
  t.strictSame(await leadsOf(tenantId), [])
  t.match(await jobs(`voicenter_cdr:${record.ivruniqueid}`), [{ attempts: 1 }])
  await runAtOnce(`voicenter_cdr:${record.ivruniqueid}`)
  await work()
  const call = await missedCall(tenantId, record.ivruniqueid)
  t.match(call, { outreach_state: 'scheduled' })
  t.equal((await jobs(`lead_outreach:${call?.id}`)).length, 1)
  t.match(await leadsOf(tenantId), [{ missed_call_count: 1 }])
})

// Recording fails at first. The outcome is known only to the process that records it.
await t.test(
  'an acceptance is recorded as soon as the jobs of its reminders can be added',
  async t => {
    const shop = await business()
    const who = customer()
    const { id } = await miss(shop, who.local)
    let done: Promise<void> | undefined
    await withoutJobs('lead_reminder:%:2', async () => {
      done = dueSince(id)
      await until(() => fake.inbox(who.e164).length === 1)
      await sleep(150)
      t.strictSame(
        await messagesAfter(id),
        [['initial', 'sending', null]],
        'and nothing of it before',
      )
    })
    await done
    t.match(await initialOf(id), { state: 'accepted' }, 'recorded')
    t.equal((await messagesAfter(id)).length, 3, 'with both reminders')
    const { id: conversation } = await conversationOf(id)
    const { rows } =
      await sql`select from graphile_worker.jobs where key like ${`lead_reminder:${conversation}:%`}`.execute(
        db,
      )
    t.equal(rows.length, 2, 'and their jobs')
    t.equal(fake.inbox(who.e164).length, 1)
  },
)

await t.test('a "stop" is handled once the job of its confirmation can be added', async t => {
  const shop = await business()
  const who = await contacted(shop)
  await withoutJobs('opt_out_confirmation:%', () =>
    happens({ kind: 'text', from: who.e164, text: 'הסר' }),
  )
  t.strictSame(await optOutsOf(shop), [], 'and nothing of it before')
  const [event] = await eventsOf(shop.tenantId)
  t.equal(event?.outcome, null)
  await runAtOnce(`whatsapp_event:${event?.id}`)
  await work()
  t.strictSame(await optOutsOf(shop), [[who.e164, 'typed']])
  t.equal(fake.inbox(who.e164).length, 2, 'the first message and the confirmation')
})

/**
 * Signed webhooks with values that no column accepts, although each is a string or a number as Meta's page says. They are
 * kept, at worst without effect. No job fails because of them.
 */

/** Too long for an index, and too random to be compressed. */
const digits = Array.from({ length: 9000 }, () => Math.floor(Math.random() * 10)).join('')
const letters = Array.from({ length: 9000 }, () =>
  String.fromCharCode(0x400 + Math.floor(Math.random() * 0xbff)),
).join('')

const status = (fields: object) => ({ statuses: [{ id: dana.wamid, status: 'failed', ...fields }] })
const message = (fields: object) => ({
  messages: [{ id: `wamid.${Math.random()}`, from: dana.e164.slice(1), type: 'text', ...fields }],
})

const UPDATES: Record<string, [value: Record<string, unknown>, field?: string]> = {
  'a report of the year 31688738506': [status({ id: 'wamid.unknown', timestamp: '1e18' })],
  'an error code beyond 32 bits': [status({ errors: [{ code: 2 ** 31 }] })],
  'a status that is a name of the language': [status({ status: 'constructor' })],
  'a status that is __proto__': [status({ status: '__proto__' })],
  'a price that is very long': [status({ status: 'delivered', pricing: { category: letters } })],
  'a message id that is very long': [message({ id: letters })],
  'a writer whose number is very long': [message({ from: digits })],
  'a user id that is very long': [message({ from_user_id: letters })],
  'a recipient that is very long': [
    status({ id: dana.wamid, status: 'read', recipient_id: digits }),
  ],
  'a new number that is very long': [message({ type: 'system', system: { wa_id: digits } })],
  'an answer to a message whose id is very long': [message({ context: { id: letters } })],
  'words that are very long': [message({ text: { body: letters } })],
  'a template event that is a name of the language': [
    {
      event: 'constructor',
      message_template_name: 'ringback_reminder_1',
      message_template_language: 'he',
    },
    'message_template_status_update',
  ],
}
await t.test(
  'an event makes the account id known, by which template events find the tenant',
  async t => {
    await deliver(envelope(change(shop.phoneNumberId, message({ text: { body: 'שלום' } }))))
    await work()
    const connections = db.selectFrom('whatsapp_connections').select('waba_id')
    const { waba_id } = await connections
      .where('tenant_id', '=', shop.tenantId)
      .executeTakeFirstOrThrow()
    t.ok(waba_id)
  },
)

for (const [name, [value, field]] of Object.entries(UPDATES))
  await t.test(`${name} is kept, and no job fails`, async t => {
    const answer = await deliver(envelope(change(shop.phoneNumberId, value, field)))
    t.equal(answer.status, 200)
    await work()
    const { rows } = await sql<{ last_error: string }>`
      select last_error from graphile_worker.jobs where last_error is not null`.execute(db)
    await sql`select graphile_worker.complete_jobs(array_agg(id)) from graphile_worker.jobs
              where last_error is not null having count(*) > 0`.execute(db)
    t.strictSame(rows, [], 'no error')
  })

await t.test('signed bytes that are not UTF-8 are kept as received', async t => {
  const text = JSON.stringify(
    envelope(change(shop.phoneNumberId, message({ text: { body: 'XX' } }))),
  )
  const bytes = Buffer.from(text.replace('XX', '\xf9\xec'), 'latin1')
  t.equal((await deliver(bytes)).status, 200)
  const { rows } = await sql`select from rejected_deliveries where body = ${bytes}`.execute(db)
  t.equal(rows.length, 1, 'in rejected_deliveries')
  const stored = JSON.stringify(await eventsOf(shop.tenantId))
  t.notMatch(stored, '\ufffd', 'no character is replaced')
})

/**
 * A caller is answered one second before a message is due, or while it is due. The message is cancelled or sent, never
 * both. Each of the three messages is tested.
 */

const KINDS = ['initial', 'reminder_1', 'reminder_2'] as const
type Kind = (typeof KINDS)[number]
const TEMPLATE = {
  initial: 'ringback_missed_call',
  reminder_1: 'ringback_reminder_1',
  reminder_2: 'ringback_reminder_2',
}

/** A person whose next message this is. */
const waitingFor = async (shop: Business, kind: Kind) => {
  const who = customer()
  const { id } = await miss(shop, who.local)
  if (kind === 'initial') return { who, id, conversation: '' }
  await dueSince(id)
  const { id: conversation } = await conversationOf(id)
  await reported(conversation, 'initial', 'delivered')
  if (kind === 'reminder_2') {
    await setDue(id, 'reminder_1', 0)
    await jobDue(`lead_reminder:${conversation}:1`)
    await reported(conversation, 'reminder_1', 'delivered')
  }
  return { who, id, conversation }
}

const setDue = async (id: string, kind: Kind, inSeconds: number) => {
  if (kind === 'initial')
    await sql`update missed_calls set outreach_due_at = now() + make_interval(secs => ${inSeconds})
              where id = ${id}`.execute(db)
  else
    await sql`update messages set due_at = now() + make_interval(secs => ${inSeconds}) where kind = ${kind}
              and lead_conversation_id in (select id from lead_conversations where missed_call_id = ${id})`.execute(
      db,
    )
}
const got = (phone: string, kind: Kind) =>
  fake.inbox(phone).filter(({ template }) => template?.name === TEMPLATE[kind]).length

for (const kind of KINDS) {
  await t.test(`answered a second before the ${kind} message: it is cancelled`, async t => {
    const shop = await business()
    const { who, id, conversation } = await waitingFor(shop, kind)
    await setDue(id, kind, 1)
    await tell(shop.token, answeredPush({ caller: who.local, did: shop.did }, 5))
    // A second passes, and jobs for it were left behind.
    await setDue(id, kind, 0)
    if (kind === 'initial') await addStrayJobs(id)
    else await addStrayReminders(conversation)
    await work()
    t.equal(got(who.e164, kind), 0)
    const [lead, call, ended] = await storyOf(shop, who.e164)
    t.equal(lead, 'reached_by_phone')
    t.equal(call, kind === 'initial' ? 'cancelled / reached_by_phone' : 'sent / accepted')
    if (kind !== 'initial') t.equal(ended, 'reached_by_phone / reached_by_phone')
    const messages = await messagesAfter(id)
    t.strictSame(
      messages.filter(([, state]) => ['scheduled', 'sending'].includes(state ?? '')),
      [],
      'no job waits',
    )
  })

  await t.test(
    `answered while the ${kind} message is due: cancelled or sent, never both`,
    async t => {
      const shop = await business()
      for (let round = 0; round < 6; round++) {
        const { who, id, conversation } = await waitingFor(shop, kind)
        await setDue(id, kind, 0)
        const key =
          kind === 'initial'
            ? `lead_outreach:${id}`
            : `lead_reminder:${conversation}:${kind.at(-1)}`
        await Promise.all([
          jobDue(key),
          sleep(round * 5).then(() =>
            tell(shop.token, answeredPush({ caller: who.local, did: shop.did }, 5)),
          ),
        ])
        const state = (await messagesAfter(id)).find(([its]) => its === kind)?.[1] ?? 'cancelled'
        t.ok(['accepted', 'cancelled'].includes(state), state)
        t.equal(got(who.e164, kind), state === 'accepted' ? 1 : 0, `the inbox agrees: ${state}`)
        if (conversation) await addStrayReminders(conversation)
        else await addStrayJobs(id)
        await work()
        t.equal(got(who.e164, kind), state === 'accepted' ? 1 : 0, 'the inbox stays the same')
      }
    },
  )
}
