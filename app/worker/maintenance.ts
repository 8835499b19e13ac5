import { setTimeout as sleep } from 'node:timers/promises'
import { db } from '../db/kysely.ts'
import { isTransient } from '../db/retry.ts'
import { log } from '../log.ts'
import { checkAlerts } from '../monitoring/alerts.ts'
import { deleteOldLiveCalls } from '../outreach/live_calls.ts'
import { queueSummaries } from '../outreach/owner_summaries.ts'
import { fillQuietDays } from '../tenants/quiet_days.ts'
import { scheduleChecks } from '../voicenter/call_log/check.ts'
import { endFailedEvents } from './failed_jobs.ts'
import {
  BATCH_SIZE,
  removeReplacedJobs,
  requeueDueRows,
  requeueExpiredClaims,
} from './reconcile.ts'

const SECOND = 1000
const CLAIMS_EVERY = 5 * SECOND
const SWEEP_EVERY = 60 * SECOND
/** A problem is raised within a minute, also if one round fails. */
const ALERTS_EVERY = 25 * SECOND
/** By then the jobs of a dead worker are unlocked (liveness.ts). */
const SWEEP_AFTER_OUTAGE = 10 * SECOND

export type Maintenance = {
  /** The database answers again, or for the first time: sweep soon, and check the call logs for missed webhooks. */
  afterOutage: () => void
  stop: () => Promise<void>
}

/** Looks for expired claims every five seconds, for alerts twice a minute, and once a minute for due rows without a job and for due summaries. */
export const startMaintenance = (): Maintenance => {
  const ending = new AbortController()
  let sweepAt = performance.now() + SWEEP_EVERY
  let alertsAt = performance.now() + ALERTS_EVERY
  let checkCallLogs = false
  let upSince = performance.now()

  const resolveClaims = async () => {
    const count = await requeueExpiredClaims()
    if (count) log.warn({ count }, 'claims had expired: their jobs run again')
  }
  const sweep = async () => {
    if (performance.now() < sweepAt) return
    const count = await requeueDueRows()
    if (count) log.warn({ count }, 'rows were due and had no job: jobs added')
    await removeReplacedJobs()
    const failed = await endFailedEvents()
    if (failed)
      log.error({ count: failed }, 'updates from WhatsApp count as replies: their jobs failed')
    await db.transaction().execute(fillQuietDays)
    await deleteOldLiveCalls()
    await queueSummaries()
    if (checkCallLogs) await scheduleChecks()
    checkCallLogs = false
    sweepAt = performance.now() + (count < BATCH_SIZE ? SWEEP_EVERY : 0)
  }
  const alerts = async () => {
    if (performance.now() < alertsAt) return
    alertsAt = performance.now() + ALERTS_EVERY
    await checkAlerts(performance.now() - upSince)
  }
  const repeat = async (work: () => Promise<void>) => {
    while (!ending.signal.aborted) {
      await sleep(CLAIMS_EVERY, undefined, { signal: ending.signal }).catch(() => {})
      if (ending.signal.aborted) return
      try {
        await work()
      } catch (err) {
        // An outage ends by itself. Any other error is a bug in our own statements.
        log[isTransient(err) ? 'warn' : 'error']({ err }, 'maintenance failed')
      }
    }
  }
  // Separate loops, because a slow sweep must not delay the claims.
  const ended = Promise.all([repeat(resolveClaims), repeat(sweep), repeat(alerts)])
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
