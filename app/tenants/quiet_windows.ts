import { z } from 'zod'
import { parseQuietWindow } from '../outreach/quiet_hours.ts'

const MINUTES_A_DAY = 24 * 60
const DAYS_A_WEEK = 7

const tidy = (written: string): string =>
  written
    .trim()
    .toLowerCase()
    .replace(/\s+/g, ' ')
    .replace(/ ?[-–] ?/, '-')

const window = z
  .string()
  .transform(tidy)
  .refine(written => {
    try {
      parseQuietWindow(written)
      return true
    } catch {
      // What is expected stands in the message below.
      return false
    }
  }, 'a window such as 21:00-08:00 or "fri 15:00-sat 20:30"')

/** Whether no minute of the week is left in which somebody may be written to. */
const coverTheWeek = (windows: readonly string[]): boolean => {
  const quiet = Array.from({ length: DAYS_A_WEEK * MINUTES_A_DAY }, () => false)
  for (const { from, to } of windows.map(parseQuietWindow)) {
    const days = from.day === null ? [1, 2, 3, 4, 5, 6, 7] : [from.day]
    for (const day of days) {
      const start = (day - 1) * MINUTES_A_DAY + from.minute
      const end = ((to.day ?? day) - 1) * MINUTES_A_DAY + to.minute
      const period = from.day === null ? MINUTES_A_DAY : quiet.length
      const length = end > start ? end - start : end - start + period
      for (let minute = start; minute < start + length; minute++)
        quiet[minute % quiet.length] = true
    }
  }
  return !quiet.includes(false)
}

/** Times in which nobody is written to; none = at any time. */
export const quietWindows = z
  .array(window)
  .max(20, 'at most 20 windows')
  .transform(windows => [...new Set(windows)])
  .refine(
    windows => !coverTheWeek(windows),
    'windows that leave some time: in these nobody is ever written to (to stop that, pause the business)',
  )
