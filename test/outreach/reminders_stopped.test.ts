/** What ends the reminders: she, the owner or an operator does something, or the business rests. */
import { sql } from 'kysely'
import { test } from 'tap'
import { answeredPush } from '../../scripts/demo/cdr.ts'
import { db, reminderDue } from '../support/ringback.ts'
import { happens } from '../support/whatsapp.ts'
import {
  conversationOf,
  leadsOf,
  messagesAfter,
  requestsOf,
  tell,
  waitingFor,
} from '../tasks/support.ts'
import { addStrayReminders, addStraySilence, contacted, reported, templatesTo } from './support.ts'

type Contacted = Awaited<ReturnType<typeof contacted>>

type Stop = {
  reason: string
  /** What the conversation and the lead are from then on. */
  conversation: string
  lead: string
  act: (who: Contacted) => Promise<unknown>
}
const STOPS: Record<string, Stop> = {
  'she replies': {
    reason: 'replied',
    conversation: 'replied',
    lead: 'replied',
    act: ({ who }) => happens({ kind: 'text', from: who.e164, text: 'מתי אתם פתוחים?' }),
  },
  'she opts out': {
    reason: 'opted_out',
    conversation: 'opted_out',
    lead: 'opted_out',
    act: ({ who }) => happens({ kind: 'text', from: who.e164, text: 'הסר' }),
  },
  'she gets through by phone': {
    reason: 'reached_by_phone',
    conversation: 'reached_by_phone',
    lead: 'reached_by_phone',
    act: ({ shop, who }) => tell(shop.token, answeredPush({ caller: who.local, did: shop.did }, 5)),
  },
  'an operator says so': {
    reason: 'by_operator',
    conversation: 'stopped',
    lead: 'contacted',
    act: async ({ id }) => {
      await sql`select cancel_outreach(${id})`.execute(db)
    },
  },
  'the owner writes by hand': {
    reason: 'owner_replied',
    conversation: 'stopped',
    lead: 'contacted',
    act: ({ who }) => happens({ kind: 'echo', to: who.e164, text: 'כאן נועה' }),
  },
}

for (const [name, { reason, conversation: ended, lead, act }] of Object.entries(STOPS))
  for (const after of [0, 1] as const)
    await test(`when ${name} after reminder ${after}, no other goes out`, async t => {
      const met = await contacted()
      const { shop, who, id, conversation } = met
      await reported(conversation, 'initial', 'delivered')
      if (after) {
        await reminderDue(conversation, 1)
        await reported(conversation, 'reminder_1', 'read')
      }
      const before = templatesTo(who.e164)
      t.equal(before.length, 1 + after)
      await act(met)

      const reminders = (await messagesAfter(id)).filter(([kind]) => kind?.startsWith('reminder'))
      t.strictSame(reminders, [
        after ? ['reminder_1', 'read', null] : ['reminder_1', 'cancelled', reason],
        ['reminder_2', 'cancelled', reason],
      ])
      t.strictSame(await waitingFor(shop.tenantId), [], 'their jobs are gone')
      await addStrayReminders(conversation)
      await addStraySilence(conversation)
      t.match(await conversationOf(id), { state: ended, reason })
      t.match(await leadsOf(shop.tenantId), [{ state: lead }])
      t.strictSame(templatesTo(who.e164), [
        ...before,
        // The confirmation is free text.
        ...(reason === 'opted_out' ? [undefined] : []),
      ])
    })

for (const [mode, state, reason] of [
  ['paused', 'skipped', 'tenant_paused'],
  ['shadow', 'shadow', 'shadow'],
] as const)
  await test(`a tenant that is ${mode} by then sends no reminders`, async t => {
    const { shop, id, conversation } = await contacted()
    await reported(conversation, 'initial', 'read')
    await db.updateTable('tenants').set({ mode }).where('id', '=', shop.tenantId).execute()
    await reminderDue(conversation, 1)
    await reminderDue(conversation, 2)
    t.strictSame((await messagesAfter(id)).slice(1), [
      ['reminder_1', state, reason],
      ['reminder_2', state, reason],
    ])
    t.equal(requestsOf(shop).length, 1)
  })

await test('who opted out in another way gets none', async t => {
  const { shop, who, id, conversation } = await contacted()
  await reported(conversation, 'initial', 'read')
  const operator = { tenant_id: shop.tenantId, phone: who.e164, source: 'operator' }
  await db.insertInto('opt_outs').values(operator).execute()
  await reminderDue(conversation, 1)
  t.strictSame((await messagesAfter(id))[1], ['reminder_1', 'cancelled', 'opted_out'])
  t.equal(requestsOf(shop).length, 1)
})
