/** All people, whether or not they wait: by search, by filter, by outcome, and one person. */
import { type RawBuilder, sql } from 'kysely'
import type { Trx } from '../db/kysely.ts'
import { readPhone, spellings } from '../phone.ts'
import type { LeadState, Outcome } from '../states.ts'
import { isAbout } from './exclusions.ts'
import { COLUMNS, FACTS, type Person, waitingPeople } from './people.ts'

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
