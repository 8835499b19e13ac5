/** /webhooks: the addresses that get the events of the tenant. */
import { z } from 'zod'
import { config } from '../../config.ts'
import { checkHost } from '../../events/post.ts'
import { lastAttempts, testEndpoint } from '../../events/deliveries.ts'
import {
  addEndpoint,
  endpointInput,
  listEndpoints,
  MAX_COUNTED,
  newEndpoint,
  removeEndpoint,
} from '../../events/endpoints.ts'
import { DELIVERY_ERRORS, EVENT_TYPES } from '../../states.ts'
import { checked, id, invalidCursor, pageOf, pageQuery, route, rowId, time } from './route.ts'

const eventId = z.string().describe('The id of the event: the header `webhook-id`.')

const attempt = z
  .object({
    event_id: eventId,
    type: z.enum([...EVENT_TYPES, 'webhook.test']),
    at: time.describe('When the attempt began.'),
    status: z
      .int()
      .nullable()
      .describe('The HTTP status of the answer; 2xx = delivered. Null = there is no answer.'),
    error: z
      .enum(DELIVERY_ERRORS)
      .nullable()
      .describe('Why there is no answer. Null, like `status`, while the attempt runs.'),
  })
  .meta({ id: 'DeliveryAttempt' })

const webhook = z
  .object({
    id: rowId,
    url: z.string().meta({ format: 'uri' }),
    events: z.array(z.enum(EVENT_TYPES)),
    state: z.enum(['active', 'disabled']),
    state_reason: z
      .enum(['gone', 'failing'])
      .nullable()
      .describe('Why it is disabled: it answered 410, or all attempts to deliver an event failed.'),
    waiting: z
      .int()
      .min(0)
      .describe(
        `How many events are not delivered yet. ${MAX_COUNTED + 1} = more than ${MAX_COUNTED}.`,
      ),
    last_attempt: attempt
      .nullable()
      .describe('The last attempt to deliver the newest event that was tried. Null = none was.'),
    created_at: time,
  })
  .meta({ id: 'Webhook' })

export const webhooks = [
  route({
    method: 'get',
    path: '/webhooks',
    name: 'listWebhooks',
    summary: 'List the webhooks',
    description: 'The oldest first. A business has at most ten.',
    request: z.object({ query: z.strictObject(pageQuery) }),
    answer: pageOf(webhook),
    act: async (trx, { tenantId }, { query: { limit, cursor } }) => {
      if (cursor !== undefined && !id.safeParse(cursor).success) throw invalidCursor()
      const following = (await listEndpoints(trx, tenantId)).filter(
        ({ endpointId }) => cursor === undefined || BigInt(endpointId) > BigInt(cursor),
      )
      const endpoints = following.slice(0, limit)
      const attempts = await lastAttempts(trx, tenantId)
      const data = endpoints.map(({ endpointId, stateReason, createdAt, ...endpoint }) => {
        const last = attempts.find(one => one.endpointId === endpointId)
        return {
          ...endpoint,
          id: endpointId,
          events: EVENT_TYPES.filter(type => endpoint.events.includes(type)),
          state_reason: stateReason,
          last_attempt: last ? { ...last, event_id: last.webhookId } : null,
          created_at: createdAt,
        }
      })
      const next = following.length > limit ? endpoints.at(-1)?.endpointId : null
      return { data, next_cursor: next ?? null }
    },
  }),
  route({
    method: 'post',
    path: '/webhooks',
    name: 'addWebhook',
    summary: 'Add a webhook',
    description:
      'It gets what happens from now on, by Standard Webhooks. `secret` is the key of the signatures and cannot be read again.',
    request: z.object({
      body: z.strictObject({
        url: newEndpoint.shape.url.meta({
          description:
            'A public https address, without a user name. Outside production, http and addresses of the same machine too.',
          format: 'uri',
        }),
        events: newEndpoint.shape.events.describe('The types of events; by default all.'),
      }),
    }),
    answer: z.object({ id: rowId, secret: z.string().regex(/^whsec_/) }),
    problems: ['too_many_endpoints', 'not_resolved', 'forbidden_address'],
    prepare: ({ body: { url } }) => checkHost(url, config()),
    act: async (trx, { tenantId, actor }, { body }) => {
      const wanted = checked(newEndpoint, { tenantId, ...body })
      const { endpointId, secret } = await addEndpoint(trx, actor, wanted)
      return { id: endpointId, secret }
    },
  }),
  route({
    method: 'post',
    path: '/webhooks/{id}/test',
    name: 'testWebhook',
    summary: 'Send a test event to a webhook',
    description:
      'An event `webhook.test`, sent once and soon, also to a disabled webhook. `last_attempt` in the list of webhooks then shows the result.',
    request: z.object({ id }),
    status: 202,
    answer: z.object({
      id: rowId.describe('The webhook.'),
      event_id: eventId,
    }),
    problems: ['test_running'],
    act: async (trx, { tenantId, actor }, { id: endpointId }) => {
      const key = checked(endpointInput, { tenantId, endpointId })
      const { webhookId } = await testEndpoint(trx, actor, key)
      return { id: endpointId, event_id: webhookId }
    },
  }),
  route({
    method: 'delete',
    path: '/webhooks/{id}',
    name: 'removeWebhook',
    summary: 'Remove a webhook',
    description: 'Events that are not delivered yet are not sent any more.',
    request: z.object({ id }),
    answer: z.object({ id: rowId }),
    act: async (trx, { tenantId, actor }, { id: endpointId }) => {
      await removeEndpoint(trx, actor, checked(endpointInput, { tenantId, endpointId }))
      return { id: endpointId }
    },
  }),
]
