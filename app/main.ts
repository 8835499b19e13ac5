/**
 * The process. It starts what ROLE says and stops it in order:
 *
 *   web      POST /webhooks/voicenter/cdr  stores a CDR and its job                     app/web/voicenter.ts
 *            POST /webhooks/whatsapp       stores events of WhatsApp and their jobs     app/web/whatsapp.ts
 *            GET /ops, /metrics            pages and metrics                            app/web/ops/
 *   worker   voicenter_cdr                 classifies the call, records a missed call   tasks/voicenter_cdr.ts
 *            lead_outreach, 2 min later    sends the first message                      tasks/lead_outreach.ts
 *            lead_reminder, 2 and 24 h     sends a reminder                             tasks/lead_reminder.ts
 *            whatsapp_event                handles a reply, an opt-out, a status        tasks/whatsapp_event.ts
 *            call_log, every hour          finds calls whose webhook never arrived      tasks/call_log.ts
 *            retention, every night        deletes old texts and bodies                 tasks/retention.ts
 */
import { config } from './config.ts'
import { closeDatabase } from './db/kysely.ts'
import { databaseUrl } from './db/pool.ts'
import { configWarnings, databaseReady, retryUntilAvailable } from './db/preflight.ts'
import { isStartupError } from './errors.ts'
import { log } from './log.ts'
import { gracefulShutdown, portOf, startWeb } from './web/server.ts'
import { type RunningWorker, startWorker } from './worker/run.ts'

/** The platform kills the process 30 s after SIGTERM. */
const STOP_WITHIN_MS = 24_000
/** After an unexpected error, only the requests that have arrived are answered. */
const CRASH_WITHIN_MS = 5_000

/** A wrong setting ends the process with a message that names it. */
const readSettings = () => {
  try {
    return config()
  } catch (error) {
    if (!isStartupError(error)) throw error
    console.error(`Ringback cannot start:\n${error.message}`)
    process.exit(1)
  }
}
const { ROLE, LOG_LEVEL, DATABASE_URL } = readSettings()
log.level = LOG_LEVEL

const stopping = new AbortController()
let stopWeb = async () => {}
let worker: RunningWorker | null = null

const start = async () => {
  for (const line of configWarnings(config())) log.warn(line)
  if (ROLE !== 'worker') {
    // First, because the platform waits for the port, and during an outage the web can answer 503.
    const web = await startWeb(() => (ROLE === 'web' ? null : (worker?.isRunning() ?? false)))
    stopWeb = gracefulShutdown(web)
    log.info({ role: ROLE, port: portOf(web) }, 'Ringback listens')
  }
  await databaseReady(stopping.signal)
  if (ROLE !== 'web' && !stopping.signal.aborted) {
    worker = await retryUntilAvailable(stopping.signal, startWorker)
    void worker.ended.then(
      () => stopping.signal.aborted || crash(new Error('the worker ended by itself')),
      crash,
    )
  }
  if (stopping.signal.aborted) return
  log.info({ role: ROLE }, 'Ringback is running')
  if (!DATABASE_URL) log.info(`database: ${await databaseUrl()}`)
}

const stop = async (exitCode: number) => {
  // The platform may signal more than once.
  if (stopping.signal.aborted) return
  stopping.abort()
  log.info('stopping')
  setTimeout(
    () => {
      log.warn('stopped before everything had ended')
      process.exit(exitCode)
    },
    exitCode ? CRASH_WITHIN_MS : STOP_WITHIN_MS,
  )
  // A worker that is still starting may have locked jobs already.
  const workerStopped = started.catch(() => {}).then(() => worker?.stop())
  for (const ended of await Promise.allSettled([stopWeb(), workerStopped]))
    if (ended.status === 'rejected') log.warn({ err: ended.reason }, 'not stopped in order')
  await closeDatabase()
  process.exit(exitCode)
}

/** The platform restarts the process. After an unexpected error its state is unknown. */
const crash = (err: unknown) => {
  log.fatal({ err }, 'Ringback ends')
  void stop(1)
}

process.on('SIGTERM', () => void stop(0))
process.on('SIGINT', () => void stop(0))
process.on('uncaughtException', crash)

const started = start()
started.catch((err: unknown) => {
  if (!stopping.signal.aborted) crash(err)
})
