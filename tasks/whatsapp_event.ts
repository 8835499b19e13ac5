import type { Task } from 'graphile-worker'
import { sql } from 'kysely'
import { z } from 'zod'
import { addJob, EVENT_LANE, type Lane, payloads, secondsFromNow } from '../app/db/jobs.ts'
import { db, type Trx } from '../app/db/kysely.ts'
import { failpoint } from '../app/failpoints.ts'
import { log } from '../app/log.ts'
import { applyStatus } from '../app/messages/statuses.ts'
import type { Connection } from '../app/replies/contacts.ts'
import {
  handleFailed,
  handleInbound,
  JOB_FAILED,
  recordOwnerReply,
} from '../app/replies/inbound.ts'
import { applyPreference } from '../app/replies/opt_outs.ts'
import { handleCall } from '../app/replies/whatsapp_calls.ts'
import { findUnknownAccount, NUMBER_MOVED } from '../app/tenants/accounts.ts'
import { categoryChanged, templateChanged } from '../app/tenants/template_updates.ts'
import {
  callEvent,
  categoryEvent,
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
  owner_phone: string | null
  waba_id: string | null
  /** Whether a connection of this account is known. */
  is_known_account: boolean
  /** Whether the account of some connection is still unknown, because Graph has not told it. */
  is_awaited: boolean
  field: string
  kind: string
  person_ids: string[] | null
  lane: Lane
  sent_at: Date | null
  payload: unknown
  is_young: boolean
  /** It was read before, when its person was unknown. */
  was_unassigned: boolean
  /** It has only user ids of its person, and no number. */
  is_hidden: boolean
  happened_at: Date
  /** It happened more than a minute ago: Meta tries for days, and the event may have waited for its number or for a worker. */
  is_late: boolean
  received_at: Date
}

/**
 * Handles one event from WhatsApp: a message, a status, a preference. One transaction writes its effects and its outcome,
 * so the effects happen once. Safe to run twice.
 */
const whatsappEvent: Task = async payload => {
  const { eventId } = payloads.whatsapp_event.parse(payload)
  failpoint('whatsapp_event:started')
  let outcome = await readEvent(eventId)
  // Graph is asked while no transaction is open.
  const isUnknown = outcome === 'account_unknown' || outcome === 'account_awaited'
  if (isUnknown && (await findUnknownAccount(eventId))) outcome = await readEvent(eventId)
  failpoint('whatsapp_event:committed')
  log.debug({ eventId, outcome }, 'WhatsApp event')
}

/** The outcome of an event if its message or account was not known in time. */
const TOO_LATE: Record<string, string> = {
  later: 'no_message',
  account_awaited: 'account_unknown',
}

/** @returns the outcome; null if it was read before */
const readEvent = (eventId: string): Promise<string | null> =>
  db.transaction().execute(async trx => {
    const event = await lockEvent(trx, eventId)
    if (!event) return null
    const outcome = await handle(trx, event)
    failpoint('whatsapp_event:handled')
    if (TOO_LATE[outcome] !== undefined && event.is_young) {
      await lookAgain(trx, event)
      return outcome
    }
    // Another transaction may be storing the id of its person right now.
    if (outcome === 'unassigned' && event.is_hidden && !event.was_unassigned)
      await lookAgain(trx, event)
    await trx
      .updateTable('whatsapp_events')
      .set({ outcome: TOO_LATE[outcome] ?? outcome })
      .where('id', '=', eventId)
      .execute()
    return outcome
  })

const lookAgain = async (trx: Trx, { id, tenant_id: tenantId, lane }: Event): Promise<void> => {
  const at = secondsFromNow(LOOK_AGAIN_SECONDS)
  await addJob(trx, 'whatsapp_event', id, { eventId: id }, { tenantId, at, lane })
}

/**
 * Null = the event was handled before, or retention emptied it. Finds the tenant, whose number may be new. If the number
 * has moved to another tenant since, the event has no connection any more.
 */
const lockEvent = async (trx: Trx, eventId: string): Promise<Event | null> => {
  const { rows } = await sql<Event>`
    update whatsapp_events e set tenant_id = coalesce(e.tenant_id, c.tenant_id)
    -- The self-join is only for the left join: Postgres allows none with the updated table itself.
    from whatsapp_events same left join whatsapp_connections c
      on c.phone_number_id = same.phone_number_id and c.tenant_id = coalesce(same.tenant_id, c.tenant_id)
      cross join happened_at(same) as happened_at
    where e.id = ${eventId} and same.id = e.id and (e.outcome is null or e.outcome in (${JOB_FAILED}, 'unassigned'))
      and e.payload is not null
    returning e.id, e.tenant_id, c.id as connection_id,
              (select owner_phone from tenants t where t.id = c.tenant_id) as owner_phone, e.waba_id, e.field, e.kind, e.person_ids, e.payload, e.sent_at,
              (select ${EVENT_LANE} from (select e.kind) as told) as lane,
              exists (select from whatsapp_connections a where a.waba_id = e.waba_id) as is_known_account,
              exists (select from whatsapp_connections a where a.waba_id is null and a.confirmed_at is null
                and a.state_reason is distinct from ${NUMBER_MOVED}) as is_awaited,
              e.received_at > now() - make_interval(mins => ${WAIT_MINUTES}) as is_young,
              same.outcome is not null and same.outcome = 'unassigned' as was_unassigned,
              not exists (select from unnest(e.person_ids) as id where id ~ '^[0-9]{7,15}$') as is_hidden,
              happened_at < now() - interval '1 minute' as is_late, happened_at, e.received_at`.execute(
    trx,
  )
  return rows[0] ?? null
}

const handle = async (trx: Trx, event: Event): Promise<string> => {
  if (event.kind === 'template_status' || event.kind === 'template_category') {
    // Graph may tell later which account a number belongs to.
    if (!event.is_known_account) return event.is_awaited ? 'account_awaited' : 'account_unknown'
    return event.kind === 'template_status'
      ? parse(trx, templateEvent, event, ({ item }) => templateChanged(trx, event, item))
      : parse(trx, categoryEvent, event, ({ item }) => categoryChanged(trx, event, item))
  }
  if (!event.tenant_id || !event.connection_id)
    return event.kind === 'other' ? 'kept' : 'number_unknown'
  const connection = {
    tenantId: event.tenant_id,
    eventId: event.id,
    connectionId: event.connection_id,
    ownerPhone: event.owner_phone,
    isListening: event.field === 'standby',
    ...(event.is_late && { happenedAt: event.happened_at }),
  }
  const outcome = await handleFor(trx, connection, event)
  // The connection comes last, since all transactions lock leads before connections (docs/locking.md).
  if (event.waba_id)
    await trx
      .updateTable('whatsapp_connections')
      .set({
        waba_id: event.waba_id,
        account_confirmed_at: sql<Date>`now()`,
        graph_refusal: sql`nullif(graph_refusal, 'account')`,
      })
      .where('id', '=', connection.connectionId)
      .where(
        sql<boolean>`waba_id is distinct from ${event.waba_id} or account_confirmed_at is null`,
      )
      .execute()
  return outcome
}

const handleFor = async (trx: Trx, connection: Connection, event: Event): Promise<string> => {
  switch (event.kind) {
    case 'message':
      return parse(trx, messageEvent, event, message => handleInbound(trx, connection, message))
    case 'status':
      return parse(trx, statusEvent, event, ({ item, contacts }) =>
        applyStatus(trx, connection, item, contacts),
      )
    case 'preference':
      return parse(trx, preferenceEvent, event, change => applyPreference(trx, connection, change))
    case 'echo':
      return parse(trx, echoEvent, event, echo => recordOwnerReply(trx, connection, echo))
    case 'call':
      return parse(trx, callEvent, event, call => handleCall(trx, connection, event, call))
    default:
      return 'kept'
  }
}

/**
 * An event that does not match Meta's documentation is stored. If a person did something, it counts as a reply, because it may
 * say "stop".
 */
const parse = async <Shape extends z.ZodType>(
  trx: Trx,
  shape: Shape,
  event: Event,
  handler: (update: z.infer<Shape>) => Promise<string>,
): Promise<string> => {
  const { data, success } = shape.safeParse(event.payload)
  if (success) return handler(data)
  const { id: eventId, tenant_id: tenantId, kind, person_ids: personIds } = event
  log.warn({ eventId, kind }, 'a WhatsApp event in an unknown format')
  if (tenantId && personIds) await handleFailed(trx, { tenantId, kind, personIds })
  return 'unreadable'
}

export default whatsappEvent
