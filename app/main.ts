/**
 * The dyno. Starts what ROLE says and stops it in order:
 *
 *   web      POST /webhooks/voicenter/cdr  stores the call record and its job        app/web/voicenter.ts
 *            POST /webhooks/whatsapp       stores what WhatsApp tells, and its jobs  app/web/whatsapp.ts
 *            GET /ops, /metrics            show what became of it                    app/web/ops/router.ts
 *   worker   voicenter_cdr                 judges the call, records a missed one     tasks/voicenter_cdr.ts
 *            lead_outreach, 2 min later    writes to the caller                      tasks/lead_outreach.ts
 *            lead_reminder, 2 and 24 h     reminds her                               tasks/lead_reminder.ts
 *            whatsapp_event                reply, opt-out, report                    tasks/whatsapp_event.ts
 *            call_log, every hour          finds calls whose webhook never came      tasks/call_log.ts
 *            retention, every night        empties what is past its time             tasks/retention.ts
 */
import { configWarnings, databaseReady, whenItAnswers } from './db/preflight.ts'
import { config } from './config.ts'
import { closeDatabase } from './db/kysely.ts'
import { databaseUrl } from './db/pool.ts'
import { isStartupError } from './errors.ts'
import { log } from './log.ts'
import { portOf, startWeb, gracefulShutdown } from './web/server.ts'
import { type RunningWorker, startWorker } from './worker/run.ts'

/** The platform kills us 30 s after it asked us to stop. What hangs by then is left to the next process. */
const STOP_WITHIN = 24_000
/** After an error that nobody foresaw we only answer what has arrived, and end. */
const CRASH_WITHIN = 5_000

/** Reads the settings. A wrong one ends the process with a message that names it. */
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
    // The web first: the platform waits for the port, and while the database is away we can at least say so.
    const web = await startWeb(() => (ROLE === 'web' ? null : (worker?.isRunning() ?? false)))
    stopWeb = gracefulShutdown(web)
    log.info({ role: ROLE, port: portOf(web) }, 'Ringback listens')
  }
  await databaseReady(stopping.signal)
  if (ROLE === 'web' || stopping.signal.aborted) return
  worker = await whenItAnswers(stopping.signal, startWorker)
  // Without a worker nothing would ever be sent, and nobody would notice.
  void worker.ended.then(
    () => stopping.signal.aborted || crash(new Error('the worker ended by itself')),
    crash,
  )
}

/** One that is still starting is waited for: what it has locked by then, it must let go. */
const stopWorker = async () => {
  await started.catch(() => {})
  await worker?.stop()
}

const stop = async (exitCode: number) => {
  // The platform may ask more than once.
  if (stopping.signal.aborted) return
  stopping.abort()
  log.info('stopping')
  setTimeout(
    () => {
      log.warn('stopped before everything had ended')
      process.exit(exitCode)
    },
    exitCode ? CRASH_WITHIN : STOP_WITHIN,
  )
  for (const ended of await Promise.allSettled([stopWeb(), stopWorker()]))
    if (ended.status === 'rejected') log.warn({ err: ended.reason }, 'not stopped in order')
  await closeDatabase()
  process.exit(exitCode)
}

/** The platform starts us again. To live on after what nobody caught would be to guess. */
const crash = (err: unknown) => {
  log.fatal({ err }, 'Ringback ends')
  void stop(1)
}

process.on('SIGTERM', () => void stop(0))
process.on('SIGINT', () => void stop(0))
process.on('uncaughtException', crash)

const started = start()
started.then(
  () => {
    if (stopping.signal.aborted) return
    log.info({ role: ROLE }, 'Ringback is running')
    if (!DATABASE_URL) void databaseUrl().then(url => log.info(`database: ${url}`))
  },
  (err: unknown) => {
    if (stopping.signal.aborted) return
    crash(err)
  },
)
