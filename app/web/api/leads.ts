/** /leads: the people whose calls were missed, their conversation, and what the business does about them. */
import { sql } from 'kysely'
import { z } from 'zod'
import { phoneHash } from '../../crypto.ts'
import type { Trx } from '../../db/kysely.ts'
import { notFound } from '../../errors.ts'
import {
  markCalledBack,
  noteInput,
  outcomeInput,
  setNote,
  setOutcome,
  undoCalledBack,
} from '../../outreach/lead_actions.ts'
import {
  findPerson,
  listPeople,
  type Person,
  PERSON_CURSOR,
  type PersonDetails,
  REASONS,
} from '../../outreach/people.ts'
import {
  readReplyState,
  REPLY_REFUSALS,
  replyInput,
  sendManual,
} from '../../outreach/reply_by_hand.ts'
import { loadThread, type MessageEntry } from '../../outreach/thread.ts'
import { spellings } from '../../phone.ts'
import {
  addExclusion,
  addOptOut,
  exclusionInput,
  numberOfLead,
  removeExclusion,
  removeOptOut,
} from '../../privacy/do_not_contact.ts'
import {
  INCOMING_STATES,
  LEAD_STATES,
  MESSAGE_KINDS,
  OUTCOMES,
  OUTGOING_STATES,
} from '../../states.ts'
import { personCall, personCallSchema } from './calls.ts'
import {
  type Caller,
  checked,
  id,
  invalidCursor,
  key,
  pageOf,
  pageQuery,
  plainText,
  route,
  rowId,
  time,
} from './route.ts'

const leadFields = z.object({
  id: rowId,
  phone: z.string().describe('E.164.'),
  name: z
    .string()
    .nullable()
    .describe('In their WhatsApp profile; null = they have not written yet.'),
  state: z.enum(LEAD_STATES),
  missed_call_count: z.int().describe('How many of their calls were missed, ever.'),
  waiting: z
    .enum(REASONS)
    .nullable()
    .describe(
      'Why they wait for an answer: they wrote, asked for a call, or called. Null = they do not.',
    ),
  waiting_since: time.nullable(),
  unread: z.boolean().describe('The owner has not seen their last message or call.'),
  last_called_at: time.nullable().describe('Their last missed call.'),
  last_wrote_at: time.nullable(),
  window_open_until: time
    .nullable()
    .describe('Until then free text may be sent to them. Null = they have never written.'),
  callback_requested_at: time.nullable().describe('They asked for a call, which is open.'),
  called_back_at: time.nullable(),
  opted_out: z.boolean().describe('They get no automatic messages.'),
  excluded: z.boolean().describe('Staff or a supplier: they never get a message.'),
  outcome: z.enum(OUTCOMES).nullable(),
  outcome_value: z.coerce
    .number()
    .nullable()
    .describe('Of a sale, in the currency of the business.'),
  outcome_at: time.nullable(),
  note: z.string().nullable(),
  created_at: time,
})
const leadSchema = leadFields.meta({ id: 'Lead' })

const messageSchema = z
  .object({
    id: rowId,
    direction: z.enum(['out', 'in']),
    kind: z.enum(MESSAGE_KINDS),
    state: z.enum([...OUTGOING_STATES, ...INCOMING_STATES]),
    reason: z.string().nullable().describe('Why it has this state, where there is a reason.'),
    error_code: z.int().nullable().describe("Meta's code of an error."),
    text: z.string().nullable().describe('Null = it had none, it was deleted, or it is not known.'),
    at: time.describe('When it was received, sent, or is due.'),
  })
  .meta({ id: 'Message' })

const leadDetailsSchema = leadFields
  .extend({
    reply_refusal: z
      .enum(REPLY_REFUSALS)
      .nullable()
      .describe('Why a message to them would be refused now; null = it would be sent.'),
    messages: z.array(messageSchema).describe('The newest, oldest first.'),
    calls: z.array(personCallSchema).describe('The newest, oldest first.'),
  })
  .meta({ id: 'LeadDetails' })

/** So many calls and messages together. */
const THREAD_LENGTH = 200

export type ListedRow = { phone: string; optedOut: boolean; excluded: boolean }

/** Which of these numbers are on the lists of people who get no messages. */
export const findListed = async (trx: Trx, tenantId: string, phones: readonly string[]) => {
  const pairs = phones.flatMap(phone =>
    spellings(phone).map(spelling => ({ phone, spelling, hash: phoneHash(spelling) })),
  )
  const listed = (table: 'opt_outs' | 'excluded_numbers') => sql`exists (
    select from ${sql.table(table)} x
    where x.tenant_id = ${tenantId} and (x.phone = p.spelling or x.phone_hash = p.hash))`
  const { rows } = await sql<ListedRow>`
    select p.phone, bool_or(${listed('opt_outs')}) as "optedOut", bool_or(${listed('excluded_numbers')}) as excluded
    from unnest(${pairs.map(pair => pair.phone)}::text[], ${pairs.map(pair => pair.spelling)}::text[],
                ${pairs.map(pair => pair.hash)}::bytea[]) p (phone, spelling, hash)
    group by p.phone`.execute(trx)
  return new Map(rows.map(row => [row.phone, row]))
}

const leadOf = (
  person: Person,
  { optedOut, excluded }: { optedOut: boolean; excluded: boolean },
): z.input<typeof leadSchema> => ({
  id: person.leadId,
  phone: person.phone,
  name: person.name,
  state: person.state,
  missed_call_count: person.calls,
  waiting: person.waits,
  waiting_since: person.waits === null ? null : person.since,
  unread: person.isUnread,
  last_called_at: person.calledAt,
  last_wrote_at: person.wroteAt,
  window_open_until: person.windowOpenUntil,
  callback_requested_at: person.callbackRequestedAt,
  called_back_at: person.calledBackAt,
  opted_out: optedOut,
  excluded,
  outcome: person.outcome,
  outcome_value: person.outcomeValue,
  outcome_at: person.outcomeAt,
  note: person.note,
  created_at: person.createdAt,
})

const messageOf = (message: MessageEntry): z.input<typeof messageSchema> => ({
  id: message.id,
  direction: message.direction,
  kind: message.kind,
  state: message.state,
  reason: message.reason,
  error_code: message.errorCode,
  text: message.text,
  at: message.at,
})

const personOf = async (trx: Trx, { tenantId }: Caller, leadId: string): Promise<PersonDetails> => {
  const person = await findPerson(trx, leadId, tenantId)
  if (!person) throw notFound(`lead ${leadId}`)
  return person
}

/** What an action answers. */
const leadNow = async (trx: Trx, caller: Caller, leadId: string) => {
  const person = await personOf(trx, caller, leadId)
  return leadOf(person, { optedOut: person.optOutSource !== null, excluded: person.isExcluded })
}

const noBody = z.object({ id })

export const leads = [
  route({
    method: 'get',
    path: '/leads',
    name: 'listLeads',
    summary: 'List the people whose calls were missed',
    description:
      'The newest person first. With `waiting=true`: those who wrote, then those who asked for a call, then silent callers. A page may hold fewer than `limit`: only a `next_cursor` of null means that nothing follows.',
    request: z.object({
      query: z.strictObject({
        ...pageQuery,
        state: z.enum(LEAD_STATES, LEAD_STATES.join(', ')).optional(),
        outcome: z
          .enum([...OUTCOMES, 'none'], `${OUTCOMES.join(', ')}, none`)
          .optional()
          .describe('`none` = no outcome yet.'),
        waiting: z
          .enum(['true', 'false'], 'true or false')
          .optional()
          .describe('Whether they wait for an answer of the business.'),
        q: plainText(100)
          .optional()
          .describe('In their name, their number, the note, or what they wrote.'),
      }),
    }),
    answer: pageOf(leadSchema),
    act: async (trx, { tenantId }, { query }) => {
      const { state, outcome, waiting, q, cursor, limit } = query
      const isCursor = waiting === 'true' ? PERSON_CURSOR : /^[1-9]\d{0,17}$/
      if (cursor !== undefined && !isCursor.test(cursor)) throw invalidCursor()
      const { people, next } = await listPeople(trx, {
        tenantId,
        state: state ?? null,
        outcome: outcome ?? null,
        waiting: waiting === undefined ? null : waiting === 'true',
        written: q ?? null,
        before: cursor ?? null,
        limit,
      })
      const phones = people.map(({ phone }) => phone)
      const listed = await findListed(trx, tenantId, phones)
      const NOT_LISTED = { optedOut: false, excluded: false }
      return {
        data: people.map(person => leadOf(person, listed.get(person.phone) ?? NOT_LISTED)),
        next_cursor: next,
      }
    },
  }),
  route({
    method: 'get',
    path: '/leads/{id}',
    name: 'getLead',
    summary: 'Get a person with their messages and calls',
    description: `The newest ${THREAD_LENGTH} messages and calls together. Reading is not seeing: the person stays unread.`,
    request: z.object({ id }),
    answer: leadDetailsSchema,
    act: async (trx, caller, { id: leadId }) => {
      const person = await personOf(trx, caller, leadId)
      const thread = await loadThread(trx, person, { before: null, limit: THREAD_LENGTH })
      const reply = await readReplyState(trx, person)
      return {
        ...leadOf(person, {
          optedOut: person.optOutSource !== null,
          excluded: person.isExcluded,
        }),
        reply_refusal: reply?.refusal ?? null,
        messages: thread.flatMap(entry => (entry.type === 'message' ? [messageOf(entry)] : [])),
        calls: thread.flatMap(entry => (entry.type === 'call' ? [personCall(entry)] : [])),
      }
    },
  }),
  route({
    method: 'post',
    path: '/leads/{id}/messages',
    name: 'sendMessage',
    summary: 'Write to a person',
    description:
      'Free text on WhatsApp, within 24 hours after the person wrote or called there (`window_open_until`). It cancels the automatic messages that wait. The message is sent within seconds: `messages` of the person shows what became of it. If WhatsApp’s answer is lost, it is `unknown` and is not sent again.',
    request: z.object({
      id,
      key,
      body: z.strictObject({
        text: replyInput.shape.text.meta({
          minLength: 1,
          description: '1 to 4,096 characters, after white space at both ends is removed.',
        }),
      }),
    }),
    status: 202,
    answer: z.object({ id: rowId, state: z.enum(OUTGOING_STATES) }),
    problems: [...REPLY_REFUSALS, 'key_used'],
    act: async (trx, { tenantId, actor }, { id: leadId, key: given, body }) =>
      // The keys of the page's forms are another set.
      sendManual(trx, actor, { tenantId, leadId, text: body.text, key: `api:${given}` }),
  }),
  route({
    method: 'put',
    path: '/leads/{id}/outcome',
    name: 'setOutcome',
    summary: 'Say what became of a person',
    description:
      'They no longer wait, and what is pending for them is cancelled. Null takes the outcome back. Only `won` may have a value.',
    request: z.object({
      id,
      body: z.strictObject({
        outcome: outcomeInput.shape.outcome,
        value: outcomeInput.shape.value.describe(
          'Of a sale, in the currency of the business, with at most two decimals.',
        ),
      }),
    }),
    answer: leadSchema,
    act: async (trx, caller, { id: leadId, body }) => {
      const wanted = checked(outcomeInput, { tenantId: caller.tenantId, leadId, ...body })
      await setOutcome(trx, caller.actor, wanted)
      return leadNow(trx, caller, leadId)
    },
  }),
  route({
    method: 'put',
    path: '/leads/{id}/called-back',
    name: 'markCalledBack',
    summary: 'Mark a person as called back',
    description:
      'For a call by a phone that Voicenter does not know. It counts as an answered call: what is pending is cancelled.',
    request: noBody,
    answer: leadSchema,
    act: async (trx, caller, { id: leadId }) => {
      await markCalledBack(trx, caller.actor, { tenantId: caller.tenantId, leadId })
      return leadNow(trx, caller, leadId)
    },
  }),
  route({
    method: 'delete',
    path: '/leads/{id}/called-back',
    name: 'undoCalledBack',
    summary: 'Take "called back" back',
    description: 'The person waits again. Cancelled messages stay cancelled.',
    request: noBody,
    answer: leadSchema,
    act: async (trx, caller, { id: leadId }) => {
      await undoCalledBack(trx, caller.actor, { tenantId: caller.tenantId, leadId })
      return leadNow(trx, caller, leadId)
    },
  }),
  route({
    method: 'put',
    path: '/leads/{id}/opt-out',
    name: 'addOptOut',
    summary: 'Send a person no more automatic messages',
    description: 'For a person who asked for that. They get no confirmation.',
    request: noBody,
    answer: leadSchema,
    act: async (trx, caller, { id: leadId }) => {
      const number = await numberOfLead(trx, leadId, caller.tenantId)
      await addOptOut(trx, caller.actor, number)
      return leadNow(trx, caller, leadId)
    },
  }),
  route({
    method: 'delete',
    path: '/leads/{id}/opt-out',
    name: 'removeOptOut',
    summary: 'Remove an opt-out that was set by hand',
    request: noBody,
    answer: leadSchema,
    problems: ['opted_out_by_person'],
    act: async (trx, caller, { id: leadId }) => {
      const number = await numberOfLead(trx, leadId, caller.tenantId)
      await removeOptOut(trx, caller.actor, number)
      return leadNow(trx, caller, leadId)
    },
  }),
  route({
    method: 'put',
    path: '/leads/{id}/exclusion',
    name: 'addExclusion',
    summary: 'Exclude the number of a person',
    description:
      'For staff and suppliers. They never get a message and are not listed as waiting. The body is optional; without a note, an earlier one stays.',
    request: z.object({
      id,
      body: z
        .strictObject({ note: exclusionInput.shape.note.describe('Who it is, in one line.') })
        .optional(),
    }),
    answer: leadSchema,
    act: async (trx, caller, { id: leadId, body }) => {
      const number = await numberOfLead(trx, leadId, caller.tenantId)
      await addExclusion(trx, caller.actor, { ...number, note: body?.note })
      return leadNow(trx, caller, leadId)
    },
  }),
  route({
    method: 'delete',
    path: '/leads/{id}/exclusion',
    name: 'removeExclusion',
    summary: 'End the exclusion of a number',
    request: noBody,
    answer: leadSchema,
    act: async (trx, caller, { id: leadId }) => {
      const number = await numberOfLead(trx, leadId, caller.tenantId)
      await removeExclusion(trx, caller.actor, number)
      return leadNow(trx, caller, leadId)
    },
  }),
  route({
    method: 'put',
    path: '/leads/{id}/note',
    name: 'setNote',
    summary: "Write down the business's own words about a person",
    description: 'They replace the note before. An empty note removes it.',
    request: z.object({
      id,
      body: z.strictObject({
        note: noteInput.shape.note.describe('At most 2,000 characters.'),
      }),
    }),
    answer: leadSchema,
    act: async (trx, caller, { id: leadId, body }) => {
      await setNote(trx, caller.actor, { tenantId: caller.tenantId, leadId, note: body.note })
      return leadNow(trx, caller, leadId)
    },
  }),
]
