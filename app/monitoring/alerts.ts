/** Alerts: conditions that the operator or an owner should know about. */
import { sql } from 'kysely'
import { addJob } from '../db/jobs.ts'
import { db, type Trx } from '../db/kysely.ts'
import { moveMessages } from '../db/transitions.ts'
import { log } from '../log.ts'
import { isUnusual, type Period, samePeriodsBefore, SILENT_FOR_MINUTES } from './webhook_silence.ts'
import { JOB_FAILED } from '../replies/inbound.ts'
import { NUMBER_MOVED } from '../tenants/accounts.ts'
import { firstAllowed, type QuietSettings, quietTimesOf } from '../outreach/quiet_hours.ts'

export type AlertKind =
  | 'webhooks_silent'
  | 'unmatched_number'
  | 'connection_paused'
  | 'template_paused'
  | 'template_marketing'
  | 'template_differs'
  | 'call_log_failing'
  | 'event_failed'
  | 'popup_unconfirmed'
  | 'popup_lookups'
  | 'endpoint_disabled'

const MINUTE = 60_000

type Raised = { id: string; tenantId: string | null; kind: AlertKind }

/** One process checks at a time: otherwise it could raise an alert again that another one has just ended. */
const LOCK = 'signals trouble'
/** A failed check of a call log is retried. After this time an alert is raised. */
const FAILING_FOR = sql`interval '3 hours'`
/** Voicenter sends the CDR of a talk minutes after its end. */
const CONFIRMED_WITHIN = sql`interval '30 minutes'`
/** At most this many unknown numbers of a tenant are reported, because a sender can invent numbers. */
const NUMBERS = 100

/**
 * Checks all conditions once. A new problem is added to `alerts`, logged, and reported to the owner. An alert whose problem
 * is solved ends.
 *
 * @param upForMs how long this process and the database have been available. During an outage of ours no webhook arrives.
 */
export const checkAlerts = async (upForMs: number): Promise<void> => {
  const raised = await db.transaction().execute(async trx => {
    const { rows: locked } = await sql`
      select where pg_try_advisory_xact_lock(hashtextextended(${LOCK}, 0))`.execute(trx)
    if (locked.length === 0) return []
    const silent = await silentTenants(trx, upForMs > SILENT_FOR_MINUTES * MINUTE)
    await end(trx, silent)
    const alerts = await raise(trx, silent)
    await notifyOwners(trx)
    return alerts
  })
  for (const { id, tenantId, kind } of raised)
    log.warn({ alertId: id, tenantId, kind }, 'something is wrong: see the table alerts')
}

/** All present problems. */
const problems = (silent: string[]) => sql`(
  select id as tenant_id, 'webhooks_silent' as kind, 'tenants ' || id as subject
  from tenants where id = any(${silent}::bigint[])
union all
  select tenant_id, 'connection_paused', 'whatsapp_connections ' || id from whatsapp_connections
  where state = 'paused' and state_reason is distinct from ${NUMBER_MOVED}
union all
  select c.tenant_id, 'template_paused', 'whatsapp_templates ' || c.id || ' ' || w.kind
  from whatsapp_templates w join whatsapp_connections c on c.id = w.whatsapp_connection_id
  -- Meta approves most templates within minutes.
  where w.state = 'paused' and w.state_reason is distinct from 'template PENDING'
union all
  select c.tenant_id, 'template_differs', 'whatsapp_templates ' || c.id || ' ' || w.kind
  from whatsapp_templates w join whatsapp_connections c on c.id = w.whatsapp_connection_id where w.differs <> '{}'
union all
  select c.tenant_id, 'template_marketing', 'whatsapp_templates ' || c.id || ' ' || w.kind
  from whatsapp_templates w join whatsapp_connections c on c.id = w.whatsapp_connection_id
  where w.category = 'MARKETING' and not w.marketing_agreed
union all
  select tenant_id, 'call_log_failing', 'tenants ' || tenant_id
  from call_log_access where failing_since < now() - ${FAILING_FOR}
union all
  select distinct tenant_id, 'event_failed', 'tenants ' || coalesce(tenant_id::text, 'unknown')
  from whatsapp_events where outcome = ${JOB_FAILED}
union all
  select distinct v.tenant_id, 'popup_unconfirmed', 'leads ' || l.id
  from live_calls v join leads l on l.id = v.lead_id
  where v.cancelled_at < now() - ${CONFIRMED_WITHIN}
    and not exists (
      select from raw_cdrs r where r.tenant_id = v.tenant_id and r.reached_phone in (v.phone, l.phone)
        -- The clocks of Voicenter and of the database may differ.
        and r.reached_until > v.received_at - interval '10 minutes')
    and not exists (
      select from raw_cdrs r
      where r.root_call_id = v.call_id and r.tenant_id = v.tenant_id and r.reached_phone is not null)
union all
  select distinct tenant_id, 'popup_lookups', 'webhook_tokens ' || webhook_token_id
  from popup_lookups where is_refused and looked_up_at > now() - interval '1 hour'
union all
  select tenant_id, 'endpoint_disabled', 'event_endpoints ' || id from event_endpoints where state = 'disabled'
)`

const raise = async (trx: Trx, silent: string[]): Promise<Raised[]> => {
  const { rows } = await sql<Raised>`
    insert into alerts (tenant_id, kind, subject)
    select * from (${problems(silent)} union all ${unmatchedNumbers}) as problems
    on conflict do nothing
    returning id, tenant_id as "tenantId", kind`.execute(trx)
  return rows
}

/** Goes from number to number along the index, so that the cost does not depend on the number of calls. */
const unmatchedNumbers = sql`(
  with recursive owners (id) as (select 0::bigint union all select id from tenants),
  numbers (owner, phone, count) as (
    select o.id, n.phone, 1 from owners o, lateral (
      select min(business_phone) as phone from raw_cdrs
      where verdict = 'unmatched_number' and coalesce(tenant_id, 0) = o.id) n
  union all
    select l.owner, n.phone, l.count + 1 from numbers l, lateral (
      select min(business_phone) as phone from raw_cdrs
      where verdict = 'unmatched_number' and coalesce(tenant_id, 0) = l.owner and business_phone > l.phone) n
    where l.phone is not null and l.count < ${NUMBERS}
  )
  select nullif(owner, 0), 'unmatched_number', phone from numbers where phone is not null
)`

/** Each unknown number is looked up by itself, because unmatchedNumbers returns at most NUMBERS of them. */
const end = async (trx: Trx, silent: string[]): Promise<void> => {
  await sql`
    update alerts a set ended_at = now()
    where ended_at is null and not case kind
      when 'unmatched_number' then exists (
        select from raw_cdrs r
        where r.verdict = 'unmatched_number' and r.business_phone = a.subject
          and coalesce(r.tenant_id, 0) = coalesce(a.tenant_id, 0))
      else exists (
        select from ${problems(silent)} as p
        where p.tenant_id is not distinct from a.tenant_id and p.kind = a.kind and p.subject = a.subject)
      end`.execute(trx)
  // A notice that waits for the end of quiet hours is cancelled if all its alerts have ended.
  await moveMessages(trx, 'cancel', 'over')
    .where('kind', '=', 'owner_notice')
    .where(
      sql<boolean>`occasion in (
        select 'alert:' || a.id from alerts a where a.ended_at is not null and not exists (
          select from alerts o where o.tenant_id = a.tenant_id and o.kind = a.kind and o.ended_at is null
          and o.notified_at = a.notified_at))`,
    )
    .execute()
}

/** A tenant whose webhooks have been silent for a while. */
type Quiet = { tenantId: string; timezone: string; since: Date; now: Date; isRaised: boolean }

/** At most this many CDRs of a period are read, so that the check stays cheap. A call may have several CDRs. */
const CDRS = 50

/**
 * The tenants whose webhooks are silent at times at which calls usually arrive.
 *
 * @param wasUp whether this program was available all the time; if not, no new silence is reported
 */
export const silentTenants = async (trx: Trx, wasUp: boolean): Promise<string[]> => {
  const quiet = (await quietTenants(trx)).filter(({ isRaised }) => isRaised || wasUp)
  const earlier = await callsIn(
    trx,
    quiet
      .filter(({ isRaised }) => !isRaised)
      .map(({ tenantId, since, now, timezone }) => ({
        tenantId,
        weeks: samePeriodsBefore(since, now, timezone),
      })),
  )
  return quiet
    .filter(({ tenantId, isRaised }) => isRaised || isUnusual(earlier.get(tenantId) ?? []))
    .map(({ tenantId }) => tenantId)
}

/** A raised alert lasts until the next webhook, even after a year. */
const quietTenants = async (trx: Trx): Promise<Quiet[]> => {
  const { rows } = await sql<Quiet>`
    select t.id as "tenantId", t.timezone, r.received_at as since, now() as now,
           exists (select from alerts a
                   where a.kind = 'webhooks_silent' and a.tenant_id = t.id and a.ended_at is null
                     and a.raised_at > r.received_at) as "isRaised"
    from tenants t, lateral (
      select received_at from raw_cdrs where tenant_id = t.id and source = 'push' order by received_at desc limit 1) r
    where t.mode <> 'paused' and r.received_at < now() - make_interval(mins => ${SILENT_FOR_MINUTES})`.execute(
    trx,
  )
  return rows
}

/** The number of calls of each tenant in each of these weeks. */
const callsIn = async (
  trx: Trx,
  tenants: { tenantId: string; weeks: Period[][] }[],
): Promise<Map<string, number[]>> => {
  const periods = tenants.flatMap(({ tenantId, weeks }) =>
    weeks.flatMap((week, back) => week.map(period => ({ tenantId, back, ...period }))),
  )
  const { rows } = await sql<{ tenantId: string; calls: number[] }>`
    select tenant_id as "tenantId", array_agg(calls) as calls
    from (
      select p.tenant_id, p.back, sum(c.calls)::int as calls
      from unnest(
        ${periods.map(({ tenantId }) => tenantId)}::bigint[],
        ${periods.map(({ back }) => back)}::int[],
        ${periods.map(({ from }) => from)}::timestamptz[],
        ${periods.map(({ until }) => until)}::timestamptz[]
      ) as p (tenant_id, back, from_at, until_at),
      lateral (
        select count(distinct root_call_id) as calls from (
          select root_call_id from raw_cdrs r
          where r.tenant_id = p.tenant_id and r.source = 'push'
            and r.received_at >= p.from_at and r.received_at < p.until_at
          order by r.received_at limit ${CDRS}) records
      ) c
      group by 1, 2
    ) weeks
    group by tenant_id`.execute(trx)
  return new Map(rows.map(({ tenantId, calls }) => [tenantId, calls]))
}

/** The alerts of one kind that an owner has not been notified of. */
type Unnotified = QuietSettings & {
  tenantId: string
  kind: string
  alerts: string[]
  subjects: string[]
  lastWebhook: Date | null
  ownerPhone: string
  now: Date
}

/** An owner is notified of one kind of alert at most once a day: thirty unknown numbers are one message. */
const NOTIFY_EVERY = sql`interval '1 day'`

/**
 * Notifies owners by WhatsApp of the alerts that they can act on, each alert once. An owner without a phone number, of a
 * tenant that is not live, or without an active connection is not notified. The operator reads all alerts in the log.
 */
export const notifyOwners = async (trx: Trx): Promise<void> => {
  for (const alerts of await unnotified(trx)) {
    const [first] = alerts.alerts
    const text = alertText(alerts.kind, alerts)
    if (!first || !text) continue
    // Not during quiet hours, because no alert is urgent enough.
    const at = firstAllowed(alerts.now, quietTimesOf('initial', alerts), alerts.ownerPhone)
    const { id } = await trx
      .insertInto('messages')
      .values({
        tenant_id: alerts.tenantId,
        direction: 'out',
        kind: 'owner_notice',
        state: 'scheduled',
        due_at: at,
        to_phone: alerts.ownerPhone,
        text,
        occasion: `alert:${first}`,
      })
      .returning('id')
      .executeTakeFirstOrThrow()
    await addJob(trx, 'owner_notice', id, { messageId: id }, { tenantId: alerts.tenantId, at })
    await trx
      .updateTable('alerts')
      .set({ notified_at: sql<Date>`now()` })
      .where('id', 'in', alerts.alerts)
      .execute()
  }
}

const unnotified = async (trx: Trx): Promise<Unnotified[]> => {
  const { rows } = await sql<Unnotified>`
    select t.id as "tenantId", a.kind, array_agg(a.id::text order by a.id) as alerts,
           array_agg(a.subject order by a.id) as subjects,
           (select received_at from raw_cdrs where tenant_id = t.id and source = 'push'
            order by received_at desc limit 1) as "lastWebhook",
           t.owner_phone as "ownerPhone", t.timezone, t.location, t.quiet_windows as "quietWindows",
           t.reminder_quiet_windows as "reminderQuietWindows", now() as now
    from alerts a join tenants t on t.id = a.tenant_id
    where a.ended_at is null and a.notified_at is null
      and t.owner_phone is not null and t.mode = 'live'
      and exists (
        select from whatsapp_connections c
        left join whatsapp_templates w on w.whatsapp_connection_id = c.id and w.kind = 'owner_notice'
        where c.tenant_id = t.id and c.state = 'active' and w.state is distinct from 'paused')
      and not exists (
        select from alerts recent
        where recent.tenant_id = a.tenant_id and recent.kind = a.kind and recent.notified_at > now() - ${NOTIFY_EVERY})
    group by t.id, a.kind
    order by t.id, a.kind`.execute(trx)
  return rows
}

type Details = { subjects: string[]; lastWebhook: Date | null; timezone: string }

/** At most this many numbers are named, because a template variable must be short. */
const NAMED = 3

const TEXTS: Record<string, (details: Details) => string> = {
  webhooks_silent: ({ lastWebhook, timezone }) =>
    `– לא נרשמה אצלנו אף שיחה מאז ${lastWebhook ? dayAndTime(lastWebhook, timezone) : ''}, וזה לא רגיל. ייתכן שהחיבור למרכזייה נותק ויש לקוחות שלא נענו`,
  unmatched_number: ({ subjects }) =>
    subjects.length === 1
      ? `– התקבלה שיחה למספר ${subjects[0]}, שאינו רשום אצלנו כקו של העסק, ולמי שחייג לא נשלחה הודעה`
      : `– התקבלו שיחות ל-${subjects.length} מספרים שאינם רשומים אצלנו כקווים של העסק (${subjects.slice(0, NAMED).join(', ')}${subjects.length > NAMED ? ' ועוד' : ''}), ולמי שחייג לא נשלחה הודעה`,
  connection_paused: () =>
    '– אחד ממספרי ה-WhatsApp של העסק הושהה, ולקוחות שלא נענו אינם מקבלים ממנו הודעות',
  template_marketing: () =>
    '– WhatsApp מחשיב נוסח של הודעה כפרסומת, ולכן התזכורות ללקוחות ממתינות לאישור בדף ״תבניות״',
  template_differs: () =>
    '– הנוסח או הכפתורים של הודעה שונים אצל WhatsApp ממה שהוגדר אצלנו. ההודעות נשלחות לפי WhatsApp, וכדאי לבדוק בדף ״תבניות״',
  event_failed: () =>
    '– הודעה מלקוח לא נקראה בגלל תקלה אצלנו. עצרנו את ההודעות לאותו לקוח, וכדאי לבדוק ב-WhatsApp מה נכתב',
  endpoint_disabled: () =>
    '– אירועים מ-Ringback אינם נשלחים עוד למערכת אחרת שלכם (כגון CRM), כי היא לא קיבלה אותם. הם נשמרים 30 יום, ואפשר לשלוח אותם שוב בדף ״אירועים״',
  template_paused: () => '– נוסח של הודעה הושהה על ידי WhatsApp, ולקוחות שלא נענו אינם מקבלים אותה',
}

/** The text for the owner. null = only the operator is concerned. */
export const alertText = (kind: string, details: Details): string | null =>
  TEXTS[kind]?.(details) ?? null

const dayAndTime = (at: Date, timezone: string): string =>
  new Intl.DateTimeFormat('he-IL', {
    timeZone: timezone,
    weekday: 'long',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  }).format(at)
