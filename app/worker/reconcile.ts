/**
 * What each worker checks regularly. The sweep adds a job for each due row that has none, so a lost job delays its work and
 * never loses it.
 */
import { sql } from 'kysely'
import { setTimeout as sleep } from 'node:timers/promises'
import { EVENT_LANE, jobSpec } from '../db/jobs.ts'
import { db } from '../db/kysely.ts'
import { isTransient } from '../db/retry.ts'
import { DELIVERIES_AT_ONCE } from '../events/outbox.ts'
import { log } from '../log.ts'
import { CLAIM_SECONDS } from '../messages/message.ts'
import { checkAlerts } from '../monitoring/alerts.ts'
import { refreshDailyFigures } from '../monitoring/daily_figures.ts'
import { deleteOldLiveCalls } from '../outreach/live_calls.ts'
import { queueSummaries } from '../outreach/owner_summaries.ts'
import { fillQuietDays } from '../tenants/quiet_days.ts'
import { scheduleChecks } from '../voicenter/call_log/check.ts'
import { ROOT_WAIT_SECONDS } from '../voicenter/classify.ts'
import { endFailedEvents } from './failed_jobs.ts'

const SECOND = 1000
const CLAIMS_EVERY = 5 * SECOND
const SWEEP_EVERY = 60 * SECOND
/** A problem is raised within a minute, also if one round fails. */
const ALERTS_EVERY = 25 * SECOND
const FIGURES_AFTER_START = 10 * SECOND
const FIGURES_EVERY = 60 * SECOND
/** With very many calls the figures are summed less often: at most this share of the time is spent on it. */
const FIGURES_SHARE = 1 / 50
/** After this time the jobs of a dead worker are unlocked (liveness.ts). */
const SWEEP_AFTER_OUTAGE = 10 * SECOND

export type Maintenance = {
  /** The database answers again, or for the first time: sweep soon, and check the call logs for missed webhooks. */
  afterOutage: () => void
  stop: () => Promise<void>
}

/**
 * Looks for expired claims every five seconds, for alerts twice a minute, and once a minute for due rows without a job and for
 * due summaries. Once a minute it sums the figures of the days.
 */
export const startMaintenance = (): Maintenance => {
  const ending = new AbortController()
  let sweepAt = performance.now() + SWEEP_EVERY
  let alertsAt = performance.now() + ALERTS_EVERY
  let figuresAt = performance.now() + FIGURES_AFTER_START
  let checkCallLogs = false
  let upSince = performance.now()

  const resolveClaims = async () => {
    const count = await requeueExpiredClaims()
    if (count) log.warn({ count }, 'claims had expired: their jobs run again')
  }
  const requeue = async () => {
    const count = await requeueDueRows()
    if (count) log.warn({ count }, 'rows were due and had no job: jobs added')
    if (count === BATCH_SIZE) sweepAt = performance.now()
  }
  const endFailed = async () => {
    const count = await endFailedEvents()
    if (count) log.error({ count }, 'updates from WhatsApp count as replies: their jobs failed')
  }
  const checkMissedWebhooks = async () => {
    if (checkCallLogs) await scheduleChecks()
    checkCallLogs = false
  }
  const chores = [
    markUnread,
    requeue,
    removeReplacedJobs,
    endFailed,
    () => db.transaction().execute(fillQuietDays),
    deleteOldLiveCalls,
    queueSummaries,
    checkMissedWebhooks,
  ]
  const sweep = async () => {
    if (performance.now() < sweepAt) return
    sweepAt = performance.now() + SWEEP_EVERY
    // A chore that fails must not keep the others from their work.
    for (const chore of chores) await attempt(chore)
  }
  const alerts = async () => {
    if (performance.now() < alertsAt) return
    alertsAt = performance.now() + ALERTS_EVERY
    await checkAlerts(performance.now() - upSince)
  }
  const figures = async () => {
    const start = performance.now()
    if (start < figuresAt) return
    figuresAt = start + FIGURES_EVERY
    await refreshDailyFigures()
    const took = performance.now() - start
    figuresAt = start + Math.max(FIGURES_EVERY, took / FIGURES_SHARE)
  }
  const repeat = async (work: () => Promise<void>) => {
    // At once, because a process that crashes again and again may not live until the next round.
    while (!ending.signal.aborted) {
      await attempt(work)
      await sleep(CLAIMS_EVERY, undefined, { signal: ending.signal }).catch(() => {})
    }
  }
  // Separate loops, because a slow sweep must not delay the claims.
  const ended = Promise.all([repeat(resolveClaims), repeat(sweep), repeat(alerts), repeat(figures)])
  return {
    afterOutage: () => {
      checkCallLogs = true
      upSince = performance.now()
      sweepAt = Math.min(sweepAt, performance.now() + SWEEP_AFTER_OUTAGE)
      alertsAt = Math.min(alertsAt, performance.now() + SWEEP_AFTER_OUTAGE)
    },
    stop: async () => {
      ending.abort()
      await ended
    },
  }
}

const attempt = async (work: () => Promise<unknown>): Promise<void> => {
  try {
    await work()
  } catch (err) {
    // An outage ends by itself. Any other error is a bug in our own statements.
    log[isTransient(err) ? 'warn' : 'error']({ err }, 'maintenance failed')
  }
}

/** A job may wait this long for a free worker. */
const OVERDUE = sql`interval '1 minute'`
const JUST_CONNECTED = sql`interval '10 minutes'`
/** No task runs this long. A job that is locked longer was lost, for example with the answer to a query. */
const STUCK = sql`interval '5 minutes'`
const DUE_JOB = jobSpec({
  task: sql`task`,
  entity: sql`entity`,
  payload: sql`payload::json`,
  tenant: sql`tenant`,
  lane: sql`lane`,
})

/**
 * Marks the WhatsApp events as unread that were read while their number was being connected. The trigger reread_events does so
 * with those that were read before. It does not see what another transaction reads at the same moment.
 */
export const markUnread = async (): Promise<void> => {
  await sql`
    update whatsapp_events set outcome = null where id = any(array(
      select e.id from whatsapp_connections c join whatsapp_events e on e.phone_number_id = c.phone_number_id
      where c.created_at > now() - ${JUST_CONNECTED} and e.outcome = 'number_unknown' and e.payload is not null
      for update of e skip locked))`.execute(db)
}

/** At most this many jobs are added at once. */
const BATCH_SIZE = 1000

/**
 * Adds a job for each row that is due and has none. A job that failed for good counts as one: a person decides about it
 * (failed_jobs.ts). Sorted, because two processes that add the same keys in different orders would deadlock.
 *
 * @returns how many jobs were added
 */
export const requeueDueRows = async (): Promise<number> => {
  const { rows } = await sql<{ added: number }>`
    with due (task, tenant, lane, entity, payload) as (
      select distinct 'voicenter_cdr', null::bigint, null, call_id, jsonb_build_object('callId', call_id)
      from raw_cdrs where verdict is null and received_at < now() - ${OVERDUE}
    union
      select 'voicenter_cdr', null, null, call_id, jsonb_build_object('callId', call_id)
      from raw_cdrs
      where verdict = 'unknown' and reason = 'waiting_for_root'
        and coalesce(called_at, received_at) > now() - interval '1 day'
        and received_at < now() - make_interval(secs => ${ROOT_WAIT_SECONDS}) - ${OVERDUE}
    union
      -- As markUnread: the trigger is reclassify_unmatched. Some of these calls stay unmatched for another reason.
      (select 'voicenter_cdr', null, null, r.call_id, jsonb_build_object('callId', r.call_id)
       from tenant_numbers n join raw_cdrs r on r.business_phone = n.phone
       where n.created_at > now() - ${JUST_CONNECTED} and r.received_at > n.created_at - interval '1 hour'
         and r.verdict = 'unmatched_number' and r.payload is not null
         and (r.token_tenant_id is null or r.token_tenant_id = n.tenant_id)
       limit 100)
    union all
      select 'lead_outreach', tenant_id, null, id::text,
             jsonb_build_object('tenantId', tenant_id::text, 'missedCallId', id::text, 'callerPhone', caller_phone)
      from missed_calls
      where outreach_state in ('scheduled', 'sending') and caller_phone is not null
        and outreach_due_at < now() - ${OVERDUE}
    union all
      select 'lead_reminder', m.tenant_id, null, c.id || ':' || right(m.kind, 1), jsonb_build_object(
               'leadId', c.lead_id::text, 'leadConversationId', c.id::text, 'reminderNumber', right(m.kind, 1)::int)
      from messages m join lead_conversations c on c.id = m.lead_conversation_id
      where m.kind in ('reminder_1', 'reminder_2') and m.state in ('scheduled', 'sending')
        and m.due_at < now() - ${OVERDUE}
    union all
      select kind, tenant_id, null, id::text, jsonb_build_object('messageId', id::text)
      from messages
      where kind in ('owner_notice', 'opt_out_confirmation', 'manual') and state in ('scheduled', 'sending')
        and due_at < now() - ${OVERDUE}
    union all
      select 'whatsapp_event', tenant_id, ${EVENT_LANE}, id::text, jsonb_build_object('eventId', id::text)
      from whatsapp_events
      where outcome is null and payload is not null and received_at < now() - ${OVERDUE}
    union all
      -- The last reminder has ended, so no message is pending.
      select 'lead_silence', l.tenant_id, null, c.id::text, jsonb_build_object('leadConversationId', c.id::text)
      from lead_conversations c
      join leads l on l.id = c.lead_id
      join tenants t on t.id = l.tenant_id
      join messages m on m.lead_conversation_id = c.id and m.kind = 'reminder_2'
      where c.state = 'open' and m.state not in ('scheduled', 'sending')
        and greatest(m.claimed_at, m.due_at) < now() - t.unresponsive_after - ${OVERDUE}
    union all
      select 'event_delivery', e.tenant_id, null, d.id::text, jsonb_build_object('deliveryId', d.id::text)
      from event_endpoints e
      cross join lateral (select exists (
        select from event_deliveries
        where event_endpoint_id = e.id and state = 'sending' and claimed_at > now() - ${OVERDUE}) as is_busy) b
      cross join lateral (
        (select id from event_deliveries
         where event_endpoint_id = e.id and state = 'sending' and claimed_at < now() - ${OVERDUE}
         order by id limit ${DELIVERIES_AT_ONCE})
        union all
        -- An attempt that runs adds the next jobs when it ends.
        (select id from event_deliveries
         where not b.is_busy and event_endpoint_id = e.id and state = 'pending' and due_at < now() - ${OVERDUE}
         order by id limit ${DELIVERIES_AT_ONCE})) d
      where e.state = 'active' and coalesce(e.paused_until <= now(), true)
    union all
      select 'call_log', tenant_id, null, tenant_id::text, jsonb_build_object('tenantId', tenant_id::text)
      from call_log_access where next_check_at < now() - ${OVERDUE}
    ), missing as (
      select * from due
      where not exists (
        select from graphile_worker.jobs j
        where j.key = due.task || ':' || due.entity and (j.locked_at is null or j.locked_at > now() - ${STUCK}))
      limit ${BATCH_SIZE}
    )
    select count(added.id)::int as added
    from (
      select array_agg(${DUE_JOB} order by task, entity) as specs
      from missing having count(*) > 0
    ) f, graphile_worker.add_jobs(f.specs) as added`.execute(db)
  return rows[0]?.added ?? 0
}

/**
 * Adds a job, due now, for each message whose claim has expired: its sender died. The job may be lost, wait for a retry,
 * or be locked by a worker that does not run it.
 *
 * @returns how many jobs were added
 */
export const requeueExpiredClaims = async (): Promise<number> => {
  const { rows } = await sql<{ added: number }>`
    with expired as (
      select m.id, m.kind, m.tenant_id, c.id as conversation_id, c.lead_id, k.id as missed_call_id, k.caller_phone
      from messages m
      left join lead_conversations c on c.id = m.lead_conversation_id
      left join missed_calls k on k.id = c.missed_call_id
      where m.state = 'sending' and m.claimed_at < now() - make_interval(secs => ${CLAIM_SECONDS})
    ), jobs (task, tenant, lane, entity, payload) as (
      select 'lead_outreach', tenant_id, null, missed_call_id::text, json_build_object(
               'tenantId', tenant_id::text, 'missedCallId', missed_call_id::text, 'callerPhone', caller_phone)
      from expired where kind = 'initial' and caller_phone is not null
    union all
      select 'lead_reminder', tenant_id, null, conversation_id || ':' || right(kind, 1), json_build_object(
               'leadId', lead_id::text, 'leadConversationId', conversation_id::text, 'reminderNumber', right(kind, 1)::int)
      from expired where kind in ('reminder_1', 'reminder_2')
    union all
      select kind, tenant_id, null, id::text, json_build_object('messageId', id::text)
      from expired where kind in ('owner_notice', 'opt_out_confirmation', 'manual')
    ), wanted as (
      select * from jobs
      where not exists (
        select from graphile_worker.jobs j
        where j.key = task || ':' || entity and j.locked_at is null and j.attempts < j.max_attempts
          -- A retry in a few seconds is soon enough: a claim must be resolved within a minute.
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
 * graphile-worker takes the key and the remaining attempts from a job that is replaced while it runs. If its worker then
 * dies, the job stays in the queue and looks like a failed one, although another job does its work.
 */
export const removeReplacedJobs = async (): Promise<void> => {
  await sql`
    select graphile_worker.complete_jobs(array_agg(id)) from graphile_worker.jobs
    where key is null and locked_at is null and attempts >= max_attempts having count(*) > 0`.execute(
    db,
  )
}
