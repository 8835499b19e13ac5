import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import { audit, type Actor } from '../audit.ts'
import type { Trx } from '../db/kysely.ts'
import { hashPassword, password } from '../password.ts'
import { lockTenant } from './change.ts'
import { tenantId } from './fields.ts'

/** Null = nobody signs in as this business any more. */
export const newPassword = z.object({ tenantId, password: password.nullable() })

/** 120 random bits, in letters that are easily copied. */
export const generatePassword = (): string => randomBytes(15).toString('base64url')

/**
 * Sets or clears the password with which a business signs in to /ops.
 *
 * @returns whether there was anything to change
 */
export const setPassword = async (
  trx: Trx,
  signIn: Actor,
  wanted: z.infer<typeof newPassword>,
): Promise<{ changed: boolean }> => {
  const { tenantId } = wanted
  // Takes its time, so before anybody has to wait for this business.
  const hash = wanted.password === null ? null : await hashPassword(wanted.password)
  const tenant = await lockTenant(trx, tenantId)
  if (hash === null && tenant.ops_password === null) return { changed: false }
  await trx.updateTable('tenants').set({ ops_password: hash }).where('id', '=', tenantId).execute()
  await audit(trx, signIn, {
    tenantId,
    action: 'password.set',
    subject: `tenants ${tenantId}`,
    before: { password: tenant.ops_password === null ? 'none' : 'set' },
    after: { password: hash === null ? 'none' : 'set anew' },
  })
  return { changed: true }
}
