import type { Task } from 'graphile-worker'
import { sql } from 'kysely'
import { z } from 'zod'
import { addJob, payloads, secondsFromNow } from '../app/db/jobs.ts'
import { db, type Trx } from '../app/db/kysely.ts'
import { failpoint } from '../app/failpoints.ts'
import { log } from '../app/log.ts'
import { applyStatus } from '../app/messages/statuses.ts'
import type { Connection } from '../app/replies/contacts.ts'
import { applyPreference, handleInbound, recordOwnerReply } from '../app/replies/inbound.ts'
import { templateChanged } from '../app/tenants/templates.ts'
import {
  echoEvent,
  messageEvent,
  preferenceEvent,
  statusEvent,
  templateEvent,
} from '../app/whatsapp/webhook.ts'

/** How often, and how long, a status waits for its message to be recorded. */
const LOOK_AGAIN_SECONDS = 20
const WAIT_MINUTES = 15

export type Event = {
  id: string
  tenant_id: string | null
  connection_id: string | null
  waba_id: string | null
  kind: string
  payload: unknown
  is_young: boolean
}

/**
 * Handles one event from WhatsApp: a message, a status, a preference. One transaction writes its effects and its outcome,
 * so the effects happen once. Safe to run twice.
 */
const whatsappEvent: Task = async payload => {
  const { eventId } = payloads.whatsapp_event.parse(payload)
  failpoint('whatsapp_event:started')
  const outcome = await db.transaction().execute(async trx => {
    const event = await lockEvent(trx, eventId)
    if (!event) return null
    const outcome = await handle(trx, event)
    failpoint('whatsapp_event:handled')
    if (outcome === 'later' && event.is_young) {
      const at = secondsFromNow(LOOK_AGAIN_SECONDS)
      await addJob(trx, 'whatsapp_event', eventId, { eventId }, { at })
      return outcome
    }
    await trx
      .updateTable('whatsapp_events')
      .set({ outcome: outcome === 'later' ? 'no_message' : outcome })
      .where('id', '=', eventId)
      .execute()
    return outcome
  })
  failpoint('whatsapp_event:committed')
  log.debug({ eventId, outcome }, 'WhatsApp event')
}

/** Null = the event was handled before, or retention emptied it. Finds the tenant, whose number may be new. */
const lockEvent = async (trx: Trx, eventId: string): Promise<Event | null> => {
  const { rows } = await sql<Event>`
    update whatsapp_events e set tenant_id = coalesce(e.tenant_id, c.tenant_id)
    -- The self-join is only for the left join: Postgres allows none with the updated table itself.
    from whatsapp_events same left join whatsapp_connections c on c.phone_number_id = same.phone_number_id
    where e.id = ${eventId} and same.id = e.id and e.outcome is null and e.payload is not null
    returning e.id, e.tenant_id, c.id as connection_id, e.waba_id, e.kind, e.payload,
              e.received_at > now() - make_interval(mins => ${WAIT_MINUTES}) as is_young`.execute(
    trx,
  )
  return rows[0] ?? null
}

const handle = async (trx: Trx, event: Event): Promise<string> => {
  if (event.kind === 'template_status')
    return parse(templateEvent, event, ({ item }) => templateChanged(trx, event.waba_id, item))
  if (!event.tenant_id || !event.connection_id)
    return event.kind === 'other' ? 'kept' : 'number_unknown'
  const connection = { tenantId: event.tenant_id, connectionId: event.connection_id }
  const outcome = await handleFor(trx, connection, event)
  // The connection comes last, since all transactions lock leads before connections (docs/locking.md).
  if (event.waba_id)
    await trx
      .updateTable('whatsapp_connections')
      .set({ waba_id: event.waba_id })
      .where('id', '=', connection.connectionId)
      .where('waba_id', 'is distinct from', event.waba_id)
      .execute()
  return outcome
}

const handleFor = async (trx: Trx, connection: Connection, event: Event): Promise<string> => {
  switch (event.kind) {
    case 'message':
      return parse(messageEvent, event, message => handleInbound(trx, connection, message))
    case 'status':
      return parse(statusEvent, event, ({ item }) => applyStatus(trx, connection, item))
    case 'preference':
      return parse(preferenceEvent, event, change => applyPreference(trx, connection, change))
    case 'echo':
      return parse(echoEvent, event, ({ item }) => recordOwnerReply(trx, connection, item))
    default:
      return 'kept'
  }
}

/** An event that does not match Meta's documentation is stored and has no effect. */
const parse = async <Shape extends z.ZodType>(
  shape: Shape,
  event: Event,
  handler: (update: z.infer<Shape>) => Promise<string>,
): Promise<string> => {
  const { data, success } = shape.safeParse(event.payload)
  if (success) return handler(data)
  log.warn({ eventId: event.id, kind: event.kind }, 'a WhatsApp event in an unknown format')
  return 'unreadable'
}

export default whatsappEvent
