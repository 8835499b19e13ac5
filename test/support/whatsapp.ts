/** WhatsApp in a test: signed webhooks as Meta posts them, and their effects. */
import { createHmac } from 'node:crypto'
import { sql } from 'kysely'
import { asciiJson } from '../../scripts/fake_whatsapp/webhooks.ts'
import {
  APP_SECRET,
  type Business,
  customer,
  db,
  fake,
  VERIFY_TOKEN,
  WHATSAPP,
  work,
} from './ringback.ts'
import { dueSince, miss } from '../tasks/support.ts'

type Played = Parameters<typeof fake.inbound>

/** Posts text or bytes as they are, and any other value as Meta writes JSON. The signature is valid by default. */
export const deliver = async (
  body: unknown,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: unknown }> => {
  const bytes = Buffer.from(
    typeof body === 'string' || body instanceof Uint8Array ? body : asciiJson(body),
  )
  const response = await fetch(WHATSAPP, {
    method: 'POST',
    body: bytes,
    headers: {
      'content-type': 'application/json',
      'x-hub-signature-256': `sha256=${hmac(bytes)}`,
      ...headers,
    },
  })
  return { status: response.status, body: await response.json() }
}

export const hmac = (bytes: Buffer | string): string =>
  createHmac('sha256', APP_SECRET).update(bytes).digest('hex')

/** Meta verifies the callback URL, with this verify token. */
export const verifyCallback = (verifyToken = VERIFY_TOKEN): Promise<boolean> => {
  const { phoneNumberId } = fake.addNumber({ verifyToken, callbackUrl: WHATSAPP })
  return fake.verify(phoneNumberId)
}

/** One change of a POST, for one number. */
export const change = (
  phoneNumberId: string,
  value: Record<string, unknown>,
  field = 'messages',
) => ({ field, value: { metadata: { phone_number_id: phoneNumberId }, ...value } })

export const envelope = (...changes: unknown[]) => ({
  object: 'whatsapp_business_account',
  entry: [{ id: '200', changes }],
})

/** Plays events in the fake WhatsApp, and runs the jobs that follow. */
export const happens = async (...played: Played): Promise<string[]> => {
  const { ids, deliveries } = await fake.inbound(...played)
  for (const { attempts } of deliveries)
    if (attempts[0]?.status !== 200) throw new Error(`not accepted: ${JSON.stringify(attempts)}`)
  await work()
  return ids
}

/** Reports one more status of a message, and runs the jobs that follow. */
export const reports = async (...status: Parameters<typeof fake.sendStatus>): Promise<void> => {
  await fake.sendStatus(...status)
  await work()
}

/** A person whose call was missed and who got the first message. */
export const contacted = async (shop: Business, who = customer()) => {
  const { id, callId } = await miss(shop, who.local)
  await dueSince(id)
  const message = fake.inbox(who.e164).findLast(one => one.phoneNumberId === shop.phoneNumberId)
  return { ...who, id, callId, wamid: message?.wamid ?? '' }
}

export const eventsOf = (tenantId: string | null) =>
  db
    .selectFrom('whatsapp_events')
    .selectAll()
    .where('tenant_id', tenantId === null ? 'is' : '=', tenantId)
    .orderBy('id')
    .execute()

/** `<kind> <outcome>` of each update of a business. They are sorted, because the updates of one POST have no order. */
export const outcomesOf = async ({ tenantId }: Business) =>
  (await eventsOf(tenantId)).map(({ kind, outcome }) => `${kind} ${outcome}`).toSorted()

/** [text, whether the writer is a known lead] of each message to a business. */
export const receivedBy = async ({ tenantId }: Business) => {
  const rows = await db
    .selectFrom('messages')
    .select(['text', 'lead_id'])
    .where('tenant_id', '=', tenantId)
    .where('direction', '=', 'in')
    .orderBy('id')
    .execute()
  return rows.map(({ text, lead_id }) => [text, lead_id !== null])
}

export const optOutsOf = async ({ tenantId }: Business) => {
  const rows = await db
    .selectFrom('opt_outs')
    .select(['phone', 'source'])
    .where('tenant_id', '=', tenantId)
    .orderBy('id')
    .execute()
  return rows.map(({ phone, source }) => [phone, source])
}

/** The state of a lead, its last call and its last conversation: [lead, call, conversation]. */
export const storyOf = async ({ tenantId }: Business, phone: string) => {
  const { rows } = await sql<{ lead: string; call: string; conversation: string | null }>`
    select l.state as lead, k.outreach_state || ' / ' || k.outreach_reason as call,
           c.state || ' / ' || coalesce(c.reason, '') as conversation
    from leads l join missed_calls k on k.lead_id = l.id
    left join lead_conversations c on c.missed_call_id = k.id
    where l.tenant_id = ${tenantId} and l.phone = ${phone} order by k.id desc limit 1`.execute(db)
  const [row] = rows
  return [row?.lead, row?.call, row?.conversation ?? null]
}
