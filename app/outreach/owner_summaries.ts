import { sql } from 'kysely'
import { addJob } from '../db/jobs.ts'
import { db, type Trx } from '../db/kysely.ts'
import { lockLeads } from '../db/locks.ts'
import { isTransient } from '../db/retry.ts'
import { log } from '../log.ts'
import { liftSince, loadLift } from './control_group.ts'
import { silentPeople } from './people.ts'
import {
  digestText,
  type DueSummary,
  dueSummaries,
  MAX_LISTED,
  type SummarySettings,
  weekText,
  type WeekFigures,
} from './summaries.ts'

export type Recipient = SummarySettings & {
  tenantId: string
  now: Date
  language: string
  digestAt: Date | null
  weekAt: Date | null
}

/**
 * Adds the digests and weekly lines that are due. Many processes may do so at once. Only owners with a phone get one, of tenants
 * that are live and have an active connection.
 *
 * @param at the time; null = now, by the clock of the database
 */
export const queueSummaries = async (at: Date | null = null): Promise<void> => {
  const { rows } = await sql<Recipient>`
    select t.id as "tenantId", coalesce(${at}::timestamptz, now()) as now, t.languages[1] as language, t.timezone, t.location,
           t.quiet_windows as "quietWindows", t.reminder_quiet_windows as "reminderQuietWindows",
           t.owner_phone as "ownerPhone", (extract(epoch from t.grace) * 1000)::float8 as grace,
           t.digest_at as "digestAt", t.week_at as "weekAt"
    from tenants t
    where t.mode = 'live' and t.owner_phone is not null
      and exists (select from whatsapp_connections c where c.tenant_id = t.id and c.state = 'active')
    order by t.id`.execute(db)
  for (const recipient of rows)
    for (const summary of dueSummaries(recipient.now, recipient)) {
      const known = summary.kind === 'digest' ? recipient.digestAt : recipient.weekAt
      if (known && known >= summary.dueAt) continue
      await db
        .transaction()
        .execute(trx => queueSummary(trx, recipient, summary))
        .catch((err: unknown) => {
          if (isTransient(err)) throw err
          log.error({ err, tenantId: recipient.tenantId }, 'a summary for the owner was not added')
        })
    }
}

/** The first process takes the occasion, also if there is nothing to say. A digest gets its text when it is claimed. */
const queueSummary = async (
  trx: Trx,
  { tenantId, language, ownerPhone }: Recipient,
  { kind, occasion, dueAt, from, until }: DueSummary,
): Promise<void> => {
  const column = kind === 'digest' ? 'digest_at' : 'week_at'
  const taken = await trx
    .updateTable('tenants')
    .set({ [column]: dueAt })
    .where('id', '=', tenantId)
    .where(eb => eb.or([eb(column, 'is', null), eb(column, '<', dueAt)]))
    .returning('id')
    .executeTakeFirst()
  if (!taken) return
  const text =
    kind === 'week'
      ? weekText(
          await figuresOf(trx, { tenantId, from, until }),
          language,
          await loadLift(trx, { tenantId, from: liftSince(until), until }),
        )
      : null
  if (kind === 'week' && text === null) return
  if (
    kind === 'digest' &&
    (await silentPeople(trx, { tenantId, before: dueAt, limit: 1 })).length === 0
  )
    return
  const message = await trx
    .insertInto('messages')
    .values({
      tenant_id: tenantId,
      direction: 'out',
      kind: 'owner_notice',
      state: 'scheduled',
      due_at: dueAt,
      to_phone: ownerPhone,
      text,
      occasion,
    })
    .onConflict(conflict => conflict.doNothing())
    .returning('id')
    .executeTakeFirst()
  if (message)
    await addJob(trx, 'owner_notice', message.id, { messageId: message.id }, { tenantId })
}

/** The figures of a period: calls as on the page "Today", and what the tenant won in that time. */
export const figuresOf = async (
  trx: Trx,
  { tenantId, from, until }: { tenantId: string; from: Date; until: Date },
): Promise<WeekFigures> => {
  const { rows } = await sql<WeekFigures>`
    select count(m.id)::int as missed,
           count(*) filter (where m.outreach_state = 'sent')::int as contacted,
           count(*) filter (where c.state = 'replied' or m.outreach_reason = 'replied')::int as replied,
           count(*) filter (where c.state = 'reached_by_phone' or m.outreach_reason = 'reached_by_phone')::int as reached,
           won.count as won, won.value as value
    from (
      select count(*)::int as count, coalesce(sum(outcome_value), 0)::float8 as value from leads
      where tenant_id = ${tenantId} and outcome = 'won' and outcome_at >= ${from} and outcome_at < ${until}) won
    left join missed_calls m on m.tenant_id = ${tenantId} and m.called_at >= ${from} and m.called_at < ${until}
    left join lead_conversations c on c.missed_call_id = m.id
    group by won.count, won.value`.execute(trx)
  const [figures] = rows
  if (!figures) throw new Error('an aggregate query returned no row')
  return figures
}

/** Locks the people that a digest would list. Any other message: nothing. */
export const lockListed = async (trx: Trx, messageId: string): Promise<void> => {
  const { rows } = await sql<{ tenantId: string; dueAt: Date }>`
    select tenant_id as "tenantId", due_at as "dueAt" from messages
    where id = ${messageId} and occasion like 'digest:%' and state = 'scheduled'`.execute(trx)
  const [digest] = rows
  if (!digest) return
  const people = await silentPeople(trx, {
    tenantId: digest.tenantId,
    before: digest.dueAt,
    limit: MAX_LISTED,
  })
  const ids = people.map(({ leadId }) => leadId)
  if (ids.length) await lockLeads(trx, sql`id = any(${ids}::bigint[])`)
}

/** What a digest says now, and whom it lists. Their rows are locked. */
export const composeDigest = async (
  trx: Trx,
  { tenantId, dueAt }: { tenantId: string; dueAt: Date },
  link: string,
): Promise<{ text: string; leadIds: string[] }> => {
  const { languages } = await trx
    .selectFrom('tenants')
    .select('languages')
    .where('id', '=', tenantId)
    .executeTakeFirstOrThrow()
  const people = await silentPeople(trx, { tenantId, before: dueAt, limit: MAX_LISTED })
  const text = digestText(people, languages[0] ?? 'he', link)
  return { text, leadIds: people.map(({ leadId }) => leadId) }
}

/** Notes that a digest lists these people. The next one does so only if they have called again. */
export const markListed = async (trx: Trx, leadIds: string[], dueAt: Date): Promise<void> => {
  await trx.updateTable('leads').set({ digested_at: dueAt }).where('id', 'in', leadIds).execute()
}
