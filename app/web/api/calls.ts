/** /calls: every call, its verdict and its outreach. */
import { type RawBuilder, sql } from 'kysely'
import { z } from 'zod'
import type { Trx } from '../../db/kysely.ts'
import { notFound } from '../../errors.ts'
import type { CallEntry } from '../../outreach/thread.ts'
import {
  CONVERSATION_STATES,
  type ConversationState,
  OUTREACH_STATES,
  type OutreachReason,
  type OutreachState,
} from '../../states.ts'
import {
  CALL_COLUMNS,
  CALL_TABLES,
  callCursor,
  type CallQuery,
  type Condition,
  foundCalls,
  lastLookedAt,
  parseNumber,
} from '../ops/call_search.ts'
import { problem } from './problem.ts'
import {
  id,
  invalidCursor,
  moment,
  pageOf,
  pageQuery,
  plainText,
  route,
  rowId,
  time,
} from './route.ts'

const VERDICTS = ['missed', 'answered', 'not_inbound', 'unmatched_number', 'unknown'] as const

/**
 * A call has the id of its first CDR in raw_cdrs. A call on WhatsApp has no CDR. Its id is the id of its missed call plus
 * this number, which is greater than the id of any CDR.
 */
const WITHOUT_RECORD = 500_000_000_000_000_000n

const idOf = (recordId: string | null, missedId: string | null): string =>
  recordId ?? (WITHOUT_RECORD + BigInt(missedId ?? 0)).toString()

const outcomeFields = {
  verdict: z.enum(VERDICTS).nullable().describe('Null = it is not classified yet.'),
  reason: z.string().nullable().describe('The reason of the verdict.'),
  outreach_state: z
    .enum(OUTREACH_STATES)
    .nullable()
    .describe('The state of the first message. Null = the call was not missed.'),
  outreach_reason: z.string().nullable(),
  conversation_state: z
    .enum(CONVERSATION_STATES)
    .nullable()
    .describe('The state of the conversation after the first message. Null = none was sent.'),
}

const callSchema = z
  .object({
    id: rowId,
    call_id: z.string().describe("Voicenter's id of the call, or WhatsApp's."),
    channel: z.enum(['voicenter', 'whatsapp']),
    called_at: time.describe('When it began. Until the call is classified: when its record came.'),
    received_at: time.nullable().describe('When its first record came. Null = a call on WhatsApp.'),
    caller: z
      .string()
      .nullable()
      .describe(
        'The customer in E.164, also of a call to them. Null = withheld, unreadable or erased.',
      ),
    business_phone: z.string().nullable().describe('The number of the business.'),
    ...outcomeFields,
    outreach_due_at: time.nullable(),
    missed_call_id: rowId.nullable().describe('For /missed-calls. Null = the call was not missed.'),
    lead_id: rowId.nullable(),
    campaign: z
      .record(z.string(), z.string())
      .nullable()
      .describe(
        '`utm_*` and `gclid` of its CustomData. Null = it has none, or its record was deleted.',
      ),
  })
  .meta({ id: 'Call' })

/** A call in the thread of a person. */
export const personCallSchema = z
  .object({
    id: rowId,
    channel: z.enum(['voicenter', 'whatsapp']),
    ...outcomeFields,
    at: time,
  })
  .meta({ id: 'PersonCall' })

const isVerdict = (verdict: string | null): verdict is (typeof VERDICTS)[number] =>
  VERDICTS.some(one => one === verdict)

export const personCall = (call: CallEntry): z.input<typeof personCallSchema> => {
  const { page, verdict } = call
  const isMissedId = page.startsWith('missed/')
  return {
    id: isMissedId ? idOf(null, page.slice('missed/'.length)) : page,
    channel: call.channel,
    verdict: isVerdict(verdict) ? verdict : null,
    reason: call.reason,
    outreach_state: call.outreachState,
    outreach_reason: call.outreachReason,
    conversation_state: call.conversationState,
    at: call.at,
  }
}

export type ApiCallRow = {
  recordId: string | null
  missedId: string | null
  callId: string
  channel: 'voicenter' | 'whatsapp'
  at: Date
  receivedAt: Date | null
  caller: string | null
  businessPhone: string | null
  verdict: string | null
  reason: string | null
  outreachState: OutreachState | null
  outreachReason: OutreachReason | null
  dueAt: Date | null
  conversationState: ConversationState | null
  leadId: string | null
  campaign: Record<string, string> | null
  mark: string
}

/** So many CDRs of a call are searched for its campaign. */
const MAX_RECORDS = 100

/** @param found selects record_id, missed_id, id and at */
export const loadCalls = async (trx: Trx, found: RawBuilder<unknown>): Promise<ApiCallRow[]> => {
  const { rows } = await sql<ApiCallRow>`
    with found as materialized (${found})
    select ${CALL_COLUMNS}, f.record_id as "recordId", m.id as "missedId", coalesce(r.root_call_id, m.call_id) as "callId",
           coalesce(m.source, 'voicenter') as channel, r.received_at as "receivedAt",
           coalesce(m.caller_phone, r.customer_phone) as caller, m.outreach_due_at as "dueAt", m.lead_id as "leadId",
           -- Of several CDRs, the first that has one. Of a call with very many, only some are read.
           (select o.campaign from (
              select id, campaign from raw_cdrs
              where root_call_id = r.root_call_id and tenant_id = r.tenant_id limit ${MAX_RECORDS}) o
            where o.campaign is not null order by o.id limit 1) as campaign
    from ${CALL_TABLES}
    order by f.at desc, f.id desc`.execute(trx)
  return rows
}

const callOf = (row: ApiCallRow): z.input<typeof callSchema> => ({
  id: idOf(row.recordId, row.missedId),
  call_id: row.callId,
  channel: row.channel,
  called_at: row.at,
  received_at: row.receivedAt,
  caller: row.caller,
  business_phone: row.businessPhone,
  verdict: isVerdict(row.verdict) ? row.verdict : null,
  reason: row.reason,
  outreach_state: row.outreachState,
  outreach_reason: row.outreachReason,
  conversation_state: row.conversationState,
  outreach_due_at: row.dueAt,
  missed_call_id: row.missedId,
  lead_id: row.leadId,
  campaign: row.campaign,
})

type Filters = { verdict?: string | undefined; outreach_state?: string | undefined }

const conditionOf = ({ verdict, outreach_state: state }: Filters): Condition => {
  if (state === undefined)
    return {
      of: 'records',
      where: verdict === undefined ? sql`true` : sql`r.verdict = ${sql.lit(verdict)}`,
    }
  const isState = sql<boolean>`m.outreach_state = ${sql.lit(state)}`
  if (verdict === undefined) return { of: 'missed', where: isState }
  const hasVerdict = sql<boolean>`(${verdict === 'missed'} and m.source = 'whatsapp' or exists (
    select from raw_cdrs v
    where v.root_call_id = m.call_id and v.tenant_id = m.tenant_id and v.verdict = ${verdict}))`
  return { of: 'missed', where: isState, rare: hasVerdict }
}

const CALLER = 'A telephone number, or at least its last 4 digits'

const firstRecord = (tenantId: string, where: RawBuilder<unknown>) => sql`
  select r.id as record_id, null::bigint as missed_id, r.id, coalesce(r.called_at, r.received_at) as at
  from raw_cdrs r
  where r.tenant_id = ${tenantId} and ${where}
  order by at, r.id limit 1`

/** @param callId the id of any CDR of the call */
const findCall = async (trx: Trx, tenantId: string, callId: string) => {
  const missedId = BigInt(callId) - WITHOUT_RECORD
  if (missedId < 0n) {
    const root = sql`(select root_call_id from raw_cdrs where id = ${callId} and tenant_id = ${tenantId})`
    return (await loadCalls(trx, firstRecord(tenantId, sql`r.root_call_id = ${root}`))).at(0)
  }
  const found = sql`
    select null::bigint as record_id, id as missed_id, id, called_at as at from missed_calls
    where id = ${missedId.toString()} and tenant_id = ${tenantId}`
  return (await loadCalls(trx, found)).at(0)
}

export const calls = [
  route({
    method: 'get',
    path: '/calls',
    name: 'listCalls',
    summary: 'List all calls',
    description:
      'The newest first. Calls with several records, such as transfers, come once. A page may hold fewer than `limit`: only a `next_cursor` of null means that nothing follows.',
    request: z.object({
      query: z.strictObject({
        ...pageQuery,
        since: moment.optional().describe('Calls that began then or later.'),
        until: moment.optional().describe('Calls that began before.'),
        caller: plainText(100).optional().describe(`${CALLER}.`),
        verdict: z.enum(VERDICTS, VERDICTS.join(', ')).optional(),
        outreach_state: z.enum(OUTREACH_STATES, OUTREACH_STATES.join(', ')).optional(),
      }),
    }),
    answer: pageOf(callSchema),
    act: async (trx, { tenantId }, { query }) => {
      const { since, until, caller, verdict, outreach_state, limit, cursor } = query
      const number = caller === undefined ? null : parseNumber(caller)
      if (number === 'unreadable')
        throw problem('invalid_request', { errors: [{ detail: CALLER, parameter: 'caller' }] })
      const before = cursor === undefined ? null : callCursor.safeParse(cursor).data
      if (before === undefined) throw invalidCursor()
      const wanted: CallQuery = {
        tenantId,
        number,
        since: since ? sql`${since}::timestamptz` : null,
        until: until ? sql`${until}::timestamptz` : null,
        before,
        limit: limit + 1,
      }
      const isMissed = verdict === undefined || verdict === 'missed'
      const condition = conditionOf({ verdict, outreach_state })
      const rows = await loadCalls(trx, foundCalls(condition, isMissed, wanted))
      return {
        data: rows.slice(0, limit).map(callOf),
        next_cursor:
          rows.length > limit
            ? (rows[limit - 1]?.mark ?? null)
            : await lastLookedAt(trx, condition, wanted),
      }
    },
  }),
  route({
    method: 'get',
    path: '/calls/{id}',
    name: 'getCall',
    summary: 'Get one call',
    request: z.object({ id }),
    answer: callSchema,
    act: async (trx, { tenantId }, { id: callId }) => {
      const row = await findCall(trx, tenantId, callId)
      if (!row) throw notFound(`call ${callId}`)
      return callOf(row)
    },
  }),
]
