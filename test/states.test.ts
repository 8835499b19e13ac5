/** The state machine, the check constraints of the database and the diagrams of docs/states.md say the same. */
import { readFileSync } from 'node:fs'
import { sql } from 'kysely'
import t from 'tap'
import { moveCall, moveCalls, moveMessage } from '../app/db/transitions.ts'
import {
  CONVERSATION_KINDS,
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
  return [...(rows[0]?.definition ?? '').matchAll(/'(\w+)'::text/g)].map(([, text = '']) => text)
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
