import { sql } from 'kysely'
import type { z } from 'zod'
import type { Trx } from '../db/kysely.ts'
import type { echoEvent, preferenceEvent } from '../whatsapp/events.ts'
import { optIn, optOut } from './opt_out.ts'
import { type Door, othersWithHerNumber, phonesOf, type Writer, whoWrote } from './person.ts'
import { stopChase } from '../outreach/stop.ts'

/** What her tap in WhatsApp undoes is what such a tap did; what she typed stays. */
const SOURCE = 'user_preferences'

/**
 * She tapped "stop" or "resume" in WhatsApp itself. It speaks of marketing only, but what she means is us. No
 * confirmation: her tap opens no window.
 */
export const preferenceChanged = async (
  trx: Trx,
  door: Door,
  { item, contacts }: z.infer<typeof preferenceEvent>,
): Promise<string> => {
  const waId = item.wa_id ?? contacts[0]?.wa_id ?? null
  const writer: Writer = {
    context: null,
    waId,
    userId: item.user_id ?? contacts[0]?.user_id ?? null,
  }
  const leadId = await whoWrote(trx, door.tenantId, writer)
  const phones = await phonesOf(trx, leadId, writer)
  if (phones.length === 0) return 'unassigned'
  if (item.value === 'stop') {
    for (const phone of phones) await optOut(trx, door.tenantId, phone, SOURCE)
    const others = await othersWithHerNumber(trx, door.tenantId, leadId, writer)
    for (const id of [...(leadId ? [leadId] : []), ...others]) await stopChase(trx, id, 'opted_out')
    return 'opt_out'
  }
  if (item.value !== 'resume') return 'kept'
  let back = false
  for (const phone of phones) back = (await optIn(trx, door.tenantId, phone, SOURCE)) || back
  if (back && leadId)
    await sql`update leads set state = 'contacted' where id = ${leadId} and state = 'opted_out'`.execute(
      trx,
    )
  return back ? 'opt_in' : 'kept'
}

/** The owner wrote to her by hand, in the WhatsApp Business app: whatever we had in mind would be one too many. */
export const ownerWrote = async (
  trx: Trx,
  door: Door,
  item: z.infer<typeof echoEvent>['item'],
): Promise<string> => {
  const writer: Writer = { context: null, waId: item.to ?? null, userId: item.to_user_id ?? null }
  const leadId = await whoWrote(trx, door.tenantId, writer)
  if (!leadId) return 'unassigned'
  const others = await othersWithHerNumber(trx, door.tenantId, leadId, writer)
  for (const id of [leadId, ...others]) await stopChase(trx, id, 'owner_replied')
  return 'owner_replied'
}
