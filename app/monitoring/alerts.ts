/** What an owner reads: after the name of the business and its number, before "now is the time to call back". */
import { sql } from 'kysely'
import { addJob } from '../db/jobs.ts'
import { db, type Trx } from '../db/kysely.ts'
import { log } from '../log.ts'
import { isUnusual, type Period, samePeriodsBefore, SILENT_FOR_MINUTES } from './webhook_silence.ts'
import { NUMBER_MOVED } from '../tenants/accounts.ts'
import { firstAllowed } from '../outreach/quiet_hours.ts'

type About = { subjects: string[]; lastWebhook: Date | null; timezone: string }

/** Of more numbers than this only the first are named: a template's variable must not grow long. */
const NAMED = 3

const WORDS: Record<string, (about: About) => string> = {
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
  template_paused: () => '– נוסח של הודעה הושהה על ידי WhatsApp, ולקוחות שלא נענו אינם מקבלים אותה',
}

/** Null = this kind is the operator's own business. */
export const alertText = (kind: string, about: About): string | null => WORDS[kind]?.(about) ?? null

const dayAndTime = (at: Date, timezone: string): string =>
  new Intl.DateTimeFormat('he-IL', {
    timeZone: timezone,
    weekday: 'long',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  }).format(at)

/** A business from which nothing has come for a while. */
type Quiet = { tenantId: string; timezone: string; since: Date; now: Date; isRaised: boolean }

/** A call may have several records. So many of a period are read, so that looking stays cheap. */
const RECORDS = 50

/**
 * The businesses whose webhooks have fallen silent although calls always came at these times.
 *
 * @param listening whether we could have heard them all the while; otherwise nobody is found anew
 */
export const silentTenants = async (trx: Trx, listening: boolean): Promise<string[]> => {
  const quiet = (await quietTenants(trx)).filter(({ isRaised }) => isRaised || listening)
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

/** What has been raised once lasts until something comes, be it a year. */
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

/** How many calls each business had in each of these weeks, as far as it matters. */
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
          order by r.received_at limit ${RECORDS}) records
      ) c
      group by 1, 2
    ) weeks
    group by tenant_id`.execute(trx)
  return new Map(rows.map(({ tenantId, calls }) => [tenantId, calls]))
}

/** What an owner is told of one kind of trouble: every alert of it of which he has not heard. */
type News = {
  tenantId: string
  kind: string
  alerts: string[]
  subjects: string[]
  lastWebhook: Date | null
  ownerPhone: string
  timezone: string
  quietWindows: string[]
  now: Date
}

/** So often an owner hears of one kind of trouble: thirty numbers that nobody knows are not thirty messages. */
const EVERY = sql`interval '1 day'`

/**
 * Tells owners by WhatsApp what concerns them and what they can do something about, each alert once. Whoever has no
 * phone here, is not live, or has no number left to be written from is not told; the operator is, in the log.
 */
export const notifyOwners = async (trx: Trx): Promise<void> => {
  for (const news of await untold(trx)) {
    const [first] = news.alerts
    const text = alertText(news.kind, news)
    if (!first || !text) continue
    // Not in the night, and not on Shabbat: nothing of this is worth being woken for.
    const at = firstAllowed(news.now, news.quietWindows, news.timezone)
    const { id } = await trx
      .insertInto('messages')
      .values({
        tenant_id: news.tenantId,
        direction: 'out',
        kind: 'owner_notice',
        state: 'scheduled',
        due_at: at,
        to_phone: news.ownerPhone,
        text,
        occasion: `alert:${first}`,
      })
      .returning('id')
      .executeTakeFirstOrThrow()
    await addJob(trx, 'owner_notice', id, { messageId: id }, { at })
    await trx
      .updateTable('alerts')
      .set({ notified_at: sql<Date>`now()` })
      .where('id', 'in', news.alerts)
      .execute()
  }
}

const untold = async (trx: Trx): Promise<News[]> => {
  const { rows } = await sql<News>`
    select t.id as "tenantId", a.kind, array_agg(a.id::text order by a.id) as alerts,
           array_agg(a.subject order by a.id) as subjects,
           (select received_at from raw_cdrs where tenant_id = t.id and source = 'push'
            order by received_at desc limit 1) as "lastWebhook",
           t.owner_phone as "ownerPhone", t.timezone, t.quiet_windows as "quietWindows", now() as now
    from alerts a join tenants t on t.id = a.tenant_id
    where a.ended_at is null and a.notified_at is null
      and t.owner_phone is not null and t.mode = 'live'
      and exists (
        select from whatsapp_connections c
        left join whatsapp_templates w on w.whatsapp_connection_id = c.id and w.kind = 'owner_notice'
        where c.tenant_id = t.id and c.state = 'active' and w.state is distinct from 'paused')
      and not exists (
        select from alerts told
        where told.tenant_id = a.tenant_id and told.kind = a.kind and told.notified_at > now() - ${EVERY})
    group by t.id, a.kind
    order by t.id, a.kind`.execute(trx)
  return rows
}

export type AlertKind =
  | 'webhooks_silent'
  | 'unmatched_number'
  | 'connection_paused'
  | 'template_paused'
  | 'template_marketing'
  | 'call_log_failing'

const MINUTE = 60_000

type Raised = { id: string; tenantId: string | null; kind: AlertKind }

/** Two copies must not both look at once: what one has just ended the other would raise again. */
const TURN = 'signals trouble'
/** A check of the call log that fails is tried again by itself; after this somebody should know. */
const FAILING_FOR = sql`interval '3 hours'`
/** So many numbers of a business, or of nobody, are told of: whoever has our token may name any number. */
const NUMBERS = 100

/**
 * Looks once for everything that somebody should know of. What is wrong is raised once, in `alerts` and in the log,
 * and its owner told; what is no longer wrong ends.
 *
 * @param upForMs how long we and the database have not been away: our own silence is nobody else's
 */
export const checkAlerts = async (upForMs: number): Promise<void> => {
  const raised = await db.transaction().execute(async trx => {
    const { rows: ours } = await sql`
      select where pg_try_advisory_xact_lock(hashtextextended(${TURN}, 0))`.execute(trx)
    if (ours.length === 0) return []
    const silent = await silentTenants(trx, upForMs > SILENT_FOR_MINUTES * MINUTE)
    await end(trx, silent)
    const alerts = await raise(trx, silent)
    await notifyOwners(trx)
    return alerts
  })
  for (const { id, tenantId, kind } of raised)
    log.warn({ alertId: id, tenantId, kind }, 'something is wrong: see the table alerts')
}

/** Everything that is wrong at this moment. */
const troubles = (silent: string[]) => sql`(
  select id as tenant_id, 'webhooks_silent' as kind, 'tenants ' || id as subject
  from tenants where id = any(${silent}::bigint[])
union all
  select tenant_id, 'connection_paused', 'whatsapp_connections ' || id from whatsapp_connections
  where state = 'paused' and state_reason is distinct from ${NUMBER_MOVED}
union all
  select c.tenant_id, 'template_paused', 'whatsapp_templates ' || c.id || ' ' || w.kind
  from whatsapp_templates w join whatsapp_connections c on c.id = w.whatsapp_connection_id where w.state = 'paused'
union all
  select c.tenant_id, 'template_marketing', 'whatsapp_templates ' || c.id || ' ' || w.kind
  from whatsapp_templates w join whatsapp_connections c on c.id = w.whatsapp_connection_id
  where w.category = 'MARKETING' and not w.marketing_agreed
union all
  select tenant_id, 'call_log_failing', 'tenants ' || tenant_id
  from call_log_access where failing_since < now() - ${FAILING_FOR}
)`

const raise = async (trx: Trx, silent: string[]): Promise<Raised[]> => {
  const { rows } = await sql<Raised>`
    insert into alerts (tenant_id, kind, subject)
    select * from (${troubles(silent)} union all ${unmatchedNumbers}) as wrong
    on conflict do nothing
    returning id, tenant_id as "tenantId", kind`.execute(trx)
  return rows
}

/** From number to number along the index, however often each was dialled. */
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

/** A number is looked up by itself, since of very many not all are read above. */
const end = async (trx: Trx, silent: string[]): Promise<void> => {
  await sql`
    update alerts a set ended_at = now()
    where ended_at is null and not case kind
      when 'unmatched_number' then exists (
        select from raw_cdrs r
        where r.verdict = 'unmatched_number' and r.business_phone = a.subject
          and coalesce(r.tenant_id, 0) = coalesce(a.tenant_id, 0))
      else exists (
        select from ${troubles(silent)} as wrong
        where wrong.tenant_id = a.tenant_id and wrong.kind = a.kind and wrong.subject = a.subject)
      end`.execute(trx)
  // What was to be told in the morning is over by then, unless some of what it tells of is not.
  await sql`
    update messages m set state = 'cancelled', reason = 'over'
    where m.state = 'scheduled' and m.kind = 'owner_notice' and m.occasion like 'alert:%'
      and exists (
        select from alerts a where m.occasion = 'alert:' || a.id and a.ended_at is not null
        and not exists (
          select from alerts o where o.tenant_id = a.tenant_id and o.kind = a.kind and o.ended_at is null
          and o.notified_at = a.notified_at))`.execute(trx)
}
