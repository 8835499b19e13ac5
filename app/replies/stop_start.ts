import { sql } from 'kysely'
import { addJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import { stopChase } from '../outreach/stop.ts'
import { OPT_OUT_CONFIRMATION } from '../whatsapp/templates.ts'
import { optIn, optOut } from './opt_out.ts'
import { type Door, phonesOf, type Writer } from './person.ts'

/** She wrote "stop": never again, under any number she is known by. Confirmed the first time. */
export const stop = async (
  trx: Trx,
  door: Door,
  leadId: string | null,
  writer: Writer,
): Promise<string> => {
  const phones = await phonesOf(trx, leadId, writer)
  const [phone] = phones
  if (!phone) return 'unassigned'
  const isNews = await optOut(trx, door.tenantId, phone, 'typed')
  for (const other of phones.slice(1)) await optOut(trx, door.tenantId, other, 'typed')
  if (leadId) await stopChase(trx, leadId, 'opted_out')
  // To where she wrote from: there the window is open.
  if (isNews) await confirm(trx, door, leadId, phones.at(-1) ?? phone)
  return 'opt_out'
}

/** Once, as free text: her message has opened the window. */
const confirm = async (trx: Trx, door: Door, leadId: string | null, to: string): Promise<void> => {
  const { id } = await trx
    .insertInto('messages')
    .values({
      tenant_id: door.tenantId,
      lead_id: leadId,
      whatsapp_connection_id: door.connectionId,
      direction: 'out',
      kind: 'opt_out_confirmation',
      state: 'scheduled',
      due_at: sql<Date>`now()`,
      to_phone: to,
      text: OPT_OUT_CONFIRMATION,
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  await addJob(trx, 'opt_out_confirmation', id, { messageId: id })
}

/** She wrote "start": she may be written to again, and has of course replied. */
export const start = async (
  trx: Trx,
  door: Door,
  leadId: string | null,
  writer: Writer,
): Promise<string> => {
  for (const phone of await phonesOf(trx, leadId, writer)) await optIn(trx, door.tenantId, phone)
  if (!leadId) return 'opt_in'
  await sql`update leads set state = 'replied' where id = ${leadId} and state = 'opted_out'`.execute(
    trx,
  )
  await stopChase(trx, leadId, 'replied')
  return 'opt_in'
}
