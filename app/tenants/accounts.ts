/** Which WhatsApp Business account a number belongs to, and whether Graph confirmed the number. */
import { type Kysely, sql } from 'kysely'
import { decrypt, tokenOwner } from '../crypto.ts'
import type { DB } from '../db/generated.ts'
import { db, type Trx } from '../db/kysely.ts'
import { log } from '../log.ts'
import { readPhone } from '../phone.ts'
import { askGraph, type GraphAnswer } from '../whatsapp/account.ts'

/** Null = Graph did not tell, or in a form that is no number. */
export const displayNumberOf = (answer: GraphAnswer | undefined): string | null => {
  if (answer?.kind !== 'confirmed') return null
  const phone = readPhone(answer.displayNumber)
  return phone.kind === 'number' ? phone.e164 : null
}

/** Why a connection does not send any more: its number has another id now. */
export const NUMBER_MOVED = 'number_moved'

/**
 * Stores what Graph told about a connection. Once the number is confirmed, other connections of this tenant with the same
 * number are retired: a number has one id at a time.
 *
 * @returns the ids of the numbers that were retired
 */
export const storeGraphAnswer = async (
  trx: Trx,
  connectionId: string,
  answer: GraphAnswer,
): Promise<string[]> => {
  const refusal = refusalOf(answer)
  // Without an answer, the one before it still counts.
  await sql`
    update whatsapp_connections set
      checked_at = now(),
      graph_refusal = case when ${answer.kind === 'unconfirmed'} then graph_refusal else ${refusal} end,
      confirmed_at = case when ${answer.kind === 'confirmed'} then now() else confirmed_at end,
      account_confirmed_at = case when ${answer.kind === 'confirmed' && answer.wabaId !== null} then now()
                                  when ${refusal === 'account'} then null else account_confirmed_at end
    where id = ${connectionId}`.execute(trx)
  if (answer.kind !== 'confirmed') return []
  if (answer.wabaId !== null)
    await sql`
      update whatsapp_connections set waba_id = ${answer.wabaId}
      where id = ${connectionId} and waba_id is distinct from ${answer.wabaId}`.execute(trx)
  const displayNumber = displayNumberOf(answer)
  const { rows } = await sql<{ id: string; phone_number_id: string }>`
    update whatsapp_connections old set state = 'paused', state_reason = ${NUMBER_MOVED}
    from whatsapp_connections c
    where c.id = ${connectionId} and old.tenant_id = c.tenant_id and old.id <> c.id
      and old.display_phone_number = coalesce(${displayNumber}, c.display_phone_number)
      and old.state_reason is distinct from ${NUMBER_MOVED}
    returning old.id, old.phone_number_id`.execute(trx)
  // The templates of the old id go on under the new one, unless it has templates of its own.
  for (const { id } of rows)
    await sql`
      insert into whatsapp_templates
        (tenant_id, whatsapp_connection_id, kind, dialled_number, hours, name, language, variables, body, buttons, button_labels)
      select tenant_id, ${connectionId}, kind, dialled_number, hours, name, language, variables, body, buttons, button_labels
      from whatsapp_templates
      where whatsapp_connection_id = ${id}
      on conflict on constraint whatsapp_templates_key do nothing`.execute(trx)
  return rows.map(({ phone_number_id }) => phone_number_id)
}

/** What Graph did not accept. Null = nothing that is clear. */
const refusalOf = (answer: GraphAnswer): 'token' | 'number' | 'account' | null => {
  if (answer.kind === 'refused') return answer.code === 190 ? 'token' : 'number'
  return answer.kind === 'confirmed' && answer.isAccountWrong ? 'account' : null
}

/** What Graph told about one number of a tenant. */
export type AskedNumber = { connectionId: string; accessToken: string; answer: GraphAnswer }

/** Asks Graph about every number of a tenant, five seconds at most. No transaction may be open. */
export const askAboutNumbers = async (
  database: Kysely<DB>,
  tenantId: string,
): Promise<AskedNumber[]> => {
  const { rows } = await sql<Unconfirmed>`
    select id, tenant_id as "tenantId", phone_number_id as "phoneNumberId", access_token as "accessToken",
           waba_id as "wabaId"
    from whatsapp_connections
    where tenant_id = ${tenantId} and state_reason is distinct from ${NUMBER_MOVED} order by id`.execute(
    database,
  )
  return Promise.all(
    rows.map(async ({ id, phoneNumberId, accessToken, wabaId }) => {
      const token = decrypt(accessToken, tokenOwner(tenantId))
      const answer = await askGraph({ phoneNumberId, accessToken: token, wabaId })
      return { connectionId: id, accessToken, answer }
    }),
  )
}

/** Stores these answers, except those about an access token that was replaced meanwhile. */
export const storeAskedNumbers = async (
  trx: Trx,
  asked: readonly AskedNumber[],
): Promise<GraphAnswer[]> => {
  const stored: GraphAnswer[] = []
  for (const { connectionId, accessToken, answer } of asked) {
    const same = await trx
      .selectFrom('whatsapp_connections')
      .select('id')
      .where('id', '=', connectionId)
      .where('access_token', '=', accessToken)
      .forNoKeyUpdate()
      .executeTakeFirst()
    if (!same) continue
    await storeGraphAnswer(trx, connectionId, answer)
    stored.push(answer)
  }
  return stored
}

/** How soon Graph is asked again about a number whose account is not known: sooner if it did not answer. */
const ASK_AGAIN = sql`case when c.confirmed_at is null then interval '10 seconds' else interval '1 hour' end`
/** For one event. */
const MAX_ASKED = 20

/**
 * An update of an account that no connection is known to belong to: asks Graph about the connections without an account.
 * When one turns out to belong to it, a trigger reads such updates again (reread_events in sql/0002_whatsapp.sql).
 *
 * @returns whether one does
 */
export const findUnknownAccount = async (eventId: string): Promise<boolean> => {
  const { rows } = await sql<Unconfirmed>`
    with asked as (
      select c.id from whatsapp_connections c, whatsapp_events e
      where e.id = ${eventId} and e.waba_id is not null and c.waba_id is null
        and not exists (select from whatsapp_connections a where a.waba_id = e.waba_id)
        and coalesce(c.checked_at < now() - ${ASK_AGAIN}, true) and c.state_reason is distinct from ${NUMBER_MOVED}
      order by c.checked_at nulls first, c.id limit ${MAX_ASKED} for update of c skip locked
    )
    update whatsapp_connections c set checked_at = now() from asked where c.id = asked.id
    returning c.id, c.tenant_id as "tenantId", c.phone_number_id as "phoneNumberId", c.access_token as "accessToken",
              (select waba_id from whatsapp_events where id = ${eventId}) as "wabaId"`.execute(db)
  const accounts = await Promise.all(rows.map(confirm))
  return rows.some(({ wabaId }, i) => accounts[i] === wabaId)
}
export type Unconfirmed = {
  id: string
  tenantId: string
  phoneNumberId: string
  accessToken: string
  wabaId: string | null
}

const confirm = async ({ id, tenantId, phoneNumberId, accessToken, wabaId }: Unconfirmed) => {
  try {
    const token = decrypt(accessToken, tokenOwner(tenantId))
    const answer = await askGraph({ phoneNumberId, accessToken: token, wabaId })
    await db.transaction().execute(trx => storeGraphAnswer(trx, id, answer))
    return answer.kind === 'confirmed' ? answer.wabaId : null
  } catch (err) {
    // The update stays stored, and is read when the account becomes known.
    log.warn({ err, connectionId: id }, 'Graph could not be asked about a number')
    return null
  }
}
