import { isOutage } from '../db/outage.ts'
import { log } from '../log.ts'
import { queueWhatIsDue } from './due.ts'

const SECOND = 1000
const EVERY = 60 * SECOND
/** After the database came back, or we did: once the jobs that were left behind are free again. */
const SOON = 10 * SECOND

/** Goes round once a minute, and soon after the database came back, and queues what is due and was forgotten. */
export const goRounds = (): { soon: () => void; stop: () => Promise<void> } => {
  let stopped = false
  let timer: NodeJS.Timeout | undefined
  let round = Promise.resolve()

  const next = (wait: number) => {
    clearTimeout(timer)
    if (!stopped) timer = setTimeout(go, wait)
  }
  const go = () => {
    round = look().finally(() => next(EVERY))
  }
  return {
    soon: () => next(SOON),
    stop: async () => {
      stopped = true
      clearTimeout(timer)
      await round
    },
  }
}

const look = async (): Promise<void> => {
  try {
    const added = await queueWhatIsDue()
    if (added) log.warn({ added }, 'rows were due and had no job; they have one now')
  } catch (err) {
    // What is wrong in our own statement must be seen; an outage passes.
    log[isOutage(err) ? 'warn' : 'error']({ err }, 'due rows not looked for')
  }
}
