/**
 * The process. It starts what ROLE says and stops it in order:
 *
 *   web      POST /webhooks/voicenter/cdr  stores a CDR and its job                     app/web/voicenter.ts
 *            POST /webhooks/whatsapp       stores events of WhatsApp and their jobs     app/web/whatsapp.ts
 *            GET /ops, /metrics            pages and metrics                            app/web/ops/
 *            /api/v1                       the API for other programs                   app/web/api/
 *   worker   voicenter_cdr                 classifies the call, records a missed call   tasks/voicenter_cdr.ts
 *            lead_outreach, 2 min later    sends the first message                      tasks/lead_outreach.ts
 *            lead_reminder, 2 and 24 h     sends a reminder                             tasks/lead_reminder.ts
 *            whatsapp_event                handles a reply, an opt-out, a status        tasks/whatsapp_event.ts
 *            call_log, every hour          finds calls whose webhook never arrived      tasks/call_log.ts
 *            retention, every night        deletes old texts and bodies                 tasks/retention.ts
 */
import { dirname, resolve } from 'node:path'
import { sql } from 'kysely'
import { config, dataFolder } from './config.ts'
import { closeDatabase, opsDb } from './db/kysely.ts'
import { configWarnings, databaseReady, retryUntilAvailable } from './db/preflight.ts'
import { announce, isDevelopment, settingsFrom, welcome } from './development.ts'
import { isStartupError } from './errors.ts'
import { giveMemoryBackWhenIdle } from './idle_memory.ts'
import { log } from './log.ts'
import { gracefulShutdown, portOf, startWeb } from './web/server.ts'
import { type RunningWorker, startWorker } from './worker/run.ts'

/** The platform kills the process 30 s after SIGTERM. */
const STOP_WITHIN_MS = 24_000
/** After an unexpected error, only the requests that have arrived are answered. */
const CRASH_WITHIN_MS = 5_000

/** A person reads the output on a terminal. Elsewhere a program reads the log. */
const isTerminal = process.stdout.isTTY
const fake = settingsFrom('fake_whatsapp', process.env)
Object.assign(process.env, fake)

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
const { ROLE, LOG_LEVEL, DATABASE_URL, WHATSAPP_GRAPH_URL, PORT, PUBLIC_URL, production } =
  readSettings()
log.level = LOG_LEVEL

const stopping = new AbortController()
let stopWeb = async () => {}
let removeAnnouncement = () => {}
let url = PUBLIC_URL
let port: number | null = null
let worker: RunningWorker | null = null

const start = async () => {
  if (production || !isTerminal) for (const line of configWarnings(config())) log.warn(line)
  if (ROLE !== 'worker') {
    // First, because the platform waits for the port, and during an outage the web can answer 503.
    const web = await startWeb(() => (ROLE === 'web' ? null : (worker?.isRunning() ?? false)))
    stopWeb = gracefulShutdown(web)
    port = portOf(web)
    log.info({ role: ROLE, port }, 'Ringback listens')
    // With PORT=0, the port is known only now.
    if (PORT === 0) url = PUBLIC_URL.replace(/:0$/, `:${port}`)
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
  giveMemoryBackWhenIdle()
  // Only now: the fake WhatsApp posts to this process as soon as it is announced, and a new database had no tables before.
  if (isDevelopment(process.env) && port !== null)
    removeAnnouncement = announce('start', { port, settings: { PUBLIC_URL: url } })
  if (isDevelopment(process.env)) log.info(`messages go to ${WHATSAPP_GRAPH_URL}`)
  // The process runs already: a database that is away for a moment must not end it.
  if (!DATABASE_URL) await retryUntilAvailable(stopping.signal, showDatabase)
  if (isTerminal && ROLE !== 'worker') await retryUntilAvailable(stopping.signal, showWelcome)
}

/** The embedded Postgres may be in a temporary folder, which many systems empty when they restart. */
const showDatabase = async (): Promise<void> => {
  const { rows } = await sql<{ path: string }>`
    select current_setting('data_directory') as path`.execute(opsDb)
  const path = resolve(rows[0]?.path ?? dataFolder)
  log.info(`database: ${path}`)
  if (!path.startsWith(resolve(dataFolder))) {
    const { temporaryDataNotice } = await import('./db/embedded_postgres.ts')
    log.warn(temporaryDataNotice(dirname(path)))
  }
}

const showWelcome = async (): Promise<void> => {
  const business = await opsDb.selectFrom('tenants').select('id').limit(1).executeTakeFirst()
  const fakeUrl = fake['WHATSAPP_GRAPH_URL']
  console.log(`\n${welcome({ url, production, fakeUrl, hasBusiness: business !== undefined })}\n`)
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
  removeAnnouncement()
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
