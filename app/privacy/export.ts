/** Exports calls, leads, messages and excluded numbers as CSV for spreadsheets. */
import { stringify } from 'csv-stringify'
import { type Kysely, type RawBuilder, sql } from 'kysely'
import { Readable, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { z } from 'zod'
import { type Actor, audit } from '../audit.ts'
import type { DB } from '../db/generated.ts'
import { notFound } from '../errors.ts'
import { tenantId } from '../tenants/schema.ts'
import { period, periodIn } from './inputs.ts'

export type Row = Record<string, string | null>

/**
 * Writes rows as CSV for Excel: with a byte order mark, without which Excel garbles Hebrew, and with escaped formulas.
 * Reads rows only as fast as `out` accepts them, and ends `out`.
 */
export const writeCsv = async (
  columns: readonly string[],
  rows: AsyncIterable<Row>,
  out: Writable,
): Promise<void> => {
  const lines = stringify({
    header: true,
    columns: [...columns],
    bom: true,
    record_delimiter: 'windows',
    escape_formulas: true,
    cast: { string: text => escapeFormula(text) },
  })
  await pipeline(Readable.from(rows), lines, out)
}

/**
 * Puts an apostrophe before text that a spreadsheet could read as a formula. csv-stringify's escape_formulas checks only
 * the first character, for =, +, -, @, tab, CR and four full-width forms. It misses a sign after a space, a line break or
 * an invisible character, and other Unicode forms. A number in E.164 gets an apostrophe too, so that Excel keeps it as
 * text with its plus and all digits.
 */
export const escapeFormula = (text: string): string => (isDangerous(text) ? `'${text}` : text)

/** Also if the text itself begins with apostrophes, so that every cell can be read back unchanged. */
const isDangerous = (text: string): boolean =>
  /^'*[\t\r\n]|^[\s\p{C}']*[=+\-@\u2212]/u.test(text.normalize('NFKC'))

/** The text before `escapeFormula`. */
export const unescapeFormula = (cell: string): string =>
  cell.startsWith("'") && isDangerous(cell.slice(1)) ? cell.slice(1) : cell

export const EXPORTS = [
  'calls',
  'leads',
  'messages',
  'live_calls',
  'exclusions',
  'campaigns',
  'events',
] as const
type ExportKind = (typeof EXPORTS)[number]

export const COLUMNS: Record<ExportKind, readonly string[]> = {
  calls: [
    'called_at',
    'call_id',
    'verdict',
    'reason',
    'customer_phone',
    'business_phone',
    'status',
    'outreach_state',
    'outreach_reason',
    'outreach_due_at',
    'records',
    'deliveries',
    'received_at',
    'campaign',
  ],
  leads: ['id', 'phone', 'name', 'state', 'missed_call_count', 'last_called_at', 'created_at'],
  messages: [
    'id',
    'created_at',
    'direction',
    'kind',
    'state',
    'reason',
    'phone',
    'name',
    'text',
    'due_at',
    'claimed_at',
    'accepted_at',
    'error_code',
    'price_category',
    'call_id',
  ],
  live_calls: ['received_at', 'call_id', 'phone', 'extension', 'phase', 'is_answered', 'source'],
  exclusions: ['phone', 'note', 'created_at'],
  campaigns: ['source', 'medium', 'campaign', 'answered', 'missed', 'recovered', 'won', 'value'],
  events: ['created_at', 'webhook_id', 'type', 'phone', 'data', 'deliveries', 'delivered'],
}

export type Page = {
  tenantId: string
  timezone: string
  from: Date | null
  before: Date | null
  /** The id of the last row of the previous page. Null: this is the first page. */
  after: string | null
  limit: number
}

/** A moment in the tenant's time zone, in a form that Excel reads as a date in every language. */
const local = (moment: RawBuilder<unknown>, timezone: string) =>
  sql`to_char(${moment} at time zone ${timezone}, 'YYYY-MM-DD HH24:MI:SS')`

const within = (moment: RawBuilder<unknown>, { from, before }: Page) =>
  sql`(${from}::timestamptz is null or ${moment} >= ${from}) and (${before}::timestamptz is null or ${moment} < ${before})`

/** Reads a page: every column as text, and `position`, after which the next page begins. */
export const PAGES: Record<ExportKind, (page: Page) => RawBuilder<Row>> = {
  // A call has the position of its first CDR. A missed call on WhatsApp has none.
  calls: page => {
    const at = sql`coalesce(r.called_at, r.received_at)`
    const [micros, id] = page.after?.split(' ') ?? []
    const isLater = (moment: RawBuilder<unknown>, row: RawBuilder<unknown>) =>
      page.after === null
        ? sql`true`
        : sql`(${moment}, ${row}) > (timestamptz 'epoch' + ${micros}::bigint * interval '1 microsecond', ${id}::bigint)`
    return sql<Row>`
      select (extract(epoch from at) * 1000000)::bigint || ' ' || id as position, ${local(sql`began`, page.timezone)} as called_at,
             call_id, verdict, reason, customer_phone, business_phone, status, outreach_state, outreach_reason,
             ${local(sql`due_at`, page.timezone)} as outreach_due_at, records::text as records,
             deliveries::text as deliveries, ${local(sql`received_at`, page.timezone)} as received_at, campaign::text as campaign
      from (
        (select ${at} as at, r.id, coalesce(m.called_at, r.called_at) as began, r.root_call_id as call_id, r.verdict, r.reason,
                coalesce(m.caller_phone, legs.customer_phone) as customer_phone,
                coalesce(m.business_phone, r.business_phone) as business_phone, m.status, m.outreach_state,
                m.outreach_reason, m.outreach_due_at as due_at, legs.records, legs.deliveries, r.received_at, legs.campaign
         from raw_cdrs r
         left join missed_calls m on m.tenant_id = r.tenant_id and m.call_id = r.root_call_id,
         lateral (
           select count(*) as records, sum(l.deliveries) as deliveries, min(l.customer_phone) as customer_phone, min(l.id) as first,
                  (array_agg(l.campaign order by l.id) filter (where l.campaign is not null))[1] as campaign
           from raw_cdrs l where l.root_call_id = r.root_call_id and l.tenant_id is not distinct from r.tenant_id) as legs
         where r.tenant_id = ${page.tenantId} and legs.first = r.id and ${within(at, page)} and ${isLater(at, sql`r.id`)}
         order by ${at}, r.id limit ${page.limit})
        union all
        (select m.called_at, m.id, m.called_at, m.call_id, 'missed', 'noanswer', m.caller_phone, m.business_phone, m.status,
                m.outreach_state, m.outreach_reason, m.outreach_due_at, 0, 0, m.created_at, null
         from missed_calls m
         where m.tenant_id = ${page.tenantId} and m.source = 'whatsapp' and ${within(sql`m.called_at`, page)}
           and ${isLater(sql`m.called_at`, sql`m.id`)}
         order by m.called_at, m.id limit ${page.limit})) calls
      order by at, id limit ${page.limit}`
  },
  leads: page => sql<Row>`
    select l.id::text as position, l.id::text as id, l.phone, l.name, l.state, l.missed_call_count::text as missed_call_count,
           ${local(sql`(select max(m.called_at) from missed_calls m where m.lead_id = l.id)`, page.timezone)} as last_called_at,
           ${local(sql`l.created_at`, page.timezone)} as created_at
    from leads l
    where l.tenant_id = ${page.tenantId} and l.id > ${page.after ?? 0} and ${within(sql`l.created_at`, page)}
    order by l.id limit ${page.limit}`,
  messages: page => sql<Row>`
    select s.id::text as position, s.id::text as id, ${local(sql`s.created_at`, page.timezone)} as created_at,
           s.direction, s.kind, s.state, s.reason, coalesce(s.to_phone, l.phone, '+' || s.wa_id) as phone, l.name, s.text,
           ${local(sql`s.due_at`, page.timezone)} as due_at, ${local(sql`s.claimed_at`, page.timezone)} as claimed_at,
           ${local(sql`s.accepted_at`, page.timezone)} as accepted_at, s.error_code::text as error_code, s.price_category,
           m.call_id
    from messages s
    left join lead_conversations c on c.id = s.lead_conversation_id
    left join missed_calls m on m.id = c.missed_call_id
    left join leads l on l.id = coalesce(c.lead_id, s.lead_id)
    where s.tenant_id = ${page.tenantId} and s.id > ${page.after ?? 0} and ${within(sql`s.created_at`, page)}
    order by s.id limit ${page.limit}`,
  live_calls: page => sql<Row>`
    select v.id::text as position, ${local(sql`v.received_at`, page.timezone)} as received_at, v.call_id, v.phone,
           v.extension, v.phase, v.is_answered::text as is_answered, v.source
    from live_calls v
    where v.tenant_id = ${page.tenantId} and v.id > ${page.after ?? 0} and ${within(sql`v.received_at`, page)}
    order by v.id limit ${page.limit}`,
  // Of a person who was erased, only a hash is left.
  exclusions: page => sql<Row>`
    select x.id::text as position, x.phone, x.note, ${local(sql`x.created_at`, page.timezone)} as created_at
    from excluded_numbers x
    where x.tenant_id = ${page.tenantId} and x.id > ${page.after ?? 0} and x.phone is not null
      and ${within(sql`x.created_at`, page)}
    order by x.id limit ${page.limit}`,
  campaigns: page => sql<Row>`
    select c.position::text as position, c.source, c.medium, c.campaign, c.answered::text as answered, c.missed::text as missed,
           c.recovered::text as recovered, c.won::text as won, c.value::text as value
    from campaign_report_between(coalesce(${page.from}::timestamptz, '-infinity'), coalesce(${page.before}::timestamptz, 'infinity'),
      ${page.tenantId}) with ordinality as c (tenant_id, source, medium, campaign, answered, missed, recovered, won, value, position)
    where c.position > ${page.after ?? 0}
    order by c.position limit ${page.limit}`,
  events: page => sql<Row>`
    select e.id::text as position, ${local(sql`e.created_at`, page.timezone)} as created_at, e.webhook_id, e.type,
           e.data ->> 'phone' as phone, e.data::text as data, d.deliveries, d.delivered
    from events e, lateral (
      select count(*)::text as deliveries, (count(*) filter (where state = 'delivered'))::text as delivered
      from event_deliveries where event_id = e.id) d
    where e.tenant_id = ${page.tenantId} and e.id > ${page.after ?? 0} and ${within(sql`e.created_at`, page)}
    order by e.id limit ${page.limit}`,
}

export const exportRequest = period
  .extend({
    tenantId,
    what: z.enum(EXPORTS, 'calls, leads, messages, live_calls, exclusions, campaigns or events'),
  })
  .refine(
    wanted => {
      const { from, before } = periodIn('UTC', wanted)
      return !from || !before || from < before
    },
    { path: ['until'], message: 'a day or a moment, not before since' },
  )

/** How many rows one page has. */
const PAGE_SIZE = 1000

/**
 * Writes one of the lists of a tenant as CSV, oldest first. Each page is a short read-only transaction, so a
 * slow reader holds no connection, and the memory does not grow with the number of rows.
 *
 * @param database the pages use the pool for /ops, the command the pool for tasks
 * @returns how many rows
 * @throws UserError if there is no such tenant, before anything is written
 */
export const exportCsv = async (
  database: Kysely<DB>,
  actor: Actor,
  wanted: z.infer<typeof exportRequest>,
  out: Writable,
): Promise<number> => {
  const { tenantId, what, since = null, until = null } = wanted
  const tenant = await database
    .selectFrom('tenants')
    .select('timezone')
    .where('id', '=', tenantId)
    .executeTakeFirst()
  if (!tenant) throw notFound(`tenant ${tenantId}`)
  const { timezone } = tenant
  // Before the first row, so that no export is missing in the audit log.
  await database.transaction().execute(trx =>
    audit(trx, actor, {
      tenantId,
      action: `export.${what}`,
      subject: `tenants ${tenantId}`,
      before: null,
      after: { since, until },
    }),
  )
  const page = { tenantId, timezone, ...periodIn(timezone, wanted) }
  let rows = 0
  const counted = async function* () {
    for await (const row of rowsOf(database, what, page)) {
      rows++
      yield row
    }
  }
  await writeCsv([...COLUMNS[what], 'timezone'], counted(), out)
  return rows
}

async function* rowsOf(
  database: Kysely<DB>,
  what: ExportKind,
  page: Omit<Page, 'after' | 'limit'>,
): AsyncGenerator<Row> {
  let after: string | null = null
  for (;;) {
    const { rows } = await database
      .transaction()
      .setAccessMode('read only')
      .execute(trx => PAGES[what]({ ...page, after, limit: PAGE_SIZE }).execute(trx))
    for (const { position, ...row } of rows) {
      after = position ?? after
      yield { ...row, timezone: page.timezone }
    }
    if (rows.length < PAGE_SIZE) return
  }
}
