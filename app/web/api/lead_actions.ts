/** The actions on a lead, as on its page: /leads/{id}/outcome, called-back, opt-out, exclusion and note. */
import { z } from 'zod'
import type { Trx } from '../../db/kysely.ts'
import {
  markCalledBack,
  noteInput,
  outcomeInput,
  setNote,
  setOutcome,
  undoCalledBack,
} from '../../outreach/lead_actions.ts'
import {
  addExclusion,
  addOptOut,
  exclusionInput,
  numberOfLead,
  removeExclusion,
  removeOptOut,
} from '../../privacy/do_not_contact.ts'
import { leadNow, leadSchema } from './leads.ts'
import { checked, type Client, type Definition, id, route } from './route.ts'

const onlyId = z.object({ id })

type Action<Request extends typeof onlyId> = Omit<
  Definition<Request, typeof leadSchema>,
  'answer' | 'act'
> & { act: (trx: Trx, client: Client, request: z.infer<Request>) => Promise<unknown> }

/** Runs an action, and answers with the lead as it is after the action. */
const action = <Request extends typeof onlyId>({ act, ...definition }: Action<Request>) =>
  route({
    ...definition,
    answer: leadSchema,
    act: async (trx, client, request) => {
      await act(trx, client, request)
      return leadNow(trx, client, request.id)
    },
  })

export const leadActions = [
  action({
    method: 'put',
    path: '/leads/{id}/outcome',
    name: 'setOutcome',
    summary: 'Set the outcome of a person',
    description:
      'They no longer wait, and their pending messages are cancelled. Null removes the outcome. Only `won` may have a value.',
    request: z.object({
      id,
      body: z.strictObject({
        outcome: outcomeInput.shape.outcome,
        value: outcomeInput.shape.value.describe(
          'The amount of the sale, in the currency of the business, with at most two decimals.',
        ),
      }),
    }),
    act: async (trx, { tenantId, actor }, { id: leadId, body }) =>
      setOutcome(trx, actor, checked(outcomeInput, { tenantId, leadId, ...body })),
  }),
  action({
    method: 'put',
    path: '/leads/{id}/called-back',
    name: 'markCalledBack',
    summary: 'Mark a person as called back',
    description:
      'For a call from a phone that is not connected to Voicenter. It counts as an answered call: pending messages are cancelled.',
    request: onlyId,
    act: (trx, { tenantId, actor }, { id: leadId }) =>
      markCalledBack(trx, actor, { tenantId, leadId }),
  }),
  action({
    method: 'delete',
    path: '/leads/{id}/called-back',
    name: 'undoCalledBack',
    summary: 'Undo "called back"',
    description: 'The person waits again. Cancelled messages stay cancelled.',
    request: onlyId,
    act: (trx, { tenantId, actor }, { id: leadId }) =>
      undoCalledBack(trx, actor, { tenantId, leadId }),
  }),
  action({
    method: 'put',
    path: '/leads/{id}/opt-out',
    name: 'addOptOut',
    summary: 'Opt a person out of automatic messages',
    description: 'For a person who asked for no messages. They get no confirmation.',
    request: onlyId,
    act: async (trx, { tenantId, actor }, { id: leadId }) =>
      addOptOut(trx, actor, await numberOfLead(trx, leadId, tenantId)),
  }),
  action({
    method: 'delete',
    path: '/leads/{id}/opt-out',
    name: 'removeOptOut',
    summary: 'Remove an opt-out that was set by hand',
    request: onlyId,
    problems: ['opted_out_by_person'],
    act: async (trx, { tenantId, actor }, { id: leadId }) =>
      removeOptOut(trx, actor, await numberOfLead(trx, leadId, tenantId)),
  }),
  action({
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
    act: async (trx, { tenantId, actor }, { id: leadId, body }) => {
      const number = await numberOfLead(trx, leadId, tenantId)
      return addExclusion(trx, actor, { ...number, note: body?.note })
    },
  }),
  action({
    method: 'delete',
    path: '/leads/{id}/exclusion',
    name: 'removeExclusion',
    summary: 'End the exclusion of a number',
    request: onlyId,
    act: async (trx, { tenantId, actor }, { id: leadId }) =>
      removeExclusion(trx, actor, await numberOfLead(trx, leadId, tenantId)),
  }),
  action({
    method: 'put',
    path: '/leads/{id}/note',
    name: 'setNote',
    summary: 'Set the note about a person',
    description: 'It replaces the earlier note. An empty note or null removes it.',
    request: z.object({
      id,
      body: z.strictObject({
        note: noteInput.shape.note.nullable().describe('At most 2,000 characters.'),
      }),
    }),
    act: (trx, { tenantId, actor }, { id: leadId, body: { note } }) =>
      setNote(trx, actor, { tenantId, leadId, note: note ?? '' }),
  }),
]
