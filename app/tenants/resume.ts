import { sql } from 'kysely'
import type { Actor } from '../audit.ts'
import type { Trx } from '../db/kysely.ts'
import { userError } from '../errors.ts'
import { lockTenant } from './change.ts'
import { mode } from './fields.ts'
import { setTenant } from './set.ts'

/**
 * Lets a paused business go on as before: one that was paused in shadow must not begin to write to people.
 *
 * @returns what changed
 * @throws Mistake when it is not paused, or nothing is written of how it was before
 */
export const resumeTenant = async (trx: Trx, signIn: Actor, tenantId: string) => {
  const tenant = await lockTenant(trx, tenantId)
  if (tenant.mode !== 'paused')
    throw userError('not_paused', `tenant ${tenantId} is not paused, its mode is ${tenant.mode}`)
  const { rows } = await sql<{ before: string; after: string }>`
    select before ->> 'mode' as before, after ->> 'mode' as after from audit_log
    where tenant_id = ${tenantId} and action = 'tenant.set' and after ? 'mode' order by id desc limit 1`.execute(
    trx,
  )
  const { success, data } = mode.safeParse(rows[0]?.before)
  if (!success || rows[0]?.after !== 'paused')
    throw userError(
      'mode_before_unknown',
      `how tenant ${tenantId} was before is not known: set its mode to live or shadow`,
    )
  return setTenant(trx, signIn, { tenantId, mode: data })
}
