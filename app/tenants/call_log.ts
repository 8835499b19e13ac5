/** A business's access to Voicenter's Call Log: grant it, end it and show it. */
import { sql } from 'kysely'
import { z } from 'zod'
import { type Actor, audit } from '../audit.ts'
import { callLogOwner, encrypt } from '../crypto.ts'
import { addJob, removeJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import { lockTenant } from './lock.ts'
import { tenantId } from './schema.ts'

export const callLogInput = z.object({ tenantId })

export const grantAccessInput = callLogInput.extend({
  kind: z.enum(['code', 'bearer']),
  secret: z.string().regex(/^[\x21-\x7e]{1,8192}$/, 'printable characters without spaces'),
})

/**
 * Starts the hourly comparison with a business's call log, or changes the credential for it.
 *
 * The first check looks back one day, but not further than the first webhook: before it no call was lost. It looks back
 * at least ten minutes, so that a wrong credential is noticed at once.
 *
 * @throws UserError if there is no such business
 */
export const grantAccess = async (
  trx: Trx,
  actor: Actor,
  { tenantId, kind, secret }: z.infer<typeof grantAccessInput>,
): Promise<void> => {
  await lockTenant(trx, tenantId)
  const before = await kindOf(trx, tenantId)
  await sql`
    insert into call_log_access (tenant_id, kind, credential, watched_since, checked_until)
    select ${tenantId}, ${kind}, ${encrypt(secret, callLogOwner(tenantId))}, since, since
    from (
      select least(greatest(coalesce(min(received_at), now()), now() - interval '1 day'), now() - interval '10 minutes') as since
      from raw_cdrs where tenant_id = ${tenantId} and source = 'push'
    ) as first_webhook
    on conflict on constraint call_log_access_key do update set
      kind = excluded.kind, credential = excluded.credential, next_check_at = now(),
      last_error = null, failing_since = null`.execute(trx)
  await addJob(trx, 'call_log', tenantId, { tenantId })
  await audit(trx, actor, {
    tenantId,
    action: 'call_log.set',
    subject: `call_log_access ${tenantId}`,
    before: before === null ? null : { kind: before, credential: 'before' },
    after: { kind, credential: 'new' },
  })
}

/**
 * Ends the comparison and deletes the credential. What was found stays.
 *
 * @throws UserError if there is no such business
 */
export const endAccess = async (trx: Trx, actor: Actor, tenantId: string): Promise<void> => {
  await lockTenant(trx, tenantId)
  const kind = await kindOf(trx, tenantId)
  if (kind === null) return
  await trx.deleteFrom('call_log_access').where('tenant_id', '=', tenantId).execute()
  await removeJob(trx, 'call_log', tenantId)
  await audit(trx, actor, {
    tenantId,
    action: 'call_log.end',
    subject: `call_log_access ${tenantId}`,
    before: { kind },
    after: null,
  })
}

/** The state of a business's access, for a person to read. Null = Ringback has no access to its call log. */
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

const kindOf = async (trx: Trx, tenantId: string): Promise<string | null> => {
  const access = trx.selectFrom('call_log_access').select('kind').where('tenant_id', '=', tenantId)
  return (await access.executeTakeFirst())?.kind ?? null
}
