/** What a tenant can set: read it, change it, pause and resume the tenant. */
import { sql } from 'kysely'
import { IANAZone } from 'luxon'
import { z } from 'zod'
import { type Actor, audit, changedFields } from '../audit.ts'
import { lockTenant } from '../db/locks.ts'
import type { Trx } from '../db/kysely.ts'
import { notFound, userError } from '../errors.ts'
import { KNOWN_STATUSES, statusOf } from '../voicenter/classify.ts'
import { fillQuietDays } from './quiet_days.ts'
import { revokeLinks } from './sessions.ts'
import { changeLanguage } from './templates.ts'
import {
  PHONE_NUMBER,
  coverTheWeek,
  mode,
  quietWindows,
  formatOpeningHours,
  interval,
  languages,
  location,
  openingHours,
  phoneNumber,
  tenantId,
  tenantName,
  formatInterval,
} from './schema.ts'

/** The intervals that a tenant can set, and their columns. */
export const INTERVALS = {
  outreachDelay: 'outreach_delay',
  reminder1After: 'reminder_1_after',
  reminder2After: 'reminder_2_after',
  unresponsiveAfter: 'unresponsive_after',
  repeatWindow: 'repeat_window',
  oldestCall: 'oldest_call',
  grace: 'grace',
  reminderGrace: 'reminder_grace',
} as const
export type Interval = keyof typeof INTERVALS

/** Intervals are in seconds. */
export type TenantSettings = Record<Interval, number> & {
  name: string
  mode: string
  ownerPhone: string | null
  timezone: string
  missedStatuses: string[]
  minRingSeconds: number
  contactForeign: boolean
  /** The share of callers in the control group, who get no messages. */
  holdoutPercent: number
  location: string
  lastLook: boolean
  /** Of the templates. The first is used. */
  languages: string[]
  openingHours: string[]
  quietWindows: string[]
  reminderQuietWindows: string[]
  /** When a person chose the quiet windows. To have none is a choice as well. */
  quietChosenAt: Date | null
}

/** Whether a person has decided when customers get no messages. */
export const hasChosenQuiet = ({
  quietChosenAt,
  quietWindows,
}: Pick<TenantSettings, 'quietChosenAt' | 'quietWindows'>): boolean =>
  // The windows may have been written by SQL.
  quietChosenAt !== null || quietWindows.length > 0

/** @throws UserError if there is no such tenant */
export const readSettings = async (trx: Trx, tenantId: string): Promise<TenantSettings> => {
  const spans = Object.entries(INTERVALS).map(
    ([name, column]) => sql`extract(epoch from ${sql.ref(column)})::float8 as ${sql.id(name)}`,
  )
  const { rows } = await sql<TenantSettings>`
    select name, mode, owner_phone as "ownerPhone", timezone, ${sql.join(spans)},
           missed_statuses as "missedStatuses", min_ring_seconds as "minRingSeconds",
           contact_foreign as "contactForeign", holdout_percent as "holdoutPercent", last_look as "lastLook", languages, opening_hours as "openingHours", location, quiet_windows as "quietWindows",
           reminder_quiet_windows as "reminderQuietWindows", quiet_chosen_at as "quietChosenAt"
    from tenants where id = ${tenantId}`.execute(trx)
  const [row] = rows
  if (!row) throw notFound(`tenant ${tenantId}`)
  return row
}

/** The settings for a person to read: an interval is `2 minutes`. */
export const formatSettings = ({ quietChosenAt, ...settings }: TenantSettings) => ({
  ...settings,
  openingHours: formatOpeningHours(settings.openingHours),
  quietChosen: hasChosenQuiet({ ...settings, quietChosenAt }),
  outreachDelay: formatInterval(settings.outreachDelay),
  reminder1After: formatInterval(settings.reminder1After),
  reminder2After: formatInterval(settings.reminder2After),
  unresponsiveAfter: formatInterval(settings.unresponsiveAfter),
  repeatWindow: formatInterval(settings.repeatWindow),
  oldestCall: formatInterval(settings.oldestCall),
  grace: formatInterval(settings.grace),
  reminderGrace: formatInterval(settings.reminderGrace),
})

/**
 * A zone with the name of a place, or UTC. Postgres and Luxon read abbreviations (IST) differently, and Postgres counts
 * a plain offset in the opposite direction.
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
        `statuses from this list: ${[...KNOWN_STATUSES].join(', ')}`,
      ),
  )
  .min(1, 'at least one status, because without one no call would count as missed')
  .transform(statuses => [...new Set(statuses)])

/** With less than a minute every message would be too late, because Voicenter reports a call minutes after its end. */
const longEnough = interval.refine(
  seconds => seconds >= 60,
  'at least 1 minute, because with less nothing would be sent',
)

const wholeNumber = (largest: number, expected: string) =>
  z
    .union([z.number(), z.string().trim().regex(/^\d+$/).transform(Number)], expected)
    .refine(number => Number.isInteger(number) && number >= 0 && number <= largest, expected)

const minRingSeconds = wholeNumber(600, 'a whole number of seconds from 0 to 600')
const holdoutPercent = wholeNumber(50, 'a whole number of percent from 0 to 50')

/** A change to the settings, as a person enters it. Missing fields do not change. */
export const settingsChange = z.object({
  tenantId,
  name: tenantName.optional(),
  mode: mode.optional(),
  /** Empty or null: no notices are sent. */
  ownerPhone: z
    .union([z.null(), z.literal('').transform(() => null), phoneNumber], PHONE_NUMBER)
    .optional(),
  timezone: timezone.optional(),
  outreachDelay: interval.optional(),
  reminder1After: interval.optional(),
  reminder2After: interval.optional(),
  unresponsiveAfter: interval.optional(),
  repeatWindow: interval.optional(),
  oldestCall: longEnough.optional(),
  grace: longEnough.optional(),
  reminderGrace: longEnough.optional(),
  missedStatuses: missedStatuses.optional(),
  minRingSeconds: minRingSeconds.optional(),
  contactForeign: z.boolean('yes or no').optional(),
  holdoutPercent: holdoutPercent.optional(),
  location: location.optional(),
  lastLook: z.boolean('on or off').optional(),
  languages: languages.optional(),
  openingHours: openingHours.optional(),
  quietWindows: quietWindows.optional(),
  reminderQuietWindows: quietWindows.optional(),
})

/**
 * Changes the settings of a tenant. A changed interval applies to messages that are scheduled later. A changed mode, quiet
 * window, foreign-number rule or control group also applies to pending messages, because these are checked again when they are due.
 * Another owner's phone revokes the links that the previous one got.
 *
 * @returns what changed, for a person to read; both are empty if nothing did
 * @throws UserError if there is no such tenant, if the second reminder would come before the first, or if no time is
 * left for reminders
 */
export const setTenant = async (
  trx: Trx,
  actor: Actor,
  { tenantId, ...wanted }: z.infer<typeof settingsChange>,
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
      `the first reminder (${formatInterval(first)}) would come after the second (${formatInterval(second)})`,
      wanted.reminder1After === undefined ? 'reminder2After' : 'reminder1After',
    )
  const windows = [
    ...(wanted.quietWindows ?? before.quietWindows),
    ...(wanted.reminderQuietWindows ?? before.reminderQuietWindows),
  ]
  if ((wanted.quietWindows ?? wanted.reminderQuietWindows) && coverTheWeek(windows))
    throw userError(
      'no_time_for_reminders',
      'the quiet windows and those of the reminders leave no time: with these no reminder is ever sent',
      wanted.reminderQuietWindows ? 'reminderQuietWindows' : 'quietWindows',
    )
  await trx
    .updateTable('tenants')
    .set({
      name: wanted.name,
      mode: wanted.mode,
      owner_phone: wanted.ownerPhone,
      timezone: wanted.timezone,
      outreach_delay: asInterval(wanted.outreachDelay),
      reminder_1_after: asInterval(wanted.reminder1After),
      reminder_2_after: asInterval(wanted.reminder2After),
      unresponsive_after: asInterval(wanted.unresponsiveAfter),
      repeat_window: asInterval(wanted.repeatWindow),
      oldest_call: asInterval(wanted.oldestCall),
      grace: asInterval(wanted.grace),
      reminder_grace: asInterval(wanted.reminderGrace),
      missed_statuses: wanted.missedStatuses,
      min_ring_seconds: wanted.minRingSeconds,
      contact_foreign: wanted.contactForeign,
      holdout_percent: wanted.holdoutPercent,
      location: wanted.location,
      last_look: wanted.lastLook,
      languages: wanted.languages,
      opening_hours: wanted.openingHours,
      quiet_windows: wanted.quietWindows,
      reminder_quiet_windows: wanted.reminderQuietWindows,
      quiet_chosen_at: wanted.quietWindows && sql<Date>`now()`,
    })
    .where('id', '=', tenantId)
    .execute()
  await fillQuietDays(trx)
  const [language] = wanted.languages ?? []
  if (language) await changeLanguage(trx, tenantId, before.languages[0] ?? '', language)
  const changed = changedFields(
    formatSettings(before),
    formatSettings(await readSettings(trx, tenantId)),
  )
  if (!changed) return nothing
  // The links were sent to the phone of the previous owner.
  if ('ownerPhone' in changed.after) await revokeLinks(trx, tenantId)
  await audit(trx, actor, {
    tenantId,
    action: 'tenant.set',
    subject: `tenants ${tenantId}`,
    ...changed,
  })
  return changed
}

/**
 * Resumes a paused tenant in the mode that it had before. A tenant that was paused in shadow must not start to send.
 *
 * @returns what changed
 * @throws UserError if the tenant is not paused, or if the audit log does not say which mode it had
 */
export const resumeTenant = async (trx: Trx, actor: Actor, tenantId: string) => {
  const tenant = await lockTenant(trx, tenantId)
  if (tenant.mode !== 'paused')
    throw userError('not_paused', `tenant ${tenantId} is not paused, its mode is ${tenant.mode}`)
  const { rows } = await sql<{ before: string; after: string }>`
    select before ->> 'mode' as before, after ->> 'mode' as after from audit_log
    where tenant_id = ${tenantId} and action = 'tenant.set' and after ? 'mode' order by id desc limit 1`.execute(
    trx,
  )
  const { success, data } = mode.safeParse(rows[0]?.before)
  if (!success || rows[0]?.after !== 'paused')
    throw userError(
      'mode_before_unknown',
      `the mode that tenant ${tenantId} had before is not known: set it to live or shadow`,
    )
  return setTenant(trx, actor, { tenantId, mode: data })
}

/** In the form that Postgres reads. kysely leaves undefined columns out of the statement. */
const asInterval = (seconds: number | undefined): string | undefined =>
  seconds === undefined ? undefined : `${seconds} seconds`
