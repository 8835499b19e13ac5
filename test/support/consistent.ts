/** What must hold at the end of a conversation, whatever the order of events was. */
import assert from 'node:assert/strict'
import { sql } from 'kysely'
import { type Business, db, fake, work } from './ringback.ts'
import { type Intrusion, REASON } from './intrude.ts'

type Story = { phone: string; missedCallId: string }
type Row = {
  lead: string
  call: string
  call_reason: string
  conversation_id: string | null
  conversation: string | null
  conversation_reason: string | null
  opted_out: boolean
}

const CONVERSATION: Record<string, string> = {
  replied: 'replied',
  opted_out: 'opted_out',
  reached_by_phone: 'reached_by_phone',
  owner_replied: 'stopped',
  by_operator: 'stopped',
  undeliverable: 'stopped',
}
/** The state of the missed call, by the state of its first message. */
const CALL: Record<string, string> = {
  sending: 'sending',
  accepted: 'sent',
  sent: 'sent',
  delivered: 'sent',
  read: 'sent',
  failed: 'failed',
  unknown: 'unknown',
  cancelled: 'cancelled',
  scheduled: 'scheduled',
}

/** Runs everything that is due, also what the sweep would find, and stray jobs. */
const workOff = async ({ missedCallId }: Story): Promise<void> => {
  await sql`update missed_calls set outreach_due_at = now() where id = ${missedCallId} and outreach_state = 'scheduled'`.execute(
    db,
  )
  await sql`update messages set due_at = now() where state = 'scheduled' and lead_conversation_id in (
    select id from lead_conversations where missed_call_id = ${missedCallId})`.execute(db)
  await sql`
    select graphile_worker.add_job('lead_outreach', json_build_object(
      'tenantId', tenant_id::text, 'missedCallId', id::text, 'callerPhone', caller_phone),
      job_key := 'lead_outreach:' || id)
    from missed_calls where id = ${missedCallId}`.execute(db)
  await sql`
    select graphile_worker.add_job('lead_reminder', json_build_object(
      'leadId', lead_id::text, 'leadConversationId', id::text, 'reminderNumber', n),
      job_key := 'lead_reminder:' || id || ':' || n)
    from lead_conversations, generate_series(1, 2) n where missed_call_id = ${missedCallId}`.execute(
    db,
  )
  await work()
}

/** The templates on a phone, and the number of opt-out confirmations. */
const received = (phone: string) => {
  const inbox = fake.inbox(phone)
  const templates = inbox.flatMap(({ template }) => template?.name ?? [])
  return { templates, confirmations: inbox.length - templates.length }
}

/**
 * @param intrusions the events that stopped the conversation
 * @throws AssertionError that names the contradiction
 */
export const assertStopped = async (
  shop: Business,
  story: Story,
  intrusions: Intrusion[],
): Promise<void> => {
  const before = received(story.phone).templates
  await workOff(story)
  const { templates, confirmations } = received(story.phone)
  assert.deepEqual(templates, before, 'nothing is sent after the stop')
  assert.equal(new Set(templates).size, templates.length, `one of a kind: ${templates.join()}`)

  const { rows } = await sql<Row>`
    select l.state as lead, k.outreach_state as call, k.outreach_reason as call_reason,
           c.id as conversation_id, c.state as conversation, c.reason as conversation_reason,
           exists (select from opt_outs o where o.tenant_id = l.tenant_id and o.phone = l.phone) as opted_out
    from missed_calls k join leads l on l.id = k.lead_id
    left join lead_conversations c on c.missed_call_id = k.id
    where k.id = ${story.missedCallId}`.execute(db)
  const [row] = rows
  assert.ok(row)
  const messages = await db
    .selectFrom('messages')
    .select(['kind', 'state', 'reason'])
    .where('lead_conversation_id', '=', row.conversation_id)
    .where('kind', 'in', ['initial', 'reminder_1', 'reminder_2'])
    .execute()
  const about = JSON.stringify({ intrusions, ...row, messages, templates })

  const reasons = intrusions.map(what => REASON[what])
  const initial = messages.find(({ kind }) => kind === 'initial')
  const isTaken = templates.includes('ringback_missed_call')
  assert.ok(!['scheduled', 'sending'].includes(row.call), `call still pending: ${about}`)
  for (const { state } of messages)
    assert.ok(!['scheduled', 'sending'].includes(state), `message still pending: ${about}`)
  assert.equal(row.call, initial ? CALL[initial.state] : 'cancelled', `call and message: ${about}`)
  if (row.call === 'cancelled') {
    assert.equal(isTaken, false, `cancelled, and yet sent: ${about}`)
    assert.ok(reasons.includes(row.call_reason), `why cancelled: ${about}`)
  } else if (row.call === 'sent' || row.call === 'unknown')
    assert.equal(isTaken, true, `not sent: ${about}`)

  if (row.conversation !== null) {
    const reason = row.conversation_reason ?? ''
    assert.equal(row.conversation, CONVERSATION[reason], `conversation: ${about}`)
    // After a cancel, a failed message is not reopened.
    const ends = [...reasons, 'undeliverable', 'by_operator']
    assert.ok(ends.includes(reason), `why it ended: ${about}`)
    if (row.call === 'cancelled') assert.equal(row.call_reason, reason, about)
    for (const message of messages)
      if (message.state === 'cancelled')
        assert.ok([reason, 'undeliverable'].includes(message.reason ?? ''), about)
  }

  const isReached = [row.call_reason, row.conversation_reason].includes('reached_by_phone')
  const isContacted = isTaken && row.call !== 'unknown'
  // A message that was reported as failed may have been accepted first.
  const isNew = row.call === 'failed' ? row.lead === 'new' : !isContacted
  const untouched = isNew ? 'new' : 'contacted'
  assert.equal(
    row.lead,
    intrusions.includes('stop')
      ? 'opted_out'
      : intrusions.includes('reply')
        ? 'replied'
        : isReached
          ? 'reached_by_phone'
          : untouched,
    `lead: ${about}`,
  )
  assert.equal(row.opted_out, intrusions.includes('stop'), `opt-out: ${about}`)
  assert.equal(confirmations, intrusions.includes('stop') ? 1 : 0, `confirmations: ${about}`)

  const { rows: left } = await sql<{ key: string }>`
    select key from graphile_worker.jobs
    where key = ${`lead_outreach:${story.missedCallId}`}
       or key like ${`lead_reminder:${row.conversation_id}:%`}`.execute(db)
  assert.deepEqual(left, [], `jobs left: ${about}`)
}
