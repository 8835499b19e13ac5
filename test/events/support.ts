/** An endpoint of a business: a server that records what it gets. */
import { createHmac } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { sql } from 'kysely'
import t from 'tap'
import { z } from 'zod'
import type { Actor } from '../../app/audit.ts'
import { addEndpoint, newEndpoint } from '../../app/events/endpoints.ts'
import { db } from '../support/ringback.ts'

export const COMMAND_LINE: Actor = { as: 'command line' }

const event = z.strictObject({
  type: z.string(),
  timestamp: z.iso.datetime(),
  data: z.looseObject({ tenant_id: z.string(), reason: z.string().optional() }),
})
export type Received = z.infer<typeof event> & {
  id: string
  timestampHeader: number
  signatures: string[]
  body: string
}

type Answer = (request: IncomingMessage, response: ServerResponse) => void

/** @param answer by default 204 */
export const receiver = async (answer: Answer = (_, response) => response.writeHead(204).end()) => {
  const received: Received[] = []
  let answering = answer
  const take = async (request: IncomingMessage, response: ServerResponse) => {
    const body = await text(request)
    const { headers } = request
    received.push({
      ...event.parse(JSON.parse(body)),
      id: String(headers['webhook-id']),
      timestampHeader: Number(headers['webhook-timestamp']),
      signatures: String(headers['webhook-signature']).split(' '),
      body,
    })
    answering(request, response)
  }
  const server = createServer((request, response) => void take(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = address && typeof address === 'object' ? address.port : 0
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    url: `http://127.0.0.1:${port}/hook`,
    port,
    received,
    /** Ends the connections of the attempts that run. */
    hangUp: () => server.closeAllConnections(),
    types: () => received.map(({ type }) => type),
    answerWith: (next: Answer) => {
      answering = next
    },
    answerStatus: (status: number, headers = {}) => {
      answering = (_, response) => response.writeHead(status, headers).end()
    },
  }
}

/** Adds an endpoint of a business. */
export const endpointOf = (
  { tenantId }: { tenantId: string },
  url: string,
  events?: string[],
): Promise<{ endpointId: string; secret: string }> =>
  db
    .transaction()
    .execute(trx => addEndpoint(trx, COMMAND_LINE, newEndpoint.parse({ tenantId, url, events })))

/** As the receiver of Standard Webhooks computes it, on its own. */
export const signatureBy = (secret: string, { id, timestampHeader, body }: Received): string =>
  `v1,${createHmac('sha256', Buffer.from(secret.replace('whsec_', ''), 'base64'))
    .update(`${id}.${timestampHeader}.${body}`)
    .digest('base64')}`

/** The deliveries to an endpoint, oldest first. */
export const deliveriesTo = (endpointId: string) =>
  db
    .selectFrom('event_deliveries')
    .selectAll()
    .where('event_endpoint_id', '=', endpointId)
    .orderBy('id')
    .execute()

export const endpointRow = (endpointId: string) =>
  db
    .selectFrom('event_endpoints')
    .selectAll()
    .where('id', '=', endpointId)
    .executeTakeFirstOrThrow()

/** As if this time had passed: deliveries that wait are due by so much earlier, and so are their jobs. */
export const later = (endpointId: string, time: string): Promise<void> =>
  db.transaction().execute(async trx => {
    // As an attempt does, which also changes several of these rows.
    await sql`select from event_endpoints where id = ${endpointId} for no key update`.execute(trx)
    await sql`
      update event_deliveries set due_at = due_at - ${time}::interval, claimed_at = claimed_at - ${time}::interval
      where event_endpoint_id = ${endpointId}`.execute(trx)
    await sql`
      select graphile_worker.reschedule_jobs(array[j.id], run_at := j.run_at - ${time}::interval)
      from graphile_worker.jobs j join event_deliveries d on j.key = 'event_delivery:' || d.id
      where d.event_endpoint_id = ${endpointId} and j.locked_at is null`.execute(trx)
  })

/** Lets attempts that wait be made at once. An attempt that is being made keeps its claim. */
export const dueNow = (endpointId: string): Promise<void> =>
  db.transaction().execute(async trx => {
    await sql`select from event_endpoints where id = ${endpointId} for no key update`.execute(trx)
    await sql`
      update event_deliveries set due_at = now()
      where event_endpoint_id = ${endpointId} and state = 'pending' and due_at > now()`.execute(trx)
    await sql`
      select graphile_worker.reschedule_jobs(array[j.id], run_at := now())
      from graphile_worker.jobs j join event_deliveries d on j.key = 'event_delivery:' || d.id
      where d.event_endpoint_id = ${endpointId} and d.state = 'pending' and j.locked_at is null and j.run_at > now()`.execute(
      trx,
    )
  })
