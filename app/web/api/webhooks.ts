/** /webhooks: the addresses that get the events of the tenant. */
import { z } from 'zod'
import { config } from '../../config.ts'
import { checkHost } from '../../events/delivery.ts'
import {
  addEndpoint,
  endpointInput,
  listEndpoints,
  MAX_COUNTED,
  newEndpoint,
  removeEndpoint,
  testEndpoint,
} from '../../events/endpoints.ts'
import { EVENT_TYPES } from '../../states.ts'
import { checked, id, invalidCursor, pageOf, pageQuery, route, rowId, time } from './route.ts'

const webhook = z
  .object({
    id: rowId,
    url: z.string(),
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
      const data = endpoints.map(({ endpointId, stateReason, createdAt, ...endpoint }) => ({
        ...endpoint,
        id: endpointId,
        events: EVENT_TYPES.filter(type => endpoint.events.includes(type)),
        state_reason: stateReason,
        created_at: createdAt,
      }))
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
        url: newEndpoint.shape.url.describe('A public https address, without a user name.'),
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
    description: 'An event `webhook.test`, sent once and soon, also to a disabled webhook.',
    request: z.object({ id }),
    status: 202,
    answer: z.object({
      id: rowId.describe('The delivery.'),
      webhook_id: z.string().describe('The header `webhook-id` of the event.'),
    }),
    problems: ['test_running'],
    act: async (trx, { tenantId, actor }, { id: endpointId }) => {
      const key = checked(endpointInput, { tenantId, endpointId })
      const { deliveryId, webhookId } = await testEndpoint(trx, actor, key)
      return { id: deliveryId, webhook_id: webhookId }
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
