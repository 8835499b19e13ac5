import { sql } from 'kysely'
import type { Trx } from '../db/kysely.ts'
import { notFound } from '../errors.ts'
import { writeSpan } from './span.ts'

/** The spans of time that a business can set, and the columns they stand in. */
export const SPANS = {
  outreachDelay: 'outreach_delay',
  reminder1After: 'reminder_1_after',
  reminder2After: 'reminder_2_after',
  unresponsiveAfter: 'unresponsive_after',
  repeatWindow: 'repeat_window',
  oldestCall: 'oldest_call',
  grace: 'grace',
  reminderGrace: 'reminder_grace',
} as const
export type Span = keyof typeof SPANS

/** What a business has set, spans in seconds. */
export type Settings = Record<Span, number> & {
  name: string
  mode: string
  ownerPhone: string | null
  timezone: string
  missedStatuses: string[]
  minRingSeconds: number
  contactForeign: boolean
  quietWindows: string[]
}

/** @throws Mistake when there is no such business */
export const readSettings = async (trx: Trx, tenantId: string): Promise<Settings> => {
  const spans = Object.entries(SPANS).map(
    ([name, column]) => sql`extract(epoch from ${sql.ref(column)})::float8 as ${sql.id(name)}`,
  )
  const { rows } = await sql<Settings>`
    select name, mode, owner_phone as "ownerPhone", timezone, ${sql.join(spans)},
           missed_statuses as "missedStatuses", min_ring_seconds as "minRingSeconds",
           contact_foreign as "contactForeign", quiet_windows as "quietWindows"
    from tenants where id = ${tenantId}`.execute(trx)
  const [row] = rows
  if (!row) throw notFound(`tenant ${tenantId}`)
  return row
}

/** The same for a person to read: `2 minutes`. */
export const inWords = (settings: Settings) => ({
  ...settings,
  outreachDelay: writeSpan(settings.outreachDelay),
  reminder1After: writeSpan(settings.reminder1After),
  reminder2After: writeSpan(settings.reminder2After),
  unresponsiveAfter: writeSpan(settings.unresponsiveAfter),
  repeatWindow: writeSpan(settings.repeatWindow),
  oldestCall: writeSpan(settings.oldestCall),
  grace: writeSpan(settings.grace),
  reminderGrace: writeSpan(settings.reminderGrace),
})
