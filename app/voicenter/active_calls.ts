/** The last look before a message is sent: asks Voicenter's Active Calls who is on the line. */
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import { z } from 'zod'
import { config } from '../config.ts'
import { callLogOwner, decrypt } from '../crypto.ts'
import { db } from '../db/kysely.ts'
import { log } from '../log.ts'
import { personOf, spellings } from '../phone.ts'
import { ask } from './call_log/client.ts'
import { readActiveCalls, type ReportedLeg } from './live.ts'

/** A message must not wait longer. */
const TIMEOUT_MS = 2000
/** Voicenter asks for so much time between two requests. */
const PAUSE = sql`interval '5 seconds'`
/** The answers of other processes are looked for this often. */
const POLL_MS = 100
/** An extension with a call has about 500 bytes. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024

/**
 * Asks who is on the line, and stores it in `live_calls`, where the claim reads it. All processes together ask once in
 * five seconds for a tenant: the others wait for that answer. It never fails. If Voicenter does not answer, what was known
 * before counts.
 */
export const lookWhoIsOnTheLine = async (tenantId: string): Promise<void> => {
  try {
    if (await mayAsk(tenantId)) await askAndStore(tenantId)
    else await otherAnswer(tenantId)
  } catch (err) {
    log.warn({ err, tenantId }, 'Active Calls were not read')
  }
}

/** Whether this process is the one that asks. */
const mayAsk = async (tenantId: string): Promise<boolean> => {
  const { rows } = await sql`
    insert into active_calls_requests as r (tenant_id, asked_at) values (${tenantId}, now())
    on conflict on constraint active_calls_requests_key do update set asked_at = now(), answered_at = null
    where r.asked_at <= now() - ${PAUSE}
    returning tenant_id`.execute(db)
  return rows.length > 0
}

const otherAnswer = async (tenantId: string): Promise<void> => {
  for (
    const until = performance.now() + TIMEOUT_MS;
    performance.now() < until;
    await sleep(POLL_MS)
  ) {
    const { rows } = await sql`
      select from active_calls_requests where tenant_id = ${tenantId} and answered_at is not null`.execute(
      db,
    )
    if (rows.length > 0) return
  }
}

const access = z.object({ kind: z.enum(['code', 'bearer']), credential: z.string() })

const askAndStore = async (tenantId: string): Promise<void> => {
  const row = await db
    .selectFrom('call_log_access')
    .select(['kind', 'credential'])
    .where('tenant_id', '=', tenantId)
    .executeTakeFirst()
  if (!row) return
  const { kind, credential } = access.parse(row)
  const secret = decrypt(credential, callLogOwner(tenantId))
  const url = `${config().VOICENTER_ACTIVE_CALLS_URL}/comet/API/GetExtensionsCalls`
  const limits = { timeout: TIMEOUT_MS, maxBytes: MAX_ANSWER_BYTES }
  const answer = await ask(url, { kind, secret }, {}, limits)
  const read = 'text' in answer ? readActiveCalls(answer.text) : { wrong: answer.failed }
  if ('wrong' in read) log.warn({ tenantId, why: read.wrong }, 'Active Calls were not read')
  await storeAnswer(tenantId, 'calls' in read ? read.calls : null)
}

/**
 * Stores the calls of an answer. A leg that an earlier answer showed and this one does not has ended.
 *
 * @param calls null = no answer: nothing is known about any leg
 */
const storeAnswer = async (
  tenantId: string,
  calls: readonly ReportedLeg[] | null,
): Promise<void> => {
  const legs = (calls ?? []).flatMap(({ numbers: [number], leg, ...event }) =>
    number && leg
      ? [
          {
            phone: personOf(number),
            phones: spellings(number),
            call_id: leg.callId,
            phase: leg.phase,
            extension: event.extension,
            answered_at: event.answeredAt,
            is_answered: event.isAnswered,
          },
        ]
      : [],
  )
  await sql`
    with leg as materialized (
      select * from jsonb_to_recordset(${JSON.stringify(legs)}::jsonb) as l (
        phone text, phones text[], call_id text, phase text, extension text, answered_at float8, is_answered boolean)
      -- The tenant's own line is no customer.
      where not exists (select from tenant_numbers o where o.tenant_id = ${tenantId} and o.phone = any(l.phones))
        and not exists (select from whatsapp_connections c
                        where c.tenant_id = ${tenantId} and c.display_phone_number = any(l.phones))
    ), ended as (
      select distinct on (v.phone, v.call_id, v.extension)
             v.phone, v.call_id, 'hangup' as phase, v.extension, v.answered_at, v.is_answered
      from live_calls v
      where ${calls !== null} and v.tenant_id = ${tenantId} and v.source = 'active_calls'
        and v.received_at > now() - interval '1 day'
        and not exists (select from leg l where l.phone = v.phone and l.call_id = v.call_id and l.extension = v.extension)
      -- The newest, as in outreach/line.ts. If it is the Hangup, the conflict below ignores it.
      order by v.phone, v.call_id, v.extension, v.answered_at desc, (v.phase = 'talking') desc, v.is_answered desc
    ), stored as (
      insert into live_calls (tenant_id, phone, call_id, extension, phase, answered_at, is_answered, source)
      select ${tenantId}, phone, call_id, extension, phase, answered_at, is_answered, 'active_calls'
      from (select phone, call_id, phase, extension, answered_at, is_answered from leg
            union select phone, call_id, phase, extension, answered_at, is_answered from ended) news
      order by phone, call_id, extension, phase, answered_at, is_answered
      on conflict do nothing
    )
    update active_calls_requests set answered_at = now() where tenant_id = ${tenantId}`.execute(db)
}
