import { sql } from 'kysely'
import { IANAZone } from 'luxon'
import { z } from 'zod'
import { type Actor, audit } from '../audit.ts'
import type { Trx } from '../db/kysely.ts'
import { notFound, userError } from '../errors.ts'
import {
  A_TELEPHONE,
  mode,
  quietWindows,
  span,
  telephone,
  tenantId,
  tenantName,
  writeSpan,
} from './schema.ts'
import { changedFields, lockTenant } from './tenants.ts'
import { KNOWN_STATUSES, statusOf } from '../voicenter/classify.ts'

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

/**
 * With a place's name, or UTC. Abbreviations mean one zone to Postgres and another to us (IST), and a bare
 * offset is counted the other way round.
 */
const timezone = z
  .string()
  .trim()
  .refine(
    zone => /^(UTC|[A-Z]\w+\/[A-Z][\w/-]+)$/.test(zone) && IANAZone.isValidZone(zone),
    'a time zone such as Asia/Jerusalem',
  )

const missedStatuses = z
  .array(
    z
      .string()
      .transform(status => statusOf({ status }))
      .refine(
        status => KNOWN_STATUSES.has(status),
        `statuses out of ${[...KNOWN_STATUSES].join(', ')}`,
      ),
  )
  .min(1, 'at least one status: without any, no call would ever be missed')
  .transform(statuses => [...new Set(statuses)])

/** Under a minute, everything would be too late: Voicenter tells of a call minutes after its end. */
const longEnough = span.refine(
  seconds => seconds >= 60,
  'at least 1 minute: with less, nothing would ever be sent',
)

const SOME_SECONDS = 'a whole number of seconds from 0 to 600'
const minRingSeconds = z
  .union([z.number(), z.string().trim().regex(/^\d+$/).transform(Number)], SOME_SECONDS)
  .refine(seconds => Number.isInteger(seconds) && seconds >= 0 && seconds <= 600, SOME_SECONDS)

/** What is to change about a business, as it is written by hand. What is not given stays as it is. */
export const settings = z.object({
  tenantId,
  name: tenantName.optional(),
  mode: mode.optional(),
  /** Empty or null = nobody is told anything. */
  ownerPhone: z
    .union([z.null(), z.literal('').transform(() => null), telephone], A_TELEPHONE)
    .optional(),
  timezone: timezone.optional(),
  outreachDelay: span.optional(),
  reminder1After: span.optional(),
  reminder2After: span.optional(),
  unresponsiveAfter: span.optional(),
  repeatWindow: span.optional(),
  oldestCall: longEnough.optional(),
  grace: longEnough.optional(),
  reminderGrace: longEnough.optional(),
  missedStatuses: missedStatuses.optional(),
  minRingSeconds: minRingSeconds.optional(),
  contactForeign: z.boolean('yes or no').optional(),
  quietWindows: quietWindows.optional(),
})

/**
 * Changes what a business has set. A change of a span affects what is scheduled after it; one of the mode, of
 * quiet windows and of whom to write to also what waits already, for that is decided again when it is due.
 *
 * @returns what changed, for a person to read; both empty when nothing did
 * @throws Mistake when there is no such business, or its reminders would be out of order
 */
export const setTenant = async (
  trx: Trx,
  signIn: Actor,
  { tenantId, ...wanted }: z.infer<typeof settings>,
) => {
  await lockTenant(trx, tenantId)
  const nothing = { before: {}, after: {} }
  if (Object.values(wanted).every(value => value === undefined)) return nothing
  const before = await readSettings(trx, tenantId)
  const first = wanted.reminder1After ?? before.reminder1After
  const second = wanted.reminder2After ?? before.reminder2After
  if (first > second)
    throw userError(
      'reminders_out_of_order',
      `the first reminder (${writeSpan(first)}) would come after the second (${writeSpan(second)})`,
      wanted.reminder1After === undefined ? 'reminder2After' : 'reminder1After',
    )
  await trx
    .updateTable('tenants')
    .set({
      name: wanted.name,
      mode: wanted.mode,
      owner_phone: wanted.ownerPhone,
      timezone: wanted.timezone,
      outreach_delay: interval(wanted.outreachDelay),
      reminder_1_after: interval(wanted.reminder1After),
      reminder_2_after: interval(wanted.reminder2After),
      unresponsive_after: interval(wanted.unresponsiveAfter),
      repeat_window: interval(wanted.repeatWindow),
      oldest_call: interval(wanted.oldestCall),
      grace: interval(wanted.grace),
      reminder_grace: interval(wanted.reminderGrace),
      missed_statuses: wanted.missedStatuses,
      min_ring_seconds: wanted.minRingSeconds,
      contact_foreign: wanted.contactForeign,
      quiet_windows: wanted.quietWindows,
    })
    .where('id', '=', tenantId)
    .execute()
  const changed = changedFields(inWords(before), inWords(await readSettings(trx, tenantId)))
  if (!changed) return nothing
  await audit(trx, signIn, {
    tenantId,
    action: 'tenant.set',
    subject: `tenants ${tenantId}`,
    ...changed,
  })
  return changed
}

/** As Postgres reads it; what was not given is left out of the statement. */
const interval = (seconds: number | undefined): string | undefined =>
  seconds === undefined ? undefined : `${seconds} seconds`
