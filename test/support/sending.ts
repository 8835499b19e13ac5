/** A first message that is due, for programs that run beside the test. */
import { sql } from 'kysely'
import { business, type Business, customer, db, fake } from './ringback.ts'
import { due, missedBy } from './steps.ts'
import { requestsOf, runAtOnce, until } from '../tasks/support.ts'

export type Begun = Awaited<ReturnType<typeof dueMessage>>

/** Its job is due. */
export const dueMessage = async (shop?: Business) => {
  shop ??= await business()
  const who = customer()
  const id = await missedBy(shop, who.e164)
  await due(id, 'initial')
  const outreach = async () => {
    const { outreach_state, outreach_reason } = await db
      .selectFrom('missed_calls')
      .select(['outreach_state', 'outreach_reason'])
      .where('id', '=', id)
      .executeTakeFirstOrThrow()
    return `${outreach_state} ${outreach_reason}`
  }
  const key = `lead_outreach:${id}`
  const begin = () => runAtOnce(key)
  return { shop, who, id, key, outreach, begin, received: () => fake.inbox(who.e164).length }
}

/**
 * A worker is sending it now.
 *
 * @param delayMs how long WhatsApp takes to answer; null = it does not answer
 */
export const beingSent = async (delayMs: number | null): Promise<Begun> => {
  const message = await dueMessage()
  fake.script({
    to: message.who.e164,
    outcome: delayMs === null ? { kind: 'hang', accept: true } : { kind: 'accept', delayMs },
  })
  await message.begin()
  await until(() => requestsOf(message.shop).length > 0)
  return message
}

/** As if its sender had died this long ago. */
export const claimedSince = async ({ id }: Begun, seconds: number): Promise<void> => {
  await sql`
    update messages set claimed_at = now() - make_interval(secs => ${seconds})
    where lead_conversation_id in (select id from lead_conversations where missed_call_id = ${id})`.execute(
    db,
  )
}
