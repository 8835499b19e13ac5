import { setTimeout as sleep } from 'node:timers/promises'
import { isTransient } from '../db/retry.ts'
import { log } from '../log.ts'
import { lookForTrouble } from '../signals/trouble.ts'
import { scheduleChecks } from '../voicenter/call_log/check.ts'
import { AT_ONCE, clearReplaced, queueAbandonedClaims, queueWhatIsDue } from './due.ts'

const SECOND = 1000
const EVERY = 5 * SECOND
const WHOLE_EVERY = 60 * SECOND
/** After the database came back, or we did: once the jobs that were left behind are free again. */
const SOON = 10 * SECOND

export type Rounds = { soon: () => void; stop: () => Promise<void> }

/**
 * Goes round every few seconds and looks for claims that have lost their sender; once a minute, for everything that is
 * due and was forgotten, and for what somebody should know of.
 *
 * @returns `soon`, for when we or the database have been away: then for everything soon, and it is seen to that calls
 * are looked for whose webhooks came to a closed door
 */
export const goRounds = (): Rounds => {
  const ending = new AbortController()
  let wholeAt = performance.now() + WHOLE_EVERY
  let away = false
  let upSince = performance.now()

  const claims = async () => {
    tell(await queueAbandonedClaims(), 'claims had lost their sender: they are being given up')
  }
  const everything = async () => {
    if (performance.now() < wholeAt) return
    const added = await queueWhatIsDue()
    tell(added, 'rows were due and had no job: they have one now')
    await clearReplaced()
    if (away) await scheduleChecks()
    away = false
    wholeAt = performance.now() + (added < AT_ONCE ? WHOLE_EVERY : 0)
    await lookForTrouble(performance.now() - upSince)
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
