import { DateTime } from 'luxon'
import { z } from 'zod'

const A_MOMENT = 'a day such as 2026-11-30, or a moment such as 2026-11-30T18:00'

/** A day or a moment, on the business's own clock. */
const moment = z
  .string()
  .trim()
  .regex(/^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?)?$/, A_MOMENT)
  .refine(written => DateTime.fromISO(written.replace(' ', 'T')).isValid, A_MOMENT)

/** From `since` up to `until`, both as a person writes them. A day as the end means until it is over. */
export const period = z.object({ since: moment.optional(), until: moment.optional() })

/** The period by the clock of a zone; null = without an end on that side. `until` itself is no longer in it. */
export const periodIn = (
  timezone: string,
  { since, until }: z.infer<typeof period>,
): { from: Date | null; before: Date | null } => {
  const at = (written: string) => DateTime.fromISO(written.replace(' ', 'T'), { zone: timezone })
  return {
    from: since === undefined ? null : at(since).toJSDate(),
    before:
      until === undefined
        ? null
        : (/^\S{10}$/.test(until) ? at(until).plus({ days: 1 }) : at(until)).toJSDate(),
  }
}
