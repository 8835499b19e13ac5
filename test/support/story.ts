/** One customer of one business. Each method is an action of the customer, the business, Voicenter or Meta. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import { answeredPush, callBackPush, type Push, push } from '../../scripts/demo/cdr.ts'
import type { Outcome as Met } from '../../scripts/fake_whatsapp/scripts.ts'
import { business, customer, db, fake, post, work } from './ringback.ts'
import { claim, type Claimed, type Outcome, recorded, send, type Step } from './steps.ts'
import { change, deliver, envelope } from './whatsapp.ts'

export type Story = Awaited<ReturnType<typeof newStory>>

const STEPS: Step[] = ['initial', 'reminder_1', 'reminder_2']

export const newStory = async () => {
  const shop = await business()
  const who = customer()
  const waId = who.e164.slice(1)
  const misses: Push[] = []
  const told: Push[] = []
  const webhooks: unknown[] = []
  let left: { claimed: Claimed; outcome: Outcome } | null = null

  const tell = async (record: Push) => {
    told.push(record)
    assert.equal((await post(record, { token: shop.token })).status, 200)
    await work()
  }
  const hear = async (value: Record<string, unknown>, field?: string) => {
    const body = envelope(change(shop.phoneNumberId, value, field))
    webhooks.push(body)
    assert.equal((await deliver(body)).status, 200)
    await work()
  }
  const write = (text: string) => {
    fake.openWindow({ phone: who.e164, phoneNumberId: shop.phoneNumberId })
    return hear({
      messages: [{ id: `wamid.${randomUUID()}`, from: waId, type: 'text', text: { body: text } }],
    })
  }
  const callIds = async () => {
    const rows = await db
      .selectFrom('missed_calls')
      .select('id')
      .where('tenant_id', '=', shop.tenantId)
      .orderBy('id')
      .execute()
    return rows.map(({ id }) => id)
  }

  const age = async (time: string) => {
    const ago = sql`${time}::interval`
    const { tenantId } = shop
    await sql`update raw_cdrs set received_at = received_at - ${ago}, called_at = called_at - ${ago} where tenant_id = ${tenantId}`.execute(
      db,
    )
    await sql`update missed_calls set called_at = called_at - ${ago}, created_at = created_at - ${ago},
              outreach_due_at = outreach_due_at - ${ago} where tenant_id = ${tenantId}`.execute(db)
    await sql`update messages set created_at = created_at - ${ago}, due_at = due_at - ${ago},
              claimed_at = claimed_at - ${ago}, accepted_at = accepted_at - ${ago} where tenant_id = ${tenantId}`.execute(
      db,
    )
    await sql`update whatsapp_events set received_at = received_at - ${ago} where tenant_id = ${tenantId}`.execute(
      db,
    )
    await sql`select graphile_worker.reschedule_jobs(array[id], run_at := run_at - ${ago}) from graphile_worker.jobs`.execute(
      db,
    )
  }

  return {
    shop,
    who,
    misses,
    told,
    missed: () => {
      const record = push({ caller: who.local, did: shop.did }, 0)
      misses.push(record)
      return tell(record)
    },
    /** Whether a first message for one of the calls is scheduled. */
    isWaiting: async () => {
      const { rows } = await sql`select from missed_calls
        where tenant_id = ${shop.tenantId} and outreach_state = 'scheduled'`.execute(db)
      return rows.length > 0
    },
    answered: () => tell(answeredPush({ caller: who.local, did: shop.did }, 0)),
    calledBack: () => tell(callBackPush({ caller: shop.did, target: waId }, 0)),
    /** A later record shows that someone answered the missed call. */
    answeredAfterAll: (n: number) => {
      const record = misses[n]
      assert.ok(record)
      return tell({ ...record, status: 'ANSWER', targetextension: 'SIP1', duration: 30 })
    },
    /** Voicenter repeats a record. */
    tellAgain: async (n: number) => {
      const record = told[n % told.length]
      if (record) await tell(record)
    },
    /** Meta repeats a webhook. */
    hearAgain: async (n: number) => {
      if (webhooks.length === 0) return
      assert.equal((await deliver(webhooks[n % webhooks.length])).status, 200)
      await work()
    },
    replies: () => write('אני כאן'),
    stops: () => write('הסר'),
    starts: () => write('התחל'),
    prefers: (value: 'stop' | 'resume') =>
      hear({ user_preferences: [{ wa_id: waId, value, id: randomUUID() }] }, 'user_preferences'),
    ownerWrites: () =>
      hear({ message_echoes: [{ id: `wamid.${randomUUID()}`, to: waId }] }, 'smb_message_echoes'),
    /** Meta reports a status of one of the messages. */
    reports: async (n: number, status: string, echo: boolean) => {
      const inbox = fake.inbox(who.e164)
      const message = inbox[n % inbox.length]
      if (!message) return
      const report = {
        id: message.wamid,
        status,
        recipient_id: waId,
        timestamp: String(Math.floor(Date.now() / 1000)),
        pricing: { category: 'utility' },
        ...(status === 'failed' && { errors: [{ code: 131026 }] }),
        ...(echo && { biz_opaque_callback_data: message.biz_opaque_callback_data }),
      }
      await hear({ statuses: [report] })
    },
    operatorCancels: async (n: number) => {
      const ids = await callIds()
      const id = ids[n % ids.length]
      if (id) await sql`select cancel_outreach(${id})`.execute(db)
    },
    /** Sets the outcome of the next send. */
    willMeet: (outcome: Partial<Met> & { kind: Met['kind'] }) => {
      fake.clearScripts()
      fake.script({ to: who.e164, outcome: outcome as Met })
    },
    /** A process claims a due message and dies, before or right after the send. `false` if no message was due. */
    dies: async (when: 'claimed' | 'sent'): Promise<boolean> => {
      for (const id of await callIds())
        for (const step of STEPS) {
          const claimed = await claim(id, step)
          if (!claimed) continue
          if (when === 'sent') left = { claimed, outcome: await send(claimed) }
          return true
        }
      return false
    },
    /** The process is alive after all, and records the outcome late. */
    recordsLate: async () => {
      if (!left) return
      const { claimed, outcome } = left
      left = null
      await recorded(claimed, outcome)
      await work()
    },
    /** Moves all rows this far into the past, and runs the jobs that are due. */
    passes: async (time: string) => {
      await age(time)
      await work()
    },
    /** Moves all rows into the past, and runs no jobs. */
    isAway: age,
    /** The templates on the customer's phone: the id of the message, and the name. */
    templates: () =>
      fake
        .inbox(who.e164)
        .filter(({ template }) => template)
        .map(({ biz_opaque_callback_data: id, template }) => ({ id, name: template?.name })),
  }
}
