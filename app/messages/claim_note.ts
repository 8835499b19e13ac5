import { sql } from 'kysely'
import { addJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import type { Outgoing } from '../whatsapp/client.ts'
import { claimEnds, expireClaim, lockMessage, type Message, setMessage } from './states.ts'
import { buildMessage, type Sender, senderFor } from './sender.ts'

type NoteTask = 'owner_notice' | 'opt_out_confirmation'

type About = {
  mode: string
  /** The owner too can write "stop". */
  opted_out: boolean
  late: boolean
  name: string | null
  phone: string | null
  dialled: string | null
  now: Date
}

/**
 * Claims a message that belongs to no step of a conversation: a notice to the owner, the confirmation of an
 * opt-out. Due at once and worthless later, so it is sent now or not at all.
 *
 * @returns null when there is nothing to send
 */
export const claimNotice = async (
  trx: Trx,
  task: NoteTask,
  messageId: string,
): Promise<Outgoing | null> => {
  const note = await lockMessage(trx, messageId)
  if (!note) return null
  if (note.state === 'sending') {
    if (await expireClaim(trx, messageId)) return null
    await addJob(trx, task, messageId, { messageId }, { at: claimEnds(messageId) })
    return null
  }
  if (note.state !== 'scheduled' || !note.to_phone) return null

  const { rows } = await sql<About>`
    select t.mode, exists (select from opt_outs o where o.tenant_id = t.id and o.phone = m.to_phone) as opted_out,
           m.due_at < now() - t.grace as late, now() as now,
           -- A notice that is about nobody is about the business itself.
           case when l.id is null then t.name else l.name end as name,
           coalesce(l.phone, (select phone from tenant_numbers n where n.tenant_id = t.id order by n.created_at, phone limit 1)) as phone,
           (select k.business_phone from missed_calls k where k.lead_id = l.id order by k.id desc limit 1) as dialled
    from messages m join tenants t on t.id = m.tenant_id left join leads l on l.id = m.lead_id
    where m.id = ${messageId}`.execute(trx)
  const [about] = rows
  // What is tried is what customers will get, filled in as if the owner had just called.
  const kind = note.is_test ? 'initial' : 'owner_notice'
  const sender = await senderFor(trx, note.tenant_id, kind, {
    connectionId: note.whatsapp_connection_id,
    dialled: about?.dialled ?? null,
  })
  const whyNot = about ? reasonAgainst(task, note, about, sender) : 'no_connection'
  if (!about || !sender || whyNot) {
    await setMessage(trx, note, whyNot === 'shadow' ? 'shadow' : 'skipped', whyNot)
    return null
  }
  await sql`
    update messages set state = 'sending', claimed_at = now(), attempts = attempts + 1, whatsapp_connection_id = ${sender.connectionId}
    where id = ${messageId}`.execute(trx)
  const text = note.text ?? ''
  const values = note.is_test
    ? { callerName: null, callerPhone: note.to_phone, calledAt: about.now }
    : { callerName: about.name, callerPhone: about.phone ?? '', whatHappened: text }
  const notice = buildMessage(sender, messageId, note.to_phone, values)
  return task === 'owner_notice' ? notice : { ...notice, content: { text } }
}

const reasonAgainst = (
  task: NoteTask,
  { is_test }: Message,
  about: About,
  sender: Sender | null,
): string | null => {
  if (about.late) return 'too_late'
  if (task === 'owner_notice' && about.opted_out) return 'opted_out'
  // A try is how a business finds out whether it can go live.
  if (about.mode === 'paused' && !is_test) return 'tenant_paused'
  if (about.mode === 'shadow' && !is_test) return 'shadow'
  if (!sender) return 'no_connection'
  return task === 'owner_notice' && sender.templatePaused ? 'connection_paused' : null
}
