import { type ParsedCronItem, parseCronItems } from 'graphile-worker'
import { MAX_ATTEMPTS } from '../db/jobs.ts'

const DAY = 24 * 60 * 60 * 1000

/** What is done by the clock and not because of something. In UTC, so that no hour is skipped or comes twice. */
export const cronItems: ParsedCronItem[] = parseCronItems([
  {
    task: 'retention',
    // In Israel between three and half past four in the morning.
    match: '17 1 * * *',
    identifier: 'retention',
    payload: {},
    options: {
      jobKey: 'retention:old',
      maxAttempts: MAX_ATTEMPTS.retention,
      // A night that the worker slept through is made up for.
      backfillPeriod: DAY,
    },
  },
])
