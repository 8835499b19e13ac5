import { type RawBuilder, sql } from 'kysely'
import type { Trx } from '../db/kysely.ts'
import { readPhone, spellings } from '../phone.ts'
import type {
  ConversationReason,
  ConversationState,
  LeadState,
  Outcome,
  OutreachReason,
  OutreachState,
} from '../states.ts'
import { isAbout } from './exclusions.ts'
import { talkedAt, THEIR_NUMBERS } from './talks.ts'

// The people who wait for an answer of the tenant: those who wrote, those who asked to be called back, and those who
// called and were not answered. The rows decide: a person waits if what they did last is newer than the last answer.

/** Why a person waits, the most urgent first. */
export const REASONS = ['wrote', 'asked', 'called'] as const
export type WaitReason = (typeof REASONS)[number]

export type Person = {
  leadId: string
  phone: string
  name: string | null
  state: LeadState
  outcome: Outcome | null
  tenantId: string
  tenant: string
  timezone: string
  now: Date
  /** How many calls of theirs were missed, ever. */
  calls: number
  /** Null = they do not wait. */
  waits: WaitReason | null
  /** When they last wrote, asked or called: the time that the reason is about. Null = only a call that no row names. */
  since: Date | null
  isUnread: boolean
  wroteAt: Date | null
  /** Their last message. Null = none, one without text, or its text was deleted. */
  text: string | null
  calledAt: Date | null
  /** Their last missed call. */
  missedCallId: string | null
  outreachState: OutreachState | null
  outreachReason: OutreachReason | null
  conversationState: ConversationState | null
  conversationReason: ConversationReason | null
  outcomeValue: string | null
  outcomeAt: Date | null
  note: string | null
  calledBackAt: Date | null
  callbackRequestedAt: Date | null
  /** Null = they have never written or called on WhatsApp. */
  windowOpenUntil: Date | null
  createdAt: Date
  /** Where the next page begins, in microseconds: a Date holds only milliseconds. */
  cursor: string
}

/** The place of a reason, microseconds, and the id of the lead. */
export const PERSON_CURSOR = /^([012])-(\d{1,17})-(\d{1,18})$/

/** Silent people are listed for a week, people who wrote for a month, and a request for a call until it is closed. */
const CALLED_WITHIN = sql`interval '7 days'`
const WROTE_WITHIN = sql`interval '30 days'`

/** The facts about each lead "l". */
const FACTS = sql`
  join tenants t on t.id = l.tenant_id
  left join lateral (
    select * from missed_calls m where m.lead_id = l.id order by m.called_at desc, m.id desc limit 1) k on true
  left join lead_conversations c on c.missed_call_id = k.id
  left join lateral (
    select s.created_at as at, s.text from messages s
    -- A tap on "call me back" is the request itself.
    where s.lead_id = l.id and s.direction = 'in' and s.button is distinct from 'callback'
    order by s.created_at desc limit 1) wrote on true
  cross join lateral (select
    -- The tenant wrote to them, here or in WhatsApp itself.
    (select max(coalesce(s.claimed_at, s.created_at)) from messages s
     where s.lead_id = l.id and s.kind = 'manual' and s.state not in ('cancelled', 'skipped', 'failed')) as written_at,
    ${talkedAt(sql`least(wrote.at, k.called_at, l.callback_requested_at)`)} as talked_at,
    (select max(o.repeated_at) from opt_outs o where o.tenant_id = l.tenant_id and o.phone in ${THEIR_NUMBERS}) as opted_out_at,
    exists (
      select from excluded_numbers x
      -- A hash cannot be compared here, but the decision about the call has done so.
      where x.tenant_id = l.tenant_id and (x.phone in ${THEIR_NUMBERS}
        or (x.phone is null and k.outreach_reason = 'excluded'))) as is_excluded
    -- Or Postgres would compute these for each place that names them.
    offset 0) known
  cross join lateral (select
    coalesce(greatest(l.called_back_at, l.outcome_at, known.talked_at), '-infinity') as closed_at,
    coalesce(known.written_at, '-infinity') as written_at,
    coalesce(known.opted_out_at, '-infinity') as opted_out_at) done
  cross join lateral (select case
    when known.is_excluded or l.later_until > now() then null
    when wrote.at > greatest(done.closed_at, done.written_at, done.opted_out_at, l.callback_requested_at) then 'wrote'
    -- A written answer does not close a request for a call.
    when l.callback_requested_at > greatest(known.talked_at, done.opted_out_at) then 'asked'
    when k.called_at > now() - ${CALLED_WITHIN} and k.called_at > greatest(done.closed_at, done.written_at)
      and (k.called_at > done.opted_out_at or k.outreach_reason = 'opted_out')
      and 'owner_replied' not in (k.outreach_reason, coalesce(c.reason, ''))
      -- The only trace of a call that was not missed after all. The undo of "called back" leaves it too.
      and ('reached_by_phone' not in (k.outreach_reason, coalesce(c.reason, '')) or l.reopened_at is not null)
      then 'called'
    end as why
    offset 0) waits`

const since = (why: RawBuilder<unknown>) => sql`case ${why}
  when 'wrote' then wrote.at when 'asked' then l.callback_requested_at when 'called' then k.called_at
  else greatest(wrote.at, k.called_at) end`

const COLUMNS = sql`
  l.id as "leadId", l.phone, l.name, l.state, l.outcome, t.id as "tenantId", t.name as tenant, t.timezone, now() as now,
  l.missed_call_count as calls, waits.why as waits, ${since(sql`waits.why`)} as since,
  coalesce(greatest(wrote.at, k.created_at, l.callback_requested_at) > coalesce(l.read_at, '-infinity'), false) as "isUnread",
  wrote.at as "wroteAt", wrote.text, k.called_at as "calledAt", k.id as "missedCallId",
  k.outreach_state as "outreachState", k.outreach_reason as "outreachReason",
  c.state as "conversationState", c.reason as "conversationReason",
  l.outcome_value::text as "outcomeValue", l.outcome_at as "outcomeAt", l.note, l.called_back_at as "calledBackAt",
  l.callback_requested_at as "callbackRequestedAt", l.heard_at + interval '24 hours' as "windowOpenUntil",
  l.created_at as "createdAt"`

/** When the tenant last marked lead "l" as called back, or gave it an outcome. Null = never. */
const MARKED_AT = sql`greatest(l.called_back_at, l.outcome_at)`

/**
 * The people who may have a reason to wait, by the column that orders them. An index holds both. Those who were marked since
 * are left out at once: FACTS would leave them out too, but it costs much more for each, and they are the most.
 */
const CANDIDATES: Record<WaitReason, { from: RawBuilder<unknown>; at: RawBuilder<unknown> }> = {
  wrote: {
    from: sql`leads l where l.heard_at > now() - ${WROTE_WITHIN} and (${MARKED_AT} is null or exists (
      select from messages s where s.lead_id = l.id and s.direction = 'in' and s.created_at > ${MARKED_AT}))`,
    at: sql`l.heard_at`,
  },
  asked: {
    from: sql`leads l where l.callback_requested_at is not null`,
    at: sql`l.callback_requested_at`,
  },
  called: {
    from: sql`missed_calls q join leads l on l.id = q.lead_id
      where q.called_at > now() - ${CALLED_WITHIN} and (${MARKED_AT} is null or q.called_at > ${MARKED_AT}) and not exists (
        select from missed_calls n where n.lead_id = q.lead_id and (n.called_at, n.id) > (q.called_at, q.id))`,
    at: sql`q.called_at`,
  },
}

/** So many candidates are looked at together. Most people have been answered. */
const BATCH = 200

/** Whether or not they wait, the newest first. `only`: a condition that begins with "and". */
const candidates = async (
  trx: Trx,
  why: WaitReason,
  tenantId: string | null,
  before: string | null,
  only = sql``,
): Promise<Person[]> => {
  const { from, at } = CANDIDATES[why]
  const [, place, micros, id] = PERSON_CURSOR.exec(before ?? '') ?? []
  const n = REASONS.indexOf(why)
  const { rows } = await sql<Person>`
    select ${COLUMNS}, ${sql.lit(n)} || '-' || (extract(epoch from l.listed_at) * 1000000)::bigint || '-' || l.id as cursor
    from (
      select l.*, ${at} as listed_at from ${from}
        ${tenantId === null ? sql`` : why === 'called' ? sql`and q.tenant_id = ${tenantId}` : sql`and l.tenant_id = ${tenantId}`}
        ${
          micros && id && Number(place) === n
            ? sql`and (${at}, l.id) < (timestamptz 'epoch' + ${micros}::bigint * interval '1 microsecond', ${id}::bigint)`
            : sql``
        } ${only}
      order by ${at} desc, l.id desc
      limit ${BATCH}) l
    ${FACTS}
    order by l.listed_at desc, l.id desc`.execute(trx)
  return rows
}

/** Reads people in batches, in the order of their cursors, until `limit` of them are wanted. */
const walk = async (
  limit: number,
  before: string | null,
  read: (cursor: string | null) => Promise<Person[]>,
  isWanted: (person: Person) => boolean,
): Promise<Person[]> => {
  const found: Person[] = []
  let cursor = before
  let isMore = true
  while (isMore && found.length < limit) {
    const rows = await read(cursor)
    found.push(...rows.filter(isWanted))
    cursor = rows.at(-1)?.cursor ?? null
    isMore = rows.length === BATCH
  }
  return found
}

type Page = {
  tenantId: string | null
  before: string | null
  limit: number
  /** Only leads "l" with this. */
  where?: RawBuilder<boolean>
}

/**
 * Lists the people who wait for an answer, whether or not a message was sent: first those who wrote, then those who asked
 * to be called back, then silent callers; the newest first. People who opted out are not listed, unless they called or
 * wrote after that. Excluded people are never listed.
 *
 * @param before the cursor of the last row of the page before
 */
export const waitingPeople = async (
  trx: Trx,
  { tenantId, before, limit, where }: Page,
): Promise<Person[]> => {
  const first = Number(PERSON_CURSOR.exec(before ?? '')?.[1] ?? 0)
  const found: Person[] = []
  for (const why of REASONS.slice(first))
    found.push(
      ...(await walk(
        limit - found.length,
        before,
        cursor => candidates(trx, why, tenantId, cursor, where && sql`and ${where}`),
        ({ waits }) => waits === why,
      )),
    )
  return found.slice(0, limit)
}

/**
 * Lists the silent callers for a digest: they wait, and no digest that was sent has listed them since their last call. A caller
 * whose first message is still pending is left for the next one.
 *
 * @param before when the digest is due: later calls are left for the next one too
 */
export const silentPeople = async (
  trx: Trx,
  { tenantId, before, limit }: { tenantId: string; before: Date; limit: number },
): Promise<Person[]> => {
  const found = await walk(
    limit,
    null,
    cursor =>
      candidates(
        trx,
        'called',
        tenantId,
        cursor,
        sql`and q.created_at < ${before} and q.outreach_state not in ('scheduled', 'sending')
          and (l.digested_at is null or l.digested_at < q.created_at or l.digested_at in (
            select due_at from messages where tenant_id = ${tenantId} and occasion like 'digest:%'
              and state in ('scheduled', 'skipped', 'cancelled', 'failed')))`,
      ),
    ({ waits }) => waits === 'called',
  )
  return found.slice(0, limit)
}

/** So many people a search shows. */
export const MAX_FOUND = 50

/** For `like`: the written text anywhere. */
const anywhere = (written: string): string => `%${written.replace(/[\\%_]/g, '\\$&')}%`

/** The search finds a part of a number only from this many digits on. */
const MIN_DIGITS = 3

/** The ids of the leads with this name, number, note or text of theirs. It reads the tenant's rows, and no others. */
const matching = (tenantId: string | null, written: string): RawBuilder<unknown> => {
  const text = anywhere(written)
  const phone = readPhone(written)
  const whole = phone.kind === 'number' ? spellings(phone.e164) : []
  const digits = written.replace(/\D/g, '').replace(/^0+/, '')
  const part = /^[\d\s()+.-]+$/.test(written) && digits.length >= MIN_DIGITS ? anywhere(digits) : ''
  const own = tenantId === null ? sql`` : sql`and tenant_id = ${tenantId}`
  return sql`
    select id from leads
    where (name ilike ${text} or note ilike ${text} or phone = any(${whole}::text[]) or phone like ${part}) ${own}
    union
    select lead_id from messages where direction = 'in' and text ilike ${text} ${own}`
}

/**
 * Searches all people by name, number, note and the texts that they wrote.
 *
 * @param written at least one character
 * @returns the newest first, at most MAX_FOUND
 */
export const findPeople = async (
  trx: Trx,
  { tenantId, written }: { tenantId: string | null; written: string },
): Promise<Person[]> => {
  const { rows } = await sql<Person>`
    select ${COLUMNS}, '' as cursor
    from (
      select l.* from leads l where l.id in (${matching(tenantId, written)})
      order by greatest(l.heard_at, l.created_at) desc, l.id desc
      limit ${MAX_FOUND}) l
    ${FACTS}
    order by greatest(wrote.at, k.called_at, l.created_at) desc, l.id desc`.execute(trx)
  return rows
}

export type PeopleFilter = {
  tenantId: string
  state: LeadState | null
  /** `none` = no outcome yet. */
  outcome: Outcome | 'none' | null
  /** Null = whether or not they wait. */
  waiting: boolean | null
  /** As findPeople. */
  written: string | null
  /** A cursor of this list with the same filter. */
  before: string | null
  limit: number
}

/** So many people more are looked at for a page of those who do not wait, because some wait. */
const MARGIN = 20

/**
 * Lists the people of a tenant, the newest lead first. Those who wait come in the order of waitingPeople.
 *
 * @returns `next`: the cursor of the next page, null = there is none. A page may hold fewer than `limit`
 */
export const listPeople = async (
  trx: Trx,
  { tenantId, state, outcome, waiting, written, before, limit }: PeopleFilter,
): Promise<{ people: Person[]; next: string | null }> => {
  const conditions = [
    state !== null && sql`l.state = ${state}`,
    outcome !== null && (outcome === 'none' ? sql`l.outcome is null` : sql`l.outcome = ${outcome}`),
    written !== null && sql`l.id in (${matching(tenantId, written)})`,
  ].filter(condition => condition !== false)
  const where = sql<boolean>`${sql.join([sql`true`, ...conditions], sql` and `)}`
  if (waiting) {
    const people = await waitingPeople(trx, { tenantId, before, limit: limit + 1, where })
    return pageOf(people, limit)
  }
  // Nearly always one of ten waits, or fewer. If more do, the page holds fewer people.
  const batch = waiting === false ? Math.ceil(limit * 1.1) + MARGIN : limit + 1
  const { rows } = await sql<Person>`
    select ${COLUMNS}, l.id::text as cursor
    from (
      select l.* from leads l
      where l.tenant_id + 0 = ${tenantId}::bigint and ${before === null ? sql`true` : sql`l.id < ${before}`} and ${where}
      order by l.id desc limit ${batch}) l
    ${FACTS}
    order by l.id desc`.execute(trx)
  const people = rows.filter(({ waits }) => waiting === null || waits === null)
  if (people.length > limit || rows.length < batch) return pageOf(people, limit)
  return { people, next: rows.at(-1)?.cursor ?? null }
}

const pageOf = (people: Person[], limit: number): { people: Person[]; next: string | null } => ({
  people: people.slice(0, limit),
  next: people.length > limit ? (people[limit - 1]?.cursor ?? null) : null,
})

/**
 * The people with an outcome that was set on or after a day.
 *
 * @param from the day in the time zone `timezone`: 2026-11-30
 * @returns the newest first, at most MAX_FOUND
 */
export const peopleWithOutcome = async (
  trx: Trx,
  wanted: { tenantId: string | null; outcome: Outcome; from: string; timezone: string },
): Promise<Person[]> => {
  const { tenantId, outcome, from, timezone } = wanted
  const { rows } = await sql<Person>`
    select ${COLUMNS}, '' as cursor
    from (
      select * from leads
      where outcome = ${outcome} and outcome_at >= (${from}::date)::timestamp at time zone ${timezone}
        and (${tenantId}::bigint is null or tenant_id = ${tenantId})
      order by outcome_at desc, id desc
      limit ${MAX_FOUND}) l
    ${FACTS}
    order by l.outcome_at desc, l.id desc`.execute(trx)
  return rows
}

/** What only the page of one person shows. */
export type PersonDetails = Person & {
  /** Null = they have not opted out. */
  optOutSource: string | null
  isExcluded: boolean
  exclusionNote: string | null
}

/**
 * One person.
 *
 * @param tenantScope only of this tenant; null = of any
 */
export const findPerson = async (
  trx: Trx,
  leadId: string,
  tenantScope: string | null,
): Promise<PersonDetails | null> => {
  const { rows: keys } = await sql<{ phone: string }>`
    select phone from leads
    where id = ${leadId} ${tenantScope === null ? sql`` : sql`and tenant_id = ${tenantScope}`}`.execute(
    trx,
  )
  const [key] = keys
  if (!key) return null
  const isTheirs = isAbout(key.phone)
  const { rows } = await sql<PersonDetails>`
    select ${COLUMNS}, '' as cursor,
           (select source from opt_outs where tenant_id = l.tenant_id and ${isTheirs} order by id limit 1) as "optOutSource",
           excluded.id is not null as "isExcluded", excluded.note as "exclusionNote"
    from leads l ${FACTS}
    left join lateral (
      select id, note from excluded_numbers where tenant_id = l.tenant_id and ${isTheirs} order by id limit 1) excluded on true
    where l.id = ${leadId}`.execute(trx)
  return rows[0] ?? null
}
