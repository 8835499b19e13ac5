/** What a person wrote and was not read yet: nothing is sent to them until it has been read. */
import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import t from 'tap'
import { claim as claimMessage } from '../../app/messages/claim.ts'
import { notice } from '../../app/messages/kinds.ts'
import { checkAlerts } from '../../app/monitoring/alerts.ts'
import { whyWaiting } from '../../app/outreach/rules.ts'
import { upcoming } from '../../app/outreach/waiting.ts'
import { discardJob, endFailedEvents, retryJobs } from '../../app/worker/failed_jobs.ts'
import { alertsOf } from '../monitoring/support.ts'
import { reported } from '../outreach/support.ts'
import {
  business,
  type Business,
  customer,
  db,
  jobs,
  missedCall,
  work,
} from '../support/ringback.ts'
import { claim, due, type Step } from '../support/steps.ts'
import { change, contacted, deliver, envelope, eventsOf, optOutsOf } from '../support/whatsapp.ts'
import { conversationOf, initialOf, miss, secondsUntil } from '../tasks/support.ts'

/** Stores an update and runs no job. */
const arrives = async ({ phoneNumberId }: Business, value: object, field = 'messages') => {
  const { status } = await deliver(envelope(change(phoneNumberId, { ...value }, field)))
  if (status !== 200) throw new Error(`not accepted: ${status}`)
}
const text = (fields: object) => ({
  messages: [{ id: `wamid.${randomUUID()}`, type: 'text', text: { body: 'הסר' }, ...fields }],
})

type Person = { waId: string; userId: string; wamid: string }
/** [what arrives, whether it may be from the person who is due, its field, the update] */
const UPDATES: [string, boolean, string, (person: Person) => object][] = [
  ['a message', true, 'messages', ({ waId }) => text({ from: waId })],
  ['a number with a plus', true, 'messages', ({ waId }) => text({ from: `+${waId}` })],
  ['a message to another app', true, 'standby', ({ waId }) => text({ from: waId })],
  ['a hidden number', true, 'messages', ({ userId }) => text({ from_user_id: userId })],
  [
    'a number that only the contact names',
    true,
    'messages',
    ({ waId }) => ({ ...text({ from: 'x' }), contacts: [{ wa_id: waId, user_id: 'x' }] }),
  ],
  [
    'an answer by an unknown id to our message',
    true,
    'messages',
    ({ wamid }) => text({ from_user_id: 'US.unknown', context: { id: wamid } }),
  ],
  [
    'a reaction to our message',
    true,
    'messages',
    ({ wamid }) => ({
      messages: [
        {
          id: `wamid.${randomUUID()}`,
          type: 'reaction',
          reaction: { message_id: wamid, emoji: '👎' },
        },
      ],
    }),
  ],
  [
    'a preference',
    true,
    'user_preferences',
    ({ waId }) => ({ user_preferences: [{ wa_id: waId, value: 'stop' }] }),
  ],
  [
    'a message that the owner wrote to them',
    true,
    'smb_message_echoes',
    ({ waId }) => ({ message_echoes: [{ id: `wamid.${randomUUID()}`, to: waId }] }),
  ],
  [
    'a message from another person',
    false,
    'messages',
    () => text({ from: customer().e164.slice(1) }),
  ],
  [
    'a status of our message',
    false,
    'messages',
    ({ waId, wamid }) => ({ statuses: [{ id: wamid, status: 'delivered', recipient_id: waId }] }),
  ],
]

/** A person whose first reminder is due, and who is also known by a user id. */
const remindable = async (shop: Business) => {
  const who = await contacted(shop)
  const conversation = await conversationOf(who.id)
  const userId = `US.${randomUUID()}`
  await reported(conversation.id, 'initial', 'delivered')
  await due(who.id, 'reminder_1')
  await sql`
    insert into lead_identities (tenant_id, identity, lead_id)
    values (${shop.tenantId}, ${userId}, ${conversation.lead_id})`.execute(db)
  const { wamid } = await initialOf(who.id)
  return { ...who, userId, waId: who.e164.slice(1), wamid: wamid ?? '', conversation }
}

const waiting = async (shop: Business) => {
  const who = customer()
  const { id, callId } = await miss(shop, who.local)
  await due(id, 'initial')
  return { ...who, id, callId }
}
const reminderKey = async (id: string) => `lead_reminder:${(await conversationOf(id)).id}:1`

for (const [name, isHeld, field, update] of UPDATES)
  await t.test(`${name} ${isHeld ? 'holds a reminder back' : 'does not'}`, async t => {
    const shop = await business()
    const who = await remindable(shop)
    await arrives(shop, update(who), field)
    const claimed = await claim(who.id, 'reminder_1')
    t.equal(claimed === null, isHeld)
    if (!isHeld) return
    const [job] = await jobs(`lead_reminder:${who.conversation.id}:1`)
    t.equal(await secondsUntil(job?.run_at), 1, 'it looks again after a second')
    await work()
    t.not((await conversationOf(who.id)).state, 'open', 'and ends when the update is read')
  })

for (const step of ['initial', 'reminder_1'] as const satisfies Step[])
  await t.test(`${step}: held until the update is read, then sent if it was no reply`, async t => {
    const shop = await business()
    const who = step === 'initial' ? await waiting(shop) : await remindable(shop)
    // A reaction that is taken back is no reply.
    const undone = {
      id: `wamid.${randomUUID()}`,
      from: who.e164.slice(1),
      type: 'reaction',
      reaction: {},
    }
    await arrives(shop, { messages: [undone] })
    t.equal(await claim(who.id, step), null)
    t.match(await missedCall(shop.tenantId, who.callId), {
      outreach_state: step === 'initial' ? 'scheduled' : 'sent',
    })
    const [event] = (await eventsOf(shop.tenantId)).slice(-1)
    await sql`update whatsapp_events set received_at = now() - interval '20 seconds' where id = ${event?.id}`.execute(
      db,
    )
    t.equal(await claim(who.id, step), null)
    const key = step === 'initial' ? `lead_outreach:${who.id}` : await reminderKey(who.id)
    const [job] = await jobs(key)
    t.equal(await secondsUntil(job?.run_at), 20, 'the longer it is unread, the later it looks')
    await sql`update whatsapp_events set outcome = 'not_a_reply' where id = ${event?.id}`.execute(
      db,
    )
    t.ok(await claim(who.id, step))
  })

await t.test('the page says that a due message waits for it', async t => {
  const shop = await business()
  const who = await waiting(shop)
  const reasons = () =>
    db.transaction().execute(async trx => {
      const messages = await upcoming(trx, { tenantId: shop.tenantId, after: null, limit: 2 })
      return messages.map(whyWaiting)
    })
  t.strictSame(await reasons(), ['any_moment'])
  await arrives(shop, text({ from: who.e164.slice(1) }))
  t.strictSame(await reasons(), ['unread'])
  await work()
  t.strictSame(await reasons(), [])
})

await t.test('a message to one tenant does not hold back those of another', async t => {
  const [one, other] = [await business(), await business()]
  const who = await waiting(one)
  await arrives(other, text({ from: who.e164.slice(1) }))
  t.ok(await claim(who.id, 'initial'))
})

await t.test('a number whose connection is new: what came before is read first', async t => {
  const shop = await business()
  const who = await waiting(shop)
  await arrives(shop, text({ from: who.e164.slice(1) }))
  await sql`update whatsapp_events set tenant_id = null where tenant_id = ${shop.tenantId}`.execute(
    db,
  )
  t.equal(await claim(who.id, 'initial'), null)
})

await t.test('a notice about a lead goes to the owner, also while the lead is unread', async t => {
  const owner = customer().e164
  const shop = await business({ columns: { owner_phone: owner } })
  const who = await remindable(shop)
  await arrives(shop, text({ from: who.waId }))
  const { id } = await db
    .insertInto('messages')
    .values({
      tenant_id: shop.tenantId,
      lead_id: who.conversation.lead_id,
      direction: 'out',
      kind: 'owner_notice',
      state: 'scheduled',
      due_at: sql<Date>`now()`,
      to_phone: owner,
      text: 'x',
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  t.ok(await claimMessage(notice('owner_notice', id)))
})

await t.test('a message in shadow is recorded, also while something is unread', async t => {
  const shop = await business({ mode: 'shadow' })
  const who = await waiting(shop)
  await arrives(shop, text({ from: who.e164.slice(1) }))
  t.equal(await claim(who.id, 'initial'), null)
  t.equal((await initialOf(who.id)).state, 'shadow')
})

await t.test('ids of any length and any sign are stored', async t => {
  const shop = await business()
  await arrives(shop, text({ from: 'x'.repeat(10_000), from_user_id: 'a"b,c{d}\\\u0000' }))
  t.match(await eventsOf(shop.tenantId), [{ person_ids: ['a"b,c{d}\\'] }])
  await work()
  t.strictSame(await optOutsOf(shop), [])
})

/** [kind, priority of its job, flags of its job] of each update of a number. */
const jobsOf = async (phoneNumberId: string) => {
  const { rows } = await sql<{ kind: string; priority: number; flags: Record<string, boolean> }>`
    select e.kind, j.priority, j.flags from whatsapp_events e
    join graphile_worker.jobs j on j.key = 'whatsapp_event:' || e.id
    where e.phone_number_id = ${phoneNumberId} order by e.kind`.execute(db)
  return rows.map(({ kind, priority, flags }) => [kind, priority, ...Object.keys(flags)])
}

await t.test(
  'what people wrote is read before calls are classified and before reports',
  async t => {
    const shop = await business()
    const { tenantId, phoneNumberId } = shop
    const both = {
      ...text({ from: customer().e164.slice(1) }),
      statuses: [{ id: 'wamid.x', status: 'read' }],
    }
    const places = [
      ['message', -30, 'people', `people:${tenantId}`],
      ['status', -10, 'rest', `rest:${tenantId}`],
    ]
    await arrives(shop, both)
    t.strictSame(await jobsOf(phoneNumberId), places)

    // As if they had come before the number was connected.
    await sql`delete from graphile_worker._private_jobs`.execute(db)
    await sql`
    update whatsapp_events set tenant_id = null, outcome = 'number_unknown'
    where phone_number_id = ${phoneNumberId}`.execute(db)
    await sql`update whatsapp_connections set phone_number_id = phone_number_id where tenant_id = ${tenantId}`.execute(
      db,
    )
    t.strictSame(await jobsOf(phoneNumberId), places, 'also when they are read again')
  },
)

// An update whose job failed for good.

/** Fails the job of the newest update of a tenant for good, as the last attempt does. Returns the ids. */
const failsForGood = async ({ tenantId }: Business) => {
  const { id = '' } = (await eventsOf(tenantId)).at(-1) ?? {}
  const { rows } = await sql<{ id: string }>`
    select f.id from graphile_worker.jobs j, graphile_worker.permanently_fail_jobs(array[j.id], 'broken') f
    where j.key = ${`whatsapp_event:${id}`}`.execute(db)
  return { id, jobId: rows[0]?.id ?? '' }
}
const outcomeOf = async ({ tenantId }: Business) => (await eventsOf(tenantId)).at(-1)?.outcome
const AS = { as: 'command line' } as const

const PENDING: [string, (person: Person) => object, string, string[]][] = [
  ['a message', ({ waId }) => text({ from: waId }), 'messages', ['replied', 'replied']],
  [
    'an answer by an unknown id',
    ({ wamid }) => text({ from_user_id: 'US.new', context: { id: wamid } }),
    'messages',
    ['replied', 'replied'],
  ],
  [
    'a message of the owner',
    ({ waId }) => ({ message_echoes: [{ id: `wamid.${randomUUID()}`, to: waId }] }),
    'smb_message_echoes',
    ['stopped', 'owner_replied'],
  ],
  [
    'a status',
    ({ waId, wamid }) => ({ statuses: [{ id: wamid, status: 'read', recipient_id: waId }] }),
    'messages',
    ['open', ''],
  ],
]
for (const [name, update, field, [state, reason]] of PENDING)
  await t.test(`${name} whose job failed: ${state}`, async t => {
    const shop = await business()
    const who = await remindable(shop)
    await arrives(shop, update(who), field)
    t.equal(await endFailedEvents(), 0, 'not while it is tried')
    await failsForGood(shop)
    t.equal(await endFailedEvents(), 1)
    t.equal(await outcomeOf(shop), 'job_failed')
    t.match(await conversationOf(who.id), { state, reason: reason || null })
    t.equal(await endFailedEvents(), 0)
    await checkAlerts(0)
    t.match(await alertsOf(shop), [['event_failed', `tenants ${shop.tenantId}`]])
  })

for (const [name, follows, outcome] of [
  [
    'run again',
    (jobId: string) => db.transaction().execute(trx => retryJobs(trx, AS, { jobId })),
    'opt_out',
  ],
  [
    'discarded',
    (jobId: string) => db.transaction().execute(trx => discardJob(trx, AS, jobId)),
    'given_up',
  ],
] as const)
  await t.test(`a failed job that is ${name}: ${outcome}, and the alert ends`, async t => {
    const shop = await business()
    const who = await remindable(shop)
    await arrives(shop, text({ from: who.waId }))
    const { jobId } = await failsForGood(shop)
    await endFailedEvents()
    await checkAlerts(0)
    await follows(jobId)
    await work()
    t.equal(await outcomeOf(shop), outcome)
    t.strictSame(await optOutsOf(shop), outcome === 'opt_out' ? [[who.e164, 'typed']] : [])
    await checkAlerts(0)
    t.equal((await alertsOf(shop))[0]?.at(-1), true, 'ended')
  })
