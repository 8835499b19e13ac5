import { sql } from 'kysely'
import { addJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import type { Outgoing } from '../whatsapp/client.ts'
import { claimEnds, giveUpIfAbandoned, lockMessage, setMessage } from './ledger.ts'
import { outgoing, type Sender, senderFor } from './sender.ts'

type NoteTask = 'owner_notice' | 'opt_out_confirmation'

type About = {
  mode: string
  /** The owner too can write "stop". */
  opted_out: boolean
  late: boolean
  name: string | null
  phone: string | null
  dialled: string | null
}

/**
 * Claims a message that belongs to no step of a conversation: a notice to the owner, the confirmation of an
 * opt-out. Due at once and worthless later, so it is sent now or not at all.
 *
 * @returns null when there is nothing to send
 */
export const claimNote = async (
  trx: Trx,
  task: NoteTask,
  messageId: string,
): Promise<Outgoing | null> => {
  const note = await lockMessage(trx, messageId)
  if (!note) return null
  if (note.state === 'sending') {
    if (await giveUpIfAbandoned(trx, messageId)) return null
    await addJob(trx, task, messageId, { messageId }, { at: claimEnds(messageId) })
    return null
  }
  if (note.state !== 'scheduled' || !note.to_phone) return null

  const { rows } = await sql<About>`
    select t.mode, exists (select from opt_outs o where o.tenant_id = t.id and o.phone = m.to_phone) as opted_out,
           m.due_at < now() - t.grace as late, l.name, l.phone,
           (select k.business_phone from missed_calls k where k.lead_id = l.id order by k.id desc limit 1) as dialled
    from messages m join tenants t on t.id = m.tenant_id left join leads l on l.id = m.lead_id
    where m.id = ${messageId}`.execute(trx)
  const [about] = rows
  const sender = await senderFor(trx, note.tenant_id, 'owner_notice', {
    connectionId: note.whatsapp_connection_id,
    dialled: about?.dialled ?? null,
  })
  const whyNot = about ? reasonAgainst(task, about, sender) : 'no_connection'
  if (!sender || whyNot) {
    await setMessage(trx, note, whyNot === 'shadow' ? 'shadow' : 'skipped', whyNot)
    return null
  }
  await sql`
    update messages set state = 'sending', claimed_at = now(), attempts = attempts + 1, whatsapp_connection_id = ${sender.connectionId}
    where id = ${messageId}`.execute(trx)
  const text = note.text ?? ''
  const notice = outgoing(sender, messageId, note.to_phone, {
    callerName: about?.name ?? null,
    callerPhone: about?.phone ?? '',
    whatHappened: text,
  })
  return task === 'owner_notice' ? notice : { ...notice, content: { text } }
}

const reasonAgainst = (task: NoteTask, about: About, sender: Sender | null): string | null => {
  if (about.late) return 'too_late'
  if (task === 'owner_notice' && about.opted_out) return 'opted_out'
  if (about.mode === 'paused') return 'tenant_paused'
  if (about.mode === 'shadow') return 'shadow'
  if (!sender) return 'no_connection'
  return task === 'owner_notice' && sender.templatePaused ? 'connection_paused' : null
}
