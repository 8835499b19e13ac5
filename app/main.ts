/**
 * The dyno. Starts what ROLE says and stops it in order:
 *
 *   web      POST /webhooks/voicenter/cdr  stores the call record and its job        app/web/voicenter.ts
 *            POST /webhooks/whatsapp       stores what WhatsApp tells, and its jobs  app/web/whatsapp.ts
 *   worker   voicenter_cdr                 judges the call, records a missed one     tasks/voicenter_cdr.ts
 *            lead_outreach, 2 min later    writes to the caller                      tasks/lead_outreach.ts
 *            lead_reminder, 2 and 24 h     reminds her                               tasks/lead_reminder.ts
 *            whatsapp_event                reply, opt-out, report                    tasks/whatsapp_event.ts
 */
import { once } from 'node:events'
import { config } from './config.ts'
import { migrate, pendingMigrations } from './db/migrate.ts'
import { databaseUrl, endPools } from './db/pool.ts'
import { log } from './log.ts'
import { startWeb } from './web/server.ts'
import { type RunningWorker, startWorker } from './worker/run.ts'

/** The platform kills us 30 s after it asked us to stop. */
const STOP_WITHIN = 25_000
/** A request that is still not through then never will be. */
const CUT_REQUESTS_AFTER = 18_000

if (config.production) {
  const pending = await pendingMigrations()
  if (pending.length) {
    console.error(
      `Ringback cannot start: the database has not seen ${pending.join(', ')}. Run: npm run migrate`,
    )
    process.exit(1)
  }
} else await migrate()

// The web first: the platform waits for the port, and a port that is taken should be known before a job runs.
let worker: RunningWorker | null = null
const workerState = () => (config.ROLE === 'web' ? null : (worker?.isRunning() ?? false))
const web = config.ROLE === 'worker' ? null : await startWeb(workerState)
if (config.ROLE !== 'web') worker = await startWorker()

const address = web?.address()
log.info(
  { role: config.ROLE, port: address && typeof address === 'object' ? address.port : undefined },
  'Ringback is running',
)
if (!config.DATABASE_URL) log.info(`database: ${databaseUrl}`)

let stopping = false
const stop = async (exitCode: number) => {
  // The platform may ask more than once.
  if (stopping) return
  stopping = true
  setTimeout(() => process.exit(1), STOP_WITHIN).unref()
  log.info('stopping')
  const closed = web && once(web, 'close')
  web?.close()
  web?.closeIdleConnections()
  setTimeout(() => web?.closeAllConnections(), CUT_REQUESTS_AFTER).unref()
  await Promise.all([closed, worker?.stop()])
  await endPools()
  process.exit(exitCode)
}
process.on('SIGTERM', () => void stop(0))
process.on('SIGINT', () => void stop(0))

// Without a worker nothing would ever be sent, and nobody would notice: let the platform restart us.
worker?.ended.then(
  () => stopping || void stop(1),
  (err: unknown) => {
    log.fatal({ err }, 'the worker died')
    void stop(1)
  },
)
