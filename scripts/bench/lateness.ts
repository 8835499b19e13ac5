/** How late messages start while 100,000 others wait, and how much CPU the waiting costs. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { FakeWhatsApp } from '../fake_whatsapp/server.ts'
import { startWorker, waitUntil } from '../processes.ts'
import { type Database, DID, type Environment, startWhatsApp } from './environment.ts'
import { meter } from './load.ts'
import type { Row, Section } from './results.ts'

const DATABASE = 'bench_lateness'
const IDLE_SECONDS = 30
/** After its start the worker needs this long until it only waits. */
const STARTED_MS = 5000
/** The first message is due after this time. By then all are stored. */
const DUE_IN_SECONDS = 3
const ARRIVED_WITHIN_MS = 60_000

const BURSTS = [
  { name: 'spread over 30 s', messages: 200, seconds: 30 },
  { name: 'in one second', messages: 100, seconds: 1 },
]

export const lateness = async ({ postgres, say }: Environment): Promise<Section> => {
  await using database = await postgres.newDatabase(DATABASE)
  await using fake = await startWhatsApp()
  say('  storing 100,000 messages that wait')
  await database.query(WAITING_MESSAGES)
  await database.query('vacuum analyze')
  await postgres.checkpoint()

  say(`  the database alone for ${IDLE_SECONDS} s`)
  const alone = await idleCpu(postgres.cpuSeconds)
  const env = { ...postgres.envFor(database.url), WHATSAPP_GRAPH_URL: fake.url }
  await using worker = await startWorker(env)
  await sleep(STARTED_MS)
  say(`  with an idle worker for ${IDLE_SECONDS} s`)
  const before = await transactions(database)
  const [databaseCpu, ownCpu] = await Promise.all(
    [postgres.cpuSeconds, worker.cpuSeconds].map(idleCpu),
  )
  const idle = {
    'database CPU': [databaseCpu ?? null],
    'without us': [alone],
    'own CPU': [ownCpu ?? null],
    'transactions/s': [((await transactions(database)) - before) / IDLE_SECONDS],
  }
  const rows: Row[] = []
  for (const { name, messages, seconds } of BURSTS) {
    say(`  ${messages} messages are due ${name}`)
    const dueTimes = await schedule(database, postgres.tenantId, messages, seconds)
    rows.push({ name, figures: await measureDelays(fake, dueTimes) })
  }
  return {
    title: 'How late messages start while 100,000 others wait, and what waiting costs',
    rows: [...rows, { name: `idle for ${IDLE_SECONDS} s`, figures: idle }],
    notes: ['CPU in seconds per second. The goal is a p99 of at most 500 ms.'],
  }
}

/** CPU seconds per second while nothing happens. */
const idleCpu = async (cpuSeconds: () => Promise<number | null>): Promise<number | null> => {
  const perSecond = await meter({ cpu: cpuSeconds })
  await sleep(IDLE_SECONDS * 1000)
  return (await perSecond(1 / IDLE_SECONDS))['cpu'] ?? null
}

const transactions = async (database: Database): Promise<number> => {
  // A session reports its transactions about a second after it became idle.
  await sleep(1200)
  return database.number(
    'select xact_commit + xact_rollback as n from pg_stat_database where datname = current_database()',
  )
}

/** Inserts missed calls with their jobs, as if Ringback had recorded them. Returns when each phone's message is due. */
const schedule = async (
  database: Database,
  tenantId: string,
  messages: number,
  seconds: number,
): Promise<Map<string, number>> => {
  const { rows } = await database.query<{ phone: string; due_at: Date }>(
    `with people as (
       insert into leads (tenant_id, phone, missed_call_count)
       select $1, '+97254' || (2000000 + n + (select count(*) from leads where tenant_id = $1)), 1
       from generate_series(1, $2::int) n returning id, phone
     ), calls as (
       insert into missed_calls (tenant_id, lead_id, call_id, caller_phone, business_phone, status, called_at,
                                 outreach_state, outreach_reason, outreach_due_at)
       select $1, id, 'late' || id, phone, $5, 'NOANSWER', now(), 'scheduled', 'waiting',
              now() + make_interval(secs => $4 + random() * $3)
       from people returning id, caller_phone, outreach_due_at
     ), jobs as (
       select array_agg(row('lead_outreach', json_build_object('tenantId', $1::text, 'missedCallId', id::text, 'callerPhone', caller_phone),
                            null, outreach_due_at, 10, 'lead_outreach:' || id, 0, array['sends', 'sends:' || $1])::graphile_worker.job_spec) as specs
       from calls
     ), added as (
       select count(a.id) from jobs, graphile_worker.add_jobs(jobs.specs) a
     )
     select caller_phone as phone, outreach_due_at as due_at from calls, added`,
    [tenantId, messages, seconds, DUE_IN_SECONDS, `+972${DID.slice(1)}`],
  )
  return new Map(rows.map(({ phone, due_at }) => [phone, due_at.getTime()]))
}

/** The delay is the time from the due time to the request at WhatsApp. Database and fake use the same clock. */
const measureDelays = async (
  fake: Pick<FakeWhatsApp, 'accepted'>,
  dueTimes: Map<string, number>,
) => {
  const delays = () =>
    fake.accepted().flatMap(({ to, acceptedAt }) => {
      const due = dueTimes.get(to)
      return due === undefined ? [] : [Date.parse(acceptedAt) - due]
    })
  const limit = Math.max(...dueTimes.values()) + ARRIVED_WITHIN_MS
  const allSent = () => delays().length >= dueTimes.size
  if (!(await waitUntil(allSent, limit - Date.now(), { pollMs: 100 })))
    throw new Error(`only ${delays().length} of ${dueTimes.size} messages were sent`)
  const sorted = delays().toSorted((a, b) => a - b)
  const at = (share: number) => [sorted[Math.ceil(share * sorted.length) - 1] ?? null]
  return { messages: [sorted.length], 'p50 ms': at(0.5), 'p99 ms': at(0.99), 'most ms': at(1) }
}

/** 50,000 conversations whose two reminders wait: 100,000 jobs that are due between one hour and a day from now. */
const WAITING_MESSAGES = `
insert into tenants (name, mode) values ('waiting', 'live');

with people as (
  insert into leads (tenant_id, phone, state, missed_call_count)
  select currval('tenants_id_seq'), '+97252' || (2000000 + n), 'contacted', 1 from generate_series(1, 50000) n
  returning id, tenant_id, phone
), calls as (
  insert into missed_calls (tenant_id, lead_id, call_id, caller_phone, business_phone, status, called_at,
                            outreach_state, outreach_reason, outreach_due_at)
  select tenant_id, id, 'waiting' || id, phone, '+97230000000', 'NOANSWER', now() - interval '3 minutes',
         'sent', 'accepted', now() - interval '1 minute'
  from people returning id, tenant_id, lead_id
)
insert into lead_conversations (tenant_id, lead_id, missed_call_id) select tenant_id, lead_id, id from calls;

insert into messages (tenant_id, lead_conversation_id, direction, kind, state, due_at, claimed_at)
select l.tenant_id, c.id, 'out', m.kind, m.state, now() + m.after, m.claimed_at
from lead_conversations c join leads l on l.id = c.lead_id,
     lateral (values ('initial', 'delivered', interval '-1 minute', now()),
                     ('reminder_1', 'scheduled', interval '1 hour' + interval '1 second' * (c.id % 3600), null),
                     ('reminder_2', 'scheduled', interval '2 hours' + interval '1 second' * (c.id % 79200), null)
             ) as m (kind, state, after, claimed_at)
where l.tenant_id = currval('tenants_id_seq');

select count(added.id) from (
  select array_agg(row('lead_reminder', json_build_object('leadId', c.lead_id::text, 'leadConversationId', c.id::text,
                         'reminderNumber', right(m.kind, 1)::int), null, m.due_at, 12,
                       'lead_reminder:' || c.id || ':' || right(m.kind, 1), 0, array['sends', 'sends:' || m.tenant_id])::graphile_worker.job_spec) as specs
  from messages m join lead_conversations c on c.id = m.lead_conversation_id
  where m.tenant_id = currval('tenants_id_seq') and m.state = 'scheduled') s, graphile_worker.add_jobs(s.specs) as added;
`
