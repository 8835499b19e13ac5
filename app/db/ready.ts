import { setTimeout as sleep } from 'node:timers/promises'
import { config } from '../config.ts'
import { verifyEncryptionKey } from '../key_fits.ts'
import { log } from '../log.ts'
import { startupError } from '../errors.ts'
import { databaseFits } from './fit.ts'
import { migrate, pendingMigrations } from './migrate.ts'
import { isOutage } from './outage.ts'

const PAUSE_MS = 1000

/**
 * Waits until the database answers, looks whether it can do what will be asked of it, and sees to its migrations: in
 * production the release phase has run them, and what is pending there ends the start; elsewhere they are run here.
 *
 * @throws Error that says what to do; the signal's reason when it aborts
 */
export const databaseReady = (signal: AbortSignal): Promise<void> => whenItAnswers(signal, upToDate)

/** Does it as soon as the database answers, and again from the start where that broke off. */
export const whenItAnswers = async <T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> => {
  for (;;) {
    signal.throwIfAborted()
    try {
      return await work()
    } catch (err) {
      // The migrator wraps what the database said.
      if (!isOutage(err) && !(err instanceof Error && isOutage(err.cause))) throw err
      log.warn({ err }, 'waiting for the database')
    }
    await sleep(PAUSE_MS, undefined, { signal })
  }
}

const upToDate = async (): Promise<void> => {
  await databaseFits()
  if (config.production) await nothingPending()
  else await migrate()
  await verifyEncryptionKey()
}

const nothingPending = async (): Promise<void> => {
  const pending = await pendingMigrations()
  if (pending.length)
    throw startupError(`the database has not seen ${pending.join(', ')}. Run: npm run migrate`)
}
