/** Stores who is on the line (`live_calls`), and reads what an agent's screen shows about that person. */
import { sql } from 'kysely'
import { batcher } from '../batcher.ts'
import { jobSpec } from '../db/jobs.ts'
import { db, type Trx, webDb } from '../db/kysely.ts'
import { retryOnConflict } from '../db/retry.ts'
import { type Phone, personOf, spellings } from '../phone.ts'
import type { LiveEvent, Phase } from './line.ts'

/** One event of the Pop-Up Screen. */
export type PopupEvent = Pick<LiveEvent, 'extension' | 'answeredAt' | 'isAnswered'> & {
  /** The hash in hex of the token in the request. */
  tokenHash: string
  numbers: readonly string[]
  leg: { callId: string; phase: Phase } | null
}

/** What an agent may see of a person. */
export type KnownPerson = {
  leadId: string
  name: string | null
  phone: string
  timezone: string
  /** In which the tenant writes to customers. */
  language: string
  missedToday: number
  lastMissedAt: Date | null
  wroteAt: Date | null
  text: string | null
  now: Date
}

/** How many different known people a token may ask about within an hour. */
export const PEOPLE_AN_HOUR = 60

export type PopupRow = { n: number } & { [Name in keyof KnownPerson]: KnownPerson[Name] | null }

/**
 * Stores events and finds the people they are about, in one statement. If a message to such a person is pending, its job
 * is added too: it holds or cancels the message (messages/in_call.ts). The claim reads the events again in any case.
 *
 * @returns for each event the person, null if nothing may be shown, or 'wrong token' if it was revoked meanwhile
 */
const storeEvents = async (
  events: readonly PopupEvent[],
): Promise<(KnownPerson | 'wrong token' | null)[]> => {
  const asked = events.map(({ numbers, leg, ...event }, n) => ({
    n,
    token_hash: event.tokenHash,
    people: numbers.map((number, at) => ({
      at,
      phone: personOf(number),
      phones: spellings(number),
    })),
    call_id: leg?.callId ?? null,
    extension: event.extension,
    phase: leg?.phase ?? null,
    answered_at: event.answeredAt,
    is_answered: event.isAnswered,
  }))
  const job = jobSpec({
    task: 'live_call',
    entity: sql`lead_id`,
    payload: sql`json_build_object('tenantId', tenant_id::text, 'leadId', lead_id::text)`,
    tenant: sql`tenant_id`,
  })
  const statement = sql<PopupRow>`
    /* popup */
    with event as materialized (
      select e.*, k.id as token_id, k.tenant_id
      from jsonb_to_recordset(${JSON.stringify(asked)}::jsonb) as e (
        n int, token_hash text, people jsonb, call_id text, extension text, phase text, answered_at float8, is_answered boolean)
      join webhook_tokens k on k.hash = decode(e.token_hash, 'hex')
      where k.kind = 'popup' and k.revoked_at is null
    ), person as materialized (
      select e.*, p.phone, p.phones, l.id as lead_id
      from event e
      left join lateral (
        select p.phone, p.phones from jsonb_to_recordset(e.people) as p (at int, phone text, phones text[])
        where not exists (select from tenant_numbers o where o.tenant_id = e.tenant_id and o.phone = any(p.phones))
          and not exists (select from whatsapp_connections c
                          where c.tenant_id = e.tenant_id and c.display_phone_number = any(p.phones))
        order by p.at limit 1) p on true
      left join lateral (
        select min(l.id) as id from leads l where l.tenant_id = e.tenant_id and l.phone = any(p.phones)) l on true
    ), stored as (
      insert into live_calls (tenant_id, phone, call_id, extension, phase, answered_at, is_answered, source)
      select tenant_id, phone, call_id, extension, phase, answered_at, is_answered, 'popup' from person
      where phone is not null and phase is not null
      order by tenant_id, phone, call_id, extension, phase, answered_at, is_answered
      on conflict do nothing
      returning tenant_id, phone
    ), jobs as (
      select count(*) as wanted, array_agg(${job} order by lead_id) as specs
      from (
        select distinct p.tenant_id, p.lead_id from person p join stored s on s.tenant_id = p.tenant_id and s.phone = p.phone
        where exists (
          select from leads l where l.tenant_id = p.tenant_id and l.phone = any(p.phones) and (
            exists (select from missed_calls m where m.lead_id = l.id and m.outreach_state = 'scheduled')
            or exists (select from lead_conversations c where c.lead_id = l.id and c.state = 'open')))) pending
    ), counted as (
      -- In the order of the events, since only the first of too many are shown.
      select a.*, row_number() over (partition by token_id order by n) + (
          select count(*) from popup_lookups s
          where s.webhook_token_id = a.token_id and not s.is_refused and s.looked_up_at > now() - interval '1 hour')
        > ${PEOPLE_AN_HOUR}::int as is_refused
      from (
        select distinct on (token_id, phone) token_id, tenant_id, phone, n from person p
        where lead_id is not null and not exists (
          select from popup_lookups s where s.webhook_token_id = p.token_id and s.phone = p.phone
            and not s.is_refused and s.looked_up_at > now() - interval '1 hour')
        order by token_id, phone, n) a
    ), looked_up as (
      insert into popup_lookups (tenant_id, webhook_token_id, phone, is_refused)
      select tenant_id, token_id, phone, is_refused from counted order by token_id, phone
      on conflict on constraint popup_lookups_key do update set looked_up_at = now(), is_refused = excluded.is_refused
    )
    select p.n, l.id as "leadId", l.name, l.phone, t.timezone, now() as now,
           t.languages[1] as language,
           missed.today as "missedToday", missed.last as "lastMissedAt", wrote.created_at as "wroteAt", wrote.text,
           (select assert_all_queued(wanted, (select count(*) from graphile_worker.add_jobs(specs)))
            from jobs where wanted > 0) as queued
    from person p
    join tenants t on t.id = p.tenant_id
    left join leads l on l.id = p.lead_id and not exists (
      select from counted c where c.token_id = p.token_id and c.phone = p.phone and c.is_refused)
    left join lateral (
      select count(*) filter (where m.called_at >= date_trunc('day', now() at time zone t.timezone) at time zone t.timezone)::int
               as today, max(m.called_at) as last
      from missed_calls m where m.lead_id = l.id) missed on true
    left join lateral (
      select s.created_at, s.text from messages s
      where s.lead_id = l.id and s.direction = 'in' order by s.created_at desc limit 1) wrote on true`
  const { rows } = await retryOnConflict(() => statement.execute(webDb))
  const found = new Map(rows.map(row => [row.n, row]))
  return events.map((_, n) => {
    const row = found.get(n)
    if (!row) return 'wrong token'
    const { leadId, phone, timezone, language, missedToday, now, ...more } = row
    return leadId && phone && timezone && language && missedToday !== null && now
      ? { ...more, leadId, phone, timezone, language, missedToday, now }
      : null
  })
}

/**
 * Stores an event, together with all others that arrive at the same moment. One batch at a time, so that its look-ups see
 * those of the batch before.
 */
export const storePopup = batcher((events: PopupEvent[]) => storeEvents(events), {
  most: 200,
  waiting: 5000,
  patienceMs: 10_000,
  longMs: 60_000,
})

/**
 * Messages were cancelled because this person is or was on the line. If no CDR confirms that, an alert is raised
 * (monitoring/alerts.ts): agents' browsers know the token, so an event may be forged.
 */
export const awaitConfirmation = async (
  trx: Trx,
  tenantId: string,
  leadId: string,
  caller: Phone,
): Promise<void> => {
  if (caller.kind !== 'number') return
  await sql`
    update live_calls set cancelled_at = coalesce(cancelled_at, now()), lead_id = ${leadId}
    where tenant_id = ${tenantId} and phone = ${personOf(caller.e164)} and source = 'popup'
      and (is_answered or phase = 'talking')`.execute(trx)
}

/** Rows of one statement. */
const BATCH = 5000

/** Deletes events older than a day. @returns how many rows */
export const deleteOldLiveCalls = async (): Promise<number> => {
  let deleted = 0n
  for (let last = BigInt(BATCH); last === BigInt(BATCH);) {
    const { numAffectedRows = 0n } = await sql`
      delete from live_calls where ctid = any(array(
        select ctid from live_calls where received_at < now() - interval '1 day' limit ${BATCH} for update skip locked))`.execute(
      db,
    )
    last = numAffectedRows
    deleted += last
  }
  await sql`delete from popup_lookups where looked_up_at < now() - interval '1 day'`.execute(db)
  return Number(deleted)
}
