import { isOutage } from '../db/outage.ts'
import { log } from '../log.ts'
import { checkCallLogsSoon } from '../voicenter/call_log/soon.ts'
import { queueWhatIsDue } from './due.ts'

const SECOND = 1000
const EVERY = 60 * SECOND
/** After the database came back, or we did: once the jobs that were left behind are free again. */
const SOON = 10 * SECOND

/**
 * Goes round once a minute, and queues what is due and was forgotten.
 *
 * @returns `soon`, for when we or the database have been away: goes round soon, and sees to it that calls are looked
 * for whose webhooks came to a closed door
 */
export const goRounds = (): { soon: () => void; stop: () => Promise<void> } => {
  let stopped = false
  let away = false
  let timer: NodeJS.Timeout | undefined
  let round = Promise.resolve()

  const next = (wait: number) => {
    clearTimeout(timer)
    if (!stopped) timer = setTimeout(go, wait)
  }
  const go = () => {
    round = look(away).then(done => {
      away &&= !done
      next(EVERY)
    })
  }
  return {
    soon: () => {
      away = true
      next(SOON)
    },
    stop: async () => {
      stopped = true
      clearTimeout(timer)
      await round
    },
  }
}

const look = async (away: boolean): Promise<boolean> => {
  try {
    const added = await queueWhatIsDue()
    if (added) log.warn({ added }, 'rows were due and had no job; they have one now')
    if (away) await checkCallLogsSoon()
    return true
  } catch (err) {
    // What is wrong in our own statement must be seen; an outage passes.
    log[isOutage(err) ? 'warn' : 'error']({ err }, 'due rows not looked for')
    return false
  }
}
