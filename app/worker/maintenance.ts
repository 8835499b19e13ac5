import { sql } from 'kysely'
import { setTimeout as sleep } from 'node:timers/promises'
import { jobSpec } from '../db/jobs.ts'
import { db } from '../db/kysely.ts'
import { isTransient } from '../db/retry.ts'
import { log } from '../log.ts'
import { CLAIM_SECONDS } from '../messages/message.ts'
import { checkAlerts } from '../monitoring/alerts.ts'
import { scheduleChecks } from '../voicenter/call_log/check.ts'
import { ROOT_WAIT_SECONDS } from '../voicenter/classify.ts'

/** Only what should long have been done: a job that merely waits its turn is left alone. */
const OVERDUE = sql`interval '1 minute'`
/** No task runs that long. Its worker is alive, and yet it will not come back: its answer was lost on the way. */
const STUCK = sql`interval '5 minutes'`
const DUE_JOB = jobSpec({ task: sql`task`, entity: sql`entity`, payload: sql`payload::json` })

/** The most that one look adds. */
export const BATCH_SIZE = 1000

/**
 * Rows are the truth, jobs only wake us up: a row that is due and has no job gets one, however the job came to be
 * lost. One whose job was tried to the end keeps it, as a thing for a person to look at.
 *
 * In one order, since two copies that add the same keys in two orders would wait for each other.
 *
 * @returns how many jobs were added
 */
export const requeueDueRows = async (): Promise<number> => {
  const { rows } = await sql<{ added: number }>`
    with due (task, entity, payload) as (
      select distinct 'voicenter_cdr', call_id, jsonb_build_object('callId', call_id)
      from raw_cdrs where verdict is null and received_at < now() - ${OVERDUE}
    union
      select 'voicenter_cdr', call_id, jsonb_build_object('callId', call_id)
      from raw_cdrs
      where verdict = 'unknown' and reason = 'waiting_for_root'
        and coalesce(called_at, received_at) > now() - interval '1 day'
        and received_at < now() - make_interval(secs => ${ROOT_WAIT_SECONDS}) - ${OVERDUE}
    union all
      select 'lead_outreach', id::text,
             jsonb_build_object('tenantId', tenant_id::text, 'missedCallId', id::text, 'callerPhone', caller_phone)
      from missed_calls
      where outreach_state in ('scheduled', 'sending') and caller_phone is not null
        and outreach_due_at < now() - ${OVERDUE}
    union all
      select 'lead_reminder', c.id || ':' || right(m.kind, 1), jsonb_build_object(
               'leadId', c.lead_id::text, 'leadConversationId', c.id::text, 'reminderNumber', right(m.kind, 1)::int)
      from messages m join lead_conversations c on c.id = m.lead_conversation_id
      where m.kind in ('reminder_1', 'reminder_2') and m.state in ('scheduled', 'sending')
        and m.due_at < now() - ${OVERDUE}
    union all
      select kind, id::text, jsonb_build_object('messageId', id::text)
      from messages
      where kind in ('owner_notice', 'opt_out_confirmation') and state in ('scheduled', 'sending')
        and due_at < now() - ${OVERDUE}
    union all
      select 'whatsapp_event', id::text, jsonb_build_object('eventId', id::text)
      from whatsapp_events
      where outcome is null and payload is not null and received_at < now() - ${OVERDUE}
    union all
      -- Its last reminder has ended one way or another, and nothing of it is to come.
      select 'lead_silence', c.id::text, jsonb_build_object('leadConversationId', c.id::text)
      from lead_conversations c
      join leads l on l.id = c.lead_id
      join tenants t on t.id = l.tenant_id
      join messages m on m.lead_conversation_id = c.id and m.kind = 'reminder_2'
      where c.state = 'open' and m.state not in ('scheduled', 'sending')
        and greatest(m.claimed_at, m.due_at) < now() - t.unresponsive_after - ${OVERDUE}
    union all
      select 'call_log', tenant_id::text, jsonb_build_object('tenantId', tenant_id::text)
      from call_log_access where next_check_at < now() - ${OVERDUE}
    ), forgotten as (
      select * from due
      where not exists (
        select from graphile_worker.jobs j
        where j.key = due.task || ':' || due.entity and (j.locked_at is null or j.locked_at > now() - ${STUCK}))
      limit ${BATCH_SIZE}
    )
    select count(added.id)::int as added
    from (
      select array_agg(${DUE_JOB} order by task, entity) as specs
      from forgotten having count(*) > 0
    ) f, graphile_worker.add_jobs(f.specs) as added`.execute(db)
  return rows[0]?.added ?? 0
}

/**
 * A claim whose time is over has lost its sender, and nothing follows from the message until somebody says so: its job
 * is due now, whether it was lost, waits for another try, or counts as running somewhere and is not.
 *
 * @returns how many jobs were added
 */
export const requeueExpiredClaims = async (): Promise<number> => {
  const { rows } = await sql<{ added: number }>`
    with abandoned as (
      select m.id, m.kind, c.id as conversation_id, c.lead_id, k.id as missed_call_id, k.tenant_id, k.caller_phone
      from messages m
      left join lead_conversations c on c.id = m.lead_conversation_id
      left join missed_calls k on k.id = c.missed_call_id
      where m.state = 'sending' and m.claimed_at < now() - make_interval(secs => ${CLAIM_SECONDS})
    ), jobs (task, entity, payload) as (
      select 'lead_outreach', missed_call_id::text, json_build_object(
               'tenantId', tenant_id::text, 'missedCallId', missed_call_id::text, 'callerPhone', caller_phone)
      from abandoned where kind = 'initial' and caller_phone is not null
    union all
      select 'lead_reminder', conversation_id || ':' || right(kind, 1), json_build_object(
               'leadId', lead_id::text, 'leadConversationId', conversation_id::text, 'reminderNumber', right(kind, 1)::int)
      from abandoned where kind in ('reminder_1', 'reminder_2')
    union all
      select kind, id::text, json_build_object('messageId', id::text)
      from abandoned where kind in ('owner_notice', 'opt_out_confirmation')
    ), wanted as (
      select * from jobs
      where not exists (
        select from graphile_worker.jobs j
        where j.key = task || ':' || entity and j.locked_at is null and j.attempts < j.max_attempts
          -- Due, or about to be tried again; a claim is to be settled within a minute, so not much later.
          and (j.run_at <= now() or (j.attempts > 0 and j.run_at < now() + interval '5 seconds')))
      limit ${BATCH_SIZE}
    )
    select count(added.id)::int as added
    from (
      select array_agg(${DUE_JOB} order by task, entity) as specs
      from wanted having count(*) > 0
    ) w, graphile_worker.add_jobs(w.specs) as added`.execute(db)
  return rows[0]?.added ?? 0
}

/**
 * A job that was replaced while it ran loses its key and its further tries. If it dies then, it stays behind for good
 * and looks like one that has failed, while another does its work.
 */
export const removeReplacedJobs = async (): Promise<void> => {
  await sql`
    select graphile_worker.complete_jobs(array_agg(id)) from graphile_worker.jobs
    where key is null and locked_at is null and attempts >= max_attempts having count(*) > 0`.execute(
    db,
  )
}

const SECOND = 1000
const EVERY = 5 * SECOND
const WHOLE_EVERY = 60 * SECOND
/** After the database came back, or we did: once the jobs that were left behind are free again. */
const SOON = 10 * SECOND

export type Maintenance = { soon: () => void; stop: () => Promise<void> }

/**
 * Goes round every few seconds and looks for claims that have lost their sender; once a minute, for everything that is
 * due and was forgotten, and for what somebody should know of.
 *
 * @returns `soon`, for when we or the database have been away: then for everything soon, and it is seen to that calls
 * are looked for whose webhooks came to a closed door
 */
export const startMaintenance = (): Maintenance => {
  const ending = new AbortController()
  let wholeAt = performance.now() + WHOLE_EVERY
  let away = false
  let upSince = performance.now()

  const claims = async () => {
    tell(await requeueExpiredClaims(), 'claims had lost their sender: they are being given up')
  }
  const everything = async () => {
    if (performance.now() < wholeAt) return
    const added = await requeueDueRows()
    tell(added, 'rows were due and had no job: they have one now')
    await removeReplacedJobs()
    if (away) await scheduleChecks()
    away = false
    wholeAt = performance.now() + (added < BATCH_SIZE ? WHOLE_EVERY : 0)
    await checkAlerts(performance.now() - upSince)
  }

  const go = async (look: () => Promise<void>) => {
    while (!ending.signal.aborted) {
      await sleep(EVERY, undefined, { signal: ending.signal }).catch(() => {})
      if (ending.signal.aborted) return
      try {
        await look()
      } catch (err) {
        // What is wrong in our own statements must be seen; an outage passes.
        log[isTransient(err) ? 'warn' : 'error']({ err }, 'a round was not finished')
      }
    }
  }
  // Apart: a claim has to be settled within a minute, whatever else there is to look for.
  const gone = Promise.all([go(claims), go(everything)])
  return {
    soon: () => {
      away = true
      upSince = performance.now()
      wholeAt = Math.min(wholeAt, performance.now() + SOON)
    },
    stop: async () => {
      ending.abort()
      await gone
    },
  }
}

const tell = (count: number, what: string): void => {
  if (count) log.warn({ count }, what)
}
