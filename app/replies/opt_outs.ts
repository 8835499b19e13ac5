/** "Stop" and "start", as a message or as a setting of WhatsApp. Each function returns the outcome of the event in one word. */
import { sql } from 'kysely'
import type { z } from 'zod'
import { addJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import { lockPeople, peopleOf } from '../db/locks.ts'
import { moveLead } from '../db/transitions.ts'
import { cancelPending, cancelUntil } from '../outreach/cancel.ts'
import { isTakenBack, optedOutBy, optIn, optOut, resume, SWITCH } from '../outreach/opt_outs.ts'
import { resumeLead } from '../outreach/resume.ts'
import { LANGUAGES, OPT_OUT_CONFIRMATIONS } from '../whatsapp/templates.ts'
import type { preferenceEvent } from '../whatsapp/webhook.ts'
import {
  type Connection,
  findLead,
  type Found,
  phonesOfLead,
  idsOf,
  type Writer,
  writerOf,
  writerPhone,
} from './contacts.ts'

/** "Stop" holds for every number of the person. The first one is confirmed. */
export const handleStop = async (
  trx: Trx,
  connection: Connection,
  { leadId, phones }: Found,
  writer: Writer,
): Promise<string> => {
  const [phone] = phones
  if (!phone) return 'unassigned'
  // The lead is locked now. Another transaction may have stored a number while this one waited.
  const all = new Set([...phones, ...(leadId ? await phonesOfLead(trx, leadId) : [])])
  const { tenantId, eventId } = connection
  const isNew = await optOut(trx, tenantId, phone, 'typed', eventId)
  all.delete(phone)
  for (const other of all) await optOut(trx, tenantId, other, 'typed', eventId)
  if (leadId) await cancelPending(trx, leadId, 'opted_out')
  // To the number that they wrote from: its 24-hour window is open, so free text is allowed. Not while another app holds
  // the conversation: with a message of ours we would take it over.
  if (isNew && !connection.isListening)
    await confirmOptOut(trx, connection, leadId, writerPhone(writer) ?? phone)
  return 'opt_out'
}

const confirmOptOut = async (
  trx: Trx,
  { tenantId, connectionId }: Connection,
  leadId: string | null,
  to: string,
): Promise<void> => {
  const { languages } = await trx
    .selectFrom('tenants')
    .select('languages')
    .where('id', '=', tenantId)
    .executeTakeFirstOrThrow()
  const language = LANGUAGES.find(one => one === languages[0]) ?? 'he'
  const { id } = await trx
    .insertInto('messages')
    .values({
      tenant_id: tenantId,
      lead_id: leadId,
      whatsapp_connection_id: connectionId,
      direction: 'out',
      kind: 'opt_out_confirmation',
      state: 'scheduled',
      due_at: sql<Date>`now()`,
      to_phone: to,
      text: OPT_OUT_CONFIRMATIONS[language],
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  await addJob(trx, 'opt_out_confirmation', id, { messageId: id }, { tenantId })
}

/**
 * "Start" takes back any opt-out before it. It is also a reply. A number may have a new owner: a message from it says nothing
 * about the other numbers of its former owner, except the one that their lead has.
 */
export const handleStart = async (
  trx: Trx,
  { tenantId, eventId, happenedAt }: Connection,
  { leadId, phones: all }: Found,
  writer: Writer,
): Promise<string> => {
  const own = writerPhone(writer)
  const phones = own ? [...new Set([...all.slice(0, 1), own])] : all
  if (phones.length === 0) return 'unassigned'
  for (const phone of phones) await optIn(trx, tenantId, phone, eventId)
  for (const phone of phones)
    if ((await optedOutBy(trx, tenantId, phone)) !== null) return 'opt_in_overtaken'
  if (!leadId) return 'opt_in'
  await moveLead(trx, leadId, 'opted_in')
  await cancelUntil(trx, leadId, 'replied', happenedAt)
  return 'opt_in'
}

/**
 * Handles "stop" or "resume" in WhatsApp's own settings. They name marketing messages, but the person means ours. There
 * is no confirmation, since the tap opens no 24-hour window.
 */
export const applyPreference = async (
  trx: Trx,
  { tenantId, eventId }: Connection,
  { item, contacts }: z.infer<typeof preferenceEvent>,
): Promise<string> => {
  const writer = writerOf(null, item.wa_id, item.user_id, ...idsOf(contacts))
  // The order of a "stop" and a "resume" counts, also of a person without a lead that could be locked.
  await lockPeople(trx, peopleOf(tenantId, [writerPhone(writer)]))
  const { leadId, others, phones } = await findLead(trx, tenantId, writer)
  if (phones.length === 0) return 'unassigned'
  if (item.value === 'stop') {
    if (await isTakenBack(trx, eventId)) return 'opt_out_overtaken'
    for (const phone of phones) await optOut(trx, tenantId, phone, SWITCH, eventId)
    for (const id of [...(leadId ? [leadId] : []), ...others])
      await cancelPending(trx, id, 'opted_out')
    return 'opt_out'
  }
  if (item.value !== 'resume') return 'kept'
  let isBack = false
  for (const phone of phones) isBack = (await resume(trx, tenantId, phone, eventId)) || isBack
  // The tenant may have opted out one of their numbers.
  for (const phone of phones) isBack &&= (await optedOutBy(trx, tenantId, phone)) === null
  if (isBack && leadId) await resumeLead(trx, leadId)
  return isBack ? 'opt_in' : 'resumed'
}
