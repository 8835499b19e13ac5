import { sql } from 'kysely'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { type Actor, audit } from '../../audit.ts'
import { config } from '../../config.ts'
import { encrypt } from '../../crypto.ts'
import { addJob, removeJob } from '../../db/jobs.ts'
import { db, type Trx } from '../../db/kysely.ts'
import { lockTenant } from '../../tenants/tenants.ts'
import { tenantId } from '../../tenants/schema.ts'
import { type Answer, halves, readAnswer, type Window } from './entries.ts'

export const tenantOfLog = z.object({ tenantId })

/** Access to a business's call log, as it is given by hand. */
export const newAccess = tenantOfLog.extend({
  kind: z.enum(['code', 'bearer']),
  secret: z.string().regex(/^[\x21-\x7e]{1,8192}$/, 'printable characters without spaces'),
})

/** What the credential is sealed for: a value copied into another tenant's row cannot be opened there. */
export const credentialOwner = (tenantId: string): string =>
  `tenant:${tenantId}:call_log_credential`

/**
 * Lets a business's call log be compared, from now on and every hour, or changes the credential for it.
 *
 * The first check looks a day back, but not to before the first webhook came: what was called earlier was
 * never lost. It has at least ten minutes to ask for, so that a wrong credential is known at once.
 *
 * @throws Mistake when there is no such business
 */
export const grantAccess = async (
  trx: Trx,
  signIn: Actor,
  { tenantId, kind, secret }: z.infer<typeof newAccess>,
): Promise<void> => {
  await lockTenant(trx, tenantId)
  const known = await kindOf(trx, tenantId)
  await sql`
    insert into call_log_access (tenant_id, kind, credential, watched_since, checked_until)
    select ${tenantId}, ${kind}, ${encrypt(secret, credentialOwner(tenantId))}, since, since
    from (
      select least(greatest(coalesce(min(received_at), now()), now() - interval '1 day'), now() - interval '10 minutes') as since
      from raw_cdrs where tenant_id = ${tenantId} and source = 'push'
    ) as first_webhook
    on conflict on constraint call_log_access_key do update set
      kind = excluded.kind, credential = excluded.credential, next_check_at = now(),
      last_error = null, failing_since = null`.execute(trx)
  await addJob(trx, 'call_log', tenantId, { tenantId })
  await audit(trx, signIn, {
    tenantId,
    action: 'call_log.set',
    subject: `call_log_access ${tenantId}`,
    before: known === null ? null : { kind: known, credential: 'before' },
    after: { kind, credential: 'new' },
  })
}

const kindOf = async (trx: Trx, tenantId: string): Promise<string | null> => {
  const access = trx.selectFrom('call_log_access').select('kind').where('tenant_id', '=', tenantId)
  return (await access.executeTakeFirst())?.kind ?? null
}

/** How it stands with a business's call log, for a person to read; null = we have no access to it. */
export const accessState = async (trx: Trx, tenantId: string) => {
  const { rows } = await sql<{
    kind: string
    checkedUntil: Date
    nextCheckAt: Date
    lastError: string | null
    calls: string
    lost: string
    lossPercent: string
  }>`
    select a.kind, a.checked_until as "checkedUntil", a.next_check_at as "nextCheckAt", a.last_error as "lastError",
           coalesce(w.calls, 0) as calls, coalesce(w.lost, 0) as lost, coalesce(w.loss_percent, 0) as "lossPercent"
    from call_log_access a left join webhook_loss() w on w.tenant_id = a.tenant_id
    where a.tenant_id = ${tenantId}`.execute(trx)
  return rows[0] ?? null
}

/**
 * Forgets the credential; the log is not compared any more. What was found stays.
 *
 * @throws Mistake when there is no such business
 */
export const endAccess = async (trx: Trx, signIn: Actor, tenantId: string): Promise<void> => {
  await lockTenant(trx, tenantId)
  const known = await kindOf(trx, tenantId)
  if (known === null) return
  await trx.deleteFrom('call_log_access').where('tenant_id', '=', tenantId).execute()
  await removeJob(trx, 'call_log', tenantId)
  await audit(trx, signIn, {
    tenantId,
    action: 'call_log.end',
    subject: `call_log_access ${tenantId}`,
    before: { kind: known },
    after: null,
  })
}

export type CallLogAccess = NonNullable<Awaited<ReturnType<typeof accessOf>>>

/** A tenant's access, its credential still sealed, and the time on the database's clock. */
export const accessOf = async (tenantId: string) => {
  const row = await db
    .selectFrom('call_log_access')
    .select(['kind', 'credential', 'watched_since', 'checked_until'])
    .select([sql<boolean>`next_check_at <= now()`.as('is_due'), sql<Date>`now()`.as('now')])
    .where('tenant_id', '=', tenantId)
    .executeTakeFirst()
  return (
    row && {
      tenantId,
      kind: newAccess.shape.kind.parse(row.kind),
      sealed: row.credential,
      watchedSince: row.watched_since,
      checkedUntil: row.checked_until,
      isDue: row.is_due,
      now: row.now,
    }
  )
}

/** What opens the log: the organisation's code, sent in the body, or a bearer token. */
export type Credential = { kind: 'code' | 'bearer'; secret: string }

/** An answer of 10,000 records takes its time. */
const TIMEOUT_MS = 20_000
/** And has some 600 bytes a record. */
const MAX_ANSWER_BYTES = 32 * 1024 * 1024

/** Voicenter allows 30 requests a minute, and asks for five seconds between them where it was too much. */
const PAUSE_MS = 5_000
/** Of one check, so that it ends within the five minutes after which a job counts as stuck. */
const MOST_REQUESTS = 10

/** What judging needs. Not the recording's URL, the price, or who the agent was. */
const FIELDS =
  `CallerNumber TargetNumber Date DateEpoch Duration CallID Type CdrType DialStatus TargetExtension
  CallerExtension DID QueueName RingTime RepresentativeName CustomData`.split(/\s+/)

type Limits = { pause?: number; timeout?: number; signal?: AbortSignal }

/**
 * Asks for the calls of a window; where they are more than one answer holds, half by half. Ends with the first
 * failure.
 *
 * @param limits in ms: the pause between two requests, and how long one may take; and a signal to end between two
 */
export async function* callsBetween(
  credential: Credential,
  window: Window,
  { pause = PAUSE_MS, timeout = TIMEOUT_MS, signal }: Limits = {},
): AsyncGenerator<Answer> {
  const open = [window]
  let asked = 0
  for (let next = open.pop(); next; next = open.pop()) {
    if (asked === MOST_REQUESTS) {
      yield { kind: 'failed', why: 'too_many_calls', passing: false }
      return
    }
    if (asked++ > 0) await sleep(pause, undefined, { signal }).catch(() => {})
    if (signal?.aborted) {
      yield { kind: 'failed', why: 'stopped', passing: true }
      return
    }
    const answer = await ask(credential, next, timeout)
    if (answer.kind === 'records' && !answer.whole) open.push(...halves(next).toReversed())
    else yield answer
    if (answer.kind === 'failed') return
  }
}

/** One request. Never throws, and never follows a redirect, which would carry the credential elsewhere. */
const ask = async (
  { kind, secret }: Credential,
  { from, until }: Window,
  timeout: number,
): Promise<Answer> => {
  try {
    const response = await fetch(`${config().VOICENTER_API_URL}/hub/cdr/`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(kind === 'bearer' && { authorization: `Bearer ${secret}` }),
      },
      body: JSON.stringify({
        ...(kind === 'code' && { code: secret }),
        fields: FIELDS,
        search: { fromdate: gmt(from), todate: gmt(until) },
        sort: [{ field: 'date', order: 'asc' }],
      }),
      redirect: 'manual',
      signal: AbortSignal.timeout(timeout),
    })
    const text = await readText(response)
    if (text === null) return { kind: 'failed', why: 'answer_too_long', passing: false }
    return readAnswer(response.status, text)
  } catch (error) {
    // Its message may quote a header, and so the token: a word is enough.
    const timedOut = error instanceof Error && error.name === 'TimeoutError'
    return { kind: 'failed', why: timedOut ? 'timeout' : 'unreachable', passing: true }
  }
}

/** As in Voicenter's own examples: GMT, without saying so. */
const gmt = (at: Date): string => at.toISOString().slice(0, 19)

const readText = async (response: Response): Promise<string | null> => {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of response.body ?? []) {
    length += chunk.length
    if (length > MAX_ANSWER_BYTES) return null
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
