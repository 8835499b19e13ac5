import { sql } from 'kysely'
import { z } from 'zod'
import { audit, type Actor } from '../../audit.ts'
import { addJob, removeJob } from '../../db/jobs.ts'
import { db, type Trx } from '../../db/kysely.ts'
import { encrypt } from '../../crypto.ts'
import { lockTenant } from '../../tenants/change.ts'
import { tenantId } from '../../tenants/fields.ts'

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
export const giveAccess = async (
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
