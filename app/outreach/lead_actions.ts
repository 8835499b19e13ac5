import { sql } from 'kysely'
import { z } from 'zod'
import { type Actor, audit, changedFields } from '../audit.ts'
import type { Trx } from '../db/kysely.ts'
import { notFound } from '../errors.ts'
import { moveLead } from '../db/transitions.ts'
import {
  type CalledBackFrom,
  LEAD_TRANSITIONS,
  type LeadState,
  type Outcome,
  OUTCOMES,
} from '../states.ts'
import { cancelPending } from './cancel.ts'
import { talkedAt } from './talks.ts'

// What the tenant says about a person: called back, later, the outcome, a note. The page, the API and the commands call
// these functions. Each one locks the lead first. Where nothing would change it does nothing, and writes no audit row. The
// audit log holds ids and states, never numbers, amounts or notes.

const id = z.string().regex(/^[1-9]\d{0,17}$/, 'an id such as 12')
export const leadInput = z.object({ tenantId: id, leadId: id })
export type LeadKey = z.infer<typeof leadInput>

const MAX_VALUE = 1_000_000_000

export const outcomeInput = leadInput
  .extend({
    /** null = none yet */
    outcome: z.enum(OUTCOMES, 'won, lost, not_relevant or null').nullable(),
    /** Of a sale, in the currency of the tenant. */
    value: z
      .number('an amount such as 350')
      .min(0, 'an amount of at least 0')
      .lt(MAX_VALUE, `an amount under ${MAX_VALUE}`)
      .multipleOf(0.01, 'an amount with at most two decimals')
      .nullish(),
  })
  .refine(({ outcome, value }) => outcome === 'won' || (value ?? null) === null, {
    path: ['value'],
    message: 'a value only with the outcome won',
  })

const NOTE = 'a note of at most 2000 characters'
export const noteInput = leadInput.extend({
  /** Empty = no note. */
  note: z
    .string(NOTE)
    .transform(written => written.toWellFormed().replaceAll('\r\n', '\n').trim())
    // Postgres stores no NUL.
    .refine(note => note.length <= 2000 && !note.includes('\0'), NOTE),
})

export type LockedLead = {
  phone: string
  state: LeadState
  calledBackAt: Date | null
  calledBackFrom: CalledBackFrom | null
  callbackRequestedAt: Date | null
  callbackClosed: Date | null
  reopenedAt: Date | null
  laterUntil: Date | null
  outcome: Outcome | null
  outcomeValue: string | null
  note: string | null
  /** They have called or written since they were marked as called back. */
  heardSince: boolean
  /** The tenant has talked with them since their last missed call. */
  wasReached: boolean
}

const LAST_CALLED_AT = sql`(select max(k.called_at) from missed_calls k where k.lead_id = l.id)`

const lockedLead = async (trx: Trx, { tenantId, leadId }: LeadKey): Promise<LockedLead> => {
  const { rows } = await sql<LockedLead>`
    select phone, state, called_back_at as "calledBackAt", called_back_from as "calledBackFrom",
           callback_requested_at as "callbackRequestedAt",
           callback_closed as "callbackClosed", reopened_at as "reopenedAt", later_until as "laterUntil",
           outcome, outcome_value::text as "outcomeValue", note,
           coalesce(heard_at > called_back_at, false) or exists (
             select from missed_calls k where k.lead_id = l.id and k.called_at > l.called_back_at) as "heardSince",
           coalesce(${talkedAt(LAST_CALLED_AT)} >= ${LAST_CALLED_AT}, false) as "wasReached"
    from leads l where id = ${leadId} and tenant_id = ${tenantId} for update`.execute(trx)
  const [lead] = rows
  if (!lead) throw notFound(`lead ${leadId} of tenant ${tenantId}`)
  return lead
}

const update = (trx: Trx, { tenantId, leadId }: LeadKey) =>
  trx.updateTable('leads').where('id', '=', leadId).where('tenant_id', '=', tenantId)

const NOW = sql<Date>`now()`

const CALLED_BACK = LEAD_TRANSITIONS.reached_by_phone

/**
 * Records that a person of the tenant spoke with a lead by a phone that Voicenter does not know. It has the effect of
 * an answered call: outreach because of earlier calls is cancelled, and the lead no longer waits.
 *
 * @returns the lead's number, to be shown
 * @throws UserError if the tenant has no such lead
 */
export const markCalledBack = async (
  trx: Trx,
  actor: Actor,
  key: LeadKey,
): Promise<{ phone: string }> => {
  const lead = await lockedLead(trx, key)
  const { phone, state, calledBackAt, callbackRequestedAt } = lead
  if (calledBackAt && !lead.heardSince && !callbackRequestedAt && !lead.reopenedAt) return { phone }
  await cancelPending(trx, key.leadId, 'reached_by_phone')
  const after = await update(trx, key)
    .set({
      called_back_at: NOW,
      called_back_from: CALLED_BACK.from.find(one => one === state) ?? null,
      callback_requested_at: null,
      callback_closed: callbackRequestedAt,
      reopened_at: null,
      later_until: null,
      read_at: NOW,
    })
    .returning(['state', 'called_back_at', 'callback_requested_at'])
    .executeTakeFirstOrThrow()
  await audit(trx, actor, {
    tenantId: key.tenantId,
    action: 'lead.called_back',
    subject: `leads ${key.leadId}`,
    before: { state, called_back_at: calledBackAt, callback_requested_at: callbackRequestedAt },
    after,
  })
  return { phone }
}

/**
 * Takes "called back" back: the lead waits again in the state before it, and their request for a call is open again.
 * Cancelled messages stay cancelled.
 *
 * @throws UserError as markCalledBack
 */
export const undoCalledBack = async (
  trx: Trx,
  actor: Actor,
  key: LeadKey,
): Promise<{ phone: string }> => {
  const lead = await lockedLead(trx, key)
  const { phone, calledBackAt, callbackRequestedAt } = lead
  if (!calledBackAt) return { phone }
  // What happened since stays: another call, a reply, a talk.
  const from = lead.wasReached ? null : lead.calledBackFrom
  if (from) await moveLead(trx, key.leadId, `undo_to_${from}`)
  const after = await update(trx, key)
    .set({
      called_back_at: null,
      called_back_from: null,
      callback_requested_at: callbackRequestedAt ?? lead.callbackClosed,
      callback_closed: null,
      reopened_at: NOW,
    })
    .returning(['state', 'called_back_at', 'callback_requested_at'])
    .executeTakeFirstOrThrow()
  await audit(trx, actor, {
    tenantId: key.tenantId,
    action: 'lead.called_back_undo',
    subject: `leads ${key.leadId}`,
    before: {
      state: lead.state,
      called_back_at: calledBackAt,
      callback_requested_at: callbackRequestedAt,
    },
    after,
  })
  return { phone }
}

/**
 * Says what the tenant made of a lead. They no longer wait until they call or write again, and nothing more is sent to
 * them for earlier calls. The outcome `null` takes the outcome back.
 *
 * @throws UserError as markCalledBack
 */
export const setOutcome = async (
  trx: Trx,
  actor: Actor,
  { outcome, value = null, ...key }: z.infer<typeof outcomeInput>,
): Promise<void> => {
  const lead = await lockedLead(trx, key)
  const known = lead.outcomeValue === null ? null : Number(lead.outcomeValue)
  if (lead.outcome === outcome && known === value) return
  if (outcome !== null) await cancelPending(trx, key.leadId, 'by_operator')
  await update(trx, key)
    .set({
      outcome,
      outcome_value: value,
      outcome_at: outcome === null ? null : NOW,
      read_at: NOW,
      ...(outcome !== null && {
        callback_requested_at: null,
        callback_closed: null,
        reopened_at: null,
        later_until: null,
      }),
    })
    .execute()
  await audit(trx, actor, {
    tenantId: key.tenantId,
    action: 'lead.outcome',
    subject: `leads ${key.leadId}`,
    before: { outcome: lead.outcome },
    after: { outcome },
  })
}

/**
 * Takes a lead from the list of waiting people until 09:00 of the next day, or until they write.
 *
 * @throws UserError as markCalledBack
 */
export const markLater = async (trx: Trx, actor: Actor, key: LeadKey): Promise<void> => {
  const { laterUntil } = await lockedLead(trx, key)
  const after = await update(trx, key)
    .set({
      later_until: sql<Date>`(
        select ((now() at time zone t.timezone)::date + 1 + time '09:00') at time zone t.timezone
        from tenants t where t.id = leads.tenant_id)`,
      read_at: NOW,
    })
    .returning('later_until')
    .executeTakeFirstOrThrow()
  const changed = changedFields({ later_until: laterUntil }, after)
  if (!changed) return
  await audit(trx, actor, {
    tenantId: key.tenantId,
    action: 'lead.later',
    subject: `leads ${key.leadId}`,
    ...changed,
  })
}

/**
 * Writes down the tenant's own words about a lead. They replace the note before.
 *
 * @throws UserError as markCalledBack
 */
export const setNote = async (
  trx: Trx,
  actor: Actor,
  { note, ...key }: z.infer<typeof noteInput>,
): Promise<void> => {
  const lead = await lockedLead(trx, key)
  const written = note === '' ? null : note
  if (lead.note === written) return
  await update(trx, key).set({ note: written }).execute()
  await audit(trx, actor, {
    tenantId: key.tenantId,
    action: 'lead.note',
    subject: `leads ${key.leadId}`,
    before: { has_note: lead.note !== null },
    after: { has_note: written !== null },
  })
}

/**
 * Notes that the owner has seen the conversation. Only what comes after that is unread, and the owner is notified of it.
 * Seeing is no change of the lead, so nothing is locked or audited.
 */
export const markRead = async (trx: Trx, key: LeadKey): Promise<void> => {
  await update(trx, key)
    .where(
      sql<boolean>`read_at is null or read_at < heard_at
        or exists (select from missed_calls k where k.lead_id = leads.id and k.created_at > leads.read_at)`,
    )
    .set({ read_at: NOW })
    .execute()
}
