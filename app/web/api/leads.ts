/** /leads: the people whose calls were missed, and their conversation. */
import { z } from 'zod'
import type { Trx } from '../../db/kysely.ts'
import { notFound } from '../../errors.ts'
import { findListed } from '../../outreach/exclusions.ts'
import { type Person, PERSON_CURSOR, REASONS } from '../../outreach/people.ts'
import { findPerson, listPeople, type PersonDetails } from '../../outreach/people_search.ts'
import {
  readReplyState,
  REPLY_REFUSALS,
  replyInput,
  sendManual,
} from '../../outreach/reply_by_hand.ts'
import { loadThread, type MessageEntry } from '../../outreach/thread.ts'
import {
  INCOMING_STATES,
  LEAD_STATES,
  MESSAGE_KINDS,
  OUTCOMES,
  OUTGOING_STATES,
} from '../../states.ts'
import { personCall, personCallSchema } from './calls.ts'
import {
  type Client,
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
    .describe('From their WhatsApp profile; null = they have not written yet.'),
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
  callback_requested_at: time
    .nullable()
    .describe('When they asked for a call. Null = no request is open.'),
  called_back_at: time.nullable(),
  opted_out: z.boolean().describe('They get no automatic messages.'),
  excluded: z.boolean().describe('Staff or a supplier: they never get a message.'),
  outcome: z.enum(OUTCOMES).nullable(),
  outcome_value: z.coerce
    .number()
    .nullable()
    .describe('The amount of the sale, in the currency of the business.'),
  outcome_at: time.nullable(),
  note: z.string().nullable(),
  created_at: time,
})
export const leadSchema = leadFields.meta({ id: 'Lead' })

const messageSchema = z
  .object({
    id: rowId,
    direction: z.enum(['out', 'in']),
    kind: z.enum(MESSAGE_KINDS),
    state: z.enum([...OUTGOING_STATES, ...INCOMING_STATES]),
    reason: z.string().nullable().describe('Why it has this state; null = without a reason.'),
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

/** The most calls and messages of one answer, counted together. */
const THREAD_LENGTH = 200

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

const personOf = async (trx: Trx, { tenantId }: Client, leadId: string): Promise<PersonDetails> => {
  const person = await findPerson(trx, leadId, tenantId)
  if (!person) throw notFound(`lead ${leadId}`)
  return person
}

/** The lead as it is now: the answer of an action. */
export const leadNow = async (trx: Trx, client: Client, leadId: string) => {
  const person = await personOf(trx, client, leadId)
  return leadOf(person, { optedOut: person.optOutSource !== null, excluded: person.isExcluded })
}

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
          .describe('A part of their name, their number, the note or a message of theirs.'),
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
    description: `The newest ${THREAD_LENGTH} messages and calls together. Reading them does not mark the person as read.`,
    request: z.object({ id }),
    answer: leadDetailsSchema,
    act: async (trx, client, { id: leadId }) => {
      const person = await personOf(trx, client, leadId)
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
      'Free text on WhatsApp, within 24 hours after the person wrote or called there (`window_open_until`). It cancels the automatic messages that wait. The message is sent within seconds: `messages` of the person shows its state. If WhatsApp’s answer is lost, it is `unknown` and is not sent again.',
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
      // So that the key differs from those of the page's forms.
      sendManual(trx, actor, { tenantId, leadId, text: body.text, key: `api:${given}` }),
  }),
]
