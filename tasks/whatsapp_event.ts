import type { Task } from 'graphile-worker'
import { sql } from 'kysely'
import { z } from 'zod'
import { addJob, payloads } from '../app/db/jobs.ts'
import { db, type Trx } from '../app/db/kysely.ts'
import { log } from '../app/log.ts'
import { failpoint } from '../app/failpoints.ts'
import { applyPreference, recordOwnerReply, handleInbound } from '../app/replies/inbound.ts'
import type { Connection } from '../app/replies/contacts.ts'
import { applyStatus } from '../app/messages/statuses.ts'
import {
  echoEvent,
  messageEvent,
  preferenceEvent,
  statusEvent,
  templateEvent,
} from '../app/whatsapp/webhook.ts'
import { templateChanged } from '../app/tenants/templates.ts'

/** How often, and how long, a report waits for the record of the send it may be about. */
const LOOK_AGAIN_SECONDS = 20
const WAIT_MINUTES = 15

type Event = {
  id: string
  tenant_id: string | null
  connection_id: string | null
  waba_id: string | null
  kind: string
  payload: unknown
  is_young: boolean
}

/**
 * One update from WhatsApp: a message, a report, a preference. Whatever follows from it is one transaction
 * with the word of what became of it, so that it happens once. Safe to run twice.
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
      await addJob(
        trx,
        'whatsapp_event',
        eventId,
        { eventId },
        { at: sql<Date>`now() + make_interval(secs => ${LOOK_AGAIN_SECONDS})` },
      )
      return outcome
    }
    const final = outcome === 'later' ? 'no_message' : outcome
    await trx
      .updateTable('whatsapp_events')
      .set({ outcome: final })
      .where('id', '=', eventId)
      .execute()
    return outcome
  })
  failpoint('whatsapp_event:committed')
  log.debug({ eventId, outcome }, 'WhatsApp event')
}

/** Null when it has been handled, or emptied. Its tenant is looked up again: the number may be new. */
const lockEvent = async (trx: Trx, eventId: string): Promise<Event | null> => {
  const { rows } = await sql<Event>`
    update whatsapp_events e set tenant_id = coalesce(e.tenant_id, c.tenant_id)
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
    return read(templateEvent, event, ({ item }) => templateChanged(trx, event.waba_id, item))
  if (!event.tenant_id || !event.connection_id)
    return event.kind === 'other' ? 'kept' : 'number_unknown'
  const door: Connection = { tenantId: event.tenant_id, connectionId: event.connection_id }
  const outcome = await act(trx, door, event)
  // Last, since whoever pauses a connection has locked a lead before.
  if (event.waba_id)
    await trx
      .updateTable('whatsapp_connections')
      .set({ waba_id: event.waba_id })
      .where('id', '=', door.connectionId)
      .where('waba_id', 'is distinct from', event.waba_id)
      .execute()
  return outcome
}

const act = async (trx: Trx, door: Connection, event: Event): Promise<string> => {
  switch (event.kind) {
    case 'message':
      return read(messageEvent, event, message => handleInbound(trx, door, message))
    case 'status':
      return read(statusEvent, event, ({ item }) => applyStatus(trx, door, item))
    case 'preference':
      return read(preferenceEvent, event, preference => applyPreference(trx, door, preference))
    case 'echo':
      return read(echoEvent, event, ({ item }) => recordOwnerReply(trx, door, item))
    default:
      return 'kept'
  }
}

/** What does not fit Meta's description is kept, and nothing follows from it. */
const read = async <Shape extends z.ZodType>(
  shape: Shape,
  event: Event,
  act: (update: z.infer<Shape>) => Promise<string>,
): Promise<string> => {
  const { data, success } = shape.safeParse(event.payload)
  if (success) return act(data)
  log.warn({ eventId: event.id, kind: event.kind }, 'a WhatsApp event of an unknown shape')
  return 'unreadable'
}

export default whatsappEvent
