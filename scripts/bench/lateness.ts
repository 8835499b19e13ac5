/**
 * How late messages are that fall due while 100,000 others wait, and what waiting costs the database.
 *
 *     node scripts/bench/lateness.ts
 */
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { type FakeWhatsApp, startFakeWhatsApp } from '../fake_whatsapp/server.ts'
import { startWorker } from './contender.ts'
import {
  ACCESS_TOKEN,
  type Database,
  DID,
  PHONE_NUMBER_ID,
  type Postgres,
  startPostgres,
} from './postgres.ts'

const FILL = new URL('lateness_fill.sql', import.meta.url)
const DATABASE = 'bench_lateness'
/** The first of them; by then all are stored. */
const DUE_IN_SECONDS = 3
const PATIENCE_MS = 60_000

/** How many messages, and over how long they fall due. */
const CASES = {
  'spread over 30 s': { messages: 200, seconds: 30 },
  'in one second': { messages: 100, seconds: 1 },
}

/** Milliseconds from the due moment to the request that reaches WhatsApp. */
export type Lateness = {
  name: string
  unit: 'ms'
  n: number
  p50: number
  p99: number
  max: number
}
/** Of a core; null where the system does not tell. */
export type Idle = {
  seconds: number
  databaseCpu: number | null
  databaseCpuWithoutUs: number | null
  ownCpu: number | null
  transactionsPerSecond: number
}

/**
 * @param say told what is being done
 * @param idleSeconds how long nothing happens, for measuring what that costs
 */
export const measureLateness = async (
  postgres: Pick<Postgres, 'newDatabase' | 'dropDatabase' | 'cpuSeconds' | 'env' | 'tenantId'>,
  say: (text: string) => void,
  { idleSeconds = 30 } = {},
): Promise<{ lateness: Lateness[]; idle: Idle }> => {
  const database = await postgres.newDatabase(DATABASE)
  const fake = await startFakeWhatsApp()
  try {
    say('storing 100,000 messages that wait')
    await database.query(await readFile(FILL, 'utf8'))
    await database.query('vacuum analyze')
    await database.query('checkpoint')
    fake.addNumber({ phoneNumberId: PHONE_NUMBER_ID, token: ACCESS_TOKEN })
    fake.setStatuses([])

    say(`the database alone for ${idleSeconds} s`)
    const alone = await costOf(postgres.cpuSeconds, idleSeconds)
    const worker = await startWorker({
      ...postgres.env,
      DATABASE_URL: database.url,
      WHATSAPP_GRAPH_URL: fake.url,
    })
    try {
      // Until what a start costs is over.
      await sleep(5000)
      say(`with a worker that has nothing to do for ${idleSeconds} s`)
      const before = await transactions(database)
      const [databaseCpu, ownCpu] = await Promise.all([
        costOf(postgres.cpuSeconds, idleSeconds),
        costOf(worker.cpuSeconds, idleSeconds),
      ])
      const idle = {
        seconds: idleSeconds,
        databaseCpu,
        databaseCpuWithoutUs: alone,
        ownCpu,
        transactionsPerSecond: ((await transactions(database)) - before) / idleSeconds,
      }
      const lateness = []
      for (const [name, { messages, seconds }] of Object.entries(CASES)) {
        say(`${messages} messages fall due ${name}`)
        const dues = await schedule(database, postgres.tenantId, messages, seconds)
        lateness.push({ name, unit: 'ms' as const, ...(await lateBy(fake, dues)) })
      }
      return { lateness, idle }
    } finally {
      await worker.stop()
    }
  } finally {
    await fake.close()
    await postgres.dropDatabase(DATABASE)
  }
}

/** CPU seconds a second, over so many of them. */
const costOf = async (
  cpuSeconds: () => Promise<number | null>,
  seconds: number,
): Promise<number | null> => {
  const [before, from] = [await cpuSeconds(), performance.now()]
  await sleep(seconds * 1000)
  const [after, until] = [await cpuSeconds(), performance.now()]
  return before === null || after === null ? null : (after - before) / ((until - from) / 1000)
}

const transactions = async (database: Database): Promise<number> => {
  // What a session has done is counted once it has been idle for a moment.
  await sleep(1200)
  const { rows } = await database.query<{ n: string }>(
    'select xact_commit + xact_rollback as n from pg_stat_database where datname = current_database()',
  )
  return Number(rows[0]?.n)
}

/** Missed calls as if they had been recorded, with their jobs; when each is due, by the phone. */
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
                            null, outreach_due_at, 10, 'lead_outreach:' || id, null, null)::graphile_worker.job_spec) as specs
       from calls
     ), added as (
       select count(a.id) from jobs, graphile_worker.add_jobs(jobs.specs) a
     )
     select caller_phone as phone, outreach_due_at as due_at from calls, added`,
    [tenantId, messages, seconds, DUE_IN_SECONDS, `+972${DID.slice(1)}`],
  )
  return new Map(rows.map(({ phone, due_at }) => [phone, due_at.getTime()]))
}

/** Waits until all have reached WhatsApp. The database and we share a clock. */
const lateBy = async (fake: FakeWhatsApp, dues: Map<string, number>) => {
  const arrived = () =>
    fake.accepted().flatMap(({ to, acceptedAt }) => {
      const due = dues.get(to)
      return due === undefined ? [] : [Date.parse(acceptedAt) - due]
    })
  const until = Math.max(...dues.values()) + PATIENCE_MS
  while (arrived().length < dues.size) {
    if (Date.now() > until) throw new Error(`only ${arrived().length} of ${dues.size} have arrived`)
    await sleep(100)
  }
  const sorted = arrived().toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN
  return { n: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) }
}

if (import.meta.main) {
  const cleanUps: (() => Promise<void>)[] = []
  try {
    const postgres = await startPostgres(task => cleanUps.unshift(task))
    const { lateness, idle } = await measureLateness(postgres, text => console.error(text))
    console.table(lateness)
    console.table([idle])
  } finally {
    for (const cleanUp of cleanUps) await cleanUp()
  }
}
