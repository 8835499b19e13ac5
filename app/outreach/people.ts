import { type RawBuilder, sql } from 'kysely'
import type { Trx } from '../db/kysely.ts'
import type {
  ConversationReason,
  ConversationState,
  LeadState,
  Outcome,
  OutreachReason,
  OutreachState,
} from '../states.ts'
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

/** When the tenant last marked lead "l" as called back, or gave it an outcome. Null = never. */
const MARKED_AT = sql`greatest(l.called_back_at, l.outcome_at)`

/** Of messages "s": the tenant wrote it by hand, here or in WhatsApp itself. */
const IS_WRITTEN = sql`s.kind = 'manual' and s.state not in ('cancelled', 'skipped', 'failed')`
const WRITTEN_AT = sql`coalesce(s.claimed_at, s.created_at)`

/** The facts about each lead "l". Times that are not known are -infinity. */
export const FACTS = sql`
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
    coalesce((select max(${WRITTEN_AT}) from messages s where s.lead_id = l.id and ${IS_WRITTEN}), '-infinity') as written_at,
    coalesce(${talkedAt(sql`least(wrote.at, k.called_at, l.callback_requested_at)`)}, '-infinity') as talked_at,
    coalesce((select max(o.repeated_at) from opt_outs o
      where o.tenant_id = l.tenant_id and o.phone in ${THEIR_NUMBERS}), '-infinity') as opted_out_at,
    exists (
      select from excluded_numbers x
      -- A hash cannot be compared here, but the decision about the call has done so.
      where x.tenant_id = l.tenant_id and (x.phone in ${THEIR_NUMBERS}
        or (x.phone is null and k.outreach_reason = 'excluded'))) as is_excluded
    -- Or Postgres would compute these for each place that names them.
    offset 0) known
  cross join lateral (select case
    when known.is_excluded or l.later_until > now() then null
    when wrote.at > greatest(${MARKED_AT}, known.talked_at, known.written_at, known.opted_out_at, l.callback_requested_at)
      then 'wrote'
    -- A written answer does not close a request for a call.
    when l.callback_requested_at > greatest(known.talked_at, known.opted_out_at) then 'asked'
    when k.called_at > now() - ${CALLED_WITHIN} and k.called_at > greatest(${MARKED_AT}, known.talked_at, known.written_at)
      and (k.called_at > known.opted_out_at or k.outreach_reason = 'opted_out')
      and 'owner_replied' not in (k.outreach_reason, coalesce(c.reason, ''))
      -- The only trace of a call that was not missed after all. The undo of "called back" leaves it too.
      and ('reached_by_phone' not in (k.outreach_reason, coalesce(c.reason, '')) or l.reopened_at is not null)
      then 'called'
    end as why
    offset 0) waits`

const since = (why: RawBuilder<unknown>) => sql`case ${why}
  when 'wrote' then wrote.at when 'asked' then l.callback_requested_at when 'called' then k.called_at
  else greatest(wrote.at, k.called_at) end`

/** The columns of a Person, without `cursor`. */
export const COLUMNS = sql`
  l.id as "leadId", l.phone, l.name, l.state, l.outcome, t.id as "tenantId", t.name as tenant, t.timezone, now() as now,
  l.missed_call_count as calls, waits.why as waits, ${since(sql`waits.why`)} as since,
  coalesce(greatest(wrote.at, k.created_at, l.callback_requested_at) > coalesce(l.read_at, '-infinity'), false) as "isUnread",
  wrote.at as "wroteAt", wrote.text, k.called_at as "calledAt", k.id as "missedCallId",
  k.outreach_state as "outreachState", k.outreach_reason as "outreachReason",
  c.state as "conversationState", c.reason as "conversationReason",
  l.outcome_value::text as "outcomeValue", l.outcome_at as "outcomeAt", l.note, l.called_back_at as "calledBackAt",
  l.callback_requested_at as "callbackRequestedAt", l.heard_at + interval '24 hours' as "windowOpenUntil",
  l.created_at as "createdAt"`

/** The tenant has not written to lead "l" since. */
const notWrittenSince = (at: RawBuilder<unknown>) => sql`not exists (
  select from messages s where s.lead_id = l.id and ${IS_WRITTEN} and ${WRITTEN_AT} > ${at})`

/**
 * The people who may have a reason to wait, by the column that orders them. An index holds both. Those who were marked or
 * written to since are left out at once: FACTS would leave them out too, but it costs much more for each, and they are the most.
 */
const CANDIDATES: Record<WaitReason, { from: RawBuilder<unknown>; at: RawBuilder<unknown> }> = {
  wrote: {
    from: sql`leads l where l.heard_at > now() - ${WROTE_WITHIN} and (${MARKED_AT} is null or exists (
      select from messages s where s.lead_id = l.id and s.direction = 'in' and s.created_at > ${MARKED_AT}))
      and ${notWrittenSince(sql`l.heard_at`)}`,
    at: sql`l.heard_at`,
  },
  asked: {
    from: sql`leads l where l.callback_requested_at is not null`,
    at: sql`l.callback_requested_at`,
  },
  called: {
    from: sql`missed_calls q join leads l on l.id = q.lead_id
      where q.called_at > now() - ${CALLED_WITHIN} and (${MARKED_AT} is null or q.called_at > ${MARKED_AT})
        and ${notWrittenSince(sql`q.called_at`)} and not exists (
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
