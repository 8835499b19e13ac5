/** The state machine, the check constraints of the database and the diagrams of docs/states.md say the same. */
import { readdirSync, readFileSync } from 'node:fs'
import { sql } from 'kysely'
import t from 'tap'
import { moveCall, moveCalls, moveMessage } from '../app/db/transitions.ts'
import {
  allows,
  CONVERSATION_KINDS,
  CONVERSATION_STATES,
  DELIVERY_ERRORS,
  DELIVERY_STATES,
  ENDPOINT_REASONS,
  EVENT_TYPES,
  HOLDS,
  INCOMING_STATES,
  MACHINES,
  MESSAGE_TRANSITIONS,
  NOTICE_KINDS,
  OUTCOMES,
  OUTGOING_STATES,
  OUTREACH_REASONS,
} from '../app/states.ts'
import { business, customer, db } from './support/ringback.ts'
import { miss } from './tasks/support.ts'

/** The texts in the definition of a check constraint, in order. */
const textsIn = async (constraint: string): Promise<string[]> => {
  const { rows } = await sql<{ definition: string }>`
    select pg_get_constraintdef(oid) as definition from pg_constraint where conname = ${constraint}`.execute(
    db,
  )
  return [...(rows[0]?.definition ?? '').matchAll(/'([\w.]+)'::text/g)].map(([, text = '']) => text)
}

await t.test('the check constraints allow the states of the code and no others', async t => {
  const states = {
    leads_state_known: MACHINES.leads.states,
    leads_outcome_known: OUTCOMES,
    lead_conversations_state_known: MACHINES.lead_conversations.states,
    messages_state_known: [...OUTGOING_STATES, ...INCOMING_STATES],
    messages_kind_known: [...CONVERSATION_KINDS, ...NOTICE_KINDS, 'manual', 'inbound'],
    messages_direction_known: ['out', 'in'],
    missed_calls_hold_known: Object.keys(HOLDS),
    messages_hold_known: Object.keys(HOLDS),
    event_deliveries_state_known: DELIVERY_STATES,
    event_deliveries_error_known: DELIVERY_ERRORS,
    event_endpoints_reason_known: ENDPOINT_REASONS,
    event_endpoints_types_known: EVENT_TYPES,
    events_type_known: [...EVENT_TYPES, 'webhook.test'],
  }
  for (const [constraint, expected] of Object.entries(states))
    t.strictSame((await textsIn(constraint)).toSorted(), expected.toSorted(), constraint)
  const pairs = Object.entries(OUTREACH_REASONS).flatMap(([state, reasons]) =>
    reasons.map(reason => `${state} ${reason}`),
  )
  const texts = await textsIn('missed_calls_outreach_known')
  const allowed = texts.flatMap((state, i) => (i % 2 ? [] : `${state} ${texts[i + 1]}`))
  t.strictSame(allowed.toSorted(), pairs.toSorted())
})

type Machine = (typeof MACHINES)[keyof typeof MACHINES]
/** States that share many transitions are drawn as one. */
const GROUP = MESSAGE_TRANSITIONS.accept.from

/** The diagram of a machine in the language of mermaid. */
const diagramOf = (table: string, { initial, transitions }: Machine): string => {
  const names = new Map<string, string[]>()
  for (const [name, { from, to }] of Object.entries(transitions)) {
    const states: string[] = [...from]
    const isGroup = table === 'messages' && GROUP.every(state => states.includes(state))
    const grouped = isGroup
      ? ['not_accepted', ...states.filter(state => !GROUP.some(one => one === state))]
      : states
    for (const state of grouped) {
      const arrow = `${state} --> ${to}`
      names.set(arrow, [...(names.get(arrow) ?? []), name])
    }
  }
  const group =
    table === 'messages' ? ['state not_accepted {', ...GROUP.map(one => `  ${one}`), '}'] : []
  const lines = [
    ...group,
    ...initial.map(state => `[*] --> ${state}`),
    ...[...names].map(([arrow, events]) => `${arrow}: ${events.join(', ')}`),
  ]
  return ['```mermaid', 'stateDiagram-v2', ...lines.map(line => `  ${line}`), '```'].join('\n')
}

await t.test('docs/states.md draws the transitions of the code', async t => {
  const page = readFileSync(new URL('../docs/states.md', import.meta.url), 'utf8')
  const [, ...sections] = page.split(/^## /m)
  for (const [table, machine] of Object.entries(MACHINES)) {
    const section = sections.find(text => text.startsWith(`\`${table}`)) ?? ''
    const [drawn] = /```mermaid[\s\S]*?```/.exec(section) ?? ['']
    t.equal(drawn, diagramOf(table, machine), table)
  }
})

await t.test('every state can be reached, and every transition names known states', async t => {
  for (const [table, { states, initial, transitions }] of Object.entries(MACHINES)) {
    const all = Object.values(transitions)
    const reached = new Set<string>([...initial, ...all.map(({ to }) => to)])
    t.strictSame([...reached].toSorted(), states.toSorted(), `${table}: reached`)
    for (const { from } of all)
      t.strictSame(
        from.filter((state: string) => !states.some(one => one === state)),
        [],
        table,
      )
  }
})

/** The state after a transition, which changes nothing in a state that does not allow it. */
const after = ({ from, to }: { from: readonly string[]; to: string }, state: string): string =>
  from.includes(state) ? to : state

await t.test('cancel_outreach() in SQL makes the transitions of the code', async t => {
  const shop = await business()
  const { id } = await miss(shop, customer().local)
  await sql`
    with c as (insert into lead_conversations (tenant_id, missed_call_id) values (${shop.tenantId}, ${id}) returning id)
    insert into messages (tenant_id, lead_conversation_id, direction, kind, state, claimed_at)
    select ${shop.tenantId}, id, 'out', 'reminder_1', 'scheduled', now() from c`.execute(db)
  const outreach = Object.entries(OUTREACH_REASONS)
  const { missed_calls, messages, lead_conversations } = MACHINES
  for (const [n, message] of OUTGOING_STATES.entries()) {
    const [call, [reason]] = outreach[n % outreach.length] ?? ['scheduled', ['waiting']]
    for (const conversation of CONVERSATION_STATES)
      for (const why of conversation === 'stopped' ? ['undeliverable', 'opted_out'] : [null]) {
        await sql`update missed_calls set outreach_state = ${call}, outreach_reason = ${reason} where id = ${id}`.execute(
          db,
        )
        await sql`update lead_conversations set state = ${conversation}, reason = ${why} where missed_call_id = ${id}`.execute(
          db,
        )
        await sql`
          update messages set state = ${message} where lead_conversation_id in (
            select id from lead_conversations where missed_call_id = ${id})`.execute(db)
        await sql`select cancel_outreach(${id})`.execute(db)
        const { rows } = await sql`
          select k.outreach_state as call, m.state as message, c.state as conversation, c.reason as why
          from missed_calls k join lead_conversations c on c.missed_call_id = k.id
          join messages m on m.lead_conversation_id = c.id where k.id = ${id}`.execute(db)
        const isFinal = why === 'opted_out'
        const { by_operator } = lead_conversations.transitions
        t.strictSame(rows, [
          {
            call: after(missed_calls.transitions.cancel, call),
            message: after(messages.transitions.cancel, message),
            conversation: isFinal ? conversation : after(by_operator, conversation),
            why: !isFinal && allows<string>(by_operator, conversation) ? 'by_operator' : why,
          },
        ])
      }
  }
})

/** The second one decides a call anew after another CDR has named its caller, and sets the lead's state by its transition. */
const SETTING = ['db/transitions.ts', 'outreach/missed_calls.ts']
const SETS_STATE = [
  /update (?:messages|missed_calls|lead_conversations|leads)\b[^`]*?\bset\b(?:(?!\bwhere\b)[^`])*?\b(?:outreach_)?state = /,
  /updateTable\('(?:messages|missed_calls|lead_conversations|leads)'\)\s*\.set\(\{[^}]*\b(?:outreach_)?state:/,
]

await t.test('only the transitions change a state', t => {
  const app = new URL('../app/', import.meta.url)
  const found = readdirSync(app, { recursive: true, encoding: 'utf8' }).filter(
    file =>
      file.endsWith('.ts') &&
      SETS_STATE.some(pattern => pattern.test(readFileSync(new URL(file, app), 'utf8'))),
  )
  t.strictSame(found.toSorted(), SETTING)
  t.end()
})

await t.test('a transition that the state does not allow throws and changes nothing', async t => {
  const shop = await business()
  const { id } = await miss(shop, customer().local)
  const move = () => db.transaction().execute(trx => moveCall(trx, id, 'lose', 'no_answer'))
  await t.rejects(move(), { message: `missed call ${id}: "lose" is not allowed in its state` })
  const moved = await db
    .transaction()
    .execute(trx => moveCalls(trx, 'retry', 'waiting').where('id', '=', id).executeTakeFirst())
  t.equal(moved.numUpdatedRows, 0n)
  const read = { id: '1', state: 'read', reason: null } as const
  await t.rejects(
    db.transaction().execute(trx => moveMessage(trx, read, 'report_sent')),
    { message: 'message 1 is read: "report_sent" is not allowed' },
  )
})
