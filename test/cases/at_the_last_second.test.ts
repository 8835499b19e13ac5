/**
 * She rings back and is answered one second before a message would go out, or in the very moment in which it
 * does: it is cancelled or sent, never both. For each of the three messages. (Case 21)
 */
import { sql } from 'kysely'
import t from 'tap'
import { setTimeout as sleep } from 'node:timers/promises'
import { answeredPush } from '../../scripts/demo/cdr.ts'
import { business, type Business, customer, db, fake, jobDue, work } from '../support/ringback.ts'
import {
  addStrayJobs,
  conversationOf,
  dueSince,
  messagesAfter,
  miss,
  tell,
} from '../tasks/support.ts'
import { addStrayReminders, reported } from '../outreach/support.ts'
import { storyOf } from '../support/whatsapp.ts'

const KINDS = ['initial', 'reminder_1', 'reminder_2'] as const
type Kind = (typeof KINDS)[number]
const TEMPLATE = {
  initial: 'ringback_missed_call',
  reminder_1: 'ringback_reminder_1',
  reminder_2: 'ringback_reminder_2',
}

/** Somebody for whom this message is the next. */
const waitingFor = async (shop: Business, kind: Kind) => {
  const who = customer()
  const { id } = await miss(shop, who.local)
  if (kind === 'initial') return { who, id, conversation: '' }
  await dueSince(id)
  const { id: conversation } = await conversationOf(id)
  await reported(conversation, 'initial', 'delivered')
  if (kind === 'reminder_2') {
    await setDue(id, 'reminder_1', 0)
    await jobDue(`lead_reminder:${conversation}:1`)
    await reported(conversation, 'reminder_1', 'delivered')
  }
  return { who, id, conversation }
}

const setDue = async (id: string, kind: Kind, inSeconds: number) => {
  if (kind === 'initial')
    await sql`update missed_calls set outreach_due_at = now() + make_interval(secs => ${inSeconds})
              where id = ${id}`.execute(db)
  else
    await sql`update messages set due_at = now() + make_interval(secs => ${inSeconds}) where kind = ${kind}
              and lead_conversation_id in (select id from lead_conversations where missed_call_id = ${id})`.execute(
      db,
    )
}
const got = (phone: string, kind: Kind) =>
  fake.inbox(phone).filter(({ template }) => template?.name === TEMPLATE[kind]).length

for (const kind of KINDS) {
  await t.test(`answered a second before the ${kind} message: it is cancelled`, async t => {
    const shop = await business()
    const { who, id, conversation } = await waitingFor(shop, kind)
    await setDue(id, kind, 1)
    await tell(shop.token, answeredPush({ caller: who.local, did: shop.did }, 5))
    await sleep(1100)
    // The moment has come, and jobs with it that nobody took away.
    if (kind === 'initial') await addStrayJobs(id)
    else await addStrayReminders(conversation)
    await work()
    t.equal(got(who.e164, kind), 0)
    const [lead, call, ended] = await storyOf(shop, who.e164)
    t.equal(lead, 'reached_by_phone')
    t.equal(call, kind === 'initial' ? 'cancelled / reached_by_phone' : 'sent / accepted')
    if (kind !== 'initial') t.equal(ended, 'reached_by_phone / reached_by_phone')
    const messages = await messagesAfter(id)
    t.strictSame(
      messages.filter(([, state]) => ['scheduled', 'sending'].includes(state ?? '')),
      [],
      'nothing waits',
    )
  })

  await t.test(
    `answered while the ${kind} message is due: cancelled or sent, never both`,
    async t => {
      const shop = await business()
      for (let round = 0; round < 6; round++) {
        const { who, id, conversation } = await waitingFor(shop, kind)
        await setDue(id, kind, 0)
        const key =
          kind === 'initial'
            ? `lead_outreach:${id}`
            : `lead_reminder:${conversation}:${kind.at(-1)}`
        await Promise.all([
          jobDue(key),
          sleep(round * 5).then(() =>
            tell(shop.token, answeredPush({ caller: who.local, did: shop.did }, 5)),
          ),
        ])
        const state = (await messagesAfter(id)).find(([its]) => its === kind)?.[1] ?? 'cancelled'
        t.ok(['accepted', 'cancelled'].includes(state), state)
        t.equal(got(who.e164, kind), state === 'accepted' ? 1 : 0, `${state}, and so it is`)
        if (conversation) await addStrayReminders(conversation)
        else await addStrayJobs(id)
        await work()
        t.equal(got(who.e164, kind), state === 'accepted' ? 1 : 0, 'and so it stays')
      }
    },
  )
}
